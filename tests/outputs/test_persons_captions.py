"""A caption that a person wrote, wherever it is: it is found, kept, and never hidden, doubled or mixed with another."""

import json
import struct
import subprocess
from pathlib import Path

import pytest
from PIL import Image
from support.captioners import install_fake
from support.commands import here
from support.image_files import encode
from support.tools import require_tool

from capgen.images.formats import FORMATS
from capgen.outputs import photo_metadata
from capgen.outputs.exiftool import ExifTool
from capgen.outputs.fields import Fields
from capgen.outputs.stock_texts import is_stock
from capgen.outputs.xmp import XmpSidecar

pytestmark = pytest.mark.slow  # exiftool is started for most

WORDS = "Grandmother's house, 1974"
FIELDS = (
    "XMP-dc:Description", "XMP-dc:Description-de-DE", "XMP-iptcCore:AltTextAccessibility", "XMP-tiff:ImageDescription",
    "XMP-exif:UserComment", "IPTC:Caption-Abstract", "IFD0:ImageDescription", "ExifIFD:UserComment", "IFD0:XPComment",
    "XMP-acdsee:Notes",
)  # fmt: skip
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


@pytest.fixture
def library(user_folders, monkeypatch):
    """A folder to work in, with a captioner that makes captions up."""
    install_fake(user_folders / "data")
    folder = user_folders / "photos"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def exiftool():
    return require_tool("exiftool")


def draw(name, kind=None):
    Image.new("RGB", (16, 12), (200, 10, 10)).save(name, kind)
    return Path(name)


def tag(name, *assignments):
    """Put texts into a file, as a person does."""
    subprocess.run(["exiftool", "-q", "-m", "-overwrite_original", *(f"-{one}" for one in assignments), name], check=True)


def tags(name, *wanted):
    """What exiftool reads, by group and name."""
    done = subprocess.run(
        ["exiftool", "-j", "-a", "-G1", *(f"-{one}" for one in wanted), name], check=True, capture_output=True
    )
    [found] = json.loads(done.stdout)
    return {key: value for key, value in found.items() if key != "SourceFile"}


def caption(*arguments):
    """Caption; return the status of each file, and its reason."""
    done = here("caption", *arguments, "--report", "../report.jsonl")
    assert "Traceback" not in done.stderr
    rows = map(json.loads, Path("../report.jsonl").read_text().splitlines())
    return {row["path"]: row for row in rows}


def status(*arguments):
    [row] = caption(*arguments).values()
    return row["status"]


# What exists


def box(kind, *contents):
    data = b"".join(contents)
    return struct.pack(">I4s", 8 + len(data), kind) + data


def exif_of_one(number, kind, data):
    """A directory of Exif that has one value."""
    return b"II*\0" + struct.pack("<IHHHIII", 8, 1, number, kind, len(data), 26, 0) + data


def test_the_captions_in_raw_of_canon_are_found_where_exiftool_finds_them(library, exiftool):
    canon = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
    description = box(b"CMT1", exif_of_one(0x010E, 2, b"Grandmother\0"))
    comment = box(b"CMT2", exif_of_one(0x9286, 7, b"ASCII\0\0\0in her garden"))
    movie = box(b"moov", box(b"uuid", canon, description, comment))
    Path("a.cr3").write_bytes(box(b"ftyp", b"crx \0\0\0\1crx isom") + movie + box(b"mdat", bytes(64)))
    assert list(tags("a.cr3", "ImageDescription", "UserComment").values()) == ["Grandmother", "in her garden"]
    assert photo_metadata.read(Path("a.cr3")).fields.description == "Grandmother\nin her garden"
    tag("a.cr3", f"XMP-dc:Description={WORDS}")
    assert WORDS in photo_metadata.read(Path("a.cr3")).fields.description


def test_a_jpeg_xl_without_boxes_gets_them_for_its_caption(library, exiftool):
    path = Path("a.jxl")
    path.write_bytes(encode(Image.new("RGB", (16, 12)), "JPEG XL"))
    assert path.read_bytes()[:2] == b"\xff\n"
    assert status("a.jxl", "--embed") == "captioned"
    assert photo_metadata.read(path).fields.is_full


def test_metadata_that_jpeg_xl_has_packed_is_left_to_exiftool(library):
    head = box(b"JXL ", b"\r\n\x87\n") + box(b"ftyp", b"jxl \0\0\0\0jxl ")
    packed = box(b"brob", b"Exif", b"packed")
    plain = box(b"xml ", xmp(f"<dc:description>{WORDS}</dc:description>").encode())
    for boxes in (packed + plain, plain + packed):
        Path("a.jxl").write_bytes(head + boxes)
        found = photo_metadata.read(Path("a.jxl"))
        assert found.has_packed
        assert found.fields.description == WORDS
    Path("a.jxl").write_bytes(head + box(b"brob", b"jbrd", b"packed"))
    assert not photo_metadata.read(Path("a.jxl")).has_packed


