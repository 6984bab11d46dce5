"""Damaged metadata, by the thousand: it is read without a fault, and no words of a person are overlooked or lost.

CAPGEN_MUTATIONS=10000 in the environment tries so many of each kind; the seeds are always the same.
"""

import io
import os
import random
import re
import struct

import pytest

from capgen.errors import StorageError
from capgen.outputs.choices import Existing
from capgen.outputs.fields import Fields
from capgen.outputs.metadata_blocks import Blocks, box_blocks, gif_blocks, jpeg_blocks, png_blocks, tiff_blocks, webp_blocks
from capgen.outputs.photo_metadata import of_blocks
from capgen.outputs.xmp import XmpSidecar

MUTATIONS = int(os.environ.get("CAPGEN_MUTATIONS", "100"))

SPACES = (
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:Iptc4xmpCore="http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/" xmlns:q="urn:q"'
)


def packet(inside, attributes=""):
    rdf = f"<rdf:RDF {SPACES}><rdf:Description{attributes}>{inside}</rdf:Description></rdf:RDF>"
    return f'<?xpacket begin=""?><x:xmpmeta xmlns:x="adobe:ns:meta/">{rdf}</x:xmpmeta><?xpacket end="w"?>'.encode()


def alt(name, *items):
    return f"<{name}><rdf:Alt>{''.join(items)}</rdf:Alt></{name}>"


KEYWORDS = "<dc:subject><rdf:Bag><rdf:li>saw-fir</rdf:li></rdf:Bag></dc:subject><!-- saw-elm -->"
PACKETS = {
    "lists": packet(
        KEYWORDS
        + alt(
            "dc:description",
            '<rdf:li xml:lang="x-default">saw-alder</rdf:li>',
            '<rdf:li xml:lang="de">saw-birch</rdf:li>',
        )
        + alt("Iptc4xmpCore:AltTextAccessibility", '<rdf:li xml:lang="x-default">saw-cedar</rdf:li>')
    ),
    "another language": packet(alt("dc:description", '<rdf:li xml:lang="de-DE">saw-alder</rdf:li>') + KEYWORDS),
    "a text": packet(f"{KEYWORDS}<dc:description>saw-alder</dc:description>"),
    "a value": packet(alt("dc:description", "<rdf:li><rdf:value>saw-alder</rdf:value><q:by>Ada</q:by></rdf:li>")),
    "an attribute": packet(KEYWORDS, ' dc:description="saw-alder" q:rating="5"'),
}
WORD = re.compile(rb"saw-[a-z]+")
NAMED = re.compile(
    rb"xmlns:dc=\"http://purl\.org/dc/elements/1\.1/\".*"
    rb"(?:<dc:description>(?:(?!</).)*|\sdc:description=\"(?=saw))saw-alder", re.DOTALL
)  # fmt: skip
"""What tells a program that the words are a description is there."""


def iptc(*records):
    return b"".join(b"\x1c\x02" + bytes([number, *struct.pack(">H", len(data))]) + data for number, data in records)


BEFORE = iptc((5, b"title"), (120, b"saw-alder"))
IPTC = BEFORE + iptc((25, b"keyword"), (80, b"Ada"), (116, b"Ada"), (55, b"19740101"))


def exif():
    entries = [(0x10E, 2, 10, 50), (0x8769, 4, 1, 60), (0x9C9C, 1, 18, 100)]
    first = struct.pack("<H", 3) + b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    second = struct.pack("<H", 1) + struct.pack("<HHII", 0x9286, 7, 18, 80) + bytes(4)
    block = bytearray(140)
    for offset, data in ((0, b"II*\0\x08\0\0\0"), (8, first), (50, b"saw-alder\0"), (60, second)):
        block[offset : offset + len(data)] = data
    block[80:98], block[100:118] = b"ASCII\0\0\0saw-birch\0", "saw-cedar".encode("utf-16-le")
    return bytes(block)


EXIF = exif()


def mutated(data, generator):
    """Return data with some bytes changed, left out, put in or cut off."""
    data = bytearray(data)
    for _ in range(generator.choice((1, 1, 1, 2, 3, 6))):
        at, kind = generator.randrange(len(data)), generator.randrange(8)
        if kind < 4:
            data[at] = generator.randrange(256)
        elif kind == 4:
            del data[at : at + generator.choice((1, 2, 20))]
        elif kind == 5:
            data[at:at] = bytes([generator.randrange(256)])
        elif kind == 6:
            data[at] ^= 1 << generator.randrange(8)
        else:
            del data[max(at, 1) :]
        data = data or bytearray(1)
    return bytes(data)


def mutations(data):
    """Yield each mutation; the seeds are always the same."""
    for seed in range(MUTATIONS):
        yield mutated(data, random.Random(seed))


def said(**blocks):
    return of_blocks(Blocks(**blocks)).fields.description or ""


@pytest.mark.parametrize("form", PACKETS)
def test_words_in_a_damaged_packet_are_found_where_their_name_is_left(form):
    for data in mutations(PACKETS[form]):
        assert "saw-" in said(xmp=[data]) or not NAMED.search(data), data


