"""The report of a training run: one page that holds curves, samples, settings and data."""

from pathlib import Path

from support.drawing import draw
from support.report_pages import data_of

from capgen.datasets.prepared import PreparedDataset, PreparedImage
from capgen.storage import files
from capgen.training.config import TrainingConfig
from capgen.training.history import Epoch, Phase
from capgen.training.report import REPORT, SAMPLES, RunReport


def test_a_run_leaves_a_page_with_curves_samples_settings_and_data(captioner):
    lines = dict(line.split(": ", 1) for line in captioner.trained.stderr.splitlines() if ": " in line)
    assert lines["the run's report"] == str(Path(lines["run folder"]) / REPORT)
    values = data_of(Path(lines["the run's report"]).read_text())
    assert "has ended after epoch" in values["title"]
    losses, cider, _ = values["curves"]
    count = len(losses["series"][0]["points"])
    assert [number for number, _ in cider["series"][0]["points"]] == list(range(1, count + 1))
    assert len(values["samples"]) == 3
    for sample in values["samples"]:
        assert [number for number, _ in sample["captions"]] == list(range(1, count + 1))
        assert sample["image"].startswith("data:image/jpeg")
    epochs, summary, settings = values["tables"]
    assert len(epochs["rows"]) == count
    assert ["train", "36 images, 72 captions"] in summary["rows"]
    assert ["lstm_size", "64", "width of the LSTM states and of the layers after them"] in settings["rows"]


def test_a_run_that_goes_on_keeps_the_samples_of_the_epochs_before(tmp_path):
    draw(tmp_path / "dog.png", "red", "circle", 1)
    dev = str(tmp_path / "dog.png")
    data = PreparedDataset("few", (PreparedImage(dev, "h", "dev", ("a dog",)),), "encoder", "", ("plain",), ("folder",))
    first = Epoch(1, 2.0, 2.5, {"CIDEr-D": 0.3, "BLEU-4": 0.1}, 9.0, samples=((dev, "a cat"),))
    second = Epoch(2, 1.0, float("nan"), {"CIDEr-D": 0.5, "BLEU-4": 0.2}, 9.0, samples=((dev, "a dog"),))
    RunReport(tmp_path, data, TrainingConfig()).write([first], first, ended=False)
    restored = Epoch.from_mapping(first.to_mapping())
    RunReport(tmp_path, data, TrainingConfig()).write([restored, second], second, ended=True)
    (sample,) = data_of((tmp_path / REPORT).read_text())["samples"]
    assert sample["captions"] == [[1, "a cat"], [2, "a dog"]]
    files.write_text(tmp_path / SAMPLES, "no json")
    RunReport(tmp_path, data, TrainingConfig()).write([restored, second], second, ended=True)
    (sample,) = data_of((tmp_path / REPORT).read_text())["samples"]
    assert sample["captions"] == [[2, "a dog"]]


def described(tmp_path, *epochs, ended=True):
    data = PreparedDataset("few", (), "encoder", "", ("plain",), ())
    return RunReport(tmp_path, data, TrainingConfig()).describe(epochs, epochs[-1], ended=ended)


def test_the_page_says_so_far_only_until_the_run_has_ended(tmp_path):
    first = Epoch(1, 2.0, 2.5, {"CIDEr-D": 0.3, "BLEU-4": 0.1}, 9.0)
    second = Epoch(2, 1.5, 2.2, {"CIDEr-D": 0.5, "BLEU-4": 0.2}, 9.0)
    going, ended = described(tmp_path, first, ended=False), described(tmp_path, first, second)
    assert going["title"] == "Training on few is not at its end yet"
    assert "the best epoch so far is 1, with CIDEr-D 0.3000 on dev (from 0 to 10)" in going["subtitle"]
    assert ended["title"] == "Training on few has ended after epoch 2"
    assert "so far" not in ended["subtitle"]
    assert "the best epoch is 2, with CIDEr-D 0.5000 on dev (from 0 to 10)" in ended["subtitle"]
    assert [row[0] for row in ended["tables"][0]["rows"]] == ["1", "2, the best"]


def test_titles_of_curves_are_sentences_and_their_axes_are_named(tmp_path):
    first = Epoch(1, 2.0, 2.5, {"CIDEr-D": 0.3, "BLEU-4": 0.1}, 9.0)
    second = Epoch(2, 1.5, 2.6, {"CIDEr-D": 0.5}, 9.0)
    curves = described(tmp_path, first, second)["curves"]
    assert [curve["title"] for curve in curves] == [
        "The loss on dev is least after epoch 1: 2.50.",
        "CIDEr-D on dev is greatest after epoch 2: 0.5000.",
        "BLEU-4 on dev is greatest after epoch 1: 0.1000.",
    ]
    assert [curve["unit"] for curve in curves] == [
        "nats a word",
        "CIDEr-D on dev, from 0 to 10",
        "BLEU-4 on dev, from 0 to 1",
    ]
    assert {curve["axis"] for curve in curves} == {"epoch"}
    unknown = described(tmp_path, Epoch(1, 2.0, float("nan"), {}, 9.0))["curves"]
    assert [curve["title"] for curve in unknown] == [
        "The loss on dev is not known.",
        "CIDEr-D on dev is not defined.",
        "BLEU-4 on dev is not defined.",
    ]


def test_the_loss_of_self_critical_epochs_is_not_drawn_beside_cross_entropy_and_their_beginning_is_marked(tmp_path):
    first = Epoch(1, 2.0, 2.5, {"CIDEr-D": 0.3, "BLEU-4": 0.1}, 9.0)
    second = Epoch(2, -0.4, 2.6, {"CIDEr-D": 0.5, "BLEU-4": 0.2}, 9.0, Phase.SELF_CRITICAL)
    loss, cider_d, _ = described(tmp_path, first, second)["curves"]
    training, dev = loss["series"]
    assert (training["points"], dev["points"]) == ([(1, 2.0)], [(1, 2.5), (2, 2.6)])
    assert loss["marks"] == [(1.5, "self-critical")]
    assert cider_d["marks"] == [(1.5, "self-critical"), (2, "best")]


def test_a_run_of_self_critical_epochs_alone_has_no_mark_where_they_begin(tmp_path):
    loss, *_ = described(tmp_path, Epoch(1, -0.4, 2.6, {"CIDEr-D": 0.5, "BLEU-4": 0.2}, 9.0, Phase.SELF_CRITICAL))["curves"]
    assert loss["marks"] == []


def test_domains_other_than_the_captioners_own_are_named(tmp_path):
    images = tuple(
        PreparedImage(f"{index}.png", f"h{index}", "train", ("a dog",), domain=domain)
        for index, domain in enumerate(["", "web", "room", "web"])
    )
    data = PreparedDataset("few", images, "encoder", "", ("plain", "flip"), ("folder",))
    epoch = Epoch(1, 2.0, 2.5, {"CIDEr-D": 0.3, "BLEU-4": 0.1}, 9.0)
    page = RunReport(tmp_path, data, TrainingConfig()).describe([epoch], epoch, ended=True)
    assert ("other domains", "room, web") in page["tables"][1]["rows"]
    assert ("augmentations", "plain, flip") in page["tables"][1]["rows"]