def test_boxes_that_declare_more_than_the_box_around_them_has_are_walked_through_once(library):
    boxes = (struct.pack(">I4s", 16, b"moov") + struct.pack(">I4s", 1 << 30, b"moov")) * 40
    Path("a.jxl").write_bytes(box(b"JXL ", b"\r\n\x87\n") + boxes)
    assert photo_metadata.read(Path("a.jxl")).texts == {}
    far = struct.pack(">I4sQ", 1, b"moov", (1 << 64) - 16) + struct.pack(">I4sQ", 1, b"moov", (1 << 63) + 5)
    plain = box(b"xml ", xmp(f"<dc:description>{WORDS}</dc:description>").encode())
    Path("a.jxl").write_bytes(box(b"JXL ", b"\r\n\x87\n") + plain + far)
    assert photo_metadata.read(Path("a.jxl")).fields.description == WORDS


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "heic", "jp2"])
@pytest.mark.parametrize("field", FIELDS)
def test_words_of_a_person_are_a_caption_wherever_in_the_photograph_they_are(library, exiftool, field, ending):
    if ending == "heic":
        from pillow_heif import from_pillow

        from_pillow(Image.new("RGB", (64, 64))).save("a.heic")
        if field.startswith("IPTC"):
            pytest.skip("HEIC has no IPTC")
    else:
        draw(f"a.{ending}")
    tag(f"a.{ending}", f"{field}={WORDS}")
    before = Path(f"a.{ending}").read_bytes()
    for option in ("--embed", "--xmp"):
        assert status(f"a.{ending}", option) == "skipped"
    assert Path(f"a.{ending}").read_bytes() == before
    assert [path.name for path in library.iterdir()] == [f"a.{ending}"]


@pytest.mark.parametrize("field", ["XMP-dc:Description", "XMP-iptcCore:AltTextAccessibility"])
@pytest.mark.parametrize("kind", [row.name for row in FORMATS if row.name not in {"BMP", "camera raw"}])
def test_words_in_every_format_that_can_be_drawn_are_a_caption_and_so_is_capgens(library, exiftool, kind, field):
    name = "a" + next(row.suffixes[0] for row in FORMATS if row.name == kind)
    Path(name).write_bytes(encode(Image.new("RGB", (64, 64)), kind))
    tag(name, f"{field}={WORDS}")
    assert {status(name, "--embed"), status(name, "--xmp")} == {"skipped"}
    assert status(name, "--embed", "--existing", "overwrite") == "captioned"
    assert status(name, "--embed", "--existing", "append") == "skipped"


def test_xmp_is_found_between_the_frames_of_a_gif_and_in_real_sub_blocks(library):
    draw("a.gif")
    packet = xmp(f"<dc:description>{WORDS}</dc:description>" + "<q:long>long</q:long>" * 30).encode()
    blocks = b"".join(bytes([len(packet[at : at + 255])]) + packet[at : at + 255] for at in range(0, len(packet), 255))
    trailer = bytes([1, *range(255, -1, -1), 0])
    for data in (packet + trailer, blocks + bytes(1)):
        drawn = Path("a.gif").read_bytes()
        Path("b.gif").write_bytes(drawn[:-1] + b"\x21\xff\x0bXMP DataXMP" + data + drawn[-1:])
        assert photo_metadata.read(Path("b.gif")).fields.description == WORDS


@pytest.mark.parametrize("words", ["おばあちゃんの家", "Großmutters Häuschen", "дом бабушки"])
@pytest.mark.parametrize(
    "field", ["ExifIFD:UserComment", "IFD0:ImageDescription", "IFD0:XPComment", "IPTC:Caption-Abstract"]
)
def test_words_in_every_script_are_read_as_exiftool_writes_them(library, exiftool, field, words):
    draw("a.jpg")
    tag("a.jpg", "IPTC:CodedCharacterSet=UTF8", f"{field}={words}")
    assert photo_metadata.read(Path("a.jpg")).fields.description == words


def test_a_sidecar_stops_embed_and_the_photograph_stops_xmp(library, exiftool):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        draw(name)
    XmpSidecar().write(Path("a.xmp"), WORDS)
    XmpSidecar().write(Path("b.jpg.XMP"), Fields(alternative=WORDS))
    rows = caption("a.jpg", "b.jpg", "c.jpg", "--embed")
    assert {name: row["status"] for name, row in rows.items()} == {
        "a.jpg": "skipped",
        "b.jpg": "skipped",
        "c.jpg": "captioned",
    }


