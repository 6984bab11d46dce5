"""The lines that say what went wrong: how they look, and that they are in capgen's words."""

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from support.commands import here
from support.paths import ROOT

from capgen.errors import damage, json_fault, os_reason, toml_fault

PHOTOGRAPH = ROOT / "examples/cat.jpg"


def on_terminal(*arguments, **environment):
    """Run the command with a terminal as its stderr, and return what it writes there."""
    ours, its = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    command = [Path(sys.executable).with_name("capgen"), *map(str, arguments)]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=its, env={**kept, "TERM": "xterm", **environment}, check=False)
    os.close(its)
    with os.fdopen(ours, "rb") as terminal:
        return terminal.read1(10_000).decode()


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [("caption", "none.jpg"), ("caption", "--none"), ("prepare", "none")])
def test_what_went_wrong_is_red_on_a_terminal_unless_colours_are_not_wanted(fake, wrong):
    assert on_terminal(*wrong).startswith("\x1b[31mcapgen: ")
    assert "\x1b" not in on_terminal(*wrong, NO_COLOR="1")
    assert "\x1b" not in on_terminal(*wrong, TERM="dumb")


def test_nothing_is_coloured_in_a_pipe(fake):
    assert here("caption", "none.jpg").stderr == "capgen: none.jpg: no such file\n"


@pytest.mark.parametrize("address", ["www.example.com/cat.jpg", "example.org/a/cat.jpg", "https:/example.com/cat.jpg"])
def test_a_web_address_without_its_scheme_is_noticed(fake, address):
    assert here("caption", address).stderr == f"capgen: {address}: no such file; a web address begins with https://\n"


KINDS = [
    ("JPEG", {}),
    ("PNG", {}),
    ("GIF", {}),
    ("BMP", {}),
    ("WEBP", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
]


@pytest.mark.parametrize(("name", "options"), KINDS)
def test_what_is_wrong_with_an_image_is_said_in_a_few_words_of_capgens(fake, tmp_path, name, options):
    whole = io.BytesIO()
    with Image.open(PHOTOGRAPH) as image:
        image.save(whole, name, **options)
    data = whole.getvalue()
    (tmp_path / "cut").write_bytes(data[: len(data) // 2])
    (tmp_path / "wrong").write_bytes(data[:2000] + bytes(len(data) // 2) + data[2000:])
    done = here("caption", tmp_path / "cut", tmp_path / "wrong")
    ours = ("it ends early", "its data is damaged", "it ends early, or its header is damaged")
    lines = [line for line in done.stderr.splitlines() if line.startswith("capgen: ")]
    assert lines
    assert all(line.split(": ", 2)[2] in ours for line in lines)


def test_the_words_of_decoders_become_an_early_end_or_damage():
    for text in ("image file is truncated (68 bytes not processed)", "Unexpected end of file", "Premature end of JPEG file"):
        assert damage(OSError(text)) == "it ends early"
    assert damage(EOFError()) == "it ends early"
    assert damage(OSError("broken data stream when reading image file")) == "its data is damaged"


def test_what_is_wrong_with_json_is_said_with_its_line_and_column():
    import json

    def fault(text):
        with pytest.raises(ValueError) as caught:
            json.loads(text)
        return json_fault(caught.value)

    assert fault('{"a": 1\n "b": 2}') == "a comma is missing in line 2, column 2"
    assert fault("[1, ") == "a value is missing in line 1, column 5"
    assert fault("{a: 1}") == "a key in double quotes is missing in line 1, column 2"
    assert fault("[] []") == "something comes after its end in line 1, column 4"


def test_what_is_wrong_with_toml_is_said_with_its_place():
    import tomllib

    for text, words in (
        ("a = 1\nb = x", "something is wrong in line 2, column 5"),
        ("a = ", "its end is missing"),
    ):
        with pytest.raises(tomllib.TOMLDecodeError) as caught:
            tomllib.loads(text)
        assert toml_fault(caught.value) == words


def test_the_words_of_the_operating_system_are_capgens():
    for path, words in ((ROOT, "it is a folder"), (ROOT / "none", "no such file"), (PHOTOGRAPH / "x", "a part of its path")):
        with pytest.raises(OSError) as caught:
            path.read_bytes()
        assert words in os_reason(caught.value)


def test_a_line_about_an_image_does_not_stand_in_the_line_of_the_bar(fake):
    said = on_terminal("caption", PHOTOGRAPH, fake / "none.jpg", PHOTOGRAPH, "-o", fake / "c.csv")
    assert "Captioning" in said  # the bar, which is there before the first image
    before = said[: said.index("capgen: ")].removesuffix("\x1b[31m")
    assert before.endswith(("\n", "\x1b[2K"))
    assert "1 captioned, 1 missing in" in said
