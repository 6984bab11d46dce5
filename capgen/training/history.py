"""What a run achieved, epoch by epoch, and its records: ``history.csv``, ``curves.png`` and TensorBoard's events."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

from capgen.storage import files
from capgen.training import curves

HISTORY, CURVES = "history.csv", "curves.png"

BEGUN, CROSS_ENTROPY, SELF_CRITICAL = "start", "cross-entropy", "self-critical"


@dataclass(frozen=True)
class Epoch:
    """What one epoch achieved.

    Attributes:
        number: From 1; 0 is the captioner that a run goes on from.
        loss: Mean training loss of a word, label smoothing included; of a self-critical epoch the mean reward, negative.
        dev_loss: Mean cross-entropy of a word on dev, in nats, teacher-forced, without smoothing.
        cider_d: CIDEr-D of decoded dev captions.
        bleu_4: BLEU-4 of the same.
        seconds: Wall time, decoding included.
        phase: ``start``, ``cross-entropy`` or ``self-critical``.
        samples: Some dev pictures' paths with the captions written for them.
    """

    number: int
    loss: float
    dev_loss: float
    cider_d: float
    bleu_4: float
    seconds: float
    phase: str = CROSS_ENTROPY
    samples: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    @property
    def taught(self) -> bool:
        """Whether its loss is a cross-entropy, which can be drawn beside that of others."""
        return self.phase == CROSS_ENTROPY

    def plain(self) -> dict[str, Any]:
        """Return the numbers by name."""
        return {name: getattr(self, name) for name in COLUMNS}


COLUMNS = tuple(item.name for item in fields(Epoch) if item.name != "samples")
"""The columns of ``history.csv``."""


class Observer(Protocol):
    """Who is told how training goes; every method may do nothing."""

    def on_step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """Called after each training step, counted from 1; ``loss`` is the mean of the epoch so far."""

    def on_describe(self, done: int, total: int) -> None:
        """Called for each picture described by an encoder that was trained along."""

    def on_count(self, done: int, total: int) -> None:
        """Called while what is said of the training pictures is counted, at the end."""

    def on_epoch(self, epoch: Epoch, *, best: bool) -> None:
        """Called after each epoch; ``best`` when its captions beat all before."""


class History:
    """The epochs so far, as a table, a picture and TensorBoard's events.

    Args:
        folder: The folder of the run.
    """

    def __init__(self, folder: Path) -> None:
        """Open the events."""
        import tensorflow as tf

        self._folder = folder
        self._events = tf.summary.create_file_writer(str(folder / "events"))

    def write(self, epochs: Sequence[Epoch]) -> None:
        """Write the table and the picture anew, and the last epoch's events."""
        buffer = io.StringIO()
        table = csv.writer(buffer, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows([getattr(epoch, name) for name in COLUMNS] for epoch in epochs)
        files.write_text(self._folder / HISTORY, buffer.getvalue())
        files.write_bytes(self._folder / CURVES, curves.draw(epochs))
        self._write_events(epochs[-1])

    def _write_events(self, epoch: Epoch) -> None:
        """Write scalars as TensorBoard's own plugin does, which need not be installed."""
        import tensorflow as tf

        metadata = tf.compat.v1.SummaryMetadata()
        metadata.plugin_data.plugin_name = "scalars"
        with self._events.as_default():
            for name in ("loss", "dev_loss", "cider_d", "bleu_4"):
                tf.summary.write(name, tf.constant(getattr(epoch, name), tf.float32), step=epoch.number, metadata=metadata)
        self._events.flush()
