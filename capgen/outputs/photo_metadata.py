"""What the metadata in an image file says of the image: every field in which a person's caption may be.

These are XMP, ``Caption-Abstract`` of IPTC, and ``ImageDescription``, ``UserComment`` and ``XPComment`` of Exif; in PNG also
a text called Description. Files are read here and not by exiftool, which takes many times as long and need not be installed.
"""

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, TypeAlias

from capgen.errors import DataError, ImageError
from capgen.images.formats import HEAD_BYTES, recognise
from capgen.outputs.fields import Fields, joined
from capgen.outputs.metadata_blocks import (
    IMAGE_DESCRIPTION,
    USER_COMMENT,
    XP_COMMENT,
    Blocks,
    Tiff,
    box_blocks,
    gif_blocks,
    jpeg_blocks,
    png_blocks,
    tiff_blocks,
    webp_blocks,
)
from capgen.outputs.stock_texts import is_noise, is_stock
from capgen.outputs.xmp_packet import ALTERNATIVE, DESCRIPTION, NOTES, Packet, salvaged
from capgen.outputs.xmp_rdf import Property

_XMP_TAGS = {
    DESCRIPTION: "XMP-dc:Description",
    "tiff:ImageDescription": "XMP-tiff:ImageDescription",
    "exif:UserComment": "XMP-exif:UserComment",
    ALTERNATIVE: "XMP-iptcCore:AltTextAccessibility",
    NOTES: "XMP-acdsee:Notes",
}
"""The properties by the names that exiftool has for them."""

_MENTIONED = re.compile(rb"description|ImageDescription|UserComment|AltTextAccessibility|:notes|\0.")
"""What a packet with one of the properties has in it, unless it is in UTF-16; most packets of cameras have none."""

IN_EXIF, IN_IPTC, IN_NOTES = "IFD0:ImageDescription", "IPTC:Caption-Abstract", _XMP_TAGS[NOTES]
_IPTC_LIMIT = 2000
"""The most bytes of a caption in IPTC; a longer one is cut off by what writes it."""

_ASCII = re.compile(rb"[ -~\t\r\n]{8,}[\0 ]*")
"""A text of ASCII alone that is too long to be UTF-16 by chance, which some programs announce."""

_IPTC_ENCODING, _IPTC_CAPTION = (1, 90), (2, 120)
"""The numbers of two records: the encoding of the others, and the caption."""

_IptcRecords: TypeAlias = list[tuple[tuple[int, int], bytes]]
"""The numbers of the records of a block of IPTC, with their values."""

_UTF_8_MARK = b"\x1b%G"


@dataclass(frozen=True)
class PhotoMetadata:
    """What the metadata of an image says.

    Attributes:
        texts: By exiftool's name of its field, each text that is not blank, cameras' own among them.
        copies: Exiftool's names of the fields that have the same texts in other languages.
        translations: By exiftool's name of its field, each other text in another language.
        iptc_takes_utf_8: Whether IPTC can be said to be in UTF-8 without any of its other texts being changed.
        doubtful: Fields whose text may be misread, since it is not in UTF-8 and does not say in which encoding it is.
        has_packed: Whether there is more that is packed with Brotli, and is not read here.
    """

    texts: dict[str, str]
    copies: tuple[str, ...] = ()
    translations: dict[str, str] = field(default_factory=dict)
    iptc_takes_utf_8: bool = True
    doubtful: frozenset[str] = frozenset()
    has_packed: bool = False

    @cached_property
    def fields(self) -> Fields:
        """Description and alternative text as a person wrote them."""
        alternative = _XMP_TAGS[ALTERNATIVE]
        others = (alternative, IN_NOTES)
        found = [text for tag, text in self.texts.items() if tag not in others and not _is_nobodys(tag, text)]
        whole = [text for text in found if not _is_cut_off(text, found)]
        description = joined(*whole) or joined(self.texts.get(IN_NOTES))
        doubtful = {tag: text for tag, text in self.texts.items() if tag in self.doubtful and text in (description or "")}
        return Fields(description, joined(self.texts.get(alternative)), IN_EXIF in self.texts, doubtful=doubtful)


