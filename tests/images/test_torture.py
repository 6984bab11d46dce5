"""One run over a folder with everything that an image file can be: each file ends in exactly one status.

The folder is made and captioned once; the tests look at what the run said and left behind.
"""

import fcntl
import json
import os
import random
import struct
import subprocess
import sys
import zlib
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from support.commands import capgen
from support.tools import require_tool

from capgen import Captioner, images
from capgen.errors import Status

pytestmark = pytest.mark.slow

SIDE = 30000
"""Width and height that files claim which hold next to nothing."""

CLAIMS = {
    "huge-png.png": "unreadable",  # so are these two, by rows
    "huge-baseline.jpg": "unreadable",  # it decodes at a reduced scale, and ends early
    "huge-progressive.jpg": "too-large",
    "huge-lossless.webp": "too-large",
    "huge-canvas.webp": "too-large",
    "huge-gif.gif": "too-large",
    "huge-tiff.tiff": "unreadable",
    "huge-bmp.bmp": "too-large",
}
BROKEN = {
    "empty.jpg": "unsupported",
    "text.jpg": "unsupported",
    "document.png": "unsupported",
    "signature.png": "unreadable",
    "noise.jpg": "unreadable",
    "pipe.png": "unsupported",
    "zz/deleted.png": "missing",
    **CLAIMS,
}
FORBIDDEN = {"locked.png": "denied", "shut": "denied"}
ROTATED = [
    f"rotated/{turn}{ending}" for turn, ending in zip(range(1, 9), (".png", ".webp", ".tif", ".png") * 2, strict=True)
]
GOOD = [
    "upright.png", *ROTATED, "cmyk.jpg", "sixteen.png", "palette.png", "clear.png", "greyclear.png", "bilevel.tif",
    "animated.gif", "moving.webp", "progressive.jpg", "damaged-exif.jpg", "no-exif-at-all.jpg", "dot.png", "tall.png",
    "wide.jpg", "really-a-png.jpg", "really-a-jpeg.png", "really-a-gif.tiff", "no-ending", "notes.md", "new\nline.png",
    "emoji \N{FOX FACE}.png", "\"double\" 'single' `back`.png", " blank .png", "-dash.png", "tab\there.png", "$HOME;%s.png",
    "folder.jpg/inside.png", "link.png",
]  # fmt: skip
NO_UTF8 = os.fsdecode(b"no \xff utf-8 \xc3.png")
CIRCLES = ("round/a.jpg", "round/b.jpg", "round/again", "nowhere.png")

ROOT_WITHOUT_POWERS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
"""Root reads everything; without these two capabilities it obeys permissions, as everyone does."""


def drawn(seed=0, size=(96, 64)):
    """Draw something that looks different from every side."""
    rng = random.Random(seed)
    image = Image.new("RGB", size, (200, 220, 240))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, size[1] * 2 // 3, *size), fill=(40, 140, 50))
    for _ in range(4):
        x, y = rng.randrange(size[0]), rng.randrange(size[1])
        pen.ellipse((x, y, x + 24, y + 18), fill=tuple(rng.randrange(256) for _ in range(3)))
    return image


def chunk(kind, data):
    """Make a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def saved(path, image=None, **options):
    """Save an image, drawn if none is given, under a name whose ending may be none of its format's."""
    (image or drawn()).save(path, **options)
    return path


