"""The report of a training run: its curves, the captions of some dev images epoch by epoch, its settings and its data."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capgen.evaluation import report
from capgen.evaluation.metrics import METRICS, PRIMARY
from capgen.evaluation.report import thumbnails
from capgen.storage import files

if TYPE_CHECKING:
    from capgen.datasets.prepared import PreparedDataset
    from capgen.training.config import TrainingConfig
    from capgen.training.history import Epoch

REPORT, SAMPLES = "report.html", "samples.json"
"""The page, and the sample captions of all epochs, which checkpoints do not hold."""


class RunReport:
    """The page of one run, written anew after each epoch.

    Args:
        folder: The folder of the run. Where the run goes on, it holds the samples of the epochs before.
        data: The data set.
        config: The hyper-parameters.
    """

    def __init__(self, folder: Path, data: "PreparedDataset", config: "TrainingConfig") -> None:
        self._folder, self._data, self._config = folder, data, config
        self._dev = {image.path: image for image in data.images if image.split == "dev"}
        self._thumbnails: dict[str, dict[str, Any]] = {}
        self._samples: dict[int, list[list[str]]] = _read_samples(folder / SAMPLES)

    def write(self, epochs: "Sequence[Epoch]", best: "Epoch", *, ended: bool) -> None:
        """Write the page and the samples.

        Args:
            epochs: All epochs so far, at least one.
            best: The best of them.
            ended: Whether no more epochs follow.

        Raises:
            StorageError: A file cannot be written.
        """
        self._samples.update({epoch.number: [list(pair) for pair in epoch.samples] for epoch in epochs if epoch.samples})
        files.write_json(self._folder / SAMPLES, self._samples)
        report.write(self._folder / REPORT, self.describe(epochs, best, ended=ended))

    def describe(self, epochs: "Sequence[Epoch]", best: "Epoch", *, ended: bool) -> dict[str, Any]:
        """Return what the page shows, in the form that ``capgen.evaluation.report.write`` takes."""
        last = epochs[-1].number
        until_now = "" if ended else " so far"
        subtitle = (
            f"In the run {self._folder.name}, the best epoch{until_now} is {best.number}, with {PRIMARY} "
            f"{best.score_texts[PRIMARY]} on dev ({METRICS[PRIMARY].scale})."
        )
        return {
            "title": f"Training on {self._data.name} "
            + (f"has ended after epoch {last}" if ended else "is not at its end yet"),
            "subtitle": subtitle if ended else f"{subtitle} Epoch {last} is done; this page is written anew after each.",
            "curves": _curves(epochs, best),
            "samples": self._samples_by_image(),
            "tables": [_epoch_table(epochs, best), self._data_table(), self._configuration_table()],
        }

    def _samples_by_image(self) -> list[dict[str, Any]]:
        captions: dict[str, list[tuple[int, str]]] = {}
        for number, samples in sorted(self._samples.items()):
            for path, caption in samples:
                captions.setdefault(path, []).append((number, caption))
        return [
            {
                "name": Path(path).name,
                "caption": by_epoch[-1][1],
                "references": list(self._dev[path].captions) if path in self._dev else [],
                "captions": by_epoch,
                **self._thumbnail(path),
            }
            for path, by_epoch in captions.items()
        ]

    def _thumbnail(self, path: str) -> dict[str, Any]:
        if path not in self._thumbnails:
            self._thumbnails[path] = thumbnails.thumbnail(Path(path))
        return self._thumbnails[path]

    def _data_table(self) -> dict[str, Any]:
        data = self._data
        rows = [
            ("data set", data.name),
            ("sources", "; ".join(data.sources)),
            ("encoder", data.encoder),
            ("augmentations", ", ".join(data.augmentations)),
            ("fingerprint", data.fingerprint),
        ]
        for split in dict.fromkeys(image.split for image in data.images):
            images = [image for image in data.images if image.split == split]
            captions = sum(len(image.captions) for image in images)
            rows.append((split, f"{len(images):,} images, {captions:,} captions"))
        if domains := sorted({image.domain for image in data.images} - {""}):
            rows.append(("other domains", ", ".join(domains)))
        return {"title": "Data", "head": [], "rows": rows, "open": True}

    def _configuration_table(self) -> dict[str, Any]:
        from capgen.training import config as configs

        values = configs.to_mapping(self._config)
        rows = [(name, str(values[name]), meaning) for name, meaning in configs.describe().items()]
        return {"title": "Configuration", "head": ["setting", "value", "meaning"], "rows": rows, "open": False}


def _read_samples(path: Path) -> dict[int, list[list[str]]]:
    """Read the samples of earlier epochs; as they only illustrate, a damaged file does not keep a run from going on."""
    try:
        return {int(number): samples for number, samples in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _curves(epochs: "Sequence[Epoch]", best: "Epoch") -> list[dict[str, Any]]:
    """Return the curves; that of the training loss leaves out self-critical epochs, whose loss is a negative reward."""
    from capgen.training.history import SCORE_COLUMNS, Phase

    cross_entropy = [epoch for epoch in epochs if epoch.is_cross_entropy]
    self_critical = [epoch for epoch in epochs if epoch.phase == Phase.SELF_CRITICAL]
    begins_later = bool(self_critical) and self_critical[0] is not epochs[0]
    phase_marks = [(self_critical[0].number - 0.5, "self-critical")] if begins_later else []
    return [
        {
            "title": _loss_title(epochs),
            "axis": "epoch",
            "unit": "nats a word",
            "series": [
                {"name": "training, smoothed", "points": [(epoch.number, epoch.loss) for epoch in cross_entropy]},
                {"name": "dev", "points": [(epoch.number, epoch.dev_loss) for epoch in epochs]},
            ],
            "marks": phase_marks,
        },
        *(
            {
                "title": _score_title(name, epochs),
                "axis": "epoch",
                "unit": f"{name} on dev, {METRICS[name].scale}",
                "series": [{"name": name, "points": [(epoch.number, epoch.scores.get(name)) for epoch in epochs]}],
                "marks": [*phase_marks, (best.number, "best")] if name == PRIMARY else phase_marks,
            }
            for name in SCORE_COLUMNS
        ),
    ]


def _loss_title(epochs: "Sequence[Epoch]") -> str:
    """Say in a sentence what the curves of the loss show."""
    known = [epoch for epoch in epochs if math.isfinite(epoch.dev_loss)]
    if not known:
        return "The loss on dev is not known."
    least = min(known, key=lambda epoch: epoch.dev_loss)
    return f"The loss on dev is least after epoch {least.number}: {least.dev_loss:.2f}."


def _score_title(name: str, epochs: "Sequence[Epoch]") -> str:
    """Say in a sentence what the curve of a score shows."""
    known = [epoch for epoch in epochs if name in epoch.scores]
    if not known:
        return f"{name} on dev is not defined."
    greatest = max(known, key=lambda epoch: epoch.scores[name])
    return f"{name} on dev is greatest after epoch {greatest.number}: {greatest.score_texts[name]}."


def _epoch_table(epochs: "Sequence[Epoch]", best: "Epoch") -> dict[str, Any]:
    from capgen.training.history import SCORE_COLUMNS

    rows = [
        (
            f"{epoch.number}, the best" if epoch.number == best.number else str(epoch.number),
            epoch.phase,
            *(f"{value:.4f}" for value in (epoch.loss, epoch.dev_loss)),
            *epoch.score_texts.values(),
            f"{epoch.seconds:.0f}",
        )
        for epoch in epochs
    ]
    head = ["epoch", "phase", "loss", "dev loss", *(f"dev {name}" for name in SCORE_COLUMNS), "seconds"]
    return {"title": "Epochs", "head": head, "rows": rows, "open": True}
