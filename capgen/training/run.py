"""One training run on disk: its folder, its history, going on after a stop, and the captioner at its end.

A run's folder holds ``config.json``, ``history.csv``, ``curves.png``, ``report.html`` with the samples of all epochs
(``samples.json``) and TensorBoard's events; while it goes on, also
``checkpoint.npz`` and ``best.npz``, which the finished captioner makes needless.
"""

import dataclasses
import hashlib
import io
import itertools
import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from capgen.captioner import bundle
from capgen.captioner.bundle import Bundle
from capgen.datasets import prepared
from capgen.datasets.prepared import PreparedDataset, in_target_domain
from capgen.errors import BundleError, ConfigError, TrainingError, UsageError
from capgen.storage import files, paths
from capgen.training import config as configs
from capgen.training.backend import load_tensorflow
from capgen.training.config import TrainingConfig
from capgen.training.encoder_graph import EncoderGraph, encoder_graph, use_captioner_encoder, use_encoder
from capgen.training.encoders import ENCODERS, MIDDLE, Encoder
from capgen.training.extraction import extract
from capgen.training.features import FeatureStore, feature_key
from capgen.training.history import History, TrainingReporter
from capgen.training.process_group import Group
from capgen.training.report import RunReport

if TYPE_CHECKING:
    from capgen.training.loop import Trainer
    from capgen.training.warm_start import Begun

CONFIG, FINISHED = "config.json", "finished"

TUNING, ENCODER = "encoder", "encoder.npz"
"""The folder of the stage that trains the encoder's last blocks along, and what it leaves there."""

SHAPE_FIELDS = ("decoder", "embedding_size", "lstm_size", "heads")
"""The fields of a config that a captioner's weights decide."""


def begin(
    data: str, config: TrainingConfig, out: Path | None, source: str | None = None, *, overwrite: bool = False
) -> Path:
    """Make the folder of a new run, after checking that the run can reach its end.

    Args:
        data: Name of the prepared data set.
        config: The hyper-parameters; with ``source``, the sizes of the decoder are that captioner's.
        out: Where the captioner will be written; by default in the data folder, under the name of the data set.
        source: Name or path of a captioner to continue.
        overwrite: Whether a captioner that is there already may be replaced.

    Raises:
        UnknownNameError: There is no such data set.
        UsageError: A captioner is there already, and ``overwrite`` is not set.
        DataError: Its train or dev split is empty.
        BundleError: Something that is not a captioner would be replaced.
        TrainingError: The cache lacks some of its features.
        StorageError: The folder cannot be made.
    """
    dataset = prepared.load(data)
    for split in ("train", "dev"):
        dataset.split(split)
    target = (out or paths.models_dir() / data).resolve()
    bundle.check_target(target)
    if is_taken(target) and not overwrite:
        raise UsageError(
            f"there is a captioner at {target} already; replace it with --overwrite, or name another with --out"
        )
    encoder, weights = _encoder(dataset)
    ready, origin = encoder_graph(encoder, weights), None
    if source is not None:  # the captioner has an encoder of its own, whose features are computed later
        origin = Bundle(bundle.find(source).resolve())
        config = _shaped_like(origin, config)
    else:
        _must_have_features(dataset, FeatureStore(ready.store_folder))
        with use_encoder(encoder, weights):  # an encoder that cannot be converted is an error before there is a folder
            pass
    config.check(encoder, dataset.split("train"), warm_start=source is not None)
    if config.encoder_epochs and (source or MIDDLE not in encoder.outputs):
        raise ConfigError(
            f"the last blocks of {'the encoder of ' + source if source else encoder.name} cannot be trained along; "
            "set encoder_epochs=0"
        )
    folder = paths.runs_dir() / data / time.strftime("%Y-%m-%dT%H-%M-%S")
    files.make_folder(folder.parent)
    try:
        folder.mkdir()
    except FileExistsError as error:
        raise TrainingError(f"another run began at {folder.name}; wait a second") from error
    except OSError as error:
        raise files.storage_error(folder, error) from error
    values = {
        "data": data,
        "seen": _seen(dataset, ready, origin),
        "from": str(origin.path) if origin else "",
        "out": str(target),
        "overwrite": overwrite,
        "config": configs.to_mapping(config),
    }
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


def go(folder: Path, reporter: TrainingReporter) -> Path:
    """Train a run to its end, from its checkpoint if it has one, and write the captioner.

    Args:
        folder: What ``begin`` or ``unfinished`` returned.
        reporter: Who is told.

    Returns:
        Where the captioner is: where it was asked for, or beside that if another captioner has appeared there meanwhile.

    Raises:
        TrainingError: It cannot go on, or the export does not caption like the model.
        UsageError: The data set, or the captioner to go on from, has changed since the run began.
    """
    with files.lock(folder / ".lock"), ExitStack() as held:
        load_tensorflow()
        from capgen.training.bundle_export import export_captioner, write_captioner
        from capgen.training.loop import BEST, CHECKPOINT

        trainer, ready = _trained(folder, reporter, held)
        reporter.on_export()
        exported = export_captioner(trainer, ready, folder.name, reporter)
        with files.lock(paths.runs_dir() / ".export.lock", wait=True):  # two runs may end with the same name
            target = _free_target(folder)
            write_captioner(target, exported)
        files.write_text(folder / FINISHED, f"{target}\n")
        for leftover in (CHECKPOINT, BEST):
            (folder / leftover).unlink(missing_ok=True)
            (folder / TUNING / leftover).unlink(missing_ok=True)
    return target


