"""How training is shown: live on a terminal, as plain lines in a log."""

from pathlib import Path
from typing import TYPE_CHECKING

from capgen.cli.console import say

if TYPE_CHECKING:
    from rich.console import RenderableType

    from capgen.training.history import Epoch


class Silence:
    """Shows nothing."""

    def on_step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """See ``TrainingReporter.on_step``."""

    def on_extract(self, done: int, total: int) -> None:
        """See ``TrainingReporter.on_extract``."""

    def on_caption(self, done: int, total: int) -> None:
        """See ``TrainingReporter.on_caption``."""

    def on_epoch(self, epoch: "Epoch", *, best: bool) -> None:
        """See ``TrainingReporter.on_epoch``."""


class PlainLines:
    """Prints a line an epoch and the sample captions below it."""

    def on_step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """Say that training has begun, so that a log is not empty for minutes."""
        if epoch == 1 and step == 1:
            say(f"training: {steps} steps an epoch")

    def on_extract(self, done: int, total: int) -> None:
        """Say that it has begun."""
        if done == 1:
            say(f"describing {total:,} pictures with the captioner's own encoder")

    def on_caption(self, done: int, total: int) -> None:
        """Say that it has begun."""
        if not done:
            say(f"counting how often the same is said of {total:,} training pictures")

    def on_epoch(self, epoch: "Epoch", *, best: bool) -> None:
        """Print the epoch."""
        loss = f"loss {epoch.loss:.4f}" if epoch.number else "as it begins"
        say(
            f"epoch {epoch.number}: {loss}, dev loss {epoch.dev_loss:.4f}, dev CIDEr-D {epoch.cider_d:.4f}, "
            f"dev BLEU-4 {epoch.bleu_4:.4f}, {epoch.seconds:.0f} s{', best so far' if best else ''}"
        )
        for path, caption in epoch.samples:
            say(f"  {Path(path).name}: {caption}")


class LiveDisplay:
    """Redraws a table of epochs and a bar of the present one."""

    def __init__(self) -> None:
        """Start drawing."""
        from rich.console import Console
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[loss]}"),
            TimeRemainingColumn(),
        )
        self._task = self._bar.add_task("epoch 1", total=None, loss="")
        self._rows: list[tuple[Epoch, bool]] = []
        self._live = Live(self._picture(), console=self._console, refresh_per_second=4)
        self._live.start()

    def on_step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=step, total=steps, description=f"epoch {epoch}", loss=f"loss {loss:.4f}")

    def on_extract(self, done: int, total: int) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=done, total=total, description="describing pictures", loss="")

    def on_caption(self, done: int, total: int) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=done, total=total, description="counting captions", loss="")

    def on_epoch(self, epoch: "Epoch", *, best: bool) -> None:
        """Add the epoch to the table."""
        self._rows.append((epoch, best))
        self._bar.reset(self._task, description=f"epoch {epoch.number + 1}", loss="")
        self._live.update(self._picture())

    def _picture(self) -> "RenderableType":
        from rich.console import Group
        from rich.table import Table

        table = Table("epoch", "loss", "dev loss", "dev CIDEr-D", "dev BLEU-4", "seconds", "")
        for epoch, best in self._rows:
            loss = f"{epoch.loss:.4f}" if epoch.number else ""
            numbers = (epoch.dev_loss, epoch.cider_d, epoch.bleu_4)
            table.add_row(
                str(epoch.number), loss, *(f"{n:.4f}" for n in numbers), f"{epoch.seconds:.0f}", "best" if best else ""
            )
        samples = Table.grid(padding=(0, 2))
        for path, caption in self._rows[-1][0].samples if self._rows else ():
            samples.add_row(Path(path).name, caption)
        return Group(table, samples, self._bar)

    def __enter__(self) -> "LiveDisplay":
        """Draw until the block ends."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Leave the last picture on the screen."""
        self._bar.remove_task(self._task)
        self._live.update(self._picture(), refresh=True)
        self._live.stop()
