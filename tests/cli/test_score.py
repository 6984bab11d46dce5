"""``capgen score``: how likely captions are, on the captioner that ships."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from capgen import Captioner
from capgen.cli import app, score

EXAMPLES = Path(__file__).parents[2] / "examples"
CAT = EXAMPLES / "cat.jpg"


@pytest.fixture(scope="module")
def shipped():
    return Captioner.load(threads=1)


def run(*arguments, **options):
    return CliRunner().invoke(app, ["score", *map(str, arguments)], **options)


def test_its_own_caption_has_the_probability_it_was_found_with(shipped):
    for photograph in sorted(EXAMPLES.glob("*.jpg")):
        caption = shipped.caption(photograph)
        (found,) = shipped.score(photograph, [caption.text])
        if any(word.startswith("<") and word != "<end>" for word in found.words):
            assert found.total < caption.log_probability + 0.05  # "a <foods>" may have become "a cup of coffee", too
        else:
            assert found.total == pytest.approx(caption.log_probability, abs=0.05)


def test_a_caption_scores_alike_alone_and_among_others(shipped):
    captions = ["a dog", "a man in a red shirt is riding a bicycle down a street", "a dog"]
    together = shipped.score(CAT, captions)
    alone = [shipped.score(CAT, [caption])[0] for caption in captions]
    for one, other in zip(together, alone, strict=True):
        assert one.words == other.words
        np.testing.assert_allclose(one.log_probabilities, other.log_probabilities, atol=0.02)
    assert together[0] == together[2]


def test_words_are_those_read_and_the_end(shipped):
    (found,) = shipped.score(CAT, ["A zzyzzx, runs!"])
    assert found.words == ("a", "<unknown>", "runs", "<end>")
    assert found.per_word == pytest.approx(sum(found.log_probabilities) / 4)


def test_text_is_a_number_a_tab_and_the_caption():
    done = run(CAT, "a dog", "a cat, asleep")
    assert done.exit_code == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [caption for _, caption in rows] == ["a dog", "a cat, asleep"]
    assert all(-20 < float(number) < 0 for number, _ in rows)


def test_a_caption_that_is_not_utf8_is_scored_and_printed_as_it_was_given():
    done = run(CAT, "a caf\udce9")
    assert done.exit_code == 0, done.stderr
    assert done.stdout_bytes.endswith(b"\ta caf\xe9\n")


def test_json_lines_in_json_lines_out(tmp_path):
    pairs = tmp_path / "pairs.jsonl"
    rows = [{"image": str(CAT), "caption": "a dog"}, {"image": str(EXAMPLES / "coffee.jpg"), "caption": "a cup"}]
    pairs.write_text("\n".join(map(json.dumps, rows)) + "\n")
    done = run("--from-file", pairs, "--format", "jsonl")
    assert done.exit_code == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["path"], row["caption"]) for row in found] == [(row["image"], row["caption"]) for row in rows]
    assert found[0]["log_probability"] == pytest.approx(sum(value for _, value in found[0]["words"]), abs=0.01)


def test_lines_that_capgen_caption_wrote_are_scored(tmp_path):
    said = tmp_path / "said.jsonl"
    done = CliRunner().invoke(app, ["caption", str(CAT), "--output", str(said)])
    assert done.exit_code == 0, done.stderr
    done = run("--from-file", said)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.split("\t")[1].strip() == json.loads(said.read_text())["caption"]


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ({"image_id": 42, "image": "a.jpg", "caption": "a dog"}, "a.jpg"),
        ({"image_id": None, "path": "a.jpg", "caption": "a dog"}, "a.jpg"),
        ({"image": " a.jpg ", "caption": "a dog"}, " a.jpg "),
        ([" a.jpg", "a dog"], " a.jpg"),
        ({"image_id": "a.jpg", "caption": "a dog"}, "a.jpg"),
    ],
)
def test_the_path_of_a_file_goes_before_an_id_and_keeps_its_spaces(line, path):
    item = score._parse("stdin:1", json.dumps(line))
    assert (str(item.path), item.captions) == (path, ["a dog"])


def test_what_cannot_be_scored_is_named_and_the_rest_is_scored():
    lines = '{"image": "none.jpg", "caption": "a"}\nno json\n' + json.dumps({"image": str(CAT), "caption": "a dog"})
    done = run("--from-file", "-", input=lines)
    assert done.exit_code == 3
    assert "none.jpg" in done.stderr
    assert 'stdin:2 has no "image" and "caption"' in done.stderr
    assert done.stdout.endswith("\ta dog\n")


@pytest.mark.parametrize("arguments", [(), (CAT,), (CAT, "a", "--from-file", "x"), (CAT, "a", "--format", "csv")])
def test_wrong_usage_is_an_error_of_usage(arguments):
    assert run(*arguments).exit_code == 2


def test_the_lines_of_json_are_those_of_the_file_and_nothing_else_ends_them(tmp_path):
    pairs = tmp_path / "pairs.jsonl"
    row = {"image": str(CAT), "caption": "a dog\u2028runs\ta\nlot"}
    pairs.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    done = run("--from-file", pairs)
    assert done.exit_code == 0, done.stderr
    assert len(done.stdout.rstrip("\n").split("\n")) == 1
    assert done.stdout.rstrip("\n").split("\t")[1:] == ["a dog\u2028runs\\ta\\nlot"]


def test_stdin_must_be_text():
    done = run("--from-file", "-", input=b"\xff\xfe")
    assert done.exit_code != 0
    assert "stdin is not UTF-8 text" in done.stderr


def test_no_captions_have_no_scores(shipped):
    assert shipped.score(CAT, []) == []


def test_a_name_of_several_words_counts_as_several(shipped):
    coffee = EXAMPLES / "coffee.jpg"
    fits, other = shipped.score(coffee, ["a cup of coffee", "a dog on a beach"])
    assert fits.per_word == pytest.approx(fits.total / 5)
    assert fits.per_word > other.per_word
