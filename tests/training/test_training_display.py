"""The live display of training: what it shows between epochs and at the end, and rates that can be believed."""

import io

import pytest
from rich.console import Console

from capgen.cli.training_display import LiveDisplay, Pace, PlainLines
from capgen.training.choice import EpochChoice
from capgen.training.history import Epoch


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def shown():
    """A display on a console of its own, with a function that returns its activities as they are shown."""
    clock = Clock()
    with LiveDisplay(Console(file=io.StringIO(), force_terminal=True, width=120), clock) as display:
        display.clock = clock
        display.tasks = lambda: [(t.description, t.fields["count"], t.fields["pace"]) for t in display._bar.tasks]
        yield display


def test_an_export_after_the_last_epoch_is_called_one(shown):
    for epoch in (1, 2):
        for step in (1, 2, 3):
            shown.on_step(epoch, step, 3, 1.0)
        assert shown.tasks() == [(f"epoch {epoch}: validating", "", "")]
        shown.on_epoch(Epoch(epoch, 1.0, 1.0, {"CIDEr-D": 0.5, "BLEU-4": 0.1}, 2.0), best=True)
        assert shown.tasks() == []
    shown.on_export()
    assert shown.tasks() == [("exporting", "", "")]


def test_each_activity_begins_with_a_rate_of_its_own(shown):
    shown.on_extract(1, 100)
    assert shown.tasks() == [("extracting features", "1/100", "")]
    shown.clock.now += 2
    shown.on_extract(21, 100)
    assert shown.tasks() == [("extracting features", "21/100", "10.0/s, 0:00:08 left")]
    shown.on_step(1, 1, 50, 3.0)
    assert shown.tasks() == [("epoch 1", "1/50", "")]
    shown.clock.now += 4
    shown.on_step(1, 3, 50, 3.0)
    assert shown.tasks() == [("epoch 1", "3/50", "0.5/s, 0:01:34 left")]


def test_a_rate_is_not_shown_before_there_was_time_to_measure_it():
    clock = Clock()
    pace = Pace(1, clock)
    clock.now += 0.01
    assert pace.rate(5) is None
    clock.now += 2
    assert pace.rate(1) is None
    assert pace.rate(5) == pytest.approx(4 / 2.01)


def test_captions_that_are_all_alike_are_spoken_of_once(capsys):
    lines = PlainLines()
    for number in (1, 2, 3):
        lines.on_epoch(Epoch(number, 1.0, 1.0, {}, 1.0, alike=number < 3), best=False)
    assert capsys.readouterr().err.count("all captions for dev are alike") == 1


def test_notices_and_the_choice_of_the_epoch_are_shown_beside_the_table(shown):
    epoch = Epoch(1, 1.0, 2.0, {"CIDEr-D": 0.5}, 1.0, alike=True)
    shown.on_notice("17 training [images] are few")
    shown.on_epoch(epoch, best=True)
    shown.on_choice(EpochChoice(epoch, epoch, epoch, epoch))
    text = shown._live.console.file.getvalue()
    assert "17 training [images] are few" in text
    assert "all captions for dev are alike" in text
    assert "epoch 1 is taken by dev CIDEr-D" in text