def write_claims(folder):
    """Write files whose headers claim 30000x30000 pixels, or the most that their format can."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(999))) + chunk(b"IEND", b"")
    (folder / "huge-png.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + body)

    for name, mark, options in (
        ("huge-baseline.jpg", b"\xff\xc0", {}), ("huge-progressive.jpg", b"\xff\xc2", {"progressive": True})
    ):  # fmt: skip
        data = bytearray(saved(folder / name, **options).read_bytes())
        offset = data.index(mark) + 5
        data[offset : offset + 4] = struct.pack(">HH", SIDE, SIDE)
        (folder / name).write_bytes(data[:-2])  # without the mark of its end, as decoders paint what is missing before it

    data = bytearray(saved(folder / "huge-gif.gif").read_bytes())
    data[6:10] = struct.pack("<HH", SIDE, SIDE)
    offset = data.index(b",\0\0\0\0") + 5
    data[offset : offset + 4] = struct.pack("<HH", SIDE, SIDE)
    (folder / "huge-gif.gif").write_bytes(data)

    data = bytearray(saved(folder / "huge-bmp.bmp").read_bytes())
    data[18:26] = struct.pack("<ii", SIDE, SIDE)
    (folder / "huge-bmp.bmp").write_bytes(data)

    data = bytearray(saved(folder / "huge-tiff.tiff").read_bytes())
    offset = struct.unpack_from("<I", data, 4)[0] + 2
    for entry in range(offset, offset + 12 * struct.unpack_from("<H", data, offset - 2)[0], 12):
        if struct.unpack_from("<H", data, entry)[0] in (256, 257):  # width, height
            struct.pack_into("<HII", data, entry + 2, 4, 1, SIDE)
    (folder / "huge-tiff.tiff").write_bytes(data)

    data = bytearray(saved(folder / "huge-lossless.webp", lossless=True).read_bytes())
    offset = data.index(b"VP8L") + 9
    rest = struct.unpack_from("<I", data, offset)[0] >> 28
    struct.pack_into("<I", data, offset, rest << 28 | 0x3FFF << 14 | 0x3FFF)  # 16384x16384, the most that it can say
    (folder / "huge-lossless.webp").write_bytes(data)

    canvas = b"VP8X" + struct.pack("<II", 10, 0) + 2 * (SIDE - 1).to_bytes(3, "little")
    inner = saved(folder / "huge-canvas.webp").read_bytes()[12:]
    riff = b"RIFF" + struct.pack("<I", 4 + len(canvas) + len(inner)) + b"WEBP"
    (folder / "huge-canvas.webp").write_bytes(riff + canvas + inner)


def write_good(folder):
    """Write what can be captioned, however odd."""
    saved(folder / "upright.png")
    write_rotated(folder)
    saved(folder / "cmyk.jpg", drawn().convert("CMYK"))
    grey = drawn().convert("L").convert("I").point(lambda value: value * 257)
    saved(folder / "sixteen.png", grey.convert("I;16"))
    saved(folder / "palette.png", drawn().quantize(16), transparency=0)
    saved(folder / "clear.png", Image.new("RGBA", (30, 20), (0, 0, 0, 0)))
    saved(folder / "greyclear.png", Image.new("LA", (30, 20), (0, 128)))
    saved(folder / "bilevel.tif", drawn().convert("1"), compression="group4")
    frames = [drawn(seed) for seed in range(1, 4)]
    saved(folder / "animated.gif", save_all=True, append_images=frames)
    saved(folder / "moving.webp", save_all=True, append_images=frames)
    saved(folder / "progressive.jpg", progressive=True)
    saved(folder / "damaged-exif.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + bytes(range(99)))
    saved(folder / "no-exif-at-all.jpg", exif=b"Exif\0\0")
    saved(folder / "dot.png", Image.new("RGB", (1, 1), "red"))
    saved(folder / "tall.png", drawn(size=(1, 20000)))
    saved(folder / "wide.jpg", drawn(size=(20000, 1)))
    saved(folder / "really-a-png.jpg", format="PNG")
    saved(folder / "really-a-jpeg.png", format="JPEG")
    saved(folder / "really-a-gif.tiff", format="GIF")
    saved(folder / "no-ending", format="WEBP")
    saved(folder / "notes.md", format="JPEG")
    for seed, name in enumerate(name for name in GOOD if any(sign in name for sign in '\n\t"$- \N{FOX FACE}')):
        if not (folder / name).exists():
            saved(folder / name, drawn(seed))
    (folder / "folder.jpg").mkdir()
    saved(folder / "folder.jpg/inside.png")
    (folder / "link.png").symlink_to("folder.jpg/inside.png")
    try:
        saved(folder / NO_UTF8)
    except OSError:  # a file system that takes no such name
        return [*GOOD]
    return [*GOOD, NO_UTF8]


def write_rotated(folder):
    """Write the upright image turned and mirrored, with the EXIF orientation that undoes it, without any loss."""
    undone_by = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    (folder / "rotated").mkdir()
    for (orientation, turn), name in zip(undone_by.items(), ROTATED, strict=True):
        exif = Image.Exif()
        exif[0x0112] = orientation
        image = drawn() if turn is None else drawn().transpose(turn)
        options = {"lossless": True} if name.endswith(".webp") else {}
        saved(folder / name, image, exif=exif, **options)


def write_broken(folder):
    """Write what cannot be captioned."""
    write_claims(folder)
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("This is no photograph.\n" * 40)
    (folder / "document.png").write_bytes(b"%PDF-1.7\n" + bytes(range(256)))
    (folder / "signature.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "noise.jpg").write_bytes(b"\xff\xd8\xff\xe0" + random.Random(1).randbytes(5000))
    os.mkfifo(folder / "pipe.png")
    (folder / "round").mkdir()
    (folder / "round/a.jpg").symlink_to("b.jpg")
    (folder / "round/b.jpg").symlink_to("a.jpg")
    (folder / "round/again").symlink_to("..")
    (folder / "nowhere.png").symlink_to("none.png")
    (folder / "zz").mkdir()
    saved(folder / "zz/deleted.png")


def write_many(folder):
    """Write a photograph cut off at every tenth byte, and more empty files than a run reads ahead."""
    whole = saved(folder / "whole.jpg", drawn().resize((48, 32)), quality=60).read_bytes()
    (folder / "whole.jpg").unlink()
    (folder / "truncated").mkdir()
    for end in range(0, len(whole), 10):
        (folder / f"truncated/{end:05}.jpg").write_bytes(whole[:end])
    (folder / "yy").mkdir()
    for number in range(64 * (os.cpu_count() or 1) + 100):
        (folder / f"yy/{number:05}.jpg").touch()


def forbid(folder):
    """Take away permissions; return what to put before the command so that they bind it, and what is forbidden."""
    if os.geteuid() == 0:
        require_tool("setpriv")
    saved(folder / "locked.png").chmod(0)
    (folder / "shut").mkdir()
    saved(folder / "shut/inside.png")
    (folder / "shut").chmod(0)
    return ROOT_WITHOUT_POWERS if os.geteuid() == 0 else (), FORBIDDEN


MEASURED = """
import pathlib, resource, subprocess, sys

