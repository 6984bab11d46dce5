"""The folder of a training run: its settings, and where its captioner is written.

A run's folder holds ``config.json``, ``history.csv``, ``curves.png``, ``report.html`` with the sample captions of all epochs
(``samples.json``) and TensorBoard's events. Until the captioner is finished, it also holds ``checkpoint.npz`` and
``best.npz``.
"""

import dataclasses
import itertools
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capgen.captioner import bundle, catalogue
from capgen.captioner.bundle import Bundle
from capgen.captioner.language import ENGLISH, can_continue
from capgen.datasets import prepared
from capgen.datasets.prepared import PreparedDataset
from capgen.errors import BundleError, ConfigError, DataError, TrainingError, UsageError
from capgen.storage import files, hashing, paths
from capgen.training import config as configs
from capgen.training.config import TrainingConfig
from capgen.training.data_statistics import DataStatistics
from capgen.training.encoder_graph import EncoderGraph, encoder_graph, use_encoder
from capgen.training.encoders import ENCODERS
from capgen.training.encoders.encoder import MIDDLE, EncoderSpec
from capgen.training.features import FeatureStore, feature_key
from capgen.training.settings import Settings, config_from_mapping

CONFIG, FINISHED = "config.json", "finished"

DECODER_SETTINGS = ("decoder", "embedding_size", "lstm_size", "heads")
"""The settings that the weights of a captioner decide."""


@dataclass(frozen=True)
class RunSettings:
    """What a run began with, as its ``config.json`` has it.

    Attributes:
        data: The name of the prepared data set.
        fingerprint: Identifies all that the run learns from, see ``fingerprint``.
        source: The captioner that the run continues; ``None`` without one.
        target: Where the captioner is to be written.
        overwrite: Whether a captioner that is there may be replaced.
        config: The hyper-parameters.
    """

    data: str
    fingerprint: str
    source: Path | None
    target: Path
    overwrite: bool
    config: TrainingConfig

    def write(self, folder: Path) -> None:
        """Write ``config.json``.

        Raises:
            StorageError: It cannot be written.
        """
        values = {
            "data": self.data,
            "fingerprint": self.fingerprint,
            "from": str(self.source) if self.source else "",
            "out": str(self.target),
            "overwrite": self.overwrite,
            "config": configs.to_mapping(self.config),
        }
        files.write_json(folder / CONFIG, values)

    @classmethod
    def read(cls, folder: Path) -> "RunSettings":
        """Read the ``config.json`` of a run of this version or of one before."""
        values: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        return cls(
            data=values["data"],
            fingerprint=values.get("fingerprint", values.get("seen", "")),
            source=Path(values["from"]) if values.get("from") else None,
            target=Path(values["out"]),
            overwrite=values.get("overwrite", False),
            config=config_from_mapping(values["config"]),
        )


def begin(data: str, given: Settings, out: Path | None, source: str | None = None, *, overwrite: bool = False) -> Path:
    """Make the folder of a new run, after checking that the run can reach its end.

    Args:
        data: The name of the prepared data set.
        given: The settings; what is not set follows from the data, and with ``source`` the sizes of the decoder are that
            captioner's.
        out: Where the captioner will be written; by default in the data folder, under the name of the data set.
        source: The name or the path of a captioner to continue.
        overwrite: Whether a captioner that is there already may be replaced.

    Returns:
        The folder.

    Raises:
        UnknownNameError: There is no such data set.
        UsageError: A captioner is there already, and ``overwrite`` is not set.
        DataError: Its train or dev split is empty.
        BundleError: Something that is not a captioner would be replaced.
        ConfigError: The settings do not fit the encoder or the captioner to continue.
        TrainingError: The cache lacks some of its features.
        StorageError: The folder cannot be made.
    """
    dataset = prepared.load(data)
    train = dataset.split("train")
    _check_dev(dataset)
    target = _checked_target(out or paths.models_dir() / data, overwrite=overwrite)
    encoder, weights = dataset_encoder(dataset)
    graph = encoder_graph(encoder, weights)
    captioner = _captioner(source)
    config = _config(given, dataset, captioner)
    config.check(encoder, train, warm_start=source is not None)
    if config.encoder_epochs and (source or MIDDLE not in encoder.outputs):
        raise ConfigError(
            f"the last blocks of {'the encoder of ' + source if source else encoder.name} cannot be fine-tuned; "
            "set encoder_epochs=0"
        )
    if captioner:  # it has an encoder of its own, whose features are extracted later
        _check_language(captioner, dataset)
    else:
        check_features(dataset, FeatureStore(graph.store_folder))
        with use_encoder(encoder, weights):  # an encoder that cannot be converted is an error before there is a folder
            pass
    folder = _make_folder(paths.runs_dir() / data)
    origin = captioner.path if captioner else None
    RunSettings(data, fingerprint(dataset, graph, captioner), origin, target, overwrite, config).write(folder)
    return folder


