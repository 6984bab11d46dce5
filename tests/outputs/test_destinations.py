"""The destinations of one image's caption: a text file, an XMP file, the metadata of the image itself."""

import codecs
import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from xml.dom.minidom import Element, Node, Text, parseString

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from support.examples import examples
from support.tools import require_tool

from capgen.errors import StorageError, UsageError
from capgen.outputs import exiftool
from capgen.outputs.embedded import Embedded
from capgen.outputs.sidecar import Sidecar
from capgen.outputs.xmp import XmpSidecar
from capgen.outputs.xmp_packet import xml_text
from capgen.storage import files

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
DC = "http://purl.org/dc/elements/1.1/"
IPTC = "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"
XML = "http://www.w3.org/XML/1998/namespace"

LIGHTROOM = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<!-- before -->
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 7.0">
 <rdf:RDF xmlns:rdf="{RDF}">
  <rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="5" xmp:Label="a&#10;b&#9;&quot;c"/>
  <rdf:Description rdf:about="" xmlns:dc="{DC}" xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"
    crs:Exposure2012="+0.30">
   <!-- keywords -->
   <dc:subject><rdf:Bag><rdf:li>dog</rdf:li><rdf:li>a &lt; b &amp; c&#13;</rdf:li></rdf:Bag></dc:subject>
   <dc:description>
    <rdf:Alt><rdf:li xml:lang="x-default">Old</rdf:li><rdf:li xml:lang="de">Alt</rdf:li></rdf:Alt>
   </dc:description>
   <crs:Note><![CDATA[1 < 2]]></crs:Note>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""

TEXTS = st.text().map(str.strip)

