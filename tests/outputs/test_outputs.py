"""How results are written."""

import json
import os
from pathlib import Path

import duckdb
import pytest
from support.archives import tar
from support.commands import here
from support.drawing import draw_each, drawn

from capgen.captioner.results import Caption, Result
from capgen.errors import UnknownNameError
from capgen.outputs import FORMATS

DOG = Result(Path("photos/dog.jpg"), "captioned", (Caption("a dog runs", 0.25, -3.5),))
ALTERNATIVES = Result(Path("dog.jpg"), "captioned", (Caption("a dog runs", 0.25, -3.5), Caption("a dog", 0.0123456, -9.25)))
BROKEN = Result(Path("notes.txt"), "unsupported", reason="it is not an image")
FOREIGN = Path(os.fsdecode(b"caf\xe9.jpg"))
"""A name in Latin-1, as old archives hold them: no UTF-8."""


def lines(name, result, *, several=True):
    return FORMATS[name](several=several).lines(result)


def test_text_for_one_image_is_the_caption_alone():
    assert lines("text", DOG, several=False) == ["a dog runs"]


def test_text_for_several_begins_with_the_path():
    assert lines("text", DOG) == ["photos/dog.jpg\ta dog runs"]


def test_text_has_a_line_an_alternative_with_its_rank_and_confidence():
    assert lines("text", ALTERNATIVES, several=False) == ["1\t0.250\ta dog runs", "2\t0.012\ta dog"]


def test_text_for_several_has_path_rank_confidence_and_caption():
    assert lines("text", ALTERNATIVES) == ["dog.jpg\t1\t0.250\ta dog runs", "dog.jpg\t2\t0.012\ta dog"]


@pytest.mark.parametrize("several", [False, True])
def test_text_has_no_line_for_a_file_that_failed(several):
    assert lines("text", BROKEN, several=several) == []


@pytest.mark.parametrize(
    ("name", "written"),
    [("a\tb.jpg", "a\\tb.jpg"), ("a\nb.jpg", "a\\nb.jpg"), ("a\rb.jpg", "a\\rb.jpg"), ("a b.jpg", "a b.jpg")],
)
def test_text_keeps_a_strange_path_in_one_field_of_one_line(name, written):
    assert lines("text", Result(Path(name), "captioned", DOG.captions)) == [f"{written}\ta dog runs"]


def test_text_never_writes_two_paths_alike():
    paths = [Path("a\tb.jpg"), Path("a\\tb.jpg")]
    assert len({lines("text", Result(path, "captioned", DOG.captions))[0] for path in paths}) == 2


def test_text_gives_back_the_bytes_of_a_path_that_is_no_utf_8():
    [line] = lines("text", Result(FOREIGN, "captioned", DOG.captions))
    assert os.fsencode(line) == b"caf\xe9.jpg\ta dog runs"


@pytest.mark.parametrize("several", [False, True])
def test_json_lines_are_the_same_for_one_and_for_several(several):
    [line] = lines("jsonl", DOG, several=several)
    assert json.loads(line) == {
        "path": "photos/dog.jpg",
        "status": "captioned",
        "caption": "a dog runs",
        "confidence": 0.25,
        "captions": [{"caption": "a dog runs", "confidence": 0.25, "log_probability": -3.5}],
        "written": None,
        "reason": "",
    }


def test_json_lines_hold_all_alternatives_in_one_line():
    [line] = lines("jsonl", ALTERNATIVES)
    values = json.loads(line)
    assert (values["caption"], values["confidence"]) == ("a dog runs", 0.25)
    assert values["captions"] == [
        {"caption": "a dog runs", "confidence": 0.25, "log_probability": -3.5},
        {"caption": "a dog", "confidence": 0.012, "log_probability": -9.25},
    ]


def test_json_lines_say_why_a_file_failed():
    [line] = lines("jsonl", BROKEN)
    assert json.loads(line) == {
        "path": "notes.txt",
        "status": "unsupported",
        "caption": None,
        "confidence": None,
        "captions": None,
        "written": None,
        "reason": "it is not an image",
    }


def test_every_json_line_has_the_same_keys_in_the_same_order_as_tables_are_made_of_them():
    written = Result(Path("a.jpg"), "captioned", DOG.captions, written=(Path("a.txt"),))
    shapes = {tuple(json.loads(line)) for result in (DOG, ALTERNATIVES, BROKEN, written) for line in lines("jsonl", result)}
    assert shapes == {("path", "status", "caption", "confidence", "captions", "written", "reason")}


def test_a_program_that_decides_by_the_first_json_lines_what_columns_hold_reads_the_later_ones(fake, tmp_path):
    draw_each(tmp_path / "library", *(f"{number}.png" for number in range(9)))
    (tmp_path / "library/broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    tar(tmp_path / "a.tar", [("in.png", drawn(1)), ("cut.png", drawn(1)[:60])])
    output = tmp_path / "o.jsonl"
    here("caption", tmp_path / "library/0.png", "--output", output)
    here("caption", tmp_path / "library", tmp_path / "a.tar", "--output", output, "--min-confidence", "0.75")
    rows = list(map(json.loads, output.read_text().splitlines()))
    assert {row["status"] for row in rows} == {"captioned", "low-confidence", "unreadable"}
    table = duckdb.read_json(str(output), sample_size=1)
    assert [dict(zip(table.columns, values, strict=True)) for values in table.fetchall()] == rows
    assert list(map(str, table.types))[:4] == ["VARCHAR", "VARCHAR", "VARCHAR", "DOUBLE"]


@pytest.mark.parametrize("name", ["a\tb.jpg", "a\nb.jpg", "a\rb.jpg", 'a"b\\.jpg', "café 北京.jpg"])
def test_json_lines_carry_any_path_in_one_line(name):
    [line] = lines("jsonl", Result(Path(name), "captioned", DOG.captions))
    assert not set(line) & set("\t\n\r")
    assert json.loads(line)["path"] == name


def test_json_lines_leave_readable_letters_as_they_are():
    [line] = lines("jsonl", Result(Path("café.jpg"), "captioned", DOG.captions))
    assert "café.jpg" in line


def test_json_lines_give_back_the_bytes_of_a_path_that_is_no_utf_8():
    [line] = lines("jsonl", Result(FOREIGN, "captioned", DOG.captions))
    assert line.isascii()
    assert os.fsencode(json.loads(line)["path"]) == b"caf\xe9.jpg"


def test_an_unknown_format_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean jsonl"):
        FORMATS["json"]


def test_the_formats_are_listed():
    assert list(FORMATS) == ["text", "jsonl", "csv", "coco"]
