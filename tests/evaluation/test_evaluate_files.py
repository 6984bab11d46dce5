"""``capgen evaluate`` of files alone: how wide its tables are, which scores it computes, and which images."""

import json

import numpy as np
import pytest
from support.commands import here
from support.tools import require_tool

from capgen.datasets.prepared import PreparedDataset, PreparedImage
from capgen.evaluation import metrics
from capgen.evaluation.metrics import Score, java
from capgen.evaluation.references import from_dataset

SPLITS = ("train", "train", "dev", "test", "test")


@pytest.fixture
def files(tmp_path, user_folders):
    """Human captions of five images in three splits, and captions of some systems for all of them."""
    rows = [
        {"image": f"{index}.png", "captions": [f"a red circle on grass {index}", "a circle"], "split": split}
        for index, split in enumerate(SPLITS)
    ]
    (tmp_path / "human.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, words in (("one", "a red circle"), ("two", "a circle on grass"), ("a-third-of-a-very-long-name", "a dog")):
        said = [{"image_id": row["image"], "caption": f"{words} {row['image'][0]}"} for row in rows]
        (tmp_path / f"{name}.json").write_text(json.dumps(said))
    return tmp_path


def evaluated(files, *arguments, systems=("one",), **env):
    """Evaluate systems over all images; return what was done and what is in the JSON file."""
    request = [*(files / f"{name}.json" for name in systems), "--references", files / "human.jsonl", "--split", "all"]
    done = here("evaluate", *request, "--json", files / "scores.json", *arguments, env=env)
    return done, json.loads((files / "scores.json").read_text()) if done.returncode == 0 else {}


THREE = ("one", "two", "a-third-of-a-very-long-name")


@pytest.mark.parametrize("columns", [80, 120])
def test_three_systems_fit_the_width_of_the_terminal_and_lose_no_digit(files, columns):
    done, found = evaluated(files, systems=THREE, COLUMNS=str(columns))
    assert done.returncode == 0, done.stderr
    table = [line for line in done.stdout.splitlines() if line[:1] in "┏┃┡│├└"]
    assert max(map(len, table)) <= columns
    for scores in found.values():
        for number in (scores["CIDEr-D"], scores["CIDEr-D low"], scores["CIDEr-D high"], scores["BLEU-1"]):
            assert f"{number:.4f}" in done.stdout
    assert "…" not in done.stdout


def test_systems_that_have_no_room_beside_the_others_have_a_table_of_their_own(files):
    done, found = evaluated(files, systems=THREE, COLUMNS="50")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("│ BLEU-1 ") == 3 + 2  # one system each, and the two differences
    assert all(f"{scores['CIDEr-D']:.4f}" in done.stdout for scores in found.values())


def test_score_and_interval_stand_side_by_side_where_there_is_room(files):
    done, found = evaluated(files)
    (row,) = (line for line in done.stdout.splitlines() if line.startswith("│ CIDEr-D "))
    assert f"{found['CIDEr-D']:.4f} │ {found['CIDEr-D low']:.4f} to {found['CIDEr-D high']:.4f}" in row


def java_is_asked(metric, systems, on_progress):
    for done in (1, 2):
        on_progress(metric.name, done, 2)
    return [Score(0.1234, np.full(len(system), 0.1234)) for system in systems]


def test_what_java_computes_is_computed_only_if_it_is_asked_for(files, monkeypatch):
    monkeypatch.setattr(java.JavaMetric, "compute", java_is_asked)
    done, found = evaluated(files)
    assert done.returncode == 0, done.stderr
    assert "CIDEr-D" in found
    assert not {"METEOR", "SPICE"} & found.keys()
    assert "METEOR" not in done.stdout + done.stderr
    done, found = evaluated(files, "--metrics", "bleu-4, meteor")
    assert [name for name in found if name in metrics.METRICS] == ["BLEU-4", "METEOR"]
    assert "0.1234" in done.stdout
    assert "CIDEr-D" not in done.stdout
    assert done.stderr.splitlines() == ["METEOR is computed by its authors' program in Java, which may take minutes"]
    done, found = evaluated(files, "--metrics", "all", "--quiet")
    assert found.keys() >= {"CIDEr-D", "METEOR", "SPICE", "distinct-1"}
    assert done.stderr == ""


def test_metrics_may_be_named_one_by_one(files):
    _, found = evaluated(files, "--metrics", "seen in training", "--metrics", "CIDEr-D", "--split", "test")
    assert [name for name in found if name in metrics.METRICS] == ["CIDEr-D", "seen in training"]


def test_a_report_also_has_the_score_that_it_is_ordered_by(files):
    done, found = evaluated(files, "--metrics", "BLEU-1", "--report", files / "page.html")
    assert done.returncode == 0, done.stderr
    assert [name for name in found if name in metrics.METRICS] == ["BLEU-1", "CIDEr-D"]


def test_a_metric_that_there_is_not_is_refused_before_any_work_with_those_that_there_are(files):
    done, _ = evaluated(files, "--metrics", "CIDER-D,METEO")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "'METEO'" in done.stderr
    assert all(name in done.stderr for name in (*metrics.METRICS, metrics.ALL))


def test_a_metric_that_is_asked_for_and_lacks_what_it_needs_has_a_reason(files):
    done, found = evaluated(files, "--metrics", "log-likelihood,BLEU-1")
    assert done.returncode == 0, done.stderr
    assert found["log-likelihood"] is None
    said = " ".join(done.stdout.split())
    assert "log-likelihood: not computed (it needs the log-probabilities of the captions, which are not known)" in said


def test_all_splits_together_are_scored_and_the_title_says_so(files):
    done, found = evaluated(files)
    assert done.stdout.startswith("human.jsonl-all, 5 images")
    assert (found["images"], "seen in training" in found) == (5, False)
    done, found = evaluated(files, "--split", "test")
    assert done.stdout.startswith("human.jsonl-test, 2 images")
    assert found.keys() >= {"seen in training"}
    done, _ = evaluated(files, "--split", "al")
    assert "'all'" in done.stderr


def test_all_of_a_prepared_data_set_are_its_images_of_every_split(user_folders):
    images = [PreparedImage(f"/data/{index}.png", str(index), split, ("a dog",)) for index, split in enumerate(SPLITS)]
    PreparedDataset("dogs", tuple(images), "efficientnet-lite0", "", ("plain",), ("/data",)).save()
    found = from_dataset("dogs", "all")
    assert (found.name, len(found.references), found.others, found.training_captions) == ("dogs-all", 5, [], [])
    assert len(from_dataset("dogs", "test").others) == 3


@pytest.mark.java
def test_meteor_reports_each_caption_that_its_program_has_read():
    require_tool("java")
    tokens = [["a", "dog", str(index)] for index in range(3)]
    one = metrics.Candidates([" ".join(each) for each in tokens], tokens, metrics.References([[each] for each in tokens]))
    reported = []
    metrics.compute([one, one], metrics.named(["meteor"]), lambda *progress: reported.append(progress))
    assert reported == [("METEOR", done, 6 if done else 0) for done in range(7)]
