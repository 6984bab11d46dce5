"""How training is shown: live on a terminal, as plain lines in a log."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from capgen.cli.console import printable, say
from capgen.cli.training_time import Pace, TimeLeft
from capgen.training.history import EpochStart, TrainingReporter

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from capgen.training.choice import EpochChoice
    from capgen.training.history import Epoch

FRAME = 4
"""Lines of the table of epochs beside those of its epochs."""

NAMES = 24
"""The most characters of the name of an image beside its sample caption."""

MIN_ROWS = 4
"""The fewest epochs of the table, however low the screen is."""

ALIKE = "all captions for dev are alike, as they often are at first; they part as the loss falls"
"""What is said of the first epoch after which the captioner says the same of all images."""


class Silence(TrainingReporter):
    """A reporter that shows nothing."""


class PlainLines(TrainingReporter):
    """A reporter that prints one line for each epoch, with sample captions below it.

    Args:
        clock: Returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._has_said_alike = False
        self._exported: set[str] = set()
        self._time = TimeLeft(clock)

    def on_notice(self, text: str) -> None:
        """Print a notice."""
        say(text)

    def on_resume(self, epochs: "Sequence[Epoch]", best: "Epoch") -> None:
        """Print after which epoch training goes on."""
        say(f"going on after epoch {epochs[-1].number}; the best so far is epoch {best.number}")

    def on_epoch_start(self, start: EpochStart) -> None:
        """Print that training begins, so that a log is not empty for minutes."""
        if self._time.begin(start):
            say(_beginning(start))

    def on_step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """Print how long an epoch is."""
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

    def on_export(self, activity: str, done: int = 0, total: int = 0) -> None:
        """Print each part of the export once."""
        if activity not in self._exported:
            self._exported.add(activity)
            say(f"exporting the captioner: {activity}")

    def on_epoch(self, epoch: "Epoch", *, best: bool) -> None:
        """Print the loss and the scores of an epoch, and its sample captions."""
        self._time.end(epoch.seconds)
        number = _of(self._time.start) if epoch.number else "epoch 0"
        loss = f"loss {epoch.loss:.4f}" if epoch.number else "before training"
        scores = "".join(f", dev {name} {text}" for name, text in epoch.score_texts.items())
        left = self._time.text()
        say(
            f"{number}: {loss}, dev loss {epoch.dev_loss:.4f}{scores}, {epoch.seconds:.0f} s"
            f"{', best so far' if best else ''}{f'; {left}' if left else ''}"
        )
        for path, caption in epoch.samples:
            say(f"  {printable(Path(path).name)}: {caption}")
        if epoch.alike and not self._has_said_alike:
            self._has_said_alike = True
            say(ALIKE)

    def on_choice(self, choice: "EpochChoice") -> None:
        """Print which epoch is taken."""
        say(choice.describe())


def _of(start: EpochStart) -> str:
    """Say which epoch it is of how many, such as ``"epoch 3 of 100"``."""
    return f"epoch {start.number} of {start.last}"


def _beginning(start: EpochStart) -> str:
    """Say what begins with an epoch."""
    if not start.number:
        return "validating the captioner that training begins with"
    return f"training begins with {_of(start)}" + (f", then {start.following}" if start.following else "")


