"""Hashes that stand for texts: short ones for paths of which there may be millions, longer ones for captions."""

import hashlib
from array import array

from capgen.storage.locations import Location


def hash64(text: str | Location) -> int:
    """Return 8 bytes of BLAKE2b of a text, a path or a URL, as a number from 0 to 2**64 - 1."""
    encoded = str(text).encode("utf-8", "surrogatepass")  # what is not UTF-8 is lone surrogates in a path
    return int.from_bytes(hashlib.blake2b(encoded, digest_size=8).digest(), "big")


def caption_hash(caption: str) -> str:
    """Return half of the SHA-256 of a caption, in hexadecimal; white space around it does not count."""
    return hashlib.sha256(caption.strip().encode("utf-8", "surrogateescape")).hexdigest()[:32]


class HashSet:
    """A set of 8-byte hashes that takes 12 to 24 bytes for each of millions, where Python's own takes a hundred."""

    def __init__(self) -> None:
        """Hold none."""
        self._slots = array("Q", bytes(8 * 1024))  # a power of two of them; zero is a free one
        self._count = 0

    def add(self, hash64: int) -> bool:
        """Add a hash, and tell whether it is new."""
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
