"""``capgen evaluate``, as a command."""

import json

import numpy as np
import pytest
from support.drawing import draw_dataset

from capgen.evaluation.metrics import Score, UnavailableError, java

pytestmark = pytest.mark.usefixtures("without_java")


def test_a_captioner_is_scored_on_a_split_and_its_predictions_are_kept(captioner, tmp_path):
    scores = tmp_path / "scores.json"
    done = captioner.process("evaluate", "shapes", "--data", "shapes", "--split", "dev", "--json", scores)
    assert done.returncode == 0, done.stderr
    values = json.loads(scores.read_text())
    assert list(values)[:8] == ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr-D", "CIDEr", "images"]
    assert 0 <= values["seen in training"] <= 1
    assert values["log-likelihood"] < 0
    assert values["CIDEr-D low"] <= values["CIDEr-D"] <= values["CIDEr-D high"]
    assert values["vocabulary size used"] > 5
    assert values["images"] == 12
    assert f"{values['CIDEr-D']:.4f}" in done.stdout
    saved = json.loads((captioner.folder / "user/predictions/shapes-beam5-shapes-dev.json").read_text())
    assert len(saved) == 12
    assert saved[0].keys() == {"image_id", "caption"}


def computed_by_java(metric, systems, on_progress):
    if metric.name == "SPICE":
        raise UnavailableError("its models are not here")
    return [Score(0.1234, np.full(len(system), 0.1234)) for system in systems]


def test_what_java_computes_is_shown_written_and_on_the_page_and_what_it_does_not_has_its_reason(
    captioner, tmp_path, monkeypatch
):
    scores, page = tmp_path / "scores.json", tmp_path / "page.html"
    monkeypatch.setattr(java.JavaMetric, "compute", computed_by_java)
    request = ["evaluate", "shapes", "--data", "shapes", "--metrics", "all"]
    done = captioner.run(*request, "--json", scores, "--report", page)
    assert done.returncode == 0, done.stderr
    values = json.loads(scores.read_text())
    assert (values["METEOR"], values["SPICE"]) == (0.1234, None)
    assert "0.1234" in done.stdout
    assert "its models are not here" in done.stdout
    assert '["METEOR","0.1234"],' in page.read_text().replace(" ", "")


def test_the_score_is_the_one_training_wrote_down(captioner, tmp_path):
    scores = tmp_path / "scores.json"
    captioner.run("evaluate", "shapes", "--data", "shapes", "--split", "dev", "--json", scores)
    description = json.loads((captioner.folder / "user/models/shapes/bundle.json").read_text())
    evaluated = json.loads(scores.read_text())
    assert description["scores"]["dev"] == {name: evaluated[name] for name in description["scores"]["dev"]}


def test_its_own_predictions_score_the_same_from_the_file(captioner, tmp_path):
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    captioner.run("evaluate", "shapes", "--data", "shapes", "--json", first)
    saved = captioner.folder / "user/predictions/shapes-beam5-shapes-test.json"
    done = captioner.run("evaluate", "--predictions", saved, "--references", captioner.source, "--json", second)
    assert done.returncode == 0, done.stderr
    ours = json.loads(first.read_text())
    assert ours.pop("log-likelihood") < 0  # which a file does not know
    assert ours == json.loads(second.read_text())


def test_a_coco_annotation_file_serves_as_references(captioner, tmp_path):
    references = {
        "images": [{"id": 7, "file_name": "seven.jpg"}, {"id": 8, "file_name": "eight.jpg"}],
        "annotations": [
            {"id": 1, "image_id": 7, "caption": "A dog runs."},
            {"id": 2, "image_id": 8, "caption": "A cat sleeps on a mat."},
        ],
    }
    (tmp_path / "captions_val.json").write_text(json.dumps(references))
    (tmp_path / "predictions.json").write_text(json.dumps([{"image_id": 8, "caption": "a cat sleeps on a mat"}]))
    request = ["evaluate", "--predictions", tmp_path / "predictions.json", "--references", tmp_path / "captions_val.json"]
    done = captioner.run(*request)
    assert done.returncode == 1
    assert "1 of 2 images have no prediction ('7')" in done.stderr
    done = captioner.run(*request, "--allow-missing")
    assert done.returncode == 0, done.stderr
    assert "1.0000" in done.stdout
    assert "1 of 2 images, NOT the whole split" in done.stdout
    assert "1 of 2 images have no prediction" in done.stderr


GERMAN = {"1.png": ["Ein Hund läuft auf der Wiese", "ein Hund in dem Gras"], "2.png": ["Eine Katze schläft auf einem Bett"]}
HINDI = {"1.png": ["घास पर एक लाल गोला"], "2.png": ["बर्फ़ में काला त्रिकोण"]}
CHINESE = {"1.png": ["草地上有一个红色的圆形。"], "2.png": ["雪地里有一个黑色的三角形"]}