STUB = f"""#!{sys.executable}
'''Speaks exiftool's -stay_open protocol, and puts a caption into a JPEG; what it was asked is in asked.jsonl.'''
import html, json, os, sys, time
from pathlib import Path

asked = Path(__file__).with_name("asked.jsonl")
assert sys.argv[1:] == ["-stay_open", "True", "-@", "-"], sys.argv

def answer(arguments):
    options, link = arguments[:-1], Path(arguments[-1])
    image = link.resolve()
    with asked.open("a") as file:
        file.write(json.dumps([os.getpid(), *options, str(image)]) + "\\n")
    if image.stem == "dies":
        os._exit(1)
    if image.stem == "hangs":
        time.sleep(60)
    if "-j" in options:
        print(f"Error: Some reason - {{link}}", file=sys.stderr, flush=True)
        return
    if image.stem == "old":
        tag = "XMP-iptcCore:AltTextAccessibility-x-default"
        print(f"Warning: Tag '{{tag}}' is not defined or has a bad language code", file=sys.stderr, flush=True)
    if image.stem == "minor":
        print(f"Error: [minor] It isn&#39;t sound - {{link}}", file=sys.stderr, flush=True)
        return
    caption = next(option.partition("=")[2] for option in options if "Description" in option)
    rdf, dc = "{RDF}", "{DC}"
    alternative = f"<i:AltTextAccessibility>{{caption}}</i:AltTextAccessibility>"
    inside = f'<rdf:Description xmlns:dc="{{dc}}" xmlns:i="http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/">{{alternative}}'
    inside += "<dc:description>" + caption + "</dc:description></rdf:Description>"
    packet = b"http://ns.adobe.com/xap/1.0/\\0" + f'<rdf:RDF xmlns:rdf="{{rdf}}">{{inside}}</rdf:RDF>'.encode()
    data, segment = image.read_bytes(), b"\\xff\\xe1" + (len(packet) + 2).to_bytes(2, "big") + packet
    Path(options[options.index("-o") + 1]).write_bytes(data[:2] + segment + data[2:])
    print("    1 image files created")

arguments = []
for line in sys.stdin.buffer:
    line = os.fsdecode(line).rstrip("\\r\\n").lstrip()
    if arguments == ["-stay_open"]:
        break
    if line.startswith("-execute"):
        answer(arguments)
        print("{{ready" + line.removeprefix("-execute") + "}}", flush=True)
        arguments = []
    elif line and not line.startswith("#"):
        arguments.append(line)
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def no_space(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def photograph(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (200, 10, 10)).save(path)
    return path


def stub_folder(folder):
    folder.mkdir()
    (folder / "exiftool").write_text(STUB)
    (folder / "exiftool").chmod(0o755)
    return folder


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """A stand-in for exiftool, first on PATH; returns a function that tells what it was asked, with its process first."""
    folder = stub_folder(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return lambda: [json.loads(line) for line in (folder / "asked.jsonl").read_text().splitlines()]


@pytest.fixture
def embedding():
    """An ``Embedded`` with exiftool itself."""
    require_tool("exiftool")
    destination = Embedded()
    yield destination
    destination.close()


@pytest.fixture
def stubbed(stub):
    destination = Embedded()
    yield destination
    destination.close()


# Names


@pytest.mark.parametrize(("make", "ending"), [(lambda to: Sidecar("txt", to), ".txt"), (XmpSidecar, ".xmp")])
@pytest.mark.parametrize(
    ("path", "output_dir", "expected"),
    [
        ("p/a.jpg", None, "p/a"),
        ("p/sub/a.b.JPG", None, "p/sub/a.b"),
        ("p/sub/a.jpg", "out", "out/sub/a"),
        ("p/a.jpg", "out", "out/a"),
        ("elsewhere/a.jpg", "out", "out/a"),
        ("p/../elsewhere/a.jpg", "out", "out/a"),
        ("p", "out", "out/p"),
        ("p/a.v2", None, "p/a.v2"),
        ("p/.jpg", None, "p/.jpg"),
    ],
)
def test_a_file_is_named_after_its_image(make, ending, path, output_dir, expected):
    destination = make(output_dir and Path(output_dir))
    assert destination.target(Path(path), Path("p")) == Path(expected + ending)


@pytest.mark.parametrize(("destination", "name"), [(Sidecar("txt", None), "a.txt"), (XmpSidecar(None), "a.xmp")])
def test_an_image_that_is_named_like_a_sidecar_is_not_its_own_sidecar(destination, name):
    assert destination.target(Path(name), Path()) != Path(name)


@pytest.mark.parametrize("extension", ["caption", ".caption"])
def test_an_extension_is_given_with_or_without_its_dot(extension):
    assert Sidecar(extension, None).target(Path("a.jpg"), Path()) == Path("a.caption")


@pytest.mark.parametrize("extension", ["", ".", " ", "a/b", "a\\b", "a\0", "jpg", ".JPG", "x.png", "avif", "xmp"])
def test_an_extension_that_would_harm_other_files_is_refused(extension):
    with pytest.raises(UsageError, match="such as 'txt'"):
        Sidecar(extension, None)


@pytest.mark.parametrize("output_dir", [None, "out"])
def test_an_xmp_file_named_after_the_whole_image_is_used_where_there_is_one(tmp_path, output_dir):
    folder = tmp_path / (output_dir or "p")
    folder.mkdir()
    (folder / "a.jpg.xmp").touch()
    destination = XmpSidecar(output_dir and tmp_path / output_dir)
    assert destination.target(tmp_path / "p/a.jpg", tmp_path / "p") == folder / "a.jpg.xmp"


def test_an_image_with_the_longest_name_has_an_xmp_file(tmp_path):
    path = tmp_path / ("x" * 251 + ".jpg")
    assert XmpSidecar(None).target(path, tmp_path) == path.with_suffix(".xmp")


# What all have in common


@pytest.mark.parametrize("destination", [Sidecar("txt", None), XmpSidecar(None)])
def test_there_is_no_caption_where_there_is_no_file(tmp_path, destination):
    (tmp_path / "file").touch()
    assert destination.read(tmp_path / "missing") is None
    assert destination.read(tmp_path / "file/below") is None


@pytest.mark.parametrize("destination", [Sidecar("txt", None), XmpSidecar(None)])
@pytest.mark.parametrize("blank", [b"", b" \n\n"])
def test_there_is_no_caption_in_a_blank_file_and_one_can_be_written(tmp_path, destination, blank):
    (tmp_path / "a").write_bytes(blank)
    assert destination.read(tmp_path / "a") is None
    destination.write(tmp_path / "a", "a dog")
    assert destination.read(tmp_path / "a") == "a dog"


@pytest.mark.parametrize("destination", [Sidecar("txt", None), XmpSidecar(None)])
def test_a_blank_caption_is_none(tmp_path, destination):
    destination.write(tmp_path / "a", " \n")
    assert destination.read(tmp_path / "a") is None


@pytest.mark.parametrize("kind", [Sidecar, XmpSidecar])
def test_folders_are_made_in_an_output_folder_and_never_beside_images(tmp_path, kind):
    arguments = ("txt",) if kind is Sidecar else ()
    destination = kind(*arguments, tmp_path)
    destination.write(tmp_path / "a/b/c", "a dog")
    assert destination.read(tmp_path / "a/b/c") == "a dog"
    with pytest.raises(StorageError, match="its folder is gone"):
        kind(*arguments, None).write(tmp_path / "gone/c", "a dog")
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize("kind", [Sidecar, XmpSidecar])
def test_a_folder_that_goes_away_in_the_middle_of_a_write_is_not_made_again(tmp_path, monkeypatch, kind):
    folder, real = tmp_path / "library", files._temporary

    def moved_first(*arguments):
        folder.rename(tmp_path / "away")
        return real(*arguments)

    folder.mkdir()
    monkeypatch.setattr(files, "_temporary", moved_first)
    with pytest.raises(StorageError, match="its folder is gone"):
        kind(*(("txt",) if kind is Sidecar else ())).write(folder / "a", "a dog")
    assert names(tmp_path) == ["away"]
    assert names(tmp_path / "away") == []


@pytest.mark.parametrize("kind", [Sidecar, XmpSidecar])
def test_an_output_folder_is_made_once_and_not_again_when_it_has_gone(tmp_path, kind):
    output = tmp_path / "new/out"
    destination = kind(*(("txt", output) if kind is Sidecar else (output,)))
    destination.write(output / "deep/a", "a dog")
    output.rename(tmp_path / "away")
    for name in ("deep/b", "c"):
        with pytest.raises(StorageError, match="its folder is gone"):
            destination.write(output / name, "a dog")
    assert not output.exists()
    assert names(tmp_path / "away/deep") == ["a"]


@pytest.mark.parametrize("kind", ["sidecar", "xmp", "embedded"])
def test_a_folder_at_the_place_is_said_to_be_one(tmp_path, kind, stubbed):
    destination = {"sidecar": Sidecar("txt", None), "xmp": XmpSidecar(None), "embedded": stubbed}[kind]
    (tmp_path / "a").mkdir()
    with pytest.raises(StorageError, match="a folder"):
        destination.read(tmp_path / "a")
    with pytest.raises(StorageError, match="a folder"):
        destination.write(tmp_path / "a", "a dog")


@pytest.mark.parametrize("destination", [Sidecar("txt", None), XmpSidecar(None)])
def test_a_pipe_at_the_place_is_not_waited_for(tmp_path, destination):
    os.mkfifo(tmp_path / "a")
    with pytest.raises(StorageError, match="not a regular file"):
        destination.read(tmp_path / "a")


@pytest.mark.parametrize("destination", [Sidecar("txt", None), XmpSidecar(None)])
@pytest.mark.parametrize("call", ["stat", "read_bytes"])
def test_a_file_that_may_not_be_read_is_reported(tmp_path, monkeypatch, destination, call):
    def denied(self, **_):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    (tmp_path / "a").write_text("a dog")
    monkeypatch.setattr(Path, call, denied)
    with pytest.raises(StorageError, match=r"cannot read .*permission denied"):
        destination.read(tmp_path / "a")


def test_a_circle_of_links_is_reported(tmp_path):
    (tmp_path / "a").symlink_to("a")
    with pytest.raises(StorageError, match="cannot read"):
        Sidecar("txt", None).read(tmp_path / "a")


@pytest.mark.parametrize(("destination", "old"), [(Sidecar("txt", None), "old"), (XmpSidecar(None), LIGHTROOM)])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, destination, old):
    (tmp_path / "a").write_text(old)
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(StorageError, match="the disk is full"):
        destination.write(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == old
    assert names(tmp_path) == ["a"]


# Text files


def test_a_text_file_holds_the_caption_and_a_line_end(tmp_path):
    Sidecar("txt", None).write(tmp_path / "a.txt", " Café 😀\n\n")
    assert (tmp_path / "a.txt").read_bytes() == "Café 😀\n".encode()


def test_a_byte_order_mark_is_no_part_of_the_caption(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfa dog\r\n")
    assert Sidecar("txt", None).read(tmp_path / "a.txt") == "a dog"


@pytest.mark.parametrize("line_end", ["\r\n", "\n", ""])
@pytest.mark.parametrize("before", ["Loïc’s house", "", "first line\r\nsecond line"])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
    ],
)
def test_a_file_keeps_its_encoding_its_mark_and_its_line_ends(tmp_path, mark, encoding, before, line_end):
    location = tmp_path / "a.txt"
    location.write_bytes(mark + (before + line_end).encode(encoding))
    destination = Sidecar("txt")
    read = destination.read(location)
    assert read == (before or None)
    destination.write(location, f"{read or ''} 犬")
    data = location.read_bytes()
    assert data.startswith(mark)
    end = "\r\n" if "\r\n" in before + line_end else "\n"
    assert data.removeprefix(mark).decode(encoding) == f"{read or ''} 犬".strip() + end


def test_nothing_is_added_to_a_text_with_zero_bytes(tmp_path):
    target = tmp_path / "a.txt"
    target.write_bytes(there := "mine".encode("utf-16-le"))
    words = Sidecar("txt").read(target)
    with pytest.raises(StorageError, match=r"a\.txt, which has zero bytes, .*UTF-8"):
        Sidecar("txt").write(target, f"{words}, a caption")
    assert target.read_bytes() == there


def test_an_8_bit_encoding_takes_english_and_is_named_where_more_is_added(tmp_path):
    location = tmp_path / "a.txt"
    location.write_bytes("Loïc’s house\r\n".encode("cp1252"))
    destination = Sidecar("txt")
    destination.write(location, f"{destination.read(location)}, a dog")
    assert location.read_bytes() == "Loïc’s house, a dog\r\n".encode("cp1252")
    with pytest.raises(StorageError, match=r"a\.txt, which is not UTF-8"):
        destination.write(location, f"{destination.read(location)}, 犬")
    assert location.read_bytes() == "Loïc’s house, a dog\r\n".encode("cp1252")
    destination.write(location, "犬")
    assert location.read_bytes() == "犬\r\n".encode()


@pytest.mark.parametrize("data", [codecs.BOM_UTF16_LE + b"abc", codecs.BOM_UTF16_LE + b"\x00\xd8a\x00"])
def test_a_file_that_is_not_what_its_mark_says_is_named_and_left(tmp_path, data):
    (tmp_path / "a.txt").write_bytes(data)
    with pytest.raises(StorageError, match="begins as utf-16-le"):
        Sidecar("txt").read(tmp_path / "a.txt")
    with pytest.raises(StorageError, match="begins as utf-16-le"):
        Sidecar("txt").write(tmp_path / "a.txt", "a dog")


def test_half_a_character_is_refused(tmp_path):
    with pytest.raises(StorageError, match="half a character"):
        Sidecar("txt", None).write(tmp_path / "a.txt", "a \ud800 dog")
    assert names(tmp_path) == []


@given(caption=TEXTS.filter(lambda text: not text.startswith("\ufeff")))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_caption_comes_back_from_a_text_file(tmp_path, caption):
    (tmp_path / "a.txt").unlink(missing_ok=True)
    Sidecar("txt", None).write(tmp_path / "a.txt", caption)
    assert Sidecar("txt", None).read(tmp_path / "a.txt") == (caption or None)


@given(data=st.binary())
@example(data=b"caf\xe9 \xff\xfe\xc3\xa9")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_bytes_that_are_no_text_are_written_back_as_they_were(tmp_path, data):
    location = tmp_path / "a.txt"
    location.write_bytes(b"[" + data + b"]")
    Sidecar("txt", None).write(location, Sidecar("txt", None).read(location))
    assert location.read_bytes() == b"[" + data + (b"]\r\n" if b"\r\n" in data else b"]\n")


# XMP files


def field(location, namespace, name):
    """Return the field's text in each language."""
    document = parseString(location.read_bytes())
    [element] = document.getElementsByTagNameNS(namespace, name)
    items = element.getElementsByTagNameNS(RDF, "li")
    return {item.getAttribute("xml:lang"): "".join(child.data for child in item.childNodes) for item in items}


