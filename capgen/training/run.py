"""One training run on disk: its folder, its history, going on after a stop, and the captioner at its end.

A run's folder holds ``config.json``, ``history.csv``, ``curves.png`` and TensorBoard's events; while it goes on, also
``checkpoint.npz`` and ``best.npz``, which the finished captioner makes needless.
"""

import dataclasses
import hashlib
import json
import time
from contextlib import ExitStack
from pathlib import Path

from capgen import bundle, files, paths
from capgen.datasets import prepared
from capgen.datasets.prepared import PreparedDataset
from capgen.errors import TrainingError, UsageError
from capgen.training import config as configs
from capgen.training.backend import load_tensorflow
from capgen.training.config import TrainingConfig
from capgen.training.encoders import Encoder
from capgen.training.encoders import encoder as find_encoder
from capgen.training.features import FeatureStore, Prepared, in_use, prepare_encoder, view_key
from capgen.training.history import History, Observer

CONFIG, FINISHED = "config.json", "finished"


def begin(data: str, config: TrainingConfig, out: Path | None) -> Path:
    """Make the folder of a new run, after checking that it can reach its end.

    Args:
        data: Name of the prepared data set.
        config: The hyper-parameters.
        out: Where the captioner will go; the data folder by default.

    Raises:
        UnknownNameError: There is no such data set.
        DataError: Its train or dev split is empty.
        BundleError: Something that is no captioner would be replaced.
        TrainingError: The cache lacks some of its features.
        StorageError: The folder cannot be made.
    """
    dataset = prepared.load(data)
    for split in ("train", "dev"):
        dataset.split(split)
    place = (out or paths.models_dir() / data).resolve()
    bundle.check_place(place)
    ready = prepare_encoder(*_encoder(dataset))
    _must_have_features(dataset, FeatureStore(ready.store_folder))
    folder = paths.runs_dir() / data / time.strftime("%Y-%m-%dT%H-%M-%S")
    files.make_folder(folder.parent)
    try:
        folder.mkdir()
    except FileExistsError as error:
        raise TrainingError(f"another run began at {folder.name}; wait a second") from error
    except OSError as error:
        raise files.storage_error(folder, error) from error
    values = {"data": data, "seen": _seen(dataset, ready), "out": str(place), "config": configs.to_mapping(config)}
    files.write_json(folder / CONFIG, values)
    return folder


def unfinished(data: str) -> Path:
    """Return the folder of the latest run on a data set, if it has not finished.

    Raises:
        TrainingError: It has, or there is none.
    """
    folders = sorted(file.parent for file in (paths.runs_dir() / data).glob(f"*/{CONFIG}"))
    if not folders or (folders[-1] / FINISHED).exists():
        what = "the latest run has finished" if folders else "there is no run"
        raise TrainingError(
            f"there is no unfinished run on {data!r} to go on with ({what}); leave --resume out to begin one"
        )
    return folders[-1]


def go(folder: Path, observer: Observer) -> Path:
    """Train a run to its end, from its checkpoint if it has one, and write the captioner.

    Args:
        folder: What ``begin`` or ``unfinished`` returned.
        observer: Who is told.

    Returns:
        The place of the captioner.

    Raises:
        TrainingError: It cannot go on, or the export does not caption like the model.
        UsageError: The data set has changed since the run began.
    """
    with files.lock(folder / ".lock"), ExitStack() as held:
        values = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        config = configs.from_mapping(values["config"])
        data = prepared.load(values["data"])
        ready = held.enter_context(in_use(*_encoder(data)))
        if _seen(data, ready) != values["seen"]:
            raise UsageError(
                f"data set {data.name!r} has been prepared otherwise since this run began; leave --resume out to begin anew"
            )
        store = FeatureStore(ready.store_folder)
        _must_have_features(data, store)
        load_tensorflow()
        from capgen.training.captioner_export import export_captioner
        from capgen.training.loop import BEST, CHECKPOINT, Trainer

        trainer = Trainer(config, data, ready.encoder, store, folder)
        history = History(folder)
        for _ in trainer.run(observer):
            history.write(trainer.epochs)
        place = Path(values["out"])
        export_captioner(trainer, ready, place)
        files.write_text(folder / FINISHED, f"{place}\n")
        for leftover in (CHECKPOINT, BEST):
            (folder / leftover).unlink(missing_ok=True)
    return place


def _encoder(data: PreparedDataset) -> tuple[Encoder, Path | None]:
    """Return a data set's encoder and the file of weights given for it."""
    return find_encoder(data.encoder), Path(data.encoder_weights) if data.encoder_weights else None


def _seen(data: PreparedDataset, ready: Prepared) -> str:
    """Identify all that a run sees: pictures and captions in their order, encoder and views."""
    rows = [dataclasses.astuple(dataclasses.replace(picture, path="")) for picture in data.pictures]
    return hashlib.sha256(json.dumps([ready.key, data.views, rows]).encode()).hexdigest()[:16]


def _must_have_features(data: PreparedDataset, store: FeatureStore) -> None:
    missing = sum(view_key(p.image_hash, view) not in store for p in data.pictures for view in data.views)
    if missing:
        raise TrainingError(
            f"the cache lacks the features of {missing} pictures of {data.name!r}; run capgen prepare again, it goes on"
        )