def go_together(folder: Path, reporter: TrainingReporter, group: Group) -> None:
    """Train a run to the end of its last epoch on several devices; ``finish`` then writes the captioner.

    Args:
        folder: What ``begin`` or ``unfinished`` returned, in each process.
        reporter: Who is told.
        group: Which this process has joined.

    Raises:
        TrainingError: It cannot go on.
        UsageError: The data set, or the captioner to go on from, has changed since the run began, or the run does not fit
            the group.
    """
    with files.lock(folder / ".lock") if group.first else nullcontext(), ExitStack() as held:
        _trained(folder, reporter, held, group)


def finish(folder: Path) -> Path:
    """Write the captioner of a run that a group has trained, in a process that has TensorFlow.

    Returns:
        Where the captioner is, as ``go`` returns it.

    Raises:
        TrainingError: The export does not caption like the model.
    """
    command = [sys.executable, "-m", "capgen", "train", folder.parent.name, "--resume", "--quiet"]
    # JAX still holds the memory of the accelerators
    env = {**os.environ, "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(command, env=env, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603 - itself
    if done.returncode:
        raise TrainingError(done.stderr.strip().removeprefix("capgen: "))
    if not (folder / FINISHED).exists():  # --resume goes on with the latest
        raise TrainingError(f"a newer run has begun meanwhile; move it away, then finish {folder.name} with --resume")
    return Path((folder / FINISHED).read_text(encoding="utf-8").removesuffix("\n"))


def requested_target(folder: Path) -> Path:
    """Return where the captioner of a run was asked for."""
    return Path(_values(folder)["out"])


def is_taken(target: Path) -> bool:
    """Tell whether something that would be lost is where a captioner is to be written."""
    return target.is_file() or (target.is_dir() and any(target.iterdir()))


def _free_target(folder: Path) -> Path:
    """Return where the captioner of a run may be written now without replacing another one against the user's will.

    Where the requested target has been taken since the run began, it is the first free one of ``NAME-2``, ``NAME-3`` and so
    on beside it. What an earlier attempt of the same run has written there is replaced.
    """
    values, requested = _values(folder), requested_target(folder)
    if values.get("overwrite"):
        return requested
    suffix = requested.suffix if requested.suffix == bundle.SUFFIX else ""
    name = requested.name.removesuffix(suffix)
    beside = (requested.with_name(f"{name}-{number}{suffix}") for number in itertools.count(2))
    return next(
        target
        for target in itertools.chain([requested], beside)
        if not is_taken(target) or _is_of_run(target, values["data"], folder.name)
    )


def _is_of_run(target: Path, data: str, run: str) -> bool:
    """Tell whether a captioner was written by a run, which was stopped before it could note that it had finished."""
    try:
        training = Bundle(target).description.training
    except BundleError:
        return False
    return (training.get("data"), training.get("run")) == (data, run)


def _values(folder: Path) -> dict[str, Any]:
    """Read the ``config.json`` of a run."""
    return json.loads((folder / CONFIG).read_text(encoding="utf-8"))


def _trained(
    folder: Path, reporter: TrainingReporter, held: ExitStack, group: Group | None = None
) -> tuple["Trainer", EncoderGraph]:
    """Train a run to its last epoch, and return it with its best weights, and its encoder.

    Args:
        folder: Of the run.
        reporter: Who is told.
        held: Keeps the encoder in use.
        group: Who trains it together.
    """
    values = _values(folder)
    config = configs.from_mapping(values["config"])
    if group:
        group.check(config)
    data = prepared.load(values["data"])
    begun = Bundle(Path(values["from"])) if values.get("from") else None
    ready = encoder_graph(*_encoder(data)) if begun else held.enter_context(use_encoder(*_encoder(data)))
    if _seen(data, ready, begun) != values["seen"]:
        raise UsageError(
            f"data set {data.name!r}{f' or the captioner {begun.path}' if begun else ''} is not what it was when this"
            " run began; leave --resume out to begin anew"
        )
    if not begun:
        _must_have_features(data, FeatureStore(ready.store_folder))
    from capgen.training.loop import Trainer
    from capgen.training.warm_start import Begun

    start = None
    if begun:
        ready = held.enter_context(use_captioner_encoder(begun))
        start = Begun(begun.vocabulary, begun.visual_words, _arrays(begun.read(bundle.WEIGHTS)))
    elif config.encoder_epochs:
        start = _tuned(folder / TUNING, config, data, ready, reporter)
        ready = held.enter_context(use_encoder(ready.encoder, folder / TUNING / ENCODER))
    if start:
        share = group.shared if group else lambda make: make()
        share(lambda: _describe(config, data, ready, FeatureStore(ready.store_folder), reporter))
    store = FeatureStore(ready.store_folder)
    trainer = Trainer(config, data, ready.encoder, store, folder, begun=start, group=group)
    _recorded(trainer, reporter)
    return trainer, ready


def _tuned(
    folder: Path, config: TrainingConfig, data: PreparedDataset, ready: EncoderGraph, reporter: TrainingReporter
) -> "Begun":
    """Train the encoder's last blocks along with a decoder, write the encoder's weights, and return the decoder.

    Args:
        folder: Of this stage; what it ends with is not computed again.
        config: The hyper-parameters of the run.
        data: The data set.
        ready: The encoder as it was.
        reporter: Who is told.
    """
    from capgen.training.loop import Trainer

    files.make_folder(folder)
    encoder, weights = _encoder(data)
    stage = dataclasses.replace(config, epochs=config.encoder_epochs, encoder_epochs=0, scst_epochs=0)
    last_blocks = encoder.build_last_blocks(weights)
    trainer = Trainer(stage, data, encoder, FeatureStore(ready.store_folder), folder, last_blocks=last_blocks)
    _recorded(trainer, reporter)
    if not (folder / ENCODER).exists():
        arrays = encoder.fine_tuned_weights(weights, last_blocks)
        files.write_with(folder / ENCODER, lambda file: np.savez(file, allow_pickle=False, **arrays))
    return trainer.result()


def _recorded(trainer: "Trainer", reporter: TrainingReporter) -> None:
    """Train to the end, and write down each epoch."""
    if trainer.group and not trainer.group.first:
        for _ in trainer.run(reporter):
            pass
        return
    history, page = History(trainer.folder), RunReport(trainer.folder, trainer.data, trainer.config)
    for _ in trainer.run(reporter):
        history.write(trainer.epochs)
        page.write(trainer.epochs)


def _describe(
    config: TrainingConfig, data: PreparedDataset, ready: EncoderGraph, store: FeatureStore, reporter: TrainingReporter
) -> None:
    """Compute the features that a run will look at, with an encoder that is not the data set's.

    Raises:
        TrainingError: A picture is not where it was.
    """
    train = data.split("train")
    if config.epochs:
        seen = train
    elif config.common_caption_penalty:  # they are captioned to count common captions
        seen = in_target_domain(train)
    else:
        seen = config.self_critical_images(train) if config.scst_epochs else []
    wanted = [*seen, *data.split("dev")]
    pictures = [(picture.image_hash, Path(picture.path)) for picture in wanted]
    views = data.augmentations if config.epochs else ("plain",)
    failed = extract(ready, store, pictures, views, workers=2, on_progress=reporter.on_extract)
    if failed:
        image_hash, error = next(iter(failed.items()))
        path = next(picture.path for picture in data.images if picture.image_hash == image_hash)
        raise TrainingError(f"{path}: {error}; put it back, then go on with --resume")


def _shaped_like(captioner: Bundle, config: TrainingConfig) -> TrainingConfig:
    """Give a config the shape of a captioner's decoder.

    Raises:
        ConfigError: The captioner was trained by another version, with other fields.
    """
    trained: Any = captioner.description.training.get("config")
    try:
        return dataclasses.replace(config, **{name: trained[name] for name in SHAPE_FIELDS})
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{captioner.path} does not say how its decoder is shaped; it cannot be gone on from") from error


def _arrays(data: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return dict(arrays)


def _encoder(data: PreparedDataset) -> tuple[Encoder, Path | None]:
    """Return a data set's encoder and the file of weights given for it."""
    return ENCODERS[data.encoder], Path(data.encoder_weights) if data.encoder_weights else None


def _seen(data: PreparedDataset, ready: EncoderGraph, begun: Bundle | None) -> str:
    """Identify all that a run sees: pictures and captions in their order, encoder, views and what it goes on from."""
    rows = [dataclasses.astuple(dataclasses.replace(picture, path="")) for picture in data.images]
    origin = [begun.description_bytes.decode()] if begun else []  # which holds the hashes of its files
    return hashlib.sha256(json.dumps([ready.fingerprint, data.augmentations, rows, *origin]).encode()).hexdigest()[:16]


def _must_have_features(data: PreparedDataset, store: FeatureStore) -> None:
    missing = sum(feature_key(p.image_hash, view) not in store for p in data.images for view in data.augmentations)
    if missing:
        raise TrainingError(
            f"the cache lacks the features of {missing} pictures of {data.name!r}; run capgen prepare again, it goes on"
        )
