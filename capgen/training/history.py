"""What a run achieved, epoch by epoch, and its records: ``history.csv``, ``curves.png`` and TensorBoard's events."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capgen.evaluation.metrics import validation_metrics
from capgen.storage import files
from capgen.training import curves

if TYPE_CHECKING:
    from capgen.training.choice import EpochChoice

HISTORY, CURVES = "history.csv", "curves.png"


class Phase(StrEnum):
    """What an epoch trains with."""

    WARM_START = "warm-start"
    """The captioner that a run starts from is evaluated; nothing is trained."""

    CROSS_ENTROPY = "cross-entropy"
    """Teacher forcing on the human captions."""

    SELF_CRITICAL = "self-critical"
    """Self-critical sequence training (SCST) on sampled captions."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch achieved.

    Attributes:
        number: From 1; 0 is the captioner that a run starts from.
        loss: The mean training loss of a word, label smoothing included; of a self-critical epoch the negative mean reward.
        dev_loss: The mean cross-entropy of a word on dev, in nats, teacher-forced, without label smoothing.
        scores: The scores of the captions generated for dev, by the names of ``validation_metrics``. A score that is not
            defined for them is not among them.
        seconds: The wall time of the epoch, validation included.
        phase: What it trained with.
        samples: The paths of some dev images, each with the caption generated for it.
        alike: Whether all dev images were given the same caption.
        per_image: What each dev image adds to the primary metric, (N,); empty where that is not defined or not known.
        dev_images: The number of dev images, on which losses and scores are means; 0 if it is not known.
    """

    number: int
    loss: float
    dev_loss: float
    scores: Mapping[str, float]
    seconds: float
    phase: Phase = Phase.CROSS_ENTROPY
    samples: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    alike: bool = field(default=False, compare=False)
    per_image: tuple[float, ...] = field(default=(), compare=False)
    dev_images: int = field(default=0, compare=False)

    @property
    def is_cross_entropy(self) -> bool:
        """Whether the loss is a cross-entropy, which can be drawn on one axis with that of other epochs."""
        return self.phase == Phase.CROSS_ENTROPY

    @property
    def score_texts(self) -> dict[str, str]:
        """The scores of dev as tables show them, by the name of the metric; a dash for one that is not defined."""
        return {
            metric.name: metric.text(self.scores[metric.name]) if metric.name in self.scores else "–"
            for metric in validation_metrics()
        }

    @property
    def curve_values(self) -> dict[str, float]:
        """The losses and the scores by column, for curves."""
        scores = {column(name): value for name, value in self.scores.items()}
        return {"loss": self.loss, "dev_loss": self.dev_loss, **scores}

    def to_mapping(self) -> dict[str, Any]:
        """Return the columns of ``history.csv`` by name; what is known of single images is not among them."""
        return {"epoch": self.number, **self.curve_values, "seconds": self.seconds, "phase": self.phase}

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "Epoch":
        """Make an epoch of what ``to_mapping`` returned, of this version or of one before, numbers as such or as text."""
        renamed = {ALIASES.get(key, key): value for key, value in values.items()}
        return cls(
            number=int(renamed["epoch"]),
            loss=float(renamed["loss"]),
            dev_loss=float(renamed["dev_loss"]),
            scores={name: float(renamed[key]) for name, key in SCORE_COLUMNS.items() if renamed.get(key, "") != ""},
            seconds=float(renamed["seconds"]),
            phase=Phase(PHASE_ALIASES.get(renamed["phase"], renamed["phase"])),
        )


@dataclass(frozen=True)
class EpochStart:
    """Where in a run an epoch begins.

    Attributes:
        number: The number of the epoch; 0 is the validation of the captioner that a run starts from.
        last: The number of the last epoch of its kind, unless training stops before it; 0 for that validation.
        following: What is trained after the epochs of its kind; empty for nothing.
    """

    number: int
    last: int
    following: str = ""


def column(metric: str) -> str:
    """Return what ``history.csv`` and TensorBoard call the score of a metric on dev, such as ``"cider_d"``."""
    return metric.lower().replace("-", "_").replace(" ", "_")


SCORE_COLUMNS = {metric.name: column(metric.name) for metric in validation_metrics()}
"""The column of each score, by the name of its metric."""

COLUMNS = ("epoch", "loss", "dev_loss", *SCORE_COLUMNS.values(), "seconds", "phase")
"""The columns of ``history.csv``; that of a score is empty where the score is not defined."""

ALIASES = {"number": "epoch"}
"""The names that earlier versions gave to columns."""

PHASE_ALIASES = {"start": Phase.WARM_START}
"""The names that earlier versions gave to phases."""


class TrainingReporter:
    """Receives the progress of a training; every method may be overridden."""

    def on_notice(self, text: str) -> None:
        """Called before the first step with each sentence of ``notices``."""

    def on_resume(self, epochs: Sequence[Epoch], best: Epoch) -> None:
        """Called before the first epoch of a loop that goes on, with the epochs before it and the best of them."""

    def on_epoch_start(self, start: EpochStart) -> None:
        """Called before the first step of each epoch."""

    def on_step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """Called after each training step, counted from 1; ``loss`` is the mean of the epoch so far."""

    def on_extract(self, done: int, total: int) -> None:
        """Called for each image whose features are extracted, where the encoder is not the data set's own."""

    def on_caption(self, done: int, total: int) -> None:
        """Called while the training images are captioned at the end, to count which captions are common."""

    def on_export(self, activity: str, done: int = 0, total: int = 0) -> None:
        """Called while the captioner is exported after the last epoch, when each part of that begins and while it goes on.

        Args:
            activity: What is done, such as ``"converting the decoder"``.
            done: How many images are done.
            total: How many there are; 0 if they are not counted.
        """

    def on_epoch(self, epoch: Epoch, *, best: bool) -> None:
        """Called after each epoch; ``best`` says that it is better than all before."""

    def on_choice(self, choice: "EpochChoice") -> None:
        """Called after the last epoch with the one whose weights are taken."""


class History:
    """Records the epochs of a run as a table, as an image of curves and as TensorBoard's events.

    Args:
        folder: The folder of the run.
    """

    def __init__(self, folder: Path) -> None:
        import tensorflow as tf

        self._folder = folder
        self._events = tf.summary.create_file_writer(str(folder / "events"))

    def write(self, epochs: Sequence[Epoch]) -> None:
        """Write the table and the curves of all epochs anew, and the events of the last.

        Raises:
            StorageError: A file cannot be written.
        """
        buffer = io.StringIO()
        table = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(epoch.to_mapping() for epoch in epochs)
        files.write_text(self._folder / HISTORY, buffer.getvalue())
        files.write_bytes(self._folder / CURVES, curves.draw(epochs))
        self._write_events(epochs[-1])

    def _write_events(self, epoch: Epoch) -> None:
        """Write scalars as TensorBoard's own plugin does, which need not be installed."""
        import tensorflow as tf

        metadata = tf.compat.v1.SummaryMetadata()
        metadata.plugin_data.plugin_name = "scalars"
        with self._events.as_default():
            for name, value in epoch.curve_values.items():
                tf.summary.write(name, tf.constant(value, tf.float32), step=epoch.number, metadata=metadata)
        self._events.flush()


def read_history(path: Path) -> list[Epoch]:
    """Read a ``history.csv``, of this version or of one before.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not a history.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [Epoch.from_mapping(row) for row in csv.DictReader(file)]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not the history of a training run") from error