def test_captions_of_capgen_in_one_place_do_not_stop_the_other(library, exiftool):
    draw("a.jpg"), draw("b.jpg")
    assert status("a.jpg", "--xmp") == "captioned"
    assert status("a.jpg", "--embed") == "captioned"
    assert sorted(caption("b.jpg", "--xmp", "--embed")["b.jpg"]["written"]) == ["b.jpg", "b.xmp"]
    for name in ("a", "b"):
        assert XmpSidecar().read(Path(f"{name}.xmp")) == photo_metadata.read(Path(f"{name}.jpg")).fields.text


# What cameras and programs write


STOCK = (
    "OLYMPUS DIGITAL CAMERA         ", "SAMSUNG", "DCIM\\100MEDIA\\DJI_0001.JPG", "SONY DSC", "KODAK Digital Still Camera",
    "cof", "oznorWO", "hdrpl", "sdr_HDRB", "dav_vivid", "<KENOX S760  / Samsung S760>", "oplus_131072", "Created with GIMP",
    "Screenshot",
    "Processed with VSCO with c1 preset", "Exif_JPEG_PICTURE", '{"filter":0,"mode":"auto"}', "LEAD Technologies Inc. V1.01",
    "KONICA MINOLTA DIGITAL CAMERA", "Default", "binary comment", "DCIM", "Created by Imlib", "Scanner", "fshbty",
    "CREATOR: gd-jpeg v1.0 (using IJG JPEG v62), quality = 90\n", "Created with GIMP\n\nSAMSUNG",
    "Processed with VSCOcam with f2 preset",
    "File written by Adobe Photoshop\u00a8 4.0", "Intel(R) JPEG Library, version [2.0.16.48]",
)  # fmt: skip
PERSONS = (
    "Samsung brought us here", "my digital camera", "a digital camera on a table", "Monday", "Norbert", "Olympus at dawn",
    "default settings of grandfather", "sorted by hand", "Anna", "A picture of Anna", "❤", "?", "{no JSON", "Kodak moment",
    "5",
    "Picture of the year", "coffee", "DCIM was its folder", "scanner of the library",
    "Created with GIMP\n\nGrandma's 80th birthday, Rome", "Edited with Snapseed: our wedding in Rome, June 2019",
    "File written by Adobe Photoshop 5.0\nAnna and Ben at the lake",
)  # fmt: skip


@pytest.mark.parametrize("text", STOCK)
def test_what_a_camera_or_program_writes_by_itself_is_nobodys_caption(text):
    assert is_stock(text)


@pytest.mark.parametrize("text", PERSONS)
def test_words_of_a_person_are_not_taken_for_a_cameras(text):
    assert not is_stock(text)


def test_a_cameras_text_does_not_hide_the_caption_in_the_photograph(library, exiftool):
    draw("a.jpg")
    tag("a.jpg", "IFD0:ImageDescription=OLYMPUS DIGITAL CAMERA", "ExifIFD:UserComment=Screenshot")
    words = caption("a.jpg", "--embed")["a.jpg"]["caption"]
    assert tags("a.jpg", "Description", "ImageDescription", "UserComment") == {
        "XMP-dc:Description": words, "IFD0:ImageDescription": words, "ExifIFD:UserComment": "Screenshot"
    }  # fmt: skip


def test_a_cameras_text_does_not_hide_the_caption_in_a_sidecar(library, exiftool):
    draw("a.jpg"), draw("b.jpg")
    tag("a.jpg", "IFD0:ImageDescription=OLYMPUS DIGITAL CAMERA")
    words = {name: row["caption"] for name, row in caption("a.jpg", "b.jpg", "--xmp").items()}
    assert tags("a.xmp", "Description", "ImageDescription") == {
        "XMP-dc:Description": words["a.jpg"], "XMP-tiff:ImageDescription": words["a.jpg"]
    }  # fmt: skip
    assert tags("b.xmp", "ImageDescription") == {}


# Fields in step


def test_after_overwriting_no_program_shows_the_old_words(library, exiftool):
    draw("a.jpg")
    tag(
        "a.jpg",
        *(f"{field}=old words" for field in FIELDS if not field.endswith("-DE")),
        "XMP-dc:Description-en-US=old words",
    )
    words = caption("a.jpg", "--embed", "--existing", "overwrite")["a.jpg"]["caption"]
    found = tags("a.jpg", "all")
    assert "old words" not in str(found)
    assert [found[field] for field in FIELDS if not field.endswith("-DE")] == [words] * 9
    assert tags("a.jpg", "MWG:Description") == {"MWG:Description": words}


