"""The display of training: what it shows of many epochs on a low screen, and times that can be believed."""

import io

import pytest
from rich.console import Console

from capgen.cli.training_display import LiveDisplay, PlainLines
from capgen.cli.training_time import Pace, TimeLeft
from capgen.training.choice import EpochChoice
from capgen.training.history import Epoch, EpochStart


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self):
        return self.now


class Screen:
    """A display on a screen of a size, with what is on it."""

    def __init__(self, width=80, height=24):
        self.clock, self.file = Clock(), io.StringIO()
        # A console that ends after the test writes no codes of the cursor, so that it can be read.
        self.console = Console(file=self.file, force_terminal=True, width=width, height=height, color_system=None)
        self.display = LiveDisplay(self.console, self.clock)

    def lines(self):
        """What is on the screen now."""
        live = self.display._live
        lines = self.console.render_lines(live.get_renderable(), pad=False)
        return ["".join(segment.text for segment in line).rstrip() for line in lines]

    def bar(self):
        """The line of what is going on, without the bar itself."""
        return " ".join(word for word in self.lines()[-1].split() if not set(word) <= set("━╸╺ "))

    def epoch(self, number, score, *, best=False, last=100, samples=(), seconds=2.0):
        """Train an epoch."""
        self.display.on_epoch_start(EpochStart(number, last))
        for step in (1, 2, 3):
            self.display.on_step(number, step, 3, 1.0)
        self.clock.now += seconds
        self.display.on_epoch(
            Epoch(number, 1.0, 1.0, {"CIDEr-D": score, "BLEU-4": 0.1}, seconds, samples=samples), best=best
        )


@pytest.fixture
def screen():
    """A display on a screen of 80 columns and 24 lines."""
    made = Screen()
    with made.display:
        yield made


SAMPLES = tuple((f"/photographs/{'a-name-that-is-long-' * 3}{n}.jpg", f"a caption of many words {n} " * 9) for n in range(3))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (80, 14)])
def test_the_newest_epochs_the_samples_and_the_bar_fit_the_screen_whatever_the_epoch(width, height):
    screen = Screen(width, height)
    with screen.display:
        for number in range(1, 51):
            screen.epoch(number, number / 100 if number < 30 else 0.2, best=number < 30, samples=SAMPLES)
            screen.display.on_epoch_start(EpochStart(number + 1, 100))
            screen.display.on_step(number + 1, 1, 300, 2.5)
            lines = screen.lines()
            assert len(lines) < height
            assert max(map(len, lines)) <= width
            assert any(line.startswith(f"│ {number} ") for line in lines)
            assert f"epoch {number + 1} of 100" in lines[-1]
            assert "1/300" in lines[-1]
            assert "left for all 100 epochs" in lines[-2]
            assert sum(line.startswith("a-name-that-is-long-") for line in lines) == 3
            assert sum(" best " in line for line in lines) == 1
        assert any(line.startswith("│ 29 ") and " best " in line for line in lines)
        assert any("..." in line for line in lines)


def test_in_the_end_all_epochs_are_on_the_screen_with_one_that_is_best_and_what_was_gained():
    screen = Screen()
    with screen.display:
        for number in range(1, 51):
            screen.epoch(number, 0.5, best=number in {1, 7})
        taken = screen.display._rows[6]
        screen.display.on_choice(EpochChoice(taken, taken, taken, taken))
        screen.file.truncate(0)
    text = screen.file.getvalue()
    assert all(f"│ {number} " in text for number in range(1, 51))
    assert [line for line in screen.lines() if " best " in line] == [
        line for line in screen.lines() if line.startswith("│ 7 ")
    ]
    assert "epoch 7 is taken by dev CIDEr-D" in text
    assert "left for all" not in screen.lines()[-1]


def test_something_is_shown_before_the_first_step(screen):
    assert screen.bar() == "starting"
    screen.display.on_epoch_start(EpochStart(0, 0))
    assert screen.bar() == "validating the captioner that training begins with"
    screen.display.on_epoch_start(EpochStart(1, 9))
    assert screen.bar() == "epoch 1 of 9"


def test_the_epochs_before_a_stop_are_shown_and_the_best_of_them_is_marked(screen):
    earlier = [Epoch(number, 1.0, 1.0, {"CIDEr-D": 0.5}, 2.0) for number in (1, 2, 3)]
    screen.display.on_resume(earlier, earlier[1])
    screen.epoch(4, 0.4)
    rows = [line for line in screen.lines() if line.startswith("│")]
    assert [row.split()[1] for row in rows] == ["1", "2", "3", "4"]
    assert [" best " in row for row in rows] == [False, True, False, False]