def read(path: Path) -> PhotoMetadata | None:
    """Return what the metadata of an image file says; ``None`` if it is of a format whose metadata cannot be found here.

    What is damaged says nothing, or what can be saved of it.
    """
    try:
        with path.open("rb") as file:
            return of_file(file)
    except (OSError, ValueError):  # a ``ValueError`` for a name that no file can have
        return None


def of_file(file: BinaryIO) -> PhotoMetadata | None:
    """Return what ``read`` does, for an open file."""
    found = _blocks(file)
    return None if found is None else of_blocks(found)


def of_blocks(blocks: Blocks) -> PhotoMetadata:
    """Return what blocks of metadata say."""
    properties = [(_XMP_TAGS[name], one) for name, one in _properties(blocks.xmp)]
    iptc = [list(_iptc_records(block)) for block in blocks.iptc]
    parts = [_Part(tag, one.text) for tag, one in properties]
    for file in blocks.exif:
        parts += _exif_texts(Tiff(file))
    for records in iptc:
        parts += _iptc_captions(records)
    parts += [_Part("PNG:Description", text) for text in blocks.text]
    return PhotoMetadata(
        _texts(parts),
        tuple(f"{tag}-{language}" for tag, one in properties for language in one.languages),
        {f"{tag}-{language}": text for tag, one in properties for language, text in one.translations},
        all(map(_take_utf_8, iptc)),
        _doubtful(parts),
        blocks.has_packed,
    )


@dataclass(frozen=True)
class _Part:
    """The text of a field, and whether it is certain that it was decoded as it is meant."""

    tag: str
    text: str
    is_certain: bool = True


def _texts(parts: Sequence[_Part]) -> dict[str, str]:
    """Return the text of each field that has one."""
    tags = dict.fromkeys(part.tag for part in parts)
    texts = {tag: joined(*(part.text for part in parts if part.tag == tag)) for tag in tags}
    return {tag: text for tag, text in texts.items() if text}


def _doubtful(parts: Sequence[_Part]) -> frozenset[str]:
    """Return the fields whose text may have been decoded wrongly."""
    certain = {part.text for part in parts if part.is_certain}  # what another field says, too, was read as it is meant
    return frozenset(part.tag for part in parts if part.text and part.text not in certain)


def _iptc_captions(records: _IptcRecords) -> list[_Part]:
    return [_decoded(IN_IPTC, value) for number, value in records if number == _IPTC_CAPTION]


def _take_utf_8(records: _IptcRecords) -> bool:
    """Return whether IPTC is in UTF-8, or can be said to be without any text but the caption being changed by that."""
    is_utf_8 = any(number == _IPTC_ENCODING and value == _UTF_8_MARK for number, value in records)
    return is_utf_8 or all(value.isascii() for number, value in records if number != _IPTC_CAPTION)


def _blocks(file: BinaryIO) -> Blocks | None:
    head = file.read(HEAD_BYTES)
    found = recognise(head)
    name = found.name if found else ""
    if name in {"TIFF", "camera raw"} and head[:2] in {b"II", b"MM"} and b"+" not in head[:4]:  # BigTIFF has another form
        return tiff_blocks(file)
    has_boxes = head[4:8] in _FIRST_BOXES or (name == "camera raw" and head[4:8] == b"ftyp")
    walk = box_blocks if has_boxes else _WALKS.get(name)
    if walk is None:
        return _blocks_by_pillow(file) if name in {"AVIF", "HEIF"} else None
    file.seek(0)
    return walk(file)


_WALKS = {"GIF": gif_blocks, "JPEG": jpeg_blocks, "PNG": png_blocks, "WEBP": webp_blocks}
_FIRST_BOXES = {b"jP  ", b"JXL "}


def _blocks_by_pillow(file: BinaryIO) -> Blocks:
    """Let Pillow or its plugin find the blocks of a file whose form is not walked through here."""
    from capgen.images.openers import DECODING_ERRORS, open_bytes

    file.seek(0)
    try:
        with open_bytes(file.read(), 1) as image:
            exif, xmp = image.info.get("exif") or b"", image.info.get("xmp") or b""
    except (ImageError, *DECODING_ERRORS):
        return Blocks()
    return Blocks(
        exif=[io.BytesIO(bytes(exif).removeprefix(b"Exif\0\0"))] if exif else [],
        xmp=[xmp.encode() if isinstance(xmp, str) else bytes(xmp)] if xmp else [],
    )


