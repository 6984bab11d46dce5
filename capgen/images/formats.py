"""What a picture file is, told by how it begins; cheap, as nothing is decoded."""

from pathlib import Path

SUFFIXES = frozenset(
    {
        ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff",
        ".avif", ".heic", ".heif", ".hif",
    }
)  # fmt: skip
"""File name endings looked for in a folder; a file named on the command line may have any name."""

HEAD_BYTES = 64
"""As much of a file's beginning as tells its format."""

JPEG = b"\xff\xd8\xff"
_ENDINGS = {
    JPEG: ".jpg", b"\x89PNG\r\n\x1a\n": ".png", b"GIF87a": ".gif", b"GIF89a": ".gif",
    # TIFF, BigTIFF, and a slip that Pillow forgives
    b"II*\0": ".tif", b"MM\0*": ".tif", b"II+\0": ".tif", b"MM\0+": ".tif", b"II\0*": ".tif", b"MM*\0": ".tif",
}  # fmt: skip
"""By how a file begins the ending that its name should have."""

_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_GENERAL_BRANDS = frozenset({b"mif1", b"msf1"})
_HEIF_BRANDS = _GENERAL_BRANDS | {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}


def begins_like_picture(place: Path) -> bool:
    """Tell whether a file looks like a picture; no if it cannot be read, or is no plain file: others might never answer."""
    try:
        if not place.is_file():
            return False
        with place.open("rb", buffering=0) as file:
            return looks_like_picture(file.read(HEAD_BYTES))
    except (OSError, ValueError):
        return False


def looks_like_picture(head: bytes) -> bool:
    """Tell whether a file begins like one of the formats that are read.

    Args:
        head: The first ``HEAD_BYTES`` bytes of the file, fewer if it is shorter; more are not looked at.
    """
    return ending(head) is not None


def ending(head: bytes) -> str | None:
    """Return the ending that the name of a picture should have, ``None`` if it begins like no picture.

    Args:
        head: As ``looks_like_picture`` takes it.
    """
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return ".webp"
    if head.startswith(b"BM") and head[6:10] == bytes(4):  # reserved bytes, which tell it from a word
        return ".bmp"
    if found := container(head):
        return {"AVIF": ".avif", "HEIF": ".heic"}[found]
    return next((name for start, name in _ENDINGS.items() if head.startswith(start)), None)


def container(head: bytes) -> str | None:
    """Tell AVIF from HEIF, which share a container, by the brands that it names first (ISO/IEC 23008-12)."""
    if head[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(head[:4], "big"), HEAD_BYTES)
    major, others = head[8:12], {head[place : place + 4] for place in range(16, end, 4)}
    if major in _AVIF_BRANDS or (major in _GENERAL_BRANDS and others & _AVIF_BRANDS):
        return "AVIF"
    return "HEIF" if major in _HEIF_BRANDS else None