@pytest.mark.parametrize(("existing", "expected"), [("overwrite", "{new}"), ("append", "{old}, {new}")])
@pytest.mark.parametrize("names", [["a.xmp"], ["a.jpg.XMP", "a.xmp"]])
def test_sidecars_are_kept_in_step_with_the_photograph(library, exiftool, names, existing, expected):
    draw("a.jpg")
    for name in names:
        XmpSidecar().write(Path(name), "old words")
    new = caption("a.jpg", "--embed", "--existing", existing)["a.jpg"]["caption"]
    wanted = expected.format(old="old words", new=new)
    assert photo_metadata.read(Path("a.jpg")).fields == Fields(wanted, wanted)
    assert [XmpSidecar().read(Path(name)) for name in names] == [wanted] * len(names)


def test_two_sidecars_of_a_photograph_are_kept_in_step(library):
    draw("a.jpg")
    for name in ("a.jpg.xmp", "a.xmp"):
        XmpSidecar().write(Path(name), "old words")
    new = caption("a.jpg", "--xmp", "--existing", "overwrite")["a.jpg"]["caption"]
    assert [XmpSidecar().read(Path(name)) for name in ("a.jpg.xmp", "a.xmp")] == [new, new]


def test_words_of_a_sidecar_that_differ_from_the_photographs_are_kept_when_a_caption_is_added(library, exiftool):
    draw("a.jpg")
    tag("a.jpg", "XMP-dc:Description=Anna")
    XmpSidecar().write(Path("a.xmp"), Fields("at the window"))
    new = caption("a.jpg", "--embed", "--existing", "append")["a.jpg"]["caption"]
    assert photo_metadata.read(Path("a.jpg")).fields.description == f"Anna, {new}"
    assert XmpSidecar().fields(Path("a.xmp")) == Fields(f"at the window, {new}")


def test_a_sidecar_that_two_photographs_share_gets_the_caption_of_the_first(library, exiftool):
    draw("a.jpg"), draw("a.png")
    XmpSidecar().write(Path("a.xmp"), "old words")
    rows = caption("a.jpg", "a.png", "--embed", "--existing", "overwrite")
    assert XmpSidecar().read(Path("a.xmp")) == rows["a.jpg"]["caption"] != rows["a.png"]["caption"]


def test_a_sidecar_without_a_caption_gets_none_from_embed_and_one_edited_by_hand_stays(library, exiftool):
    draw("a.jpg"), draw("b.jpg")
    Path("a.xmp").write_text(xmp("<q:rating>5</q:rating>"))
    caption("b.jpg", "--xmp")
    XmpSidecar().write(Path("b.xmp"), "edited")
    before = Path("a.xmp").read_bytes()
    rows = caption("a.jpg", "b.jpg", "--embed", "--existing", "overwrite")
    assert {row["status"] for row in rows.values()} == {"captioned"}
    assert Path("a.xmp").read_bytes() == before
    assert XmpSidecar().read(Path("b.xmp")) == "edited"


def test_a_caption_that_was_put_into_a_sidecar_to_keep_it_in_step_is_capgens(library, exiftool):
    draw("a.jpg")
    XmpSidecar().write(Path("a.xmp"), "old words")
    caption("a.jpg", "--embed", "--existing", "overwrite")
    before = Path("a.xmp").read_bytes()
    assert status("a.jpg", "--xmp", "--existing", "append") == "skipped"
    assert Path("a.xmp").read_bytes() == before


def test_what_is_missing_is_not_made_and_other_languages_stay(library, exiftool):
    draw("a.jpg")
    tag("a.jpg", "XMP-dc:Description=old", "XMP-dc:Description-de=Anna am Fenster", "IPTC:Headline=Zoë", "IFD0:Artist=Ada")
    words = caption("a.jpg", "--embed", "--existing", "overwrite")["a.jpg"]["caption"]
    assert tags("a.jpg", "Description*", "Headline", "Artist", "Caption-Abstract", "ImageDescription", "UserComment") == {
        "XMP-dc:Description": words, "XMP-dc:Description-de": "Anna am Fenster", "IPTC:Headline": "Zoë", "IFD0:Artist": "Ada"
    }  # fmt: skip


