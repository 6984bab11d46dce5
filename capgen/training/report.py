"""The report of a training run: its curves, what it says of a few dev pictures, its settings and its data."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capgen.evaluation import report
from capgen.evaluation.report import pictures
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
        folder: The folder of the run.
        data: The data set.
        config: The hyper-parameters.
    """

    def __init__(self, folder: Path, data: "PreparedDataset", config: "TrainingConfig") -> None:
        """Take up the samples of the epochs before, if the run goes on."""
        self._folder, self._data, self._config = folder, data, config
        self._dev = {picture.path: picture for picture in data.pictures if picture.split == "dev"}
        self._small: dict[str, dict[str, Any]] = {}
        self._said: dict[int, list[list[str]]] = _samples(folder / SAMPLES)

    def write(self, epochs: "Sequence[Epoch]") -> None:
        """Write the page and the samples.

        Args:
            epochs: All so far, at least one.

        Raises:
            StorageError: They cannot be written.
        """
        self._said.update({epoch.number: [list(pair) for pair in epoch.samples] for epoch in epochs if epoch.samples})
        files.write_json(self._folder / SAMPLES, self._said)
        report.write(self._folder / REPORT, self.describe(epochs))

    def describe(self, epochs: "Sequence[Epoch]") -> dict[str, Any]:
        """Return what the page shows, as ``capgen.evaluation.report.write`` takes it."""
        best = max(epochs, key=lambda epoch: epoch.cider_d)
        return {
            "title": f"Training on {self._data.name}",
            "subtitle": f"Run {self._folder.name}, epoch {epochs[-1].number}; the best CIDEr-D on dev so far is "
            f"{best.cider_d:.4f}, of epoch {best.number}",
            "curves": _curves(epochs, best),
            "samples": self._samples_by_picture(),
            "tables": [_epochs(epochs), self._data_summary(), self._configuration()],
        }

    def _samples_by_picture(self) -> list[dict[str, Any]]:
        captions: dict[str, list[tuple[int, str]]] = {}
        for number, said in sorted(self._said.items()):
            for path, caption in said:
                captions.setdefault(path, []).append((number, caption))
        return [
            {
                "name": Path(path).name,
                "caption": said[-1][1],
                "references": list(self._dev[path].captions) if path in self._dev else [],
                "captions": said,
                **self._picture(path),
            }
            for path, said in captions.items()
        ]

    def _picture(self, path: str) -> dict[str, Any]:
        if path not in self._small:
            self._small[path] = pictures.small(Path(path))
        return self._small[path]

    def _data_summary(self) -> dict[str, Any]:
        data = self._data
        rows = [
            ("data set", data.name),
            ("sources", "; ".join(data.sources)),
            ("encoder", data.encoder),
            ("views", ", ".join(data.views)),
            ("fingerprint", data.fingerprint),
        ]
        for split in dict.fromkeys(picture.split for picture in data.pictures):
            inside = [picture for picture in data.pictures if picture.split == split]
            captions = sum(len(picture.captions) for picture in inside)
            rows.append((split, f"{len(inside):,} images, {captions:,} captions"))
        if styles := sorted({picture.style for picture in data.pictures} - {""}):
            rows.append(("styles", ", ".join(styles)))
        return {"title": "Data", "head": [], "rows": rows, "open": True}

    def _configuration(self) -> dict[str, Any]:
        from capgen.training import config as configs

        values = configs.to_mapping(self._config)
        rows = [(name, str(values[name]), meaning) for name, meaning in configs.describe().items()]
        return {"title": "Configuration", "head": ["setting", "value", "meaning"], "rows": rows, "open": False}


def _samples(path: Path) -> dict[int, list[list[str]]]:
    """Read the samples of earlier epochs; they only illustrate, so that none are better than a run that cannot go on."""
    try:
        return {int(number): said for number, said in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _curves(epochs: "Sequence[Epoch]", best: "Epoch") -> list[dict[str, Any]]:
    """Choose what is drawn: the loss of a word only where it is one, not the reward of self-critical epochs."""
    from capgen.training.history import SELF_CRITICAL

    taught = [epoch for epoch in epochs if epoch.taught]
    drawn = [epoch for epoch in epochs if epoch.phase == SELF_CRITICAL]
    phase = [(drawn[0].number - 0.5, "self-critical")] if drawn and drawn[0] is not epochs[0] else []
    return [
        {
            "title": "Loss",
            "series": [
                {"name": "training, smoothed", "points": [(epoch.number, epoch.loss) for epoch in taught]},
                {"name": "dev", "points": [(epoch.number, epoch.dev_loss) for epoch in epochs]},
            ],
            "marks": phase,
        },
        {
            "title": "CIDEr-D on dev",
            "series": [{"name": "CIDEr-D", "points": [(epoch.number, epoch.cider_d) for epoch in epochs]}],
            "marks": [*phase, (best.number, "best")],
        },
        {
            "title": "BLEU-4 on dev",
            "series": [{"name": "BLEU-4", "points": [(epoch.number, epoch.bleu_4) for epoch in epochs]}],
            "marks": phase,
        },
    ]


def _epochs(epochs: "Sequence[Epoch]") -> dict[str, Any]:
    rows = [
        (
            str(epoch.number),
            epoch.phase,
            *(f"{value:.4f}" for value in (epoch.loss, epoch.dev_loss, epoch.cider_d, epoch.bleu_4)),
            f"{epoch.seconds:.0f}",
        )
        for epoch in epochs
    ]
    head = ["epoch", "phase", "loss", "dev loss", "dev CIDEr-D", "dev BLEU-4", "seconds"]
    return {"title": "Epochs", "head": head, "rows": rows, "open": True}
