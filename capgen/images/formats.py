"""The image formats that are read: one table, one row a format, and how a file is recognised.

A file is recognised by its first bytes and never by its name. Everything else about formats is derived from the table: which
names are looked for in a folder, which ending an image gets, and which function opens it. To add a format, add a row, and a
function to ``capgen.images.openers`` if Pillow does not read it.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from capgen.registry import Registry

if TYPE_CHECKING:
    from PIL.Image import Image

HEAD_BYTES = 64
"""The number of bytes at the beginning of a file by which its format is recognised."""

Recogniser = Callable[[bytes], bool]
"""Takes the first ``HEAD_BYTES`` bytes of a file, or fewer if it is shorter, and returns whether it is of the format."""


def begins_with(*signatures: bytes) -> Recogniser:
    """Recognise files that begin with one of some signatures."""
    return lambda head: head.startswith(signatures)


def contains(*parts: tuple[int, bytes]) -> Recogniser:
    """Recognise files that have certain bytes at certain offsets: all of ``parts``, each an offset and the bytes there."""
    return lambda head: all(head[offset : offset + len(expected)] == expected for offset, expected in parts)


def any_of(*recognisers: Recogniser) -> Recogniser:
    """Recognise files that one of some recognisers recognises."""
    return lambda head: any(recogniser(head) for recogniser in recognisers)


def has_brand(*brands: bytes, general: bool) -> Recogniser:
    """Recognise files of the container that AVIF and HEIF share (ISO/IEC 23008-12) by the brands that it declares.

    Args:
        brands: The brands of the format. The major brand must be one of them.
        general: Whether the major brand may also be one that says nothing of the coding (``mif1``, ``msf1``), if one of
            ``brands`` is among the compatible brands.
    """

    def recognise(head: bytes) -> bool:
        if head[4:8] != b"ftyp":
            return False
        end = min(int.from_bytes(head[:4], "big"), HEAD_BYTES)
        major, compatible = head[8:12], {head[offset : offset + 4] for offset in range(16, end, 4)}
        return major in brands or (general and major in _GENERAL_BRANDS and not compatible.isdisjoint(brands))

    return recognise


_GENERAL_BRANDS = (b"mif1", b"msf1")


@dataclass(frozen=True)
class ImageFormat:
    """A row of the table.

    Attributes:
        name: The name that people know.
        suffixes: File name endings in lower case, with their dots. The first is the one that an image without a known ending
            gets.
        recognise: Recognises a file of the format by its first bytes.
        pillow_name: Pillow's name of the format if Pillow reads it itself, else ``None``.
        opener: The function that opens a file's bytes, as ``"module:function"``. It takes the bytes and the side in pixels
            of the square that the image will be reduced to, and returns a ``PIL.Image.Image`` whose pixels need not be
            decoded yet. If the format can be decoded at a reduced scale, it will be at twice this size or more, so that the
            reduction cannot be seen after the final filter. It raises what Pillow does, or an ``ImageError``.
    """

    name: str
    suffixes: tuple[str, ...]
    recognise: Recogniser
    pillow_name: str | None
    opener: str = "capgen.images.openers:open_with_pillow"


FORMATS = (
    ImageFormat(
        "JPEG",
        (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),  # .mpo: several JPEGs in one, of which Pillow reads the first
        begins_with(b"\xff\xd8\xff"),
        pillow_name="JPEG",
        opener="capgen.images.openers:open_jpeg",
    ),
    ImageFormat(
        "PNG",
        (".png",),
        begins_with(b"\x89PNG\r\n\x1a\n"),
        pillow_name="PNG",
        opener="capgen.images.png:open_png",
    ),
    ImageFormat("WEBP", (".webp",), contains((0, b"RIFF"), (8, b"WEBP")), pillow_name="WEBP"),
    ImageFormat(
        "GIF",
        (".gif",),
        begins_with(b"GIF87a", b"GIF89a"),
        pillow_name="GIF",
        opener="capgen.images.openers:open_gif",
    ),
    ImageFormat(
        "BMP",
        (".bmp", ".dib"),
        contains((0, b"BM"), (6, bytes(4))),  # the reserved bytes are zero, and no text that begins with BM has zeros
        pillow_name="BMP",
    ),
    ImageFormat(
        "camera raw",
        (
            ".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".raf", ".rw2", ".orf", ".pef", ".srw",
            ".3fr", ".erf", ".kdc", ".dcr", ".mef", ".mos", ".mrw", ".iiq", ".x3f", ".rwl", ".gpr",
        ),
        any_of(
            begins_with(b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"\0MRM", b"FOVb"),
            contains((8, b"CR\2")),
            contains((8, b"IIII")),
            contains((6, b"HEAPCCDR")),
            contains((4, b"ftypcrx ")),
        ),
        pillow_name=None,
        opener="capgen.images.raw:open_raw",
    ),
    ImageFormat(
        "TIFF",
        (".tif", ".tiff"),
        # TIFF and BigTIFF in both byte orders, and files with the version number in the other one, which Pillow reads too.
        # The raw files of many cameras begin like that, and are recognised by what is in them.
        begins_with(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"II\0*", b"MM*\0"),
        pillow_name="TIFF",
        opener="capgen.images.tiff:open_tiff",
    ),
    ImageFormat(
        "JPEG 2000",
        (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
        begins_with(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
        pillow_name="JPEG2000",
    ),
    ImageFormat(
        "JPEG XL",
        (".jxl",),
        begins_with(b"\0\0\0\x0cJXL \r\n\x87\n", b"\xff\x0a"),
        pillow_name=None,
        opener="capgen.images.openers:open_jpeg_xl",
    ),
    ImageFormat(
        "AVIF",
        (".avif",),
        has_brand(b"avif", b"avis", general=True),
        pillow_name="AVIF",
        opener="capgen.images.openers:open_avif",
    ),
    ImageFormat(
        "HEIF",
        (".heic", ".heif", ".hif"),
        has_brand(
            *_GENERAL_BRANDS, b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", general=False
        ),
        pillow_name=None,
        opener="capgen.images.openers:open_heif",
    ),
)  # fmt: skip
"""The formats. The first row that recognises a file counts, so AVIF stands before HEIF, which general brands alone make."""

OPENERS: "Registry[Callable[[bytes, int], Image]]" = Registry("image format", {row.name: row.opener for row in FORMATS})
"""The openers by the names of their formats; a module is imported when its opener is used first."""

SUFFIXES = frozenset(suffix for row in FORMATS for suffix in row.suffixes)
"""The endings of the files that are looked for in folders; a file that is named itself may have any name."""


def ends_like_image(name: str | PurePath) -> bool:
    """Tell whether a name or a path ends like that of an image file."""
    # This is asked several times of every file of a library, and a PurePath or splitext takes several times as long.
    text = os.fspath(name)
    dot = text.rfind(".")
    if dot <= 0 or text[dot:].lower() not in SUFFIXES:
        return False
    return text[dot - 1] not in "/\\:." or bool(os.path.splitext(text)[1])  # noqa: PTH122 - ``.jpg`` is a name without an ending


def recognise(head: bytes) -> ImageFormat | None:
    """Return the format of a file, or ``None`` if it is of no format in the table.

    Args:
        head: The first ``HEAD_BYTES`` bytes of the file, fewer if it is shorter; more are not looked at.
    """
    return _recognised(head[:HEAD_BYTES])


@lru_cache(256)
def _recognised(head: bytes) -> ImageFormat | None:
    # Kept, since the files of a library begin alike: photographs of one camera, and XMP files of one program.
    return next((row for row in FORMATS if row.recognise(head)), None)


def looks_like_image(head: bytes) -> bool:
    """Return whether a file begins like an image.

    Args:
        head: The first bytes of the file, as ``recognise`` takes them.
    """
    return recognise(head) is not None


def suffix_for(head: bytes) -> str | None:
    """Return the ending that an image file should have; ``None`` if the file is not an image.

    Args:
        head: The first bytes of the file, as ``recognise`` takes them.
    """
    found = recognise(head)
    return found.suffixes[0] if found else None


def is_image_file(path: str | Path) -> bool:
    """Return whether a file begins like an image.

    A file that cannot be read does not, and neither does what is not a regular file: a pipe or a device might never answer.
    """
    try:
        if not os.path.isfile(path):  # noqa: PTH113 - asked of every other file of a library, by a text
            return False
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            return looks_like_image(file.read(HEAD_BYTES))
    except (OSError, ValueError):
        return False