code = subprocess.call(sys.argv[2:])
pathlib.Path(sys.argv[1]).write_text(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""
"""Runs a command from a small process: a child's peak begins with the size of whoever has forked it."""


def looked_at(report):
    """Return the rows of a report but for the files that are passed over."""
    rows = map(json.loads, report.read_text().splitlines())
    return [row for row in rows if row["status"] != "passed-over"]


class Tortured:
    """The folder, and what a run over it said and left."""

    def __init__(self, folder):
        self.folder = folder / "folder"
        self.folder.mkdir()
        self.env = {"CAPGEN_CACHE_DIR": str(folder / "cache"), "CAPGEN_DATA_DIR": str(folder / "data")}
        self.good = write_good(self.folder)
        write_broken(self.folder)
        write_many(self.folder)
        self.before = self.all_files()
        before, self.forbidden = forbid(self.folder)
        self._run(before, folder)
        rows = looked_at(folder / "report.jsonl")
        self.paths = [os.path.relpath(row["path"], self.folder) for row in rows]
        self.rows = dict(zip(self.paths, rows, strict=True))

    def _run(self, before, folder):
        """Caption the folder, and delete a file of it once the run has begun: nobody reads its output before."""
        program = [*before, Path(sys.executable).with_name("capgen"), "caption", "--beam", "1", "--recursive", self.folder]
        report = folder / "report.jsonl"
        measured = (sys.executable, "-c", MEASURED, folder / "memory")
        with (folder / "stderr").open("wb") as stderr:
            run = subprocess.Popen(
                [*measured, *program, "--sidecar", ".txt", "--report", report, "--format", "jsonl"],
                stdout=subprocess.PIPE, stderr=stderr, env={**os.environ, **self.env},
            )  # fmt: skip
        with run.stdout as stdout:
            if hasattr(fcntl, "F_SETPIPE_SZ"):
                fcntl.fcntl(stdout, fcntl.F_SETPIPE_SZ, 4096)
            first = stdout.readline()
            (self.folder / "zz/deleted.png").unlink()
            self.lines = [first, *stdout]
        self.code = run.wait()
        self.memory = int((folder / "memory").read_text())
        self.stderr = (folder / "stderr").read_bytes().decode(errors="surrogateescape")

    def all_files(self):
        """Name all files of the folder, links included."""
        names = (Path(top, name) for top, _, names in os.walk(self.folder) for name in names)
        return {os.path.relpath(name, self.folder) for name in names}

    def sidecar(self, name):
        """Return the sidecar of an image."""
        path = self.folder / name
        return path.with_suffix(".txt") if name not in ("no-ending", "notes.md") else path.with_name(f"{path.name}.txt")


@pytest.fixture(scope="module")
def tortured(tmp_path_factory):
    made = Tortured(tmp_path_factory.mktemp("torture"))
    yield made
    for name in made.forbidden:
        (made.folder / name).chmod(0o700)


def test_the_run_ends_with_some_failed_and_without_a_traceback(tortured):
    assert tortured.code == 3
    assert "Traceback" not in tortured.stderr
    assert "should not happen" not in tortured.stderr
    assert "Warning" not in tortured.stderr


def test_every_file_ends_in_exactly_one_status(tortured):
    expected = (tortured.before - set(CIRCLES)) | tortured.forbidden.keys()
    assert Counter(tortured.paths) == Counter(expected)
    assert {row["status"] for row in tortured.rows.values()} <= set(Status)


def test_stdout_says_the_same_as_the_report(tortured):
    assert list(map(json.loads, tortured.lines)) == list(tortured.rows.values())


def test_what_is_sound_is_captioned(tortured):
    assert {name: tortured.rows[name]["status"] for name in tortured.good} == dict.fromkeys(tortured.good, "captioned")
    assert all(tortured.rows[name]["caption"] for name in tortured.good)


@pytest.mark.parametrize(("name", "status"), BROKEN.items())
def test_what_is_broken_has_the_status_that_says_how(tortured, name, status):
    assert tortured.rows[name]["status"] == status
    assert tortured.rows[name]["reason"]
    assert tortured.rows[name]["caption"] is None


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_may_not_be_read_is_denied(tortured, name):
    assert tortured.rows[name]["status"] == "denied"


def test_a_photograph_that_is_cut_off_anywhere_is_captioned_or_unreadable_and_empty_only_at_its_beginning(tortured):
    statuses = {name: tortured.rows[name]["status"] for name in tortured.paths if name.startswith("truncated/")}
    assert len(statuses) > 50
    assert statuses.pop("truncated/00000.jpg") == "unsupported"
    assert set(statuses.values()) <= {"unreadable", "captioned"}
    assert "unreadable" in statuses.values()


def test_each_file_that_failed_is_named_on_stderr_in_one_line(tortured):
    failed = [name for name in tortured.paths if Status(tortured.rows[name]["status"]).failed]
    *lines, _ = tortured.stderr.splitlines()  # the last is the summary
    assert len(lines) == len(failed)
    for line, name in zip(lines, failed, strict=True):
        assert line.startswith(f"capgen: {tortured.folder / name}: {tortured.rows[name]['reason']}")


def test_the_summary_counts_every_status(tortured):
    counts = Counter(row["status"] for row in tortured.rows.values())
    said = ", ".join(f"{counts[status]:,} {status}" for status in Status if counts[status])
    assert tortured.stderr.splitlines()[-1].startswith(f"{said} in ")


def test_sidecars_exist_exactly_for_what_was_captioned_and_hold_its_caption(tortured):
    captioned = [name for name in tortured.paths if tortured.rows[name]["status"] == "captioned"]
    expected = {tortured.sidecar(name): tortured.rows[name]["caption"] for name in captioned}
    found = {path: path.read_text() for path in tortured.folder.rglob("*.txt")}
    assert found == {path: f"{caption}\n" for path, caption in expected.items()}


def test_nothing_but_sidecars_has_appeared(tortured):
    after = {name for name in tortured.all_files() if not name.endswith((".txt", ".capgen"))}
    assert after - {"locked.png", "shut/inside.png"} == tortured.before - {"zz/deleted.png"}


@pytest.fixture(scope="module")
def captioner():
    return Captioner.load(threads=1)


@pytest.mark.parametrize("name", ROTATED)
def test_a_turned_photograph_has_the_pixels_of_the_upright_one_and_its_caption_is_as_likely(tortured, captioner, name):
    paths, caption = (tortured.folder / "upright.png", tortured.folder / name), tortured.rows[name]["caption"]
    expected, likely = (captioner.score(path, [caption])[0].total for path in paths)
    assert likely == pytest.approx(expected, rel=0.05)  # where two are as likely the edges choose which is said
    upright, turned = (images.read(path, images.Preprocessing()).astype(int) for path in paths)
    assert abs(turned - upright).max() <= 8  # at sharp edges, as rows and columns are scaled in another order


@pytest.mark.parametrize("name", ["really-a-png.jpg", "folder.jpg/inside.png", "link.png"])
def test_a_copy_has_the_same_caption_whatever_its_name(tortured, name):
    assert tortured.rows[name]["captions"] == tortured.rows["upright.png"]["captions"]


def test_headers_that_lie_cost_no_memory(tortured):
    kilobytes = tortured.memory / (1024 if sys.platform == "darwin" else 1)
    assert kilobytes < 700_000


def test_links_in_a_circle_that_are_followed_end_and_fail_one_by_one(tortured, tmp_path):
    report = tmp_path / "report.jsonl"
    (tmp_path / "round").mkdir()
    for name in ("a.jpg", "b.jpg", "again"):
        (tmp_path / "round" / name).symlink_to((tortured.folder / "round" / name).readlink())
    done = capgen("caption", "-r", "--follow-links", tmp_path / "round", "--report", report, env=tortured.env)
    assert done.returncode == 3
    assert [json.loads(line)["status"] for line in report.read_text().splitlines()] == ["missing", "missing"]


def test_a_second_run_skips_what_is_captioned_and_says_the_same_of_the_rest(tortured, tmp_path):
    written = {path: path.stat().st_mtime_ns for path in tortured.folder.rglob("*.txt")}
    report = tmp_path / "report.jsonl"
    before = ROOT_WITHOUT_POWERS if os.geteuid() == 0 and tortured.forbidden else ()
    done = subprocess.run(
        [*before, Path(sys.executable).with_name("capgen"), "caption", "--beam", "1", "--recursive", tortured.folder,
         "--sidecar", ".txt", "--report", report],
        env={**os.environ, **tortured.env}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    again = {os.path.relpath(row["path"], tortured.folder): row for row in looked_at(report)}
    for name, row in again.items():
        first = tortured.rows[name]["status"]
        assert row["status"] == ("skipped" if first == "captioned" else first)
    assert again.keys() == tortured.rows.keys() - {"zz/deleted.png"}
    assert {path: path.stat().st_mtime_ns for path in tortured.folder.rglob("*.txt")} == written
