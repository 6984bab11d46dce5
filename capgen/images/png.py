"""PNG files: what their decoder is given, and the transparent level of grey ones.

Metadata never decides whether pixels are read. Pillow gives up on texts and profiles that are large or damaged, wherever
they are in the file, so it gets the file without them. What says how the image is turned (Exif, XMP) stays if it is sound
and small.
"""

import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from capgen.errors import ImageError, Status
from capgen.images.openers import TOO_MANY_PIXELS, TRANSFER, open_with_pillow
from capgen.images.vips import read_reduced

if TYPE_CHECKING:
    from PIL.Image import Image

_SIGNATURE_BYTES = 8

_FRAME_BYTES = 12
"""A chunk's length, name and checksum, which surround its data."""

_TEXT_CHUNKS = {b"tEXt", b"zTXt", b"iTXt"}

_TURNING_TEXTS = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0", b"Raw profile type APP1\0")
"""The keywords of the texts in which Pillow looks for the orientation of the image."""

_MAX_TEXT = 1 << 20
"""The size in bytes of the largest text that Pillow takes; so large when it is decompressed, if it is compressed."""

_GREY = b"\0"
_LEVELS = {b"\2": 85, b"\4": 17}
"""The factor by which Pillow multiplies the levels of grey images, but not the transparent one, by the bits of a pixel."""


def open_png(data: bytes, size: int) -> "Image":
    """Open a PNG: its first image, without the metadata that is not needed, and with its transparent level as decoded."""
    from PIL.Image import DecompressionBombError

    lean = _without_texts(data)
    depth, colour_type, interlaced = data[24:25], data[25:26], data[28:29] == b"\1"  # of the header, the first chunk
    try:
        image = open_with_pillow(lean, size)
    except DecompressionBombError:
        if interlaced:
            reason = f"{TOO_MANY_PIXELS}, and is interlaced; another PNG of up to a gigapixel is read"
            raise ImageError(Status.TOO_LARGE, reason) from None
        return read_reduced(lean, size, has_opacity=True)
    header = data[: data.find(b"IDAT")]
    if b"cICP" in header:  # the primaries, the transfer characteristics, and two bytes
        image.info[TRANSFER] = header[header.index(b"cICP") + 5]
    level = image.info.get("transparency")
    if colour_type == _GREY and isinstance(level, int):
        image.info["transparency"] = level * _LEVELS.get(depth, 1)
    return image


def _without_texts(data: bytes) -> bytes:
    """Return the file without the texts, the profiles and the damaged Exif data that the pixels do not depend on."""
    whole = memoryview(data)
    kept = [whole[:_SIGNATURE_BYTES]]
    end = _SIGNATURE_BYTES
    for name, start, next_start in _chunks(data):
        if _is_needed(name, whole[start:next_start]):
            kept.append(whole[start:next_start])
        end = next_start
    kept.append(whole[end:])  # a chunk that ends early, or nothing
    return data if sum(map(len, kept)) == len(data) else b"".join(kept)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name of each whole chunk, where it starts, and where the next one does."""
    start = _SIGNATURE_BYTES
    while start + _FRAME_BYTES <= len(data):
        end = start + _FRAME_BYTES + int.from_bytes(data[start : start + 4], "big")
        if end > len(data):
            return
        yield data[start + 4 : start + 8], start, end
        start = end


def _is_needed(name: bytes, chunk: memoryview) -> bool:
    if name == b"iCCP":
        return _is_sound(chunk) and _unpacks(bytes(chunk[8:-4]).partition(b"\0\0")[2])  # after the name and the method
    if name in _TEXT_CHUNKS:
        return _says_orientation(name, chunk) and _is_sound(chunk)
    return name != b"eXIf" or _is_sound(chunk)


def _says_orientation(name: bytes, chunk: memoryview) -> bool:
    """Return whether a text may say how the image is turned, and is no larger than Pillow takes it."""
    content = bytes(chunk[8 : 8 + _MAX_TEXT + 1])
    if not content.startswith(_TURNING_TEXTS) or len(content) > _MAX_TEXT:
        return False
    start = content.index(b"\0") + 1
    if name == b"zTXt":
        return _unpacks(content[start + 1 :])  # after the method of compression
    if name == b"iTXt" and content[start : start + 1] == b"\1":
        return _unpacks(
            content[start + 2 :].split(b"\0", 2)[-1]
        )  # after the method, the language and the translated keyword
    return True


def _unpacks(compressed: bytes) -> bool:
    unpacking = zlib.decompressobj()
    try:
        unpacking.decompress(compressed, _MAX_TEXT)
    except zlib.error:
        return False
    return unpacking.eof


def _is_sound(chunk: memoryview) -> bool:
    return zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")
