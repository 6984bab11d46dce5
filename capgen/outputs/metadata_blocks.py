"""Where an image file keeps its metadata: the blocks of Exif, XMP and IPTC, found by walking through the file.

What a file declares is not believed: a length that leads out of the file ends the walk, and no more of a block than
``LARGEST`` bytes is read.
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO

LARGEST = 1 << 24
"""The most bytes that are read of one block."""

_XMP, _EXTENDED_XMP = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_EXIF, _PHOTOSHOP = b"Exif\0\0", b"Photoshop 3.0\0"
_JPEG_ENDS = {b"", b"\xda", b"\xd9"}
_JPEG_ALONE = {b"\x01", *(bytes([marker]) for marker in range(0xD0, 0xD9))}
_JPEG_METADATA = {b"\xe1", b"\xed"}
_PNG_TEXTS = {b"iTXt", b"tEXt", b"zTXt"}
_PNG_XMP = b"XML:com.adobe.xmp"
_CANON_EXIF = {b"CMT1", b"CMT2"}
_PACKED = {b"uuid", b"Exif", b"xml "}
_UUID_XMP, _UUID_EXIF = bytes.fromhex("be7acfcb97a942e89c71999491e3afac"), b"JpgTiffExif->JP2"
_UUID_CANON = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
_UUID_IPTC = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
_BOXES = {b"Exif", b"xml ", *_CANON_EXIF, _UUID_XMP, _UUID_EXIF, _UUID_IPTC}
_GIF_XMP = b"XMP DataXMP"
_FARTHEST = 1 << 40
_IPTC_RESOURCE = 0x0404


@dataclass
class Blocks:
    """The blocks of metadata of an image file.

    Attributes:
        exif: Files in the form of TIFF: Exif, or a TIFF file itself.
        xmp: XMP packets.
        iptc: Records of IPTC-IIM.
        text: The text that PNG keeps as its description.
        has_packed: Whether there are more that are packed with Brotli, as JPEG XL may have them.
    """

    exif: list[BinaryIO] = field(default_factory=list)
    xmp: list[bytes] = field(default_factory=list)
    iptc: list[bytes] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    has_packed: bool = False


def jpeg_blocks(file: BinaryIO) -> Blocks:
    """Find the blocks of a JPEG, whose segments before the image data hold them."""
    blocks, photoshop, extension = Blocks(), b"", b""
    file.seek(2)
    while file.read(1) == b"\xff":
        marker = file.read(1)
        while marker == b"\xff":  # bytes between segments
            marker = file.read(1)
        if marker in _JPEG_ENDS:
            break
        if marker in _JPEG_ALONE:
            continue
        length = max(int.from_bytes(file.read(2), "big") - 2, 0)
        if marker not in _JPEG_METADATA:
            file.seek(length, 1)
            continue
        data = file.read(length)
        if data.startswith(_EXIF):
            blocks.exif.append(BytesIO(data[len(_EXIF) :]))
        elif data.startswith(_XMP):
            blocks.xmp.append(data[len(_XMP) :])
        elif data.startswith(_EXTENDED_XMP):
            extension += data[len(_EXTENDED_XMP) + 40 :]  # after a digest, the length of the whole and an offset
        elif data.startswith(_PHOTOSHOP):
            photoshop += data[len(_PHOTOSHOP) :]
    if extension:
        blocks.xmp.append(extension)
    blocks.iptc.extend(photoshop_iptc(photoshop))
    return blocks


def png_blocks(file: BinaryIO) -> Blocks:
    """Find the blocks of a PNG, which may also come after the image data."""
    blocks = Blocks()
    file.seek(8)
    while kind := (head := file.read(8))[4:]:
        length = int.from_bytes(head[:4], "big")
        if (kind != b"eXIf" and kind not in _PNG_TEXTS) or length > LARGEST:
            file.seek(length + 4, 1)
            continue
        data = file.read(length)
        file.seek(4, 1)
        if kind == b"eXIf":
            blocks.exif.append(BytesIO(data.removeprefix(_EXIF)))
        else:
            _add_png_text(blocks, kind, data)
    return blocks


def webp_blocks(file: BinaryIO) -> Blocks:
    """Find the blocks of a WebP."""
    blocks = Blocks()
    file.seek(12)
    while (head := file.read(8))[4:]:
        length, kind = int.from_bytes(head[4:], "little"), head[:4]
        if kind in {b"EXIF", b"XMP "} and length <= LARGEST:
            data = file.read(length)
            if kind == b"EXIF":
                blocks.exif.append(BytesIO(data.removeprefix(_EXIF)))
            else:
                blocks.xmp.append(data)
            file.seek(length & 1, 1)
        else:
            file.seek(length + (length & 1), 1)
    return blocks


def gif_blocks(file: BinaryIO) -> Blocks:
    """Find the XMP of a GIF, which may be anywhere between the frames; a GIF has no other metadata."""
    blocks = Blocks()
    file.seek(10)
    file.seek(2 + _colours(file.read(1)), 1)
    while kind := file.read(1):
        if kind == b"\x2c":  # a frame
            file.seek(8, 1)
            file.seek(_colours(file.read(1)) + 1, 1)
            _sub_blocks(file)
        elif kind != b"\x21":
            break
        elif file.read(1) == b"\xff" and file.read(ord(file.read(1) or b"\0")) == _GIF_XMP:
            blocks.xmp.append(_gif_packet(_sub_blocks(file)))
        else:
            _sub_blocks(file)
    return blocks


def _colours(flags: bytes) -> int:
    """Return the bytes of the table of colours that some flags announce."""
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0


def _sub_blocks(file: BinaryIO) -> list[bytes]:
    """Return sub-blocks up to the empty one, each with its length before it; no more than ``LARGEST`` bytes are kept."""
    found, size = list[bytes](), 0
    while (length := file.read(1)) not in {b"", b"\0"}:
        data = length + file.read(length[0])
        if size < LARGEST:
            found.append(data)
        size += len(data)
    return found


def _gif_packet(parts: list[bytes]) -> bytes:
    """Return an XMP packet, whose bytes the lengths are a part of, unless a program has put it into real sub-blocks.

    After it there are bytes that count down from 255, for programs that take its bytes for lengths.
    """
    whole = b"".join(parts)
    if whole[1:2] == b"<" and whole[:1] not in b"<\0 \n\r\t":
        return b"".join(part[1:] for part in parts)
    return whole.partition(b"\x01\xff\xfe\xfd")[0]


def box_blocks(file: BinaryIO) -> Blocks:
    """Find the blocks of JPEG 2000, JPEG XL or CR3, which are made of boxes; those in other boxes are not looked for."""
    blocks, ranges = Blocks(), [(0, _FARTHEST)]
    while ranges:
        offset, end = ranges.pop()
        for kind, start, size in _boxes(file, offset, end):
            file.seek(start)
            if kind in {b"moov", _UUID_CANON}:
                ranges.append((start, start + size))
            elif kind == b"brob":
                blocks.has_packed = blocks.has_packed or file.read(4) in _PACKED
            elif kind in _BOXES:
                _add_box(blocks, kind, file.read(min(size, LARGEST)))
    return blocks


def _add_box(blocks: Blocks, kind: bytes, data: bytes) -> None:
    if kind == b"Exif":  # after the offset of its beginning
        blocks.exif.append(BytesIO(data[4:].removeprefix(_EXIF)))
    elif kind in _CANON_EXIF or kind == _UUID_EXIF:
        blocks.exif.append(BytesIO(data))
    elif kind == _UUID_IPTC:
        blocks.iptc.append(data)
    else:
        blocks.xmp.append(data)


def _boxes(file: BinaryIO, offset: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, offset and size of the content of each box between two offsets; none goes beyond the second.

    The kind of a box that has a UUID is the UUID.
    """
    while offset + 8 <= end:
        file.seek(offset)
        head = file.read(8)
        if not head[7:]:
            return
        kind, length, start = head[4:], int.from_bytes(head[:4], "big"), offset + len(head)
        if length == 1:
            length, start = int.from_bytes(file.read(8), "big"), start + 8
        after = min(offset + length, end) if length else end  # one without a length has all that is left
        if after < start:
            return
        if kind == b"uuid" and after - start >= len(_UUID_XMP):
            kind, start = file.read(len(_UUID_XMP)), start + len(_UUID_XMP)
        yield kind, start, after - start
        offset = after