class LiveDisplay(TrainingReporter):
    """A reporter that redraws a table of the epochs, sample captions, and a bar of what is going on.

    On a screen with room for some epochs only, the table has the newest ones and the best. In the end all of them are left
    on the screen.

    Args:
        console: Where it is drawn; stderr by default.
        clock: Returns seconds.
    """

    def __init__(self, console: "Console | None" = None, clock: Callable[[], float] = time.monotonic) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.progress import BarColumn, Progress, TextColumn

        self._clock = clock
        self._activity = ""
        self._pace: Pace | None = None
        self._rows: list[Epoch] = []
        self._best: Epoch | None = None
        self._conclusion = ""
        self._has_ended = False
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[count]}"),
            TextColumn("{task.fields[loss]}"),
            TextColumn("{task.fields[pace]}"),
            expand=True,
        )
        self._time = TimeLeft(clock)
        self._begin("starting")
        self._live = Live(get_renderable=self._renderable, console=console or Console(stderr=True), refresh_per_second=4)
        self._live.start()

    def on_notice(self, text: str) -> None:
        """Print a notice above the table."""
        self._live.console.print(text, markup=False, highlight=False)

    def on_resume(self, epochs: "Sequence[Epoch]", best: "Epoch") -> None:
        """Show the epochs before the stop."""
        self._rows, self._best = list(epochs), best

    def on_epoch_start(self, start: EpochStart) -> None:
        """Show that an epoch begins; its first step may take long."""
        if self._conclusion:  # of the training of the encoder, which is followed by that of the decoder
            self.on_notice(self._conclusion)
            self._conclusion = ""
        self._time.begin(start)
        self._begin(_of(start) if start.number else _beginning(start))

    def on_step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """Show the step and the loss; after the last step, that the epoch is validated."""
        self._time.step(step, steps)
        self._advance(_of(self._time.start), step, steps, f"loss {loss:.4f}")
        if step == steps:
            self._begin(f"{_of(self._time.start)}: validating")

    def on_extract(self, done: int, total: int) -> None:
        """Show how many images have their features."""
        self._advance("extracting features", done, total)

    def on_caption(self, done: int, total: int) -> None:
        """Show how many training images are captioned."""
        self._advance("counting common captions", done, total)

    def on_export(self, activity: str, done: int = 0, total: int = 0) -> None:
        """Show what is done; the bar has no end where the duration is not known."""
        if total:
            self._advance(f"exporting: {activity}", done, total)
        else:
            self._begin(f"exporting: {activity}")

    def on_epoch(self, epoch: "Epoch", *, best: bool) -> None:
        """Add the epoch to the table; what follows it is shown when it begins."""
        self._time.end(epoch.seconds)
        self._begin(f"epoch {epoch.number}: recording")  # which draws curves and writes the report
        if epoch.alike and not any(earlier.alike for earlier in self._rows):
            self.on_notice(ALIKE)
        self._rows.append(epoch)
        if best:
            self._best = epoch

    def on_choice(self, choice: "EpochChoice") -> None:
        """Show which epoch is taken below the table."""
        self._conclusion = choice.describe()

    def _advance(self, activity: str, done: int, total: int, loss: str = "") -> None:
        if activity != self._activity or self._pace is None:
            self._begin(activity)
            self._pace = Pace(done, self._clock)
        task = self._bar.task_ids[0]
        self._bar.update(
            task, completed=done, total=total, count=f"{done}/{total}", loss=loss, pace=self._pace.text(done, total)
        )

    def _begin(self, activity: str) -> None:
        self._end()
        self._activity = activity
        self._bar.add_task(activity, total=None, count="", loss="", pace="")

    def _end(self) -> None:
        self._activity, self._pace = "", None
        for task in self._bar.task_ids:
            self._bar.remove_task(task)

    def _renderable(self) -> "RenderableType":
        """Return what is on the screen now: as many epochs as there is room for, samples, and what is going on."""
        from rich.console import Group
        from rich.text import Text

        rows = list(self._rows)  # which another thread may add to
        samples = [(printable(Path(path).name)[:NAMES], caption) for path, caption in (rows[-1].samples if rows else ())]
        width = max((len(name) for name, _ in samples), default=0)
        lines = [Text(f"{name:<{width}}  {caption}", no_wrap=True, overflow="ellipsis") for name, caption in samples]
        text = self._conclusion or ("" if self._has_ended else self._time.text())
        below = Group(*lines, *([Text(text)] if text else []), self._bar)
        if not rows:
            return below
        console = self._live.console
        room = console.size.height - len(console.render_lines(below, pad=False)) - FRAME - 1
        return Group(self._table(rows if self._has_ended else self._fitting(rows, max(MIN_ROWS, room))), below)

    def _fitting(self, rows: "list[Epoch]", room: int) -> "list[Epoch | None]":
        """Return the newest epochs that there is room for, below the best if it is older; None stands for those left out."""
        if len(rows) <= room:
            return [*rows]
        newest = rows[1 - room :]
        if self._best is None or any(epoch is self._best for epoch in newest):
            return [None, *newest]
        return [self._best, None, *newest[1:]]

    def _table(self, rows: "Sequence[Epoch | None]") -> "Table":
        """Return a table with a row for each epoch, of which the best is marked."""
        from rich.table import Table

        from capgen.training.history import SCORE_COLUMNS

        table = Table("epoch", "loss", "dev loss", *(f"dev {name}" for name in SCORE_COLUMNS), "seconds", "")
        for epoch in rows:
            if epoch is None:
                table.add_row("...")
                continue
            best = epoch is self._best
            cells = (f"{epoch.loss:.4f}" if epoch.number else "", f"{epoch.dev_loss:.4f}", *epoch.score_texts.values())
            table.add_row(
                str(epoch.number), *cells, f"{epoch.seconds:.0f}", "best" if best else "", style="bold" if best else None
            )
        return table

    def __enter__(self) -> "LiveDisplay":
        """Draw until the block ends."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Leave the table with all epochs on the screen, and which is taken, without a bar."""
        self._end()
        self._has_ended = True
        self._live.stop()