def test_words_in_damaged_iptc_are_found_where_what_is_before_them_is_left():
    for data in mutations(IPTC):
        assert "saw-alder" in said(iptc=[data]) or not data.startswith(BEFORE), data


def test_words_in_damaged_exif_are_found_where_the_directory_is_left():
    for data in mutations(EXIF):
        assert "saw-alder" in said(exif=[io.BytesIO(data)]) or data[:59] != EXIF[:59], data


@pytest.mark.parametrize("existing", [Existing.FILL, Existing.APPEND])
@pytest.mark.parametrize("form", PACKETS)
def test_a_damaged_sidecar_is_refused_or_keeps_all_words_of_a_person(tmp_path, form, existing):
    target, sidecar, refused = tmp_path / "a.xmp", XmpSidecar(), 0
    for data in mutations(PACKETS[form]):
        target.write_bytes(data)
        try:
            sidecar.write(target, sidecar.fields(target).taking("new", existing))
        except StorageError:
            refused += 1
            assert target.read_bytes() == data
        else:
            assert not {*WORD.findall(data)} - {*WORD.findall(target.read_bytes())}, data
    assert refused < MUTATIONS


def blocks_of_all_kinds():
    """A JPEG, and the blocks in it as other files have them, each with words in every field."""
    entries = (
        struct.pack("<HHII", 0x10E, 2, 5, 50)
        + struct.pack("<HHII", 0x8769, 4, 1, 60)
        + struct.pack("<HHII", 0x9C9C, 1, 6, 80)
    )
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<H", 3) + entries + bytes(4) + b"words" + bytes(60)
    xmp = packet(alt("dc:description", '<rdf:li xml:lang="de">words</rdf:li>'))
    photoshop = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x0a\x1c\x02\x78\x00\x05words"
    segments = (0xE1, b"Exif\0\0" + tiff), (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp), (0xED, photoshop)
    parts = (bytes([0xFF, kind]) + struct.pack(">H", len(body) + 2) + body for kind, body in segments)
    text = b"XML:com.adobe.xmp\0\0\0\0\0" + xmp
    return {
        jpeg_blocks: b"\xff\xd8" + b"".join(parts),
        tiff_blocks: tiff,
        png_blocks: b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(text)) + b"iTXt" + text + bytes(4),
        webp_blocks: b"RIFF0000WEBPXMP " + struct.pack("<I", len(xmp)) + xmp,
        gif_blocks: b"GIF89a" + bytes(7) + b"\x21\xff\x0bXMP DataXMP" + xmp + bytes([1, *range(255, -1, -1), 0]) + b"\x3b",
        box_blocks: struct.pack(">I", 12) + b"JXL \r\n\x87\n" + struct.pack(">I", 8 + len(xmp)) + b"xml " + xmp,
    }


BLOCKS = blocks_of_all_kinds()


@pytest.mark.parametrize("walk", BLOCKS)
def test_the_blocks_of_every_kind_of_file_are_found(walk):
    assert of_blocks(walk(io.BytesIO(BLOCKS[walk]))).fields == Fields(
        "words", None, in_exif=walk in (jpeg_blocks, tiff_blocks)
    )


def test_the_texts_of_two_blocks_of_exif_are_both_words_and_an_empty_one_hides_none():
    blocks = [EXIF, b"II*\0\x08\0\0\0\0\0", EXIF.replace(b"saw-alder", b"saw-hazel")]
    assert said(exif=list(map(io.BytesIO, blocks))) == "saw-alder\nsaw-hazel\nsaw-cedar\nsaw-birch"


@pytest.mark.parametrize("walk", BLOCKS)
def test_a_file_that_is_damaged_anywhere_is_read_without_a_fault(walk):
    for data in mutations(BLOCKS[walk]):
        assert isinstance(of_blocks(walk(io.BytesIO(data))).fields, Fields)


class Counted(io.BytesIO):
    """Data that counts the bytes that are read of it."""

    count = 0

    def read(self, size=-1):
        data = super().read(size)
        self.count += len(data)
        return data


def box(kind, *contents):
    data = b"".join(contents)
    return struct.pack(">I4s", 8 + len(data), kind) + data


CANON = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")


def test_boxes_that_hold_no_words_are_not_read():
    nested = b""
    for _ in range(200):
        nested = box(b"uuid", CANON, nested, box(b"uuid", bytes(1000)))
    for data in (nested, box(b"uuid", bytes(100_000)), box(b"brob", b"jbrd", bytes(100_000))):
        file = Counted(data)
        assert box_blocks(file) == Blocks()
        assert file.count < len(data) / 2


def test_a_box_does_not_reach_beyond_the_one_around_it():
    xmp = packet(alt("dc:description", '<rdf:li xml:lang="de">words</rdf:li>'))
    longer = struct.pack(">I4s", 1000, b"xml ") + xmp
    behind = packet(alt("dc:description", '<rdf:li xml:lang="de">others</rdf:li>'))
    without_size = struct.pack(">I4s", 0, b"xml ") + xmp
    for inside in (longer, without_size):
        data = box(b"moov", inside) + box(b"free", behind) + bytes(1000)
        assert box_blocks(io.BytesIO(data)).xmp == [xmp]
