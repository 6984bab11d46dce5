"""How training is shown: live on a terminal, as plain lines in a log."""

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from capgen.cli.console import say
from capgen.training.history import TrainingReporter

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from capgen.training.choice import EpochChoice
    from capgen.training.history import Epoch

MIN_SECONDS = 1.0
"""Seconds that an activity must have taken before its rate and the time left are shown."""


ALIKE = "all captions for dev are alike, as they often are at first; they part as the loss falls"
"""What is said of the first epoch after which the captioner says the same of all images."""


class Silence(TrainingReporter):
    """A reporter that shows nothing."""


class PlainLines(TrainingReporter):
    """A reporter that prints one line for each epoch, with sample captions below it."""

    def __init__(self) -> None:
        self._has_said_alike = False

    def on_notice(self, text: str) -> None:
        """Print a notice."""
        say(text)

    def on_step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """Print that training has begun, so that a log is not empty for minutes."""
        if epoch == 1 and step == 1:
            say(f"training: {steps} steps an epoch")

    def on_extract(self, done: int, total: int) -> None:
        """Print that the extraction of features has begun."""
        if done == 1:
            say(f"extracting the features of {total:,} images with the captioner's own encoder")

    def on_caption(self, done: int, total: int) -> None:
        """Print that the counting of common captions has begun."""
        if not done:
            say(f"captioning {total:,} training images to count which captions are common")

    def on_export(self) -> None:
        """Print that the captioner is exported."""
        say("exporting the captioner")

    def on_epoch(self, epoch: "Epoch", *, best: bool) -> None:
        """Print the loss and the scores of an epoch, and its sample captions."""
        loss = f"loss {epoch.loss:.4f}" if epoch.number else "before training"
        scores = "".join(f", dev {name} {text}" for name, text in epoch.score_texts.items())
        say(
            f"epoch {epoch.number}: {loss}, dev loss {epoch.dev_loss:.4f}{scores}, "
            f"{epoch.seconds:.0f} s{', best so far' if best else ''}"
        )
        for path, caption in epoch.samples:
            say(f"  {Path(path).name}: {caption}")
        if epoch.alike and not self._has_said_alike:
            self._has_said_alike = True
            say(ALIKE)

    def on_choice(self, choice: "EpochChoice") -> None:
        """Print which epoch is taken."""
        say(choice.describe())


class Pace:
    """The rate of one activity and the time that it has left, measured from its first report on.

    The first report counts as zero, because the time that it took, compilation included, is not known.

    Args:
        done: The count of the first report.
        clock: Returns seconds.
    """

    def __init__(self, done: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._first, self._started = clock, done, clock()

    def rate(self, done: int) -> float | None:
        """Return how many are done in a second; ``None`` while too little time has passed to tell."""
        elapsed = self._clock() - self._started
        return (done - self._first) / elapsed if elapsed >= MIN_SECONDS and done > self._first else None

    def text(self, done: int, total: int) -> str:
        """Say the rate and the time left, such as ``"12.0/s, 0:01:30 left"``; an empty text while they are not known."""
        rate = self.rate(done)
        return f"{rate:,.1f}/s, {timedelta(seconds=round((total - done) / rate))} left" if rate else ""


class LiveDisplay(TrainingReporter):
    """A reporter that redraws a table of the epochs, sample captions, and a bar of what is going on.

    Args:
        console: Where it is drawn; stderr by default.
        clock: Returns seconds.
    """

    def __init__(self, console: "Console | None" = None, clock: Callable[[], float] = time.monotonic) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.progress import BarColumn, Progress, TextColumn

        self._clock = clock
        self._rows: list[tuple[Epoch, bool]] = []
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[count]}"),
            TextColumn("{task.fields[loss]}"),
            TextColumn("{task.fields[pace]}"),
        )
        self._activity = ""
        self._pace = Pace(0, clock)
        self._live = Live(self._renderable(), console=console or Console(stderr=True), refresh_per_second=4)
        self._live.start()

    def on_notice(self, text: str) -> None:
        """Print a notice above the table."""
        self._live.console.print(text, markup=False, highlight=False)

    def on_step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """Show the step and the loss; after the last step, that the epoch is validated."""
        self._advance(f"epoch {epoch}", step, steps, f"loss {loss:.4f}")
        if step == steps:
            self._begin(f"epoch {epoch}: validating")

    def on_extract(self, done: int, total: int) -> None:
        """Show how many images have their features."""
        self._advance("extracting features", done, total)

    def on_caption(self, done: int, total: int) -> None:
        """Show how many training images are captioned."""
        self._advance("counting common captions", done, total)

    def on_export(self) -> None:
        """Show a bar without an end, since the duration of an export is not known."""
        self._begin("exporting")

    def on_epoch(self, epoch: "Epoch", *, best: bool) -> None:
        """Add the epoch to the table; what follows it is shown when it begins."""
        self._end()
        if epoch.alike and not any(earlier.alike for earlier, _ in self._rows):
            self.on_notice(ALIKE)
        self._rows.append((epoch, best))
        self._live.update(self._renderable())

    def on_choice(self, choice: "EpochChoice") -> None:
        """Print which epoch is taken above the table."""
        self.on_notice(choice.describe())

    def _advance(self, activity: str, done: int, total: int, loss: str = "") -> None:
        if activity != self._activity:
            self._begin(activity, done)
        task = self._bar.task_ids[0]
        self._bar.update(
            task, completed=done, total=total, count=f"{done}/{total}", loss=loss, pace=self._pace.text(done, total)
        )

    def _begin(self, activity: str, done: int = 0) -> None:
        self._end()
        self._activity, self._pace = activity, Pace(done, self._clock)
        self._bar.add_task(activity, total=None, count="", loss="", pace="")

    def _end(self) -> None:
        self._activity = ""
        for task in self._bar.task_ids:
            self._bar.remove_task(task)

    def _renderable(self) -> "RenderableType":
        from rich.console import Group
        from rich.table import Table

        from capgen.training.history import SCORE_COLUMNS

        table = Table("epoch", "loss", "dev loss", *(f"dev {name}" for name in SCORE_COLUMNS), "seconds", "")
        for epoch, best in self._rows:
            loss = f"{epoch.loss:.4f}" if epoch.number else ""
            scores = epoch.score_texts.values()
            table.add_row(
                str(epoch.number), loss, f"{epoch.dev_loss:.4f}", *scores, f"{epoch.seconds:.0f}", "best" if best else ""
            )
        samples = Table.grid(padding=(0, 2))
        for path, caption in self._rows[-1][0].samples if self._rows else ():
            samples.add_row(Path(path).name, caption)
        return Group(table, samples, self._bar)

    def __enter__(self) -> "LiveDisplay":
        """Draw until the block ends."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Leave the table on the screen, without a bar."""
        self._end()
        self._live.update(self._renderable(), refresh=True)
        self._live.stop()