@pytest.mark.parametrize("option", ["--xmp", "--embed"])
@pytest.mark.parametrize(
    ("existing", "description", "alternative"),
    [
        ("skip", "{words}", None),
        ("fill", "{words}", "{new}"),
        ("append", "{words}, {new}", "{new}"),
        ("prepend", "{new}, {words}", "{new}"),
        ("overwrite", "{new}", "{new}"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_each_field_keeps_to_itself(library, exiftool, option, existing, description, alternative, turned):
    file = Path("a.xmp" if option == "--xmp" else "a.jpg")
    draw("a.jpg")
    if option == "--xmp":
        XmpSidecar().write(file, Fields(*((None, WORDS) if turned else (WORDS, None))))
    else:
        tag("a.jpg", f"XMP-{'iptcCore:AltTextAccessibility' if turned else 'dc:Description'}={WORDS}")
    new = caption("a.jpg", option, "--existing", existing)["a.jpg"]["caption"]
    fields = XmpSidecar().fields(file) if option == "--xmp" else photo_metadata.read(file).fields
    found = (fields.alternative, fields.description) if turned else (fields.description, fields.alternative)
    assert found == tuple(text and text.format(words=WORDS, new=new) for text in (description, alternative))


def test_a_sidecar_gets_only_what_the_photograph_lacks_and_does_not_hide_its_words(library, exiftool):
    draw("a.jpg"), draw("b.jpg")
    tag("a.jpg", f"IPTC:Caption-Abstract={WORDS}")
    tag("b.jpg", f"IPTC:Caption-Abstract={WORDS}")
    new = caption("a.jpg", "--xmp", "--existing", "fill")["a.jpg"]["caption"]
    assert XmpSidecar().fields(Path("a.xmp")) == Fields(None, new)
    new = caption("b.jpg", "--xmp", "--existing", "append")["b.jpg"]["caption"]
    assert XmpSidecar().fields(Path("b.xmp")) == Fields(f"{WORDS}, {new}", new)


@pytest.mark.parametrize("option", ["--xmp", "--embed"])
@pytest.mark.parametrize("existing", ["append", "overwrite"])
def test_notes_of_acdsee_are_a_description_only_where_there_is_no_other(library, exiftool, option, existing):
    draw("a.jpg"), draw("b.jpg")
    for name, words in (("a", "notes"), ("b", "notes of another kind")):
        file = f"{name}.xmp" if option == "--xmp" else f"{name}.jpg"
        if option == "--xmp":
            XmpSidecar().write(Path(file), "x")
        tag(file, f"XMP-acdsee:Notes={words}", f"XMP-dc:Description={'Anna' if name == 'b' else ''}")
    new = {file: row["caption"] for file, row in caption("a.jpg", "b.jpg", option, "--existing", existing).items()}
    ending = "xmp" if option == "--xmp" else "jpg"
    added = {name: new[f"{name}.jpg"] if existing == "overwrite" else f"{old}, {new[f'{name}.jpg']}"
             for name, old in (("a", "notes"), ("b", "Anna"))}  # fmt: skip
    assert tags(f"a.{ending}", "Description", "Notes") == {
        "XMP-dc:Description": added["a"], "XMP-acdsee:Notes": added["a"]
    }  # fmt: skip
    assert tags(f"b.{ending}", "Description", "Notes") == {
        "XMP-dc:Description": added["b"], "XMP-acdsee:Notes": "notes of another kind"
    }  # fmt: skip


def test_words_in_two_places_that_differ_are_both_kept_when_a_caption_is_added(library, exiftool):
    draw("a.jpg")
    tag("a.jpg", "XMP-dc:Description=Anna", "IPTC:Caption-Abstract=at the window", "IFD0:ImageDescription=Anna")
    new = caption("a.jpg", "--embed", "--existing", "append")["a.jpg"]["caption"]
    assert photo_metadata.read(Path("a.jpg")).fields.description == f"Anna\nat the window, {new}"


# Forms of XMP


def xmp(inside, attributes=""):
    spaces = f'xmlns:rdf="{RDF}" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:q="urn:q"'
    return f"<rdf:RDF {spaces}><rdf:Description{attributes}>{inside}</rdf:Description></rdf:RDF>"


def alt(*items):
    return xmp(f"<dc:description><rdf:Alt>{''.join(items)}</rdf:Alt></dc:description>")


@pytest.mark.parametrize(
    "packet",
    [
        xmp("", ' dc:description="W"'),
        xmp("<dc:description>W</dc:description>"),
        alt("<rdf:li>W</rdf:li>"),
        alt('<rdf:li xml:lang="c">W</rdf:li>'),
        alt('<rdf:li xml:lang="de"/>', '<rdf:li xml:lang="en-US">W</rdf:li>'),
        alt('<rdf:li xml:lang="x-default"><rdf:value>W</rdf:value><q:by>Ada</q:by></rdf:li>'),
        alt('<rdf:li rdf:parseType="Resource"><rdf:value xml:lang="en">W</rdf:value></rdf:li>'),
        alt("<rdf:li><rdf:Description><rdf:value>W</rdf:value><q:by>Ada</q:by></rdf:Description></rdf:li>"),
        alt('<rdf:li><rdf:Description rdf:value="W" q:by="Ada"/></rdf:li>'),
        alt('<rdf:li rdf:value="W" q:by="Ada"/>'),
        alt('<rdf:_1 xml:lang="x-default">W</rdf:_1>'),
        xmp("<dc:description><rdf:Bag><rdf:li>W</rdf:li></rdf:Bag></dc:description>"),
        xmp('<dc:description rdf:parseType="Resource"><rdf:value>W</rdf:value></dc:description>'),
        xmp("<dc:description>W</dc:description>").replace("rdf:Description", "q:Photograph"),
        alt('<rdf:li xml:lang="x-default">W</rdf:li>', '<rdf:li xml:lang="en-US">W</rdf:li>'),
    ],
)
def test_every_form_of_rdf_is_read_and_overwritten_without_a_rest(library, packet):
    Path("a.xmp").write_text(packet)
    assert XmpSidecar().read(Path("a.xmp")) == "W"
    XmpSidecar().write(Path("a.xmp"), "new")
    assert XmpSidecar().read(Path("a.xmp")) == "new"
    assert "W<" not in Path("a.xmp").read_text()
    assert '"W"' not in Path("a.xmp").read_text()


@pytest.mark.parametrize("attributes", ['rdf:nodeID="n"', 'rdf:resource="#n"'])
def test_a_list_that_a_property_refers_to_is_read_and_overwritten_without_a_rest(library, attributes):
    name = "nodeID" if "nodeID" in attributes else "ID"
    node = f'<rdf:Alt rdf:{name}="n"><rdf:li xml:lang="x-default">W</rdf:li></rdf:Alt>'
    Path("a.xmp").write_text(xmp(f"<dc:description {attributes}/>").replace("</rdf:RDF>", f"{node}</rdf:RDF>"))
    assert XmpSidecar().read(Path("a.xmp")) == "W"
    XmpSidecar().write(Path("a.xmp"), "new")
    assert XmpSidecar().read(Path("a.xmp")) == "new"
    assert ">W<" not in Path("a.xmp").read_text()


@pytest.mark.parametrize(
    "packet",
    [
        alt('<rdf:li xml:lang="x-default">One</rdf:li>', '<rdf:li xml:lang="x-default">Two</rdf:li>'),
        xmp("<dc:description><rdf:Bag><rdf:li>One</rdf:li><rdf:li>Two</rdf:li></rdf:Bag></dc:description>"),
    ],
)
@pytest.mark.parametrize("option", ["--embed", "--xmp"])
def test_all_items_in_the_default_language_are_kept_when_a_caption_is_added(library, exiftool, packet, option):
    path = jpeg_with((1, b"http://ns.adobe.com/xap/1.0/\0" + packet.encode()))
    path.with_suffix(".xmp").write_text(packet)
    new = caption(path.name, option, "--existing", "append")[path.name]["caption"]
    fields = photo_metadata.read(path).fields if option == "--embed" else XmpSidecar().fields(path.with_suffix(".xmp"))
    assert fields.description == f"One\nTwo, {new}"


@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le", "utf-32-be"])
def test_a_packet_in_utf_16_is_read_in_the_photograph(library, encoding):
    packet = f'<?xpacket begin="\ufeff"?>{alt(f"<rdf:li>{WORDS}</rdf:li>")}<?xpacket end="w"?>'
    path = jpeg_with((1, b"http://ns.adobe.com/xap/1.0/\0" + packet.encode(encoding)))
    assert status(path.name, "--xmp") == "skipped"


def test_a_text_as_a_literal_is_a_caption(library):
    packet = xmp(f'<dc:description rdf:parseType="Literal"><q:p>{WORDS}</q:p></dc:description>')
    path = jpeg_with((1, b"http://ns.adobe.com/xap/1.0/\0" + packet.encode()))
    assert status(path.name, "--xmp") == "skipped"


@pytest.mark.parametrize("existing", ["append", "overwrite"])
def test_a_form_of_xmp_that_exiftool_does_not_change_is_named_and_stays(library, exiftool, existing):
    one, two = (f"<dc:description><rdf:Alt><rdf:li>{text}</rdf:li></rdf:Alt></dc:description>" for text in ("One", "Two"))
    path = jpeg_with((1, b"http://ns.adobe.com/xap/1.0/\0" + xmp(one + two).encode()))
    before = path.read_bytes()
    [row] = caption(path.name, "--embed", "--existing", existing).values()
    assert (row["status"], path.read_bytes()) == ("write-failed", before)
    assert "exiftool does not change XMP of the form that it has (Duplicate XMP property" in row["reason"]


def test_what_stands_for_the_default_in_a_language_that_exiftool_cannot_name_goes_and_others_stay(library, exiftool):
    items = '<rdf:li xml:lang="c">Anna</rdf:li>', '<rdf:li xml:lang="de-AT">Anna am Fenster</rdf:li>'
    path = jpeg_with((1, b"http://ns.adobe.com/xap/1.0/\0" + alt(*items).encode()))
    words = caption(path.name, "--embed", "--existing", "overwrite")[path.name]["caption"]
    assert tags(path, "Description*") == {
        "XMP-dc:Description": words, "XMP-dc:Description-de-AT": "Anna am Fenster"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("packet", "words"),
    [
        (alt("<rdf:li>Anna & Otto</rdf:li>").encode(), "Anna & Otto"),
        (alt("<rdf:li>Anna</rdf:li>")[:-40].encode(), "Anna"),
        (f"<!DOCTYPE x []>{alt('<rdf:li>Anna</rdf:li>')}".encode(), "Anna"),
        (alt("<rdf:li>Ännä</rdf:li>").encode("latin-1"), "Ännä"),
        (alt("<rdf:li>Anna</rdf:li>")[:-40].encode("utf-16"), "Anna"),
    ],
)
def test_words_in_a_damaged_sidecar_keep_embed_from_captioning(library, exiftool, packet, words):
    draw("a.jpg")
    Path("a.xmp").write_bytes(packet)
    assert status("a.jpg", "--embed") == "skipped"
    new = caption("a.jpg", "--embed", "--existing", "append")["a.jpg"]["caption"]
    assert photo_metadata.read(Path("a.jpg")).fields.description == f"{words}, {new}"
    assert Path("a.xmp").read_bytes() == packet


# Encodings of Exif and IPTC


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"UTF-8\0\0\0Mine words", "Mine words"),
        (b"ascii\0\0\0Mine words", "Mine words"),
        (b"ASCII   Mine words", "Mine words"),
        (b"UNICODE\0Mine words\0\0", "Mine words"),
        (b"Unicode\0" + "Anna".encode("utf-16-le"), "Anna"),
        (b"UNICODE\0" + "中国的长城".encode("utf-16"), "中国的长城"),
        (b"UNICODE\0" + "бабушка".encode("utf-16-le"), "бабушка"),
        (b"UNICODE\0" + "бабушка".encode("utf-16-be"), "бабушка"),
        (b"JIS\0\0\0\0\0" + "ねこ".encode("iso2022_jp"), "ねこ"),
        (b"Mine words", "Mine words"),
        (b"Mine\0\0\0\0words", "Mine words"),
        (bytes(8) + b"Mine words\0", "Mine words"),
    ],
)
def test_a_comment_is_read_whatever_it_says_of_its_encoding(library, exiftool, data, words):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = data
    Image.new("RGB", (16, 12)).save("a.jpg", exif=exif)
    new = caption("a.jpg", "--embed", "--existing", "append")["a.jpg"]["caption"]
    assert tags("a.jpg", "UserComment", "Description") == {
        "XMP-dc:Description": f"{words}, {new}", "ExifIFD:UserComment": f"{words}, {new}"
    }  # fmt: skip