def config_for(data: str, given: Settings, source: str | None = None) -> TrainingConfig:
    """Return the config that a run would have; the arguments are those of ``begin``.

    Raises:
        UnknownNameError: There is no such data set or captioner.
        DataError: Its train split is empty.
        ConfigError: The settings do not fit, or the captioner does not say the sizes of its decoder.
    """
    return _config(given, prepared.load(data), _captioner(source))


def _captioner(source: str | None) -> Bundle | None:
    return None if source is None else Bundle(catalogue.find(source).resolve())


def _check_dev(dataset: PreparedDataset) -> None:
    """Make sure that there are images to choose the epoch by.

    Raises:
        DataError: There are none.
    """
    if all(image.split != "dev" for image in dataset.images):
        raise DataError(
            f"data set {dataset.name!r} has no images in its dev split, by which training chooses the epoch; "
            "prepare it with some, or leave the splits out of its source to have them chosen at random"
        )


def _config(given: Settings, dataset: PreparedDataset, captioner: Bundle | None) -> TrainingConfig:
    """Return the config of a run on a data set that may continue a captioner.

    Raises:
        ConfigError: A setting does not fit, or the captioner does not say the sizes of its decoder.
    """
    statistics = DataStatistics.of(dataset.split("train"), dataset.language)
    if not captioner:
        return given.for_data(statistics)
    config = given.for_data(statistics, warm_start=captioner.description.decoding)
    return with_decoder_of(captioner, config)


def _checked_target(out: Path, *, overwrite: bool) -> Path:
    """Return where a captioner will be written, as a path that does not depend on the working directory.

    Raises:
        UsageError: A captioner is there already, and ``overwrite`` is not set.
        BundleError: Something that is not a captioner would be replaced.
    """
    target = out.resolve()
    bundle.check_target(target)
    if is_taken(target) and not overwrite:
        raise UsageError(
            f"there is a captioner at {target} already; replace it with `overwrite=True`, or name another with `out`"
        )
    return target


def unfinished(data: str) -> Path:
    """Return the folder of the latest run on a data set, if it has not finished.

    Raises:
        TrainingError: It has finished, or there is none.
    """
    folders = sorted(file.parent for file in (paths.runs_dir() / data).glob(f"*/{CONFIG}"))
    if not folders or (folders[-1] / FINISHED).exists():
        what = "the latest run has finished" if folders else "there is no run"
        raise TrainingError(
            f"there is no unfinished run on {data!r} to go on with ({what}); leave `resume` out to begin one"
        )
    return folders[-1]


def mark_finished(folder: Path, target: Path) -> None:
    """Note that the captioner of a run was written.

    Raises:
        StorageError: It cannot be noted.
    """
    files.write_text(folder / FINISHED, f"{target}\n")


def finished_target(folder: Path) -> Path:
    """Return where the captioner of a finished run was written."""
    return Path((folder / FINISHED).read_text(encoding="utf-8").removesuffix("\n"))


def is_taken(target: Path) -> bool:
    """Tell whether something that would be lost is where a captioner is to be written."""
    return target.is_file() or (target.is_dir() and any(target.iterdir()))


