"""``capgen caption --explain``: a sheet of the attention of each word."""

import io
import sys

import numpy as np
import pytest
from PIL import Image
from support.commands import here, refused
from support.paths import ROOT

from capgen.captioner.explain import draw_attention
from capgen.captioner.results import Attention


def drawn(words, shape=(60, 90, 3), side=7):
    random = np.random.default_rng(0)
    maps = random.dirichlet(np.full(side * side, 0.1), len(words)).reshape(-1, side, side).astype(np.float32)
    photograph = np.full(shape, 128, np.uint8)
    return Image.open(io.BytesIO(draw_attention(photograph, Attention(tuple(words), maps))))


@pytest.mark.parametrize("words", [["dog"], ["a", "dog", "runs"], ["a"] * 20])
def test_a_sheet_is_no_wider_than_2000_pixels_and_grows_downwards(words):
    image = drawn(words)
    assert image.format == "PNG"
    assert image.width <= 2000
    assert image.height >= 200 * -(-(len(words) + 1) // 5)


def test_wide_and_tall_photographs_fit():
    assert drawn(["a"] * 6, (20, 400, 3)).width <= 2000
    assert drawn(["a"] * 6, (400, 20, 3)).height < 4000


def test_cells_without_attention_are_darker():
    maps = np.zeros((1, 2, 2), np.float32)
    maps[0, 0, 0] = 1.0
    photograph = np.full((100, 100, 3), 200, np.uint8)
    image = np.asarray(Image.open(io.BytesIO(draw_attention(photograph, Attention(("x",), maps)))).convert("L")).astype(int)
    right = image[60:-10, image.shape[1] // 2 + 20 : -20]  # the panel of the word, without its label
    height, width = right.shape
    assert right[: height // 4, : width // 4].mean() > right[-height // 4 :, -width // 4 :].mean() + 30


def test_words_with_dollars_are_no_formulas():
    assert drawn(["$a$", "100$"]).width <= 2000


def test_the_command_prints_the_caption_and_draws(captioner, tmp_path):
    photograph, out = captioner.source / "images/000.png", tmp_path / "out.png"
    done = captioner.run("caption", photograph, "--model", "shapes", "--explain", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout == captioner.run("caption", photograph, "--model", "shapes").stdout
    with Image.open(out) as image:
        assert image.format == "PNG"
        assert 300 < image.width <= 2000


def test_what_cannot_be_drawn_is_one_line(captioner, tmp_path):
    photograph = captioner.source / "images/000.png"
    other = captioner.source / "images/001.png"
    for arguments, said in (
        ((photograph, other, "--explain", tmp_path / "a.png"), "one photograph"),
        ((photograph, "--explain", tmp_path / "a.jpg"), "PNG"),
        ((photograph, "--explain", photograph), "photograph itself"),
        ((tmp_path / "none.png", "--explain", tmp_path / "a.png"), "none.png"),
        ((photograph, "--sidecar", ".txt", "--explain", tmp_path / "a.png"), "one photograph"),
    ):
        done = captioner.run("caption", "--model", "shapes", *arguments)
        assert done.returncode in (1, 2), arguments
        assert said in done.stderr, (arguments, done.stderr)
        assert len(done.stderr.strip().splitlines()) == 1
        assert done.stdout == ""
    assert not list(tmp_path.iterdir())


def test_the_first_search_for_fonts_has_a_line(user_folders, monkeypatch):
    fonts, sheet = user_folders / "matplotlib", user_folders / "sheet.png"
    fonts.mkdir()
    monkeypatch.setattr("matplotlib.get_cachedir", lambda: str(fonts))
    monkeypatch.setattr("capgen.captioner.explain.draw_attention", lambda *_: b"")
    command = ("caption", ROOT / "examples/cat.jpg", "--beam", "1", "--explain", sheet)
    assert "fonts" in here(*command).stderr
    assert here(*command, "--quiet").stderr == ""
    (fonts / "fontlist-v390.json").touch()
    assert here(*command).stderr == ""


def test_without_matplotlib_one_line_says_what_to_install(user_folders, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = here("caption", ROOT / "examples/cat.jpg", "--explain", user_folders / "sheet.png")
    refused(done, "pip install matplotlib", code=2)