def test_a_new_xmp_file_is_wrapped_and_holds_both_fields(tmp_path):
    XmpSidecar(None).write(tmp_path / "a.xmp", "A dog & a <cat>")
    text = (tmp_path / "a.xmp").read_text("utf-8")
    assert text.startswith('<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta')
    assert text.endswith('</x:xmpmeta>\n<?xpacket end="w"?>\n')
    assert '<rdf:li xml:lang="x-default">A dog &amp; a &lt;cat&gt;</rdf:li>' in text
    assert field(tmp_path / "a.xmp", DC, "description") == {"x-default": "A dog & a <cat>"}
    assert field(tmp_path / "a.xmp", IPTC, "AltTextAccessibility") == {"x-default": "A dog & a <cat>"}


def test_a_caption_is_merged_into_a_file_of_another_program(tmp_path):
    location = tmp_path / "a.xmp"
    location.write_text(LIGHTROOM, "utf-8")
    assert XmpSidecar(None).read(location) == "Old"
    XmpSidecar(None).write(location, "New")
    assert field(location, DC, "description") == {"x-default": "New", "de": "Alt"}
    assert field(location, IPTC, "AltTextAccessibility") == {"x-default": "New"}
    text = location.read_text("utf-8")
    for kept in (
        'x:xmptk="Adobe XMP Core 7.0"',
        'xmp:Rating="5" xmp:Label="a&#10;b&#9;&quot;c"',
        'crs:Exposure2012="+0.30"',
        "<!-- before -->",
        "<!-- keywords -->",
        "<rdf:li>a &lt; b &amp; c&#13;</rdf:li>",
        "<![CDATA[1 < 2]]>",
        '<?xpacket end="w"?>',
    ):
        assert kept in text