def test_each_part_of_the_export_is_shown(screen):
    screen.epoch(1, 0.5, best=True, last=1)
    screen.display.on_export("converting the decoder")
    assert screen.bar() == "exporting: converting the decoder"
    screen.display.on_export("captioning the dev images", 3, 30)
    screen.clock.now += 2
    screen.display.on_export("captioning the dev images", 13, 30)
    assert screen.bar() == "exporting: captioning the dev images 13/30 5.0/s, 0:00:03 left"


def test_each_activity_begins_with_a_rate_of_its_own(screen):
    screen.display.on_extract(1, 100)
    assert screen.bar() == "extracting features 1/100"
    screen.clock.now += 2
    screen.display.on_extract(21, 100)
    assert screen.bar() == "extracting features 21/100 10.0/s, 0:00:08 left"
    screen.display.on_epoch_start(EpochStart(1, 1))
    screen.clock.now += 60  # the first step takes long, and is not counted
    screen.display.on_step(1, 1, 50, 3.0)
    assert screen.bar() == "epoch 1 of 1 1/50 loss 3.0000"
    screen.clock.now += 4
    screen.display.on_step(1, 3, 50, 3.0)
    assert screen.bar() == "epoch 1 of 1 3/50 loss 3.0000 0.5/s, 0:01:34 left"
    screen.display.on_step(1, 50, 50, 3.0)
    assert screen.bar() == "epoch 1 of 1: validating"


def test_the_time_left_is_that_of_all_epochs_and_of_what_is_left_of_this_one():
    clock = Clock()
    time = TimeLeft(clock)
    time.begin(EpochStart(1, 4, "self-critical epochs"))
    assert time.text() == ""
    time.step(1, 11)
    clock.now += 10
    time.step(6, 11)  # 0.5 steps in a second
    assert time.left() == pytest.approx((4 * 11 - 6) / 0.5)
    time.end(40.0)
    assert time.text() == "about 0:02:00 left for all 4 epochs, then self-critical epochs"
    time.begin(EpochStart(2, 4, "self-critical epochs"))
    time.end(20.0)
    time.begin(EpochStart(3, 4, "self-critical epochs"))
    clock.now += 5
    assert time.left() == pytest.approx(20 + 15)  # the first epoch, with compilation, does not count any longer
    clock.now += 100
    assert time.left() == pytest.approx(20)
    time.end(105.0)
    time.begin(EpochStart(4, 5))  # of another kind, whose epochs may take longer
    assert time.text() == ""


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


def test_a_log_says_at_once_that_training_begins_and_after_each_epoch_how_long_it_will_take(capsys):
    clock = Clock()
    lines = PlainLines(clock)
    lines.on_resume([Epoch(1, 1.0, 1.0, {}, 1.0), Epoch(2, 1.0, 1.0, {}, 1.0)], Epoch(1, 1.0, 1.0, {}, 1.0))
    for number in (3, 4):
        lines.on_epoch_start(EpochStart(number, 4))
        lines.on_epoch(Epoch(number, 1.5, 2.0, {"CIDEr-D": 0.5, "BLEU-4": 0.1}, 90.0), best=number == 3)
    for activity in ("converting the decoder", "captioning the dev images", "captioning the dev images"):
        lines.on_export(activity)
    assert capsys.readouterr().err.splitlines() == [
        "going on after epoch 2; the best so far is epoch 1",
        "training begins with epoch 3 of 4",
        "epoch 3 of 4: loss 1.5000, dev loss 2.0000, dev CIDEr-D 0.5000, dev BLEU-4 0.1000, 90 s, best so far; "
        "about 0:01:30 left for all 4 epochs",
        "epoch 4 of 4: loss 1.5000, dev loss 2.0000, dev CIDEr-D 0.5000, dev BLEU-4 0.1000, 90 s",
        "exporting the captioner: converting the decoder",
        "exporting the captioner: captioning the dev images",
    ]


def test_notices_are_shown_above_the_table_and_the_choice_of_the_epoch_below_it(screen):
    epoch = Epoch(1, 1.0, 2.0, {"CIDEr-D": 0.5}, 1.0, alike=True)
    screen.display.on_notice("17 training [images] are few")
    screen.display.on_epoch(epoch, best=True)
    screen.display.on_choice(EpochChoice(epoch, epoch, epoch, epoch))
    text = screen.file.getvalue()
    assert "17 training [images] are few" in text
    assert "all captions for dev are alike" in text
    assert "epoch 1 is taken by dev CIDEr-D" in " ".join(screen.lines())
    screen.display.on_epoch_start(EpochStart(0, 0))  # that was the encoder, and the decoder follows
    assert "epoch 1 is taken by dev CIDEr-D" not in " ".join(screen.lines())
    assert "epoch 1 is taken by dev CIDEr-D" in screen.file.getvalue()