def tiff_blocks(file: BinaryIO) -> Blocks:
    """Find the blocks of a TIFF file, or of camera raw that has the form of one."""
    first = Tiff(file).first()
    iptc = [first[_IPTC]] if _IPTC in first else []
    iptc.extend(photoshop_iptc(first.get(_RESOURCES, b"")))
    return Blocks(exif=[file], xmp=[first[_XMP_TAG]] if _XMP_TAG in first else [], iptc=iptc)


def photoshop_iptc(data: bytes) -> Iterator[bytes]:
    """Yield the IPTC records among Photoshop's resources."""
    offset = 0
    while data[offset : offset + 4] == b"8BIM" and offset + 12 <= len(data):
        name = data[offset + 6] + 1  # a text with its length before it, padded to an even number of bytes
        head = offset + 6 + name + (name & 1)
        length = int.from_bytes(data[head : head + 4], "big")
        if int.from_bytes(data[offset + 4 : offset + 6], "big") == _IPTC_RESOURCE:
            yield data[head + 4 : head + 4 + length]
        offset = head + 4 + length + (length & 1)


def _add_png_text(blocks: Blocks, kind: bytes, data: bytes) -> None:
    keyword, _, rest = data.partition(b"\0")
    if kind == b"iTXt":
        packed, rest = rest[:1] == b"\1", rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    else:
        packed, rest = kind == b"zTXt", rest[1:] if kind == b"zTXt" else rest
    if packed:
        try:
            rest = zlib.decompressobj().decompress(rest, LARGEST)
        except zlib.error:
            return
    if keyword == _PNG_XMP:
        blocks.xmp.append(rest)
    elif keyword == b"Description":
        blocks.text.append(rest.decode("utf-8" if kind == b"iTXt" else "latin-1", errors="replace"))
    elif keyword.startswith(b"Raw profile type "):
        _add_raw_profile(blocks, keyword.rpartition(b" ")[2].lower(), rest)