def iptc(data):
    block = b"\x1c\x02\x78" + struct.pack(">H", len(data)) + data
    return 13, b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(block)) + block + bytes(len(block) & 1)


def exif(data):
    return 1, b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">HHHII", 1, 0x10E, 2, len(data) + 1, 26) + bytes(4) + data + b"\0"


@pytest.mark.parametrize("block", [iptc, exif])
@pytest.mark.parametrize("words", ["写真".encode("shift-jis"), "бабушка".encode("cp1251"), "Größe".encode("latin-1")])
def test_a_text_whose_encoding_is_not_known_is_kept_and_never_written_back_misread(library, exiftool, block, words):
    path = jpeg_with(block(words))
    before = path.read_bytes()
    for option in ("--embed", "--xmp"):
        assert status(path.name, option) == "skipped"
        [row] = caption(path.name, option, "--existing", "append").values()
        assert row["status"] == "write-failed"
        assert "it is not in UTF-8" in row["reason"]
    assert path.read_bytes() == before
    assert not path.with_suffix(".xmp").exists()
    assert status(path.name, "--embed", "--existing", "overwrite") == "captioned"


def test_a_text_that_another_place_has_in_utf_8_is_added_to(library, exiftool):
    path = jpeg_with(iptc("Größe".encode("latin-1")), exif("Größe".encode()))
    new = caption(path.name, "--embed", "--existing", "append")[path.name]["caption"]
    assert set(tags(path, "Caption-Abstract", "ImageDescription", "Description").values()) == {f"Größe, {new}"}


