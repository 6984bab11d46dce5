"""Hashes in the place of texts: short ones for paths, of which there may be millions, and longer ones for captions."""

import hashlib
from array import array

from capgen.storage.locations import Location


def hash64(text: str | Location) -> int:
    """Return 8 bytes of BLAKE2b of a text, a path or a URL, as a number from 0 to 2**64 - 1."""
    encoded = str(text).encode(
        "utf-8", "surrogatepass"
    )  # bytes of a path that are not UTF-8 are lone surrogates in its text
    return int.from_bytes(hashlib.blake2b(encoded, digest_size=8).digest(), "big")


def caption_hash(caption: str) -> str:
    """Return the first half of the SHA-256 of a caption in hexadecimal, without the white space around the caption."""
    return hashlib.sha256(caption.strip().encode("utf-8", "surrogateescape")).hexdigest()[:32]


def content_hash(pixels: memoryview) -> str:
    """Return 16 bytes of BLAKE2b of an image's pixels in hexadecimal: 32 digits."""
    return hashlib.blake2b(pixels, digest_size=16).hexdigest()


def fingerprint(data: str | bytes) -> str:
    """Return the first quarter of the SHA-256 of a text or of bytes, as 16 hexadecimal digits."""
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()[:16]


class HashSet:
    """A set of 8-byte hashes that takes 12 to 24 bytes for each, where a set of Python's numbers takes a hundred."""

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * 1024))  # their number is a power of two, and a free one holds zero
        self._count = 0

    def add(self, hash64: int) -> bool:
        """Add a hash, and return whether it was not in the set."""
        hash64 = hash64 or 1
        slots, last = self._slots, len(self._slots) - 1
        slot = hash64 & last
        while slots[slot]:
            if slots[slot] == hash64:
                return False
            slot = (slot + 1) & last
        slots[slot] = hash64
        self._count += 1
        if self._count * 3 > len(slots) * 2:
            self._grow()
        return True

    def _grow(self) -> None:
        old, self._count = self._slots, 0
        self._slots = array("Q", bytes(16 * len(old)))
        for hash64 in filter(None, old):
            self.add(hash64)
