"""One training run: trained to its end, or resumed after a stop, and the captioner written."""

import os
import subprocess
import sys
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from capgen.captioner.bundle import Bundle
from capgen.datasets import prepared
from capgen.datasets.prepared import PreparedDataset, in_target_domain
from capgen.errors import TrainingError, UsageError
from capgen.storage import files, locks, paths
from capgen.training import run_folder
from capgen.training.backend import load_tensorflow
from capgen.training.config import TrainingConfig
from capgen.training.encoder_graph import EncoderGraph, encoder_graph, use_captioner_encoder, use_encoder
from capgen.training.extraction import extract
from capgen.training.features import PLAIN, FeatureStore
from capgen.training.history import History, TrainingReporter
from capgen.training.notices import notices
from capgen.training.process_group import ProcessGroup
from capgen.training.report import RunReport
from capgen.training.run_folder import RunSettings
from capgen.training.warm_start import WarmStart

if TYPE_CHECKING:
    from capgen.training.loop import TrainingLoop
    from capgen.training.trained_captioner import TrainedCaptioner

ENCODER_FOLDER, ENCODER_WEIGHTS = "encoder", "encoder.npz"
"""The folder, in that of the run, of the loop that fine-tunes the encoder, and the file of weights that it ends with."""


def train(folder: Path, reporter: TrainingReporter) -> Path:
    """Train a run to its end, from its checkpoint if it has one, and write the captioner.

    Args:
        folder: The folder of the run.
        reporter: Receives the progress.

    Returns:
        Where the captioner is: where it was asked for, or beside that if another captioner has appeared there meanwhile.

    Raises:
        TrainingError: It cannot go on, or the export does not caption like the model.
        UsageError: The data set, or the captioner that is continued, has changed since the run began.
        StorageError: The captioner cannot be written.
    """
    with locks.lock(folder / ".lock"), ExitStack() as stack:
        load_tensorflow()
        from capgen.training.bundle_export import export_captioner, write_captioner
        from capgen.training.loop import BEST, CHECKPOINT

        captioner, graph = _train_captioner(folder, reporter, stack, ProcessGroup.single())
        exported = export_captioner(captioner, graph, folder.name, reporter)
        with locks.lock(paths.runs_dir() / ".export.lock", wait=True):  # two runs may end with the same target
            target = run_folder.free_target(folder)
            write_captioner(target, exported)
        run_folder.mark_finished(folder, target)
        for leftover in (CHECKPOINT, BEST):
            (folder / leftover).unlink(missing_ok=True)
            (folder / ENCODER_FOLDER / leftover).unlink(missing_ok=True)
    return target


def train_in_group(folder: Path, reporter: TrainingReporter, group: ProcessGroup) -> None:
    """Train a run to the end of its last epoch in a process group; ``finish`` then writes the captioner.

    Args:
        folder: The folder of the run, the same in each process.
        reporter: Receives the progress.
        group: The group, which this process has joined.

    Raises:
        ConfigError: The group cannot train the run.
        TrainingError: It cannot go on.
        UsageError: The data set, or the captioner that is continued, has changed since the run began.
    """
    with locks.lock(folder / ".lock") if group.is_first else nullcontext(), ExitStack() as stack:
        _train_captioner(folder, reporter, stack, group)