@pytest.mark.parametrize("existing", ["append", "prepend"])
def test_the_end_of_a_long_text_in_iptc_is_kept(library, exiftool, existing):
    words = "A" * 1985 + " END"
    path = jpeg_with(iptc(words.encode()))
    new = caption(path.name, "--embed", "--existing", existing)[path.name]["caption"]
    expected = f"{words}, {new}" if existing == "append" else f"{new}, {words}"
    assert tags(path, "Caption-Abstract", "Description") == {
        "IPTC:Caption-Abstract": expected, "XMP-dc:Description": expected
    }  # fmt: skip


def jpeg_with(*segments):
    path = draw("made.jpg")
    data = path.read_bytes()
    parts = (bytes([0xFF, 0xE0 + kind]) + struct.pack(">H", len(body) + 2) + body for kind, body in segments)
    path.write_bytes(data[:2] + b"".join(parts) + data[2:])
    return path


@pytest.mark.parametrize(
    "packet",
    [
        xmp(f"<dc:description>{WORDS}</dc:description>")[:-20],
        f"<x><dc:description><rdf:Alt><rdf:li>{WORDS}</rdf:li></rdf:Alt>",
        f'<rdf:Description dc:description="{WORDS}"',
        f"<!DOCTYPE x [<!ENTITY a 'b'>]>{xmp(f'<dc:description>{WORDS}</dc:description>')}",
    ],
)
def test_words_in_a_damaged_packet_are_a_caption(library, packet):
    path = jpeg_with((1, b"http://ns.adobe.com/xap/1.0/\0" + packet.encode()))
    assert status(path.name, "--xmp") == "skipped"