def test_exiftool_reads_what_was_merged(tmp_path):
    require_tool("exiftool")
    location = tmp_path / "a.xmp"
    location.write_text(LIGHTROOM, "utf-8")
    XmpSidecar(None).write(location, "A dog\n& a <cat>")
    wanted = ["-XMP:Description", "-XMP:Description-de", "-XMP:AltTextAccessibility", "-XMP:Rating", "-XMP:Label"]
    reported = subprocess.run(["exiftool", "-j", *wanted, location], check=True, capture_output=True).stdout
    [values] = json.loads(reported)
    del values["SourceFile"]
    assert values == {
        "Description": "A dog\n& a <cat>",
        "Description-de": "Alt",
        "AltTextAccessibility": "A dog\n& a <cat>",
        "Rating": 5,
        "Label": 'a\nb\t"c',
    }


def test_writing_the_same_caption_twice_changes_nothing(tmp_path):
    location = tmp_path / "a.xmp"
    location.write_text(LIGHTROOM, "utf-8")
    XmpSidecar(None).write(location, "New")
    once = location.read_bytes()
    XmpSidecar(None).write(location, "New")
    assert location.read_bytes() == once


def described(inside="", attributes=""):
    """Return an XMP file whose description has the attributes and the elements."""
    spaces = f'xmlns:rdf="{RDF}" xmlns:dc="{DC}" xmlns:other="urn:other"'
    return f'<rdf:RDF {spaces}><rdf:Description rdf:about=""{attributes}>{inside}</rdf:Description></rdf:RDF>'