def finish(folder: Path) -> Path:
    """Write the captioner of a run that a group has trained, in a new process that has TensorFlow.

    Returns:
        Where the captioner is, as ``train`` returns it.

    Raises:
        TrainingError: The export does not caption like the model.
    """
    command = [sys.executable, "-m", "capgen", "train", folder.parent.name, "--resume", "--quiet"]
    # JAX still holds the memory of the accelerators.
    env = {**os.environ, "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(command, env=env, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603 - itself
    if done.returncode:
        raise TrainingError(done.stderr.strip().removeprefix("capgen: "))
    if not (folder / run_folder.FINISHED).exists():  # --resume goes on with the latest
        raise TrainingError(f"a newer run has begun meanwhile; move it away, then finish {folder.name} with `resume=True`")
    return run_folder.finished_target(folder)


def _train_captioner(
    folder: Path, reporter: TrainingReporter, stack: ExitStack, group: ProcessGroup
) -> tuple["TrainedCaptioner", EncoderGraph]:
    """Train a run to its last epoch.

    Args:
        folder: The folder of the run.
        reporter: Receives the progress.
        stack: Keeps the encoder in use.
        group: The processes that train it.

    Returns:
        The captioner with its best weights, and its encoder.
    """
    settings = RunSettings.read(folder)
    config = settings.config
    group.check(config)
    data = prepared.load(settings.data)
    source = Bundle(settings.source) if settings.source else None
    graph = _dataset_graph(settings, data, source, stack)
    from capgen.training.loop import decoder_loop

    warm_start = None
    if source:
        warm_start, graph = WarmStart.from_bundle(source), stack.enter_context(use_captioner_encoder(source))
    elif config.encoder_epochs:
        warm_start = _fine_tune_encoder(folder / ENCODER_FOLDER, config, data, graph, reporter)
        graph = stack.enter_context(use_encoder(graph.encoder, folder / ENCODER_FOLDER / ENCODER_WEIGHTS))
    if warm_start:  # the encoder is not the data set's, so that its features have not been prepared
        group.broadcast(lambda: _extract_features(config, data, graph, reporter))
    store = FeatureStore(graph.store_folder)
    loop = decoder_loop(config, data, graph.encoder, store, folder, warm_start=warm_start, group=group)
    if not config.encoder_epochs:  # after encoder fine-tuning the notices have been reported already
        _report_notices(loop, reporter, continues_captioner=source is not None)
    _record(loop, folder, reporter, group)
    return loop.trained(), graph


def _dataset_graph(settings: RunSettings, data: PreparedDataset, source: Bundle | None, stack: ExitStack) -> EncoderGraph:
    """Return the encoder of the data set, after checking that all is still what the run began with.

    Raises:
        UsageError: The data set or the captioner that is continued has changed.
        TrainingError: Features are missing.
    """
    encoder, weights = run_folder.dataset_encoder(data)
    graph = encoder_graph(encoder, weights) if source else stack.enter_context(use_encoder(encoder, weights))
    if run_folder.fingerprint(data, graph, source) != settings.fingerprint:
        raise UsageError(
            f"data set {data.name!r}{f' or the captioner {source.path}' if source else ''} is not what it was when this"
            " run began; leave `resume` out to begin anew"
        )
    if not source:
        run_folder.check_features(data, FeatureStore(graph.store_folder))
    return graph


def _fine_tune_encoder(
    folder: Path, config: TrainingConfig, data: PreparedDataset, graph: EncoderGraph, reporter: TrainingReporter
) -> WarmStart:
    """Fine-tune the encoder's last blocks together with a decoder, write the encoder's weights, and return the decoder.

    Args:
        folder: The folder of this loop; what it ended with is not computed again.
        config: The hyper-parameters of the run.
        data: The data set.
        graph: The encoder of the data set.
        reporter: Receives the progress.
    """
    from capgen.training.loop import encoder_loop

    files.make_folder(folder)
    encoder, weights = run_folder.dataset_encoder(data)
    last_blocks = encoder.build_last_blocks(weights)
    loop = encoder_loop(config, data, encoder, FeatureStore(graph.store_folder), folder, last_blocks)
    _report_notices(loop, reporter, continues_captioner=False)
    _record(loop, folder, reporter, ProcessGroup.single())
    if not (folder / ENCODER_WEIGHTS).exists():
        arrays = encoder.fine_tuned_weights(weights, last_blocks)
        files.write_with(folder / ENCODER_WEIGHTS, lambda file: np.savez(file, allow_pickle=False, **arrays))
    return loop.trained().warm_start()


def _report_notices(loop: "TrainingLoop", reporter: TrainingReporter, *, continues_captioner: bool) -> None:
    """Report before training starts what the run will not learn from the data."""
    for notice in notices(loop.data, continues_captioner=continues_captioner):
        reporter.on_notice(notice)


def _record(loop: "TrainingLoop", folder: Path, reporter: TrainingReporter, group: ProcessGroup) -> None:
    """Train a loop to its end; the first process records each epoch in the history and the report."""
    if not group.is_first:
        for _ in loop.run(reporter):
            pass
        return
    history, report = History(folder), RunReport(folder, loop.data.dataset, loop.data.config)
    recorded = False
    for _ in loop.run(reporter):
        history.write(loop.epochs)
        report.write(loop.epochs, loop.choice.best, ended=False)
        recorded = True
    if loop.epochs and not recorded:  # a loop that was stopped right after its last checkpoint has no more epochs to train
        history.write(loop.epochs)
    if loop.epochs:
        report.write(loop.epochs, loop.choice.best, ended=True)


def _extract_features(
    config: TrainingConfig, data: PreparedDataset, graph: EncoderGraph, reporter: TrainingReporter
) -> None:
    """Extract the features that a run uses, with an encoder that is not the data set's.

    Raises:
        TrainingError: An image is not where it was.
    """
    train = data.split("train")
    if config.epochs:
        used = train
    elif config.common_caption_penalty:  # the export captions them to count common captions
        used = in_target_domain(train)
    else:
        used = config.self_critical_images(train) if config.scst_epochs else []
    images = [(image.image_hash, Path(image.path)) for image in [*used, *data.split("dev")]]
    augmentations = data.augmentations if config.epochs else (PLAIN,)
    store = FeatureStore(graph.store_folder)
    failed = extract(graph, store, images, augmentations, workers=2, on_progress=reporter.on_extract)
    if failed:
        image_hash, error = next(iter(failed.items()))
        path = next(image.path for image in data.images if image.image_hash == image_hash)
        raise TrainingError(f"{path}: {error}; put it back, then go on with `resume=True`")
