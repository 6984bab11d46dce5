"""``capgen evaluate``, as a command."""

import json

from conftest import draw_dataset


def test_a_captioner_is_scored_on_a_split_and_its_predictions_are_kept(captioner, tmp_path):
    scores = tmp_path / "scores.json"
    done = captioner.run("evaluate", "shapes", "--data", "shapes", "--split", "dev", "--json", scores)
    assert done.returncode == 0, done.stderr
    values = json.loads(scores.read_text())
    assert list(values)[:7] == ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr-D", "images"]
    assert values["CIDEr-D low"] <= values["CIDEr-D"] <= values["CIDEr-D high"]
    assert values["words used"] > 5
    assert values["images"] == 12
    assert f"{values['CIDEr-D']:.4f}" in done.stdout
    saved = json.loads((captioner.folder / "user/predictions/shapes-beam5-shapes-dev.json").read_text())
    assert len(saved) == 12
    assert saved[0].keys() == {"image_id", "caption"}


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
    assert json.loads(first.read_text()) == json.loads(second.read_text())


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
    done = captioner.run(
        "evaluate", "--predictions", tmp_path / "predictions.json", "--references", tmp_path / "captions_val.json"
    )
    assert done.returncode == 0, done.stderr
    assert "1.0000" in done.stdout
    assert "1 of 2 images have no prediction" in done.stderr


def test_bad_requests_are_one_line_each_and_say_what_to_do(captioner, tmp_path):
    other = draw_dataset(tmp_path / "other", 5, first_seed=200)
    (tmp_path / "list.json").write_text("[1, 2]")
    (tmp_path / "foreign.json").write_text('[{"image_id": "x.jpg", "caption": "a dog"}]')
    (tmp_path / "twice.json").write_text('[{"image_id": 1, "caption": "a"}, {"image_id": 1, "caption": "b"}]')
    for arguments, words in (
        (["shapes", "--data", "shape"], "did you mean shapes"),
        (["shapes", "--data", "shapes", "--split", "tset"], "did you mean test"),
        (["--predictions", tmp_path / "list.json", "--references", other], "COCO's result format"),
        (["--predictions", tmp_path / "foreign.json", "--references", other], "without references"),
        (["--predictions", tmp_path / "twice.json", "--references", other], "twice"),
        (["--predictions", tmp_path / "none.json", "--references", other], "cannot be read"),
        (["shapes", "--references", tmp_path / "none"], "no data set"),
    ):
        done = captioner.run("evaluate", *arguments)
        assert done.returncode in {1, 2}, arguments
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_it_must_be_told_what_to_compare_with(captioner):
    done = captioner.run("evaluate", "shapes")
    assert done.returncode == 2
    assert "--references" in done.stderr