@pytest.mark.parametrize(
    ("xmp", "old", "languages"),
    [
        (described(), None, {}),
        (described(attributes=' dc:description="Old"'), "Old", {}),
        (described("<dc:description>Old</dc:description>"), "Old", {}),
        (described("<dc:description><![CDATA[Old]]></dc:description>"), "Old", {}),
        (described("<dc:description/>"), None, {}),
        (described("<dc:description><rdf:Alt/></dc:description>"), None, {}),
        (described("<dc:description><rdf:Alt><rdf:li>Old</rdf:li></rdf:Alt></dc:description>"), "Old", {}),
        (
            described('<dc:description><rdf:Alt><rdf:li xml:lang="fr">Old</rdf:li></rdf:Alt></dc:description>'),
            "Old",
            {},
        ),
        (
            described(
                '<dc:description><rdf:Alt><rdf:li xml:lang="fr">Vieux</rdf:li><rdf:li xml:lang="x-default">Old</rdf:li>'
                '<rdf:li xml:lang="en-US">Old</rdf:li></rdf:Alt></dc:description>'
            ),
            "Old",
            {"fr": "Vieux"},
        ),
        (
            described('<dc:description><rdf:Alt><rdf:li xml:lang="X-Default">Old</rdf:li></rdf:Alt></dc:description>'),
            "Old",
            {},
        ),
        (f'<RDF xmlns="{RDF}"/>', None, {}),
        (f'<r:RDF xmlns:r="{RDF}" xmlns:dc="urn:not-dc"><r:Description dc:description="No"/></r:RDF>', None, {}),
        (f'<r:RDF xmlns:r="{RDF}" xmlns:d="{DC}"><r:Description d:description="Old"/></r:RDF>', "Old", {}),
    ],
)
def test_each_form_of_the_field_is_read_and_replaced_once(tmp_path, xmp, old, languages):
    location = tmp_path / "a.xmp"
    location.write_text(xmp)
    assert XmpSidecar(None).read(location) == old
    XmpSidecar(None).write(location, "New")
    assert XmpSidecar(None).read(location) == "New"
    assert field(location, DC, "description") == {"x-default": "New", **languages}
    assert field(location, IPTC, "AltTextAccessibility") == {"x-default": "New"}
    assert "Old" not in location.read_text()


def test_a_description_in_a_structure_below_is_not_the_images(tmp_path):
    inner = '<other:part><rdf:Description dc:description="of the part"/></other:part>'
    location = tmp_path / "a.xmp"
    location.write_text(described(inner))
    assert XmpSidecar(None).read(location) is None
    XmpSidecar(None).write(location, "New")
    assert inner in location.read_text()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_with_a_byte_order_mark_is_read_and_merged(tmp_path, encoding):
    location = tmp_path / "a.xmp"
    location.write_bytes(LIGHTROOM.replace("Old", "Älter").encode(encoding))
    assert XmpSidecar(None).read(location) == "Älter"
    XmpSidecar(None).write(location, "New")
    assert field(location, DC, "description") == {"x-default": "New", "de": "Alt"}


@pytest.mark.parametrize(
    ("encoding", "name"), [("iso-8859-1", "Zoë"), ("windows-1252", "“Zoë”"), ("koi8-r", "Зоя"), ("shift_jis", "ゾーイ")]
)
def test_a_file_in_another_encoding_becomes_utf_8(tmp_path, encoding, name):
    location = tmp_path / "a.xmp"
    inside = described(f"<other:name>{name}</other:name>")
    location.write_bytes(f'<?xml version="1.0" encoding="{encoding}" standalone="yes"?>{inside}'.encode(encoding))
    XmpSidecar(None).write(location, "New")
    text = location.read_text("utf-8")
    assert text.startswith('<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n')
    assert f"<other:name>{name}</other:name>" in text


def entities(depth):
    """A document type with entities of which each is ten times as long as the one before."""
    grown = (f'<!ENTITY e{number} "{f"&e{number - 1};" * 10}">' for number in range(1, depth))
    return f'<!DOCTYPE x [<!ENTITY e0 "aaaaaaaaaa">{"".join(grown)}]>'