def _add_raw_profile(blocks: Blocks, kind: bytes, text: bytes) -> None:
    """Add a block that ImageMagick keeps as a text in a PNG: a name, a length, and hexadecimal digits in lines."""
    with suppress(ValueError):
        data = bytes.fromhex("".join(text.decode("ascii").split("\n")[3:]))
        if kind == b"iptc":
            blocks.iptc.extend(photoshop_iptc(data.removeprefix(_PHOTOSHOP)))
        elif kind == b"xmp" or data.startswith(_XMP):
            blocks.xmp.append(data.removeprefix(_XMP))
        elif data.startswith(_EXIF):
            blocks.exif.append(BytesIO(data[len(_EXIF) :]))


class Tiff:
    """The directories of a TIFF file, or of Exif, which has the same form. What is damaged reads as missing.

    Args:
        file: The file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        head = self._at(0, 8)
        self.order = "<" if head[:2] == b"II" else ">"
        self._first = self._number(head[4:]) if head[:2] in {b"II", b"MM"} else 0

    def first(self) -> dict[int, bytes]:
        """Return the values of the first directory by tag, as bytes."""
        return self.directory(self._first)

    def exif(self) -> dict[int, bytes]:
        """Return the values of the directory of Exif."""
        return self.directory(self._number(self.first().get(_EXIF_DIRECTORY, b"")))

    def directory(self, offset: int) -> dict[int, bytes]:
        """Return the values of the directory at an offset."""
        if not offset:
            return {}
        entry, found = struct.Struct(f"{self.order}HHI4s"), dict[int, bytes]()
        entries = self._at(offset + 2, entry.size * self._number(self._at(offset, 2)))
        for tag, kind, number, value in entry.iter_unpack(entries[: len(entries) // entry.size * entry.size]):
            size = _SIZES.get(kind, 0) * number
            if tag in _WANTED:
                found.setdefault(tag, value[:size] if size <= len(value) else self._at(self._number(value), size))
        return found

    def _number(self, data: bytes) -> int:
        return int.from_bytes(data[:4], "little" if self.order == "<" else "big")

    def _at(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(min(size, LARGEST))


_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 8: 2, 9: 4, 13: 4}
"""The bytes of a value by its type; texts, pointers and packets have no other."""

IMAGE_DESCRIPTION, USER_COMMENT, XP_COMMENT = 0x010E, 0x9286, 0x9C9C
"""Tags of the texts that may be a caption."""

_XMP_TAG, _IPTC, _RESOURCES, _EXIF_DIRECTORY = 0x02BC, 0x83BB, 0x8649, 0x8769
_WANTED = {IMAGE_DESCRIPTION, USER_COMMENT, XP_COMMENT, _XMP_TAG, _IPTC, _RESOURCES, _EXIF_DIRECTORY}
