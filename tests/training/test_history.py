"""The history of a run: its columns and phases, those of earlier versions among them, and its curves."""

import io
from dataclasses import replace
from types import SimpleNamespace

import pytest
from PIL import Image

from capgen.evaluation.metrics import PRIMARY, Need, validation_metrics
from capgen.training import curves, run
from capgen.training.history import HISTORY, SCORE_COLUMNS, Epoch, History, Phase, TrainingReporter, read_history
from capgen.training.process_group import ProcessGroup

EPOCHS = [
    Epoch(0, 0.0, 2.9, {"CIDEr-D": 0.41, "BLEU-4": 0.2}, 3.5, Phase.WARM_START),
    Epoch(1, 2.75, 2.5, {"CIDEr-D": 0.5, "BLEU-4": 0.25}, 61.25),
    Epoch(2, -0.6, 2.6, {"CIDEr-D": 0.55, "BLEU-4": 0.26}, 80.0, Phase.SELF_CRITICAL, samples=(("1.png", "a dog"),)),
]


def test_an_epoch_comes_back_from_its_columns_without_its_samples():
    assert [Epoch.from_mapping(epoch.to_mapping()) for epoch in EPOCHS] == EPOCHS
    assert list(EPOCHS[0].to_mapping()) == ["epoch", "loss", "dev_loss", "cider_d", "bleu_4", "seconds", "phase"]


def test_the_history_of_an_earlier_version_is_read(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text(
        "number,loss,dev_loss,cider_d,bleu_4,seconds,phase\n"
        "0,0.0,2.9,0.41,0.2,3.5,start\n"
        "1,2.75,2.5,0.5,0.25,61.25,cross-entropy\n"
        "2,-0.6,2.6,0.55,0.26,80.0,self-critical\n"
    )
    assert read_history(path) == EPOCHS


def test_a_score_that_is_not_defined_is_an_empty_cell_and_comes_back_so(tmp_path):
    epochs = [Epoch(1, 2.0, 2.5, {"BLEU-4": 0.25}, 3.5), EPOCHS[1]]
    History(tmp_path).write(epochs)
    assert (tmp_path / HISTORY).read_text() == (
        "epoch,loss,dev_loss,cider_d,bleu_4,seconds,phase\n"
        "1,2.0,2.5,,0.25,3.5,cross-entropy\n"
        "1,2.75,2.5,0.5,0.25,61.25,cross-entropy\n"
    )
    assert read_history(tmp_path / HISTORY) == epochs
    assert epochs[0].score_texts == {"CIDEr-D": "–", "BLEU-4": "0.2500"}


def test_the_epochs_of_an_earlier_checkpoint_are_read():
    stored = {"epoch": 1, "loss": 2.75, "dev_loss": 2.5, "cider_d": 0.5, "bleu_4": 0.25, "seconds": 61.25, "phase": "start"}
    assert Epoch.from_mapping(stored) == replace(EPOCHS[1], phase=Phase.WARM_START)


def test_a_metric_that_is_computed_in_validation_has_a_column_without_further_ado():
    assert list(SCORE_COLUMNS) == [metric.name for metric in validation_metrics()]
    assert all(metric.needs == {Need.REFERENCES} and metric.is_quality for metric in validation_metrics())
    assert validation_metrics()[0].name == PRIMARY


@pytest.mark.parametrize("content", ["epoch,loss\n1,2.0\n", "epoch\nx\n"])
def test_a_file_that_is_not_a_history_is_refused(tmp_path, content):
    path = tmp_path / "history.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match="not the history of a training run"):
        read_history(path)


def test_only_epochs_of_cross_entropy_have_a_loss_to_compare():
    assert [epoch.is_cross_entropy for epoch in EPOCHS] == [False, True, False]


UNDEFINED = Epoch(3, 1.0, 2.0, {}, 3.5)


@pytest.mark.parametrize("epochs", [EPOCHS[:1], EPOCHS[:2], EPOCHS, EPOCHS[2:], [UNDEFINED], [*EPOCHS, UNDEFINED]])
def test_curves_are_drawn_of_any_epochs(epochs):
    image = Image.open(io.BytesIO(curves.draw(epochs)))
    assert (image.format, image.size) == ("PNG", (curves.WIDTH, curves.HEIGHT))
    assert image.convert("RGB").getcolors(1 << 20)[0][0] < image.width * image.height


def test_what_a_loop_did_not_record_before_it_was_stopped_is_recorded_when_it_goes_on(monkeypatch, tmp_path):
    written = []
    monkeypatch.setattr(run, "History", lambda *_: SimpleNamespace(write=lambda epochs: written.append(("history", epochs))))
    report = SimpleNamespace(write=lambda epochs, best, *, ended: written.append(("report", epochs)))
    monkeypatch.setattr(run, "RunReport", lambda *_: report)
    data = SimpleNamespace(dataset=None, config=None)
    loop = SimpleNamespace(run=lambda reporter: iter(()), epochs=EPOCHS, choice=SimpleNamespace(best=EPOCHS[-1]), data=data)
    run._record(loop, tmp_path, TrainingReporter(), ProcessGroup.single())
    assert written == [("history", EPOCHS), ("report", EPOCHS)]