DOCTYPES = {
    "small": '<!DOCTYPE x [<!ENTITY a "b">]>' + described("<other:a>&a;</other:a>"),
    "in a text": entities(12) + described("<other:a>&e11;</other:a>"),
    "in an attribute": entities(12) + described(attributes=' other:a="&e11;"'),
    "of a file": '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
    + described("<dc:description>&a;</dc:description>"),
    "from elsewhere": '<!DOCTYPE x SYSTEM "http://localhost:1/x.dtd">' + described(),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("kind", DOCTYPES)
def test_a_document_type_is_refused_before_anything_in_it_grows_or_is_fetched(tmp_path, kind, encoding):
    location = tmp_path / "a.xmp"
    location.write_bytes(DOCTYPES[kind].encode(encoding))
    with pytest.raises(StorageError, match="has a DOCTYPE, which XMP does not need; it was left as it is"):
        XmpSidecar(None).read(location)


def test_a_comment_may_contain_a_document_type(tmp_path):
    location = tmp_path / "a.xmp"
    location.write_text("<!--<!DOCTYPE x>-->" + described())
    assert XmpSidecar(None).read(location) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (LIGHTROOM.encode()[:400], "is damaged .*; it was left as it is"),
        (b"\x00\x01\xff", "is damaged .*; it was left as it is"),
        (b'<?xml version="1.0" encoding="nonsense"?><a/>', "is damaged .*nonsense.*; it was left as it is"),
        (b"<html/>", "is not XMP .*; it was left as it is"),
    ],
)
def test_a_file_that_is_no_sound_xmp_is_left_as_it_is(tmp_path, content, reason):
    location = tmp_path / "a.xmp"
    location.write_bytes(content)
    with pytest.raises(StorageError, match=reason):
        XmpSidecar(None).read(location)
    with pytest.raises(StorageError, match=reason):
        XmpSidecar(None).write(location, "New")
    assert location.read_bytes() == content


def test_a_file_that_is_nested_too_deep_is_left_as_it_is(tmp_path):
    location = tmp_path / "a.xmp"
    content = described("<other:a>" * 5000 + "</other:a>" * 5000)
    location.write_text(content)
    with pytest.raises(StorageError, match="nested too deep; it was left as it is"):
        XmpSidecar(None).write(location, "New")
    assert location.read_text() == content


@given(caption=TEXTS)
@example(caption="a\r\nb\rc\td ]]> &amp; \x00\x0b \ufffe\U0010ffff \"'<")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_caption_comes_back_from_an_xmp_file_but_for_what_xml_forbids(tmp_path, caption):
    location = tmp_path / "a.xmp"
    location.write_text(LIGHTROOM, "utf-8")
    XmpSidecar(None).write(location, caption)
    assert XmpSidecar(None).read(location) == (xml_text(caption) or "Alt")


def test_only_what_xml_forbids_is_dropped():
    assert xml_text("a\x00b\x0b\x1f\ud800\uffff c\td\ne\rf\x85😀\U0010ffff") == "ab c\td\ne\rf\x85😀\U0010ffff"


CHARACTERS = st.text(st.characters(exclude_categories=["Cs"]).filter(lambda c: xml_text(f".{c}.") == f".{c}."), max_size=8)
SAFE = st.text("abc -é", max_size=6).map(lambda text: text.replace("-", " "))


def escaped(text):
    return "".join(f"&#{ord(character)};" for character in text)


@st.composite
def properties(draw):
    """A property of another program: an attribute's or an element's form."""
    value = escaped(draw(CHARACTERS))
    form = draw(st.sampled_from(["text", "bag", "struct", "cdata", "comment", "instruction"]))
    return {
        "text": f"<other:text>{value}</other:text>",
        "bag": f"<dc:subject><rdf:Bag><rdf:li>{value}</rdf:li></rdf:Bag></dc:subject>",
        "struct": f'<other:s><rdf:Description other:v="{value}"><dc:title>x</dc:title></rdf:Description></other:s>',
        "cdata": f"<other:data><![CDATA[<{draw(SAFE)}>]]></other:data>",
        "comment": f"<!--{draw(SAFE)}-->",
        "instruction": f"<?other {draw(SAFE)}?>",
    }[form]


@st.composite
def documents(draw):
    """An XMP file with some descriptions, of which any may hold the field in any form."""
    descriptions = []
    for _ in range(draw(st.integers(0, 3))):
        inside = draw(st.lists(properties(), max_size=3))
        attributes = f' other:rating="{escaped(draw(CHARACTERS))}"' if draw(st.booleans()) else ""
        form = draw(st.sampled_from(["none", "attribute", "plain", "list"]))
        if form == "attribute":
            attributes += ' dc:description="Old"'
        elif form == "plain":
            inside.append("<dc:description>Old</dc:description>")
        elif form == "list":
            languages = ["x-default", *draw(st.lists(st.sampled_from(["de", "fr-FR"]), unique=True))]
            items = "".join(f'<rdf:li xml:lang="{language}">{language}</rdf:li>' for language in languages)
            inside.insert(0, f"<dc:description><rdf:Alt>{items}<!--kept--></rdf:Alt></dc:description>")
        space = draw(st.sampled_from(["", "\n  "]))
        descriptions.append(f"<rdf:Description{attributes}>{space.join(['', *inside, ''])}</rdf:Description>")
    rdf = f'<rdf:RDF xmlns:rdf="{RDF}" xmlns:dc="{DC}" xmlns:other="urn:other">{"".join(descriptions)}</rdf:RDF>'
    before, after = draw(st.sampled_from(["", "<!--a-->", "<?xpacket begin=''?>"])), draw(st.sampled_from(["", "<?b c?>"]))
    return f'{before}<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="{escaped(draw(CHARACTERS))}">{rdf}</x:xmpmeta>{after}'