def free_target(folder: Path) -> Path:
    """Return where the captioner of a run can be written now without replacing another one against the user's will.

    Where the target has been taken since the run began, it is the first free one of ``NAME-2``, ``NAME-3`` and so on beside
    it. What an earlier attempt of the same run has written there may be replaced.
    """
    settings = RunSettings.read(folder)
    if settings.overwrite:
        return settings.target
    suffix = settings.target.suffix if settings.target.suffix == bundle.SUFFIX else ""
    name = settings.target.name.removesuffix(suffix)
    beside = (settings.target.with_name(f"{name}-{number}{suffix}") for number in itertools.count(2))
    return next(
        target
        for target in itertools.chain([settings.target], beside)
        if not is_taken(target) or _is_of_run(target, settings.data, folder.name)
    )


def fingerprint(data: PreparedDataset, graph: EncoderGraph, captioner: Bundle | None) -> str:
    """Identify all that a run learns from.

    That is the images and captions in their order, the encoder, the augmentations and the captioner that is continued.
    """
    rows = [dataclasses.astuple(dataclasses.replace(image, path="")) for image in data.images]
    origin = [captioner.description_bytes.decode()] if captioner else []  # which holds the hashes of its files
    language = [] if data.language == ENGLISH else [data.language]
    text = json.dumps([graph.fingerprint, data.augmentations, rows, *origin, *language])
    return hashing.fingerprint(text)


def dataset_encoder(data: PreparedDataset) -> tuple[EncoderSpec, Path | None]:
    """Return the encoder of a data set, and the file of its weights if they are not its own."""
    return ENCODERS[data.encoder], Path(data.encoder_weights) if data.encoder_weights else None


def check_features(data: PreparedDataset, store: FeatureStore) -> None:
    """Make sure that the features of a data set are in the cache.

    Raises:
        TrainingError: Some are not.
    """
    keys = (feature_key(image.image_hash, name) for image in data.images for name in data.augmentations)
    missing = sum(key not in store for key in keys)
    if missing:
        raise TrainingError(
            f"the cache lacks the features of {missing} images of {data.name!r}; run capgen prepare again, it goes on"
        )


def with_decoder_of(captioner: Bundle, config: TrainingConfig) -> TrainingConfig:
    """Return a config with the decoder and the sizes of a captioner's.

    Raises:
        ConfigError: The captioner does not say them.
    """
    trained: Any = captioner.description.training.get("config")
    try:
        return dataclasses.replace(config, **{name: trained[name] for name in DECODER_SETTINGS})
    except (KeyError, TypeError) as error:
        raise ConfigError(
            f"{captioner.path} does not say the sizes of its decoder, so that it cannot be continued"
        ) from error


def _check_language(captioner: Bundle, dataset: PreparedDataset) -> None:
    """Make sure that a captioner writes in the language of the captions that it is to be trained further on.

    Raises:
        ConfigError: It does not; its words, the rule by which captions are split and the names in its slots are of another.
    """
    ours, theirs = captioner.vocabulary.language, dataset.language
    if not can_continue(ours, theirs):
        raise ConfigError(
            f"{captioner.description.name} writes in another language ({ours}) than the captions of {dataset.name!r} "
            f"({theirs}); train without `captioner`, or prepare them with `language={ours}` if that is what they are"
        )


def _make_folder(parent: Path) -> Path:
    folder = parent / time.strftime("%Y-%m-%dT%H-%M-%S")
    files.make_folder(parent)
    try:
        folder.mkdir()
    except FileExistsError as error:
        raise TrainingError(f"another run began at {folder.name}; wait a second") from error
    except OSError as error:
        raise files.storage_error(folder, error) from error
    return folder


def _is_of_run(target: Path, data: str, run: str) -> bool:
    """Tell whether a captioner was written by a run that was stopped before it could note that it had finished."""
    try:
        training = Bundle(target).description.training
    except BundleError:
        return False
    return (training.get("data"), training.get("run")) == (data, run)