@pytest.mark.parametrize(
    ("human", "tokenizer", "length"),
    [
        (GERMAN, "unicode-words (de)", 6),
        (HINDI, "unicode-words (und-Deva)", 4.5),
        (CHINESE, "unicode-characters (zh)", 11.5),
        ({"1.png": ["A dog runs on the grass."], "2.png": ["a cat"]}, "coco-caption", 4),
    ],
)
def test_the_tokens_are_those_of_the_captions_language_which_is_said(captioner, tmp_path, human, tokenizer, length):
    rows = [json.dumps({"image": name, "captions": texts}) + "\n" for name, texts in human.items()]
    (tmp_path / "captions.jsonl").write_text("".join(rows), encoding="utf-8")
    predictions = [{"image_id": name, "caption": texts[0]} for name, texts in human.items()]
    (tmp_path / "said.json").write_text(json.dumps(predictions))
    scores = tmp_path / "scores.json"
    request = ["evaluate", tmp_path / "said.json", "--references", tmp_path / "captions.jsonl", "--metrics", "all"]
    done = captioner.run(*request, "--json", scores)
    assert done.returncode == 0, done.stderr
    values = json.loads(scores.read_text())
    assert values["tokenizer"] == tokenizer
    assert f"words are split by the {tokenizer} tokenizer" in done.stdout
    assert values["BLEU-1"] == pytest.approx(1)
    assert values["length"] == length
    assert values["METEOR"] is None
    assert ("METEOR, SPICE: not computed (only for English, and these" in done.stdout) == (tokenizer != "coco-caption")


BAD = [
    {"image_id": "0.png", "caption": "a red circle"},
    {"image_id": "1.png", "caption": " ... "},
    {"image_id": "2.png", "caption": "a blue square"},
    {"image_id": "2", "caption": "a blue square again"},
    {"image_id": "far.png", "caption": "a dog"},
    {"image": "3.png"},
    {"image_id": True, "caption": "a dog"},
    "a dog",
]


def test_all_that_is_wrong_with_a_file_of_predictions_is_counted_and_named(captioner, tmp_path):
    rows = [{"image": f"{index}.png", "caption": f"a red circle {index}", "split": "test"} for index in range(5)]
    (tmp_path / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "bad.json").write_text(json.dumps(BAD))
    request = ["evaluate", tmp_path / "bad.json", "--references", tmp_path / "captions.jsonl"]
    done = captioner.run(*request)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    wrong = (
        "1 of 8 predictions is empty ('1.png')",
        "1 of 8 predictions is for an image that is captioned twice ('2')",
        "1 of 8 predictions is for images without references in this split ('far.png')",
        "3 of 8 predictions are without an image and a caption ('row 6', 'row 7', 'row 8')",
        "2 of 5 images have no prediction ('3.png', '4.png')",
    )
    assert all(words in done.stderr for words in (*wrong, "--allow-missing"))
    scores = tmp_path / "scores.json"
    done = captioner.run(*request, "--allow-missing", "--json", scores)
    assert done.returncode == 0, done.stderr
    assert all(words in done.stderr for words in wrong)
    assert "2 of 5 images, NOT the whole split" in done.stdout
    assert (json.loads(scores.read_text())["images"], json.loads(scores.read_text())["images missing"]) == (2, 3)


def test_systems_are_compared_over_the_images_that_all_of_them_caption(captioner, tmp_path):
    own = captioner.folder / "user/predictions/shapes-beam5-shapes-test.json"
    captioner.run("evaluate", "shapes", "--data", "shapes")
    rows = json.loads(own.read_text())
    worse = [{**row, "caption": "some " + row["caption"].split()[-1]} for row in rows]
    (tmp_path / "worse.json").write_text(json.dumps(worse))
    (tmp_path / "few.json").write_text(json.dumps(rows[:-2]))
    scores = tmp_path / "scores.json"
    request = ["evaluate", "shapes", tmp_path / "worse.json", "--data", "shapes", "--json", scores]
    done = captioner.run(*request)
    assert done.returncode == 0, done.stderr
    found = json.loads(scores.read_text())
    ours, theirs = found["shapes-beam5"], found["worse.json"]
    assert theirs["CIDEr-D difference"] == theirs["CIDEr-D"] - ours["CIDEr-D"] < 0
    assert theirs["CIDEr-D difference low"] < theirs["CIDEr-D difference"] < theirs["CIDEr-D difference high"]
    assert 0 < theirs["CIDEr-D difference p"] < 0.05
    assert "CIDEr-D difference" not in ours
    assert "worse.json against shapes-beam5" in done.stdout
    assert f"{theirs['BLEU-1 difference']:+.4f}" in done.stdout
    done = captioner.run(*request, tmp_path / "few.json", "--allow-missing")
    assert done.returncode == 0, done.stderr
    found = json.loads(scores.read_text())
    assert {values["images"] for values in found.values()} == {len(rows) - 2}
    assert all(value == 0 for name, value in found["few.json"].items() if name.endswith("difference"))
    assert captioner.run(*request, "--report", tmp_path / "r.html").returncode == 2
    assert captioner.run("evaluate", tmp_path / "few.json", "--data", "shapes", "--beam", 2).returncode == 2
    done = captioner.run(
        "evaluate", tmp_path / "few.json", "--data", "shapes", "--allow-missing", "--json", tmp_path / "few.json"
    )
    assert done.returncode == 2
    assert json.loads((tmp_path / "few.json").read_text()) == rows[:-2]