def _properties(packets: Iterable[bytes]) -> Iterator[tuple[str, Property]]:
    for data in packets:
        if not _MENTIONED.search(data):
            continue
        try:
            found = Packet(data).properties()
        except DataError:
            found = salvaged(data)
        yield from found.items()


def _exif_texts(tiff: Tiff) -> Iterator[_Part]:
    first, exif = tiff.first(), tiff.exif()
    yield _decoded(IN_EXIF, first.get(IMAGE_DESCRIPTION, b""))
    yield _Part("IFD0:XPComment", _utf_16(first.get(XP_COMMENT, b""), "<"))
    comment = _user_comment("ExifIFD:UserComment", exif.get(USER_COMMENT) or first.get(USER_COMMENT, b""), tiff.order)
    if not _is_nobodys("", comment.text):  # nothing shows this in front of XMP, so what a program keeps there may stay
        yield comment


def _user_comment(tag: str, data: bytes, order: str) -> _Part:
    """Decode a comment, which says in eight bytes how it is encoded, in one way or another, or does not say it."""
    code, rest = data[:8], data[8:]
    name, zero, _ = code.partition(b"\0")
    name = name.upper() if zero else name.rstrip(b" ")
    if name == b"UNICODE" and not _ASCII.fullmatch(rest):
        return _Part(tag, _utf_16(rest, order))
    if name == b"JIS":
        text = rest.decode("iso2022_jp", errors="replace").strip("\0 ")
        return _Part(tag, text, "\ufffd" not in text)
    if name in {b"", b"ASCII", b"UNICODE", b"UTF-8", b"UTF8"}:
        return _decoded(tag, rest)
    return _decoded(tag, re.sub(rb"\0+", b" ", data) if zero else data)  # no code that is known, so it is all text


def _utf_16(data: bytes, order: str) -> str:
    """Decode UTF-16; its byte order, which may be declared wrongly, is guessed from the zero bytes of Latin letters."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace").strip("\0 ")
    data = data[: len(data) & ~1]
    first, second = data[::2].count(0), data[1::2].count(0)
    if first == second:  # no Latin letters; in other scripts it is the higher byte that varies less
        first, second = len(set(data[1::2])), len(set(data[::2]))
    if first != second:
        order = "<" if second > first else ">"
    return data.decode("utf-16-le" if order == "<" else "utf-16-be", errors="replace").partition("\0")[0].strip()


def _iptc_records(data: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    """Yield record and number, and the bytes, of each data set; the last one may be cut off."""
    offset = 0
    while data[offset : offset + 1] == b"\x1c" and offset + 5 <= len(data):
        record, number, length = data[offset + 1], data[offset + 2], int.from_bytes(data[offset + 3 : offset + 5], "big")
        offset += 5
        if length & 0x8000:  # the length of the length
            size = length & 0x7FFF
            length, offset = int.from_bytes(data[offset : offset + size], "big"), offset + size
        yield (record, number), data[offset : offset + length]
        offset += length


def _decoded(tag: str, data: bytes) -> _Part:
    """Decode UTF-8 or, in older files, Windows-1252, the commonest of the encodings before it."""
    data = data.partition(b"\0")[0]
    try:
        return _Part(tag, data.decode().strip())
    except UnicodeDecodeError:
        return _Part(tag, data.decode("cp1252", errors="replace").strip(), is_certain=False)


def _is_nobodys(tag: str, text: str) -> bool:
    return is_stock(text) or (not tag.startswith("XMP-") and is_noise(text))


def _is_cut_off(text: str, others: Iterable[str]) -> bool:
    """Tell whether a text is what the limit of IPTC has left of another."""
    is_long = len(text.encode()) > _IPTC_LIMIT - 4
    return is_long and any(other != text and other.startswith(text) for other in others)