def other(node):
    """Return what a tree holds besides the caption: names with prefixes, attributes, text, comments, instructions."""
    if not isinstance(node, Element):
        if node.nodeType != Node.DOCUMENT_NODE:
            return node.nodeType, node.nodeName, node.nodeValue
        return [other(child) for child in node.childNodes]
    ours = node.parentNode.localName == "RDF" and node.localName == "Description"
    attributes = {name: value for name, value in node.attributes.items() if not (ours and name == "dc:description")}
    children = []
    for child in node.childNodes:
        if ours and isinstance(child, Element) and child.localName in {"description", "AltTextAccessibility"}:
            items = [
                item for item in child.getElementsByTagNameNS(RDF, "li") if item.getAttribute("xml:lang") != "x-default"
            ]
            comments = child.getElementsByTagNameNS(RDF, "Alt")[0].childNodes if items else []
            children += map(other, [*items, *(comment for comment in comments if comment.nodeType == Node.COMMENT_NODE)])
        elif not (isinstance(child, Text) and not child.data.strip(" \n")):
            children.append(other(child))
    return node.nodeName, attributes, children


@given(before=documents())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
def test_merging_a_caption_keeps_all_else(tmp_path, before):
    location = tmp_path / "a.xmp"
    location.write_text(before, "utf-8")
    XmpSidecar(None).write(location, "New")
    root = parseString(before)
    if not root.getElementsByTagNameNS(RDF, "Description"):
        rdf = root.getElementsByTagNameNS(RDF, "RDF")[0]
        rdf.appendChild(root.createElementNS(RDF, "rdf:Description")).setAttribute("rdf:about", "")
    assert other(parseString(location.read_bytes())) == other(root)
    assert XmpSidecar(None).read(location) == "New"


# The images themselves


def test_without_exiftool_it_is_said_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"apt install libimage-exiftool-perl.*brew install exiftool"):
        Embedded()


def test_an_image_is_its_own_target(stubbed):
    assert stubbed.target(Path("p/a.jpg"), Path("p")) == Path("p/a.jpg")


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "-a b.jpg", "#a '$(x)%d*.jpg", os.fsdecode(b"caf\xe9.jpg")])
def test_a_caption_is_written_into_an_image_and_read_back(tmp_path, monkeypatch, embedding, name):
    monkeypatch.chdir(tmp_path)
    photograph(Path(name))
    assert embedding.read(Path(name)) is None
    embedding.write(Path(name), "A dog & a <cat>\nsecond line é 😀")
    assert embedding.read(Path(name)) == "A dog & a <cat>\nsecond line é 😀"
    assert not Path(f"{name}_original").exists()


@pytest.mark.parametrize(
    "caption", ["007", "1.50", "1e5", "True", "= x", "<x", "#x", "-x", "&#10; &amp;", "a\r\nb\tc", "$x @y \\n", "[a] {b}"]
)
def test_captions_that_look_like_something_else_come_back(tmp_path, embedding, caption):
    location = photograph(tmp_path / "a.jpg")
    embedding.write(location, caption)
    assert embedding.read(location) == caption.replace("\r\n", "\n")


@given(caption=TEXTS.filter(lambda text: text.lower() not in {"true", "false"}))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=examples(30))
def test_any_caption_comes_back_from_an_image_but_for_what_xml_forbids(tmp_path, embedding, caption):
    location = tmp_path / "a.jpg"
    if not location.exists():
        photograph(location)
    embedding.write(location, caption)
    assert embedding.read(location) == (xml_text(caption.replace("\r\n", "\n").replace("\r", "\n")) or None)


def test_the_pixels_and_the_modification_time_stay(tmp_path, embedding):
    location = photograph(tmp_path / "a.jpg")
    os.utime(location, (1_000_000_000, 1_000_000_000))
    with Image.open(location) as image:
        pixels = image.tobytes()
    embedding.write(location, "a dog")
    with Image.open(location) as image:
        assert image.tobytes() == pixels
    assert location.stat().st_mtime == 1_000_000_000


def test_a_link_to_an_image_stays_a_link(tmp_path, embedding):
    location = photograph(tmp_path / "a.jpg")
    (tmp_path / "link.jpg").symlink_to(location)
    embedding.write(tmp_path / "link.jpg", "a dog")
    assert (tmp_path / "link.jpg").is_symlink()
    assert embedding.read(location) == "a dog"


def test_a_format_that_exiftool_does_not_write_is_reported(tmp_path, embedding):
    location = photograph(tmp_path / "a.bmp")
    before = location.read_bytes()
    with pytest.raises(StorageError) as error:
        embedding.write(location, "a dog")
    assert (
        str(error.value) == f"cannot write {location}: Writing of BMP files is not yet supported; a newer exiftool may, "
        "and `xmp=True` writes beside the image"
    )
    assert location.read_bytes() == before


def test_a_missing_image_has_no_caption_and_takes_none(tmp_path, embedding):
    assert embedding.read(tmp_path / "a.jpg") is None
    with pytest.raises(StorageError, match="no longer there"):
        embedding.write(tmp_path / "a.jpg", "a dog")