def test_the_log_likelihood_is_of_the_images_that_are_scored_and_what_score_says(captioner, tmp_path):
    captioner.run("evaluate", "shapes", "--data", "shapes", "--json", tmp_path / "all.json")
    rows = json.loads((captioner.folder / "user/predictions/shapes-beam5-shapes-test.json").read_text())
    (tmp_path / "one.json").write_text(json.dumps(rows[:1]))
    request = ["evaluate", "shapes", tmp_path / "one.json", "--data", "shapes", "--allow-missing"]
    done = captioner.run(*request, "--json", tmp_path / "some.json")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "some.json").read_text())["shapes-beam5"]["log-likelihood"]
    assert found != json.loads((tmp_path / "all.json").read_text())["log-likelihood"]
    image = captioner.source / "images" / rows[0]["image_id"]
    done = captioner.run("score", image, rows[0]["caption"], "--model", "shapes", "--format", "jsonl")
    assert json.loads(done.stdout)["per_word"] == pytest.approx(found, abs=2e-4)


def test_many_systems_of_any_name_lose_no_digit_and_no_letter(captioner, tmp_path):
    captioner.run("evaluate", "shapes", "--data", "shapes")
    own = (captioner.folder / "user/predictions/shapes-beam5-shapes-test.json").read_bytes()
    files = [tmp_path / f"system[{index}][/y].json" for index in range(6)]
    for file in files:
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_bytes(own)
    done = captioner.run("evaluate", *files, "--data", "shapes", "--json", tmp_path / "scores.json")
    assert done.returncode == 0, done.stderr
    score = f"{json.loads((tmp_path / 'scores.json').read_text())[str(files[0])]['BLEU-4']:.4f}"
    assert done.stdout.count(score) >= 6
    assert "…" not in done.stdout
    assert captioner.run("evaluate", files[0], files[0], "--data", "shapes").returncode == 2


def test_a_file_given_as_predictions_may_have_any_name(captioner, tmp_path):
    captioner.run("evaluate", "shapes", "--data", "shapes")
    own = (captioner.folder / "user/predictions/shapes-beam5-shapes-test.json").read_bytes()
    (tmp_path / "captions").write_bytes(own)
    done = captioner.run("evaluate", "--predictions", tmp_path / "captions", "--data", "shapes")
    assert done.returncode == 0, done.stderr
    assert captioner.run("evaluate", "shapes", tmp_path / "none.json", "--data", "shapes").stderr.count("predictions:") == 0


def test_two_files_of_one_name_are_distinguished(captioner, tmp_path):
    captioner.run("evaluate", "shapes", "--data", "shapes")
    own = captioner.folder / "user/predictions/shapes-beam5-shapes-test.json"
    files = [tmp_path / folder / "captions.json" for folder in "ab"]
    for file in files:
        file.parent.mkdir()
        file.write_bytes(own.read_bytes())
    done = captioner.run("evaluate", *files, "--data", "shapes", "--json", tmp_path / "scores.json")
    assert done.returncode == 0, done.stderr
    assert list(json.loads((tmp_path / "scores.json").read_text())) == list(map(str, files))


def test_bad_requests_are_one_line_each_and_say_what_to_do(captioner, tmp_path):
    other = draw_dataset(tmp_path / "other", 5, first_seed=200)
    (tmp_path / "list.json").write_text("[1, 2]")
    (tmp_path / "foreign.json").write_text('[{"image_id": "x.jpg", "caption": "a dog"}]')
    (tmp_path / "latin.json").write_text('[{"image_id": "x.jpg", "caption": "a café"}]', encoding="latin-1")
    (tmp_path / "twice.json").write_text('[{"image_id": 1, "caption": "a"}, {"image_id": 1, "caption": "b"}]')
    for arguments, words in (
        (["shapes", "--data", "shape"], "did you mean shapes"),
        (["shapes", "--data", "shapes", "--split", "tset"], "'tset' is not one of 'train', 'dev', 'test'"),
        (["shapes", "--data", "shapes", "--allow-missing"], "a captioner captions all images; leave it out"),
        (["--predictions", tmp_path / "list.json", "--references", other], "COCO's result format"),
        (["--predictions", tmp_path / "foreign.json", "--references", other], "without references"),
        (["--predictions", tmp_path / "twice.json", "--references", other], "twice"),
        (["--predictions", tmp_path / "none.json", "--references", other], "cannot be read"),
        ([tmp_path / "latin.json", "--references", other, "--allow-missing"], "not UTF-8 text"),
        ([tmp_path / "foreign.json", "--references", other, "--allow-missing"], "another --split"),
        (["shapes", "--references", tmp_path / "none"], "no data set"),
    ):
        done = captioner.run("evaluate", *arguments)
        assert done.returncode in {1, 2}, arguments
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_what_to_compare_with_must_be_named(captioner):
    done = captioner.run("evaluate", "shapes")
    assert done.returncode == 2
    assert "--references" in done.stderr