def test_latin_1_and_lengths_of_iptc_are_understood(library):
    def record(number, data):
        return b"\x1c\x02" + bytes([number]) + (b"\x80\x04" + struct.pack(">I", len(data))) + data

    iptc = record(5, b"title") + record(120, "Großmutters Haus".encode("latin-1")) + b"\x1c\x02\x78\x00\x50cut"
    resources = b"8BIM\x04\x25\0\0\0\0\0\x01x\0" + b"8BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc
    path = jpeg_with((13, b"Photoshop 3.0\0" + resources))
    assert photo_metadata.read(path).fields.description == "Großmutters Haus\ncut"


def test_a_text_that_iptc_has_cut_off_is_the_same_text():
    text = "long " * 500
    metadata = photo_metadata.PhotoMetadata({"XMP-dc:Description": text, "IPTC:Caption-Abstract": text[:2000]})
    assert metadata.fields.description == text.strip()


# What exiftool is given


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.HEIC", "JPEG"), ("a.jpg", "PNG"), ("a.png", "JPEG"), ("a", "JPEG"), ("a.jpg_large", "JPEG"), ("a.jpeg", "AVIF"),
        ("a.gif", "TIFF"), ("a.JPG", "JPEG"),
    ],
)  # fmt: skip
def test_a_caption_is_embedded_whatever_the_name_ends_in(library, exiftool, name, kind):
    draw(name, kind)
    words = caption(name, "--embed")[name]["caption"]
    assert tags(name, "Description") == {"XMP-dc:Description": words}
    with Image.open(name) as image:
        assert image.format == kind
    assert [path.name for path in library.iterdir() if not path.name.startswith(".")] == [name]


def test_a_minor_error_of_exiftool_is_said_with_what_to_do(library, exiftool):
    two = xmp("", ' rdf:about="Drone" q:height="12"').replace(
        "</rdf:RDF>", '<rdf:Description rdf:about="" q:rating="3"/></rdf:RDF>'
    )
    path = jpeg_with((1, b"http://ns.adobe.com/xap/1.0/\0" + two.encode()))
    [row] = caption(path.name, "--embed").values()
    assert row["status"] == "write-failed"
    assert "Different 'rdf:about' attributes not handled; exiftool calls this minor" in row["reason"]
    said = row["reason"].rpartition("anew: ")[2].replace("FILE", path.name)
    subprocess.run(said.split(), check=True, capture_output=True)
    assert status(path.name, "--embed") == "captioned"


def test_what_another_program_writes_into_a_photograph_meanwhile_stays(library, exiftool, monkeypatch):
    draw("a.jpg")
    rewritten = ExifTool.rewritten

    def late(self, image, *options):
        made = rewritten(self, image, *options)
        with image.open("ab") as file:
            file.write(b"of another program")
        return made

    monkeypatch.setattr(ExifTool, "rewritten", late)
    row = caption("a.jpg", "--embed")["a.jpg"]
    assert row["status"] == "write-failed"
    assert "another program has changed" in row["reason"]
    assert Path("a.jpg").read_bytes().endswith(b"of another program")