@pytest.mark.parametrize("name", ["a\nb.jpg", "a\rb.jpg", "\n-execute\n.jpg", "rm x |", "-a.jpg", "@a.jpg"])
def test_a_path_that_exiftool_could_misread_is_none_that_it_is_given(tmp_path, embedding, name):
    made = photograph(tmp_path / "made.jpg")
    made.rename(tmp_path / name)
    embedding.write(tmp_path / name, "a dog")
    assert embedding.read(tmp_path / name) == "a dog"
    assert names(tmp_path) == [name]


def test_captions_in_other_languages_and_other_fields_stay(tmp_path):
    require_tool("exiftool")
    location = photograph(tmp_path / "a.jpg")
    fields = ["-XMP-dc:Description=dog", "-XMP-dc:Description-de=Hund", "-XMP-dc:Title=Title", "-EXIF:Artist=Ada"]
    subprocess.run(["exiftool", "-q", *fields, location], check=True)
    destination = Embedded()
    destination.write(location, "a dog")
    destination.close()
    wanted = ["-XMP:Description-de", "-XMP:Title", "-EXIF:Artist", "-XMP:Description", "-XMP:AltTextAccessibility"]
    reported = subprocess.run(["exiftool", "-j", *wanted, location], check=True, capture_output=True).stdout
    [values] = json.loads(reported)
    del values["SourceFile"]
    assert values == {
        "Description-de": "Hund",
        "Title": "Title",
        "Artist": "Ada",
        "Description": "a dog",
        "AltTextAccessibility": "a dog",
    }


def test_exiftool_is_asked_for_both_fields_of_an_absolute_path(tmp_path, monkeypatch, stub, stubbed):
    monkeypatch.chdir(tmp_path)
    stubbed.write(photograph(Path("-a.jpg")).relative_to("."), " a &\nb ")
    [[_, *asked]] = stub()
    fields = [f"-XMP-{name}-x-default=a &amp;&#10;b" for name in ("dc:Description", "iptcCore:AltTextAccessibility")]
    made = asked[-2]
    assert asked == ["-E", *fields, "-o", made, str(tmp_path / "-a.jpg")]
    assert not Path(made).is_relative_to(tmp_path)


def test_one_process_serves_all_images(tmp_path, stub, stubbed):
    for name in ("a.jpg", "b.jpg"):
        stubbed.write(photograph(tmp_path / name), "a dog")
    assert len(stub()) == 2
    assert len({process for process, *_ in stub()}) == 1


def test_exiftool_is_started_only_when_it_is_needed_and_can_be_closed_twice(tmp_path, stubbed):
    stubbed.close()
    assert names(tmp_path / "bin") == ["exiftool"]
    stubbed.write(photograph(tmp_path / "a.jpg"), "a dog")
    stubbed.close()
    stubbed.close()
    assert stubbed.read(tmp_path / "a.jpg") == "a dog"


def test_when_exiftool_dies_the_next_image_gets_a_fresh_one(tmp_path, stub, stubbed):
    with pytest.raises(StorageError, match=r"dies\.jpg: it gave no reason"):
        stubbed.write(photograph(tmp_path / "dies.jpg"), "a dog")
    stubbed.write(photograph(tmp_path / "a.jpg"), "a dog")
    assert stubbed.read(tmp_path / "a.jpg") == "a dog"
    assert len({process for process, *_ in stub()}) == 2
    assert names(tmp_path) == ["a.jpg", "bin", "dies.jpg"]


def test_exiftool_is_not_waited_for_without_end(tmp_path, monkeypatch, stubbed):
    stubbed.write(photograph(tmp_path / "a.jpg"), "a dog")
    monkeypatch.setattr(exiftool, "TIMEOUT", 0.3)
    with pytest.raises(StorageError, match="did not answer"):
        stubbed.write(photograph(tmp_path / "hangs.jpg"), "a dog")
    monkeypatch.setattr(exiftool, "TIMEOUT", 30)
    assert stubbed.read(tmp_path / "a.jpg") == "a dog"


def test_an_image_that_cannot_be_read_is_reported_with_the_reason(tmp_path, stubbed):
    (tmp_path / "a.cr3").write_bytes(bytes(100))
    with pytest.raises(StorageError, match=r"cannot read the caption in .*a\.cr3: Some reason$"):
        stubbed.read(tmp_path / "a.cr3")


def test_a_minor_error_of_exiftool_comes_with_what_to_do(tmp_path, stubbed):
    with pytest.raises(StorageError, match=r"minor\.jpg: It isn't sound; exiftool calls this minor, .* anew: exiftool -m "):
        stubbed.write(photograph(tmp_path / "minor.jpg"), "a dog")


def test_an_exiftool_that_does_not_know_the_alternative_text_is_too_old(tmp_path, stubbed):
    with pytest.raises(StorageError, match="too old; update it"):
        stubbed.write(photograph(tmp_path / "old.jpg"), "a dog")


def test_an_exiftool_that_cannot_be_started_is_reported(tmp_path, stubbed):
    (tmp_path / "bin/exiftool").unlink()
    with pytest.raises(StorageError, match="cannot start"):
        stubbed.write(photograph(tmp_path / "a.jpg"), "a dog")
