"""``TrainingLoop``: trains a network phase by phase, validates each epoch on dev, and keeps checkpoints.

A loop that is stopped at any time goes on from its checkpoint and ends with the same weights, bit for bit.
"""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from capgen.datasets.prepared import PreparedDataset
from capgen.errors import TrainingError
from capgen.training import checkpoints
from capgen.training.choice import EpochChoice
from capgen.training.config import TrainingConfig
from capgen.training.decoders import DECODERS
from capgen.training.encoders.encoder import MIDDLE, EncoderSpec
from capgen.training.features import CachedFeatures, FeatureStore
from capgen.training.history import Epoch, Phase, TrainingReporter
from capgen.training.network import CaptionGenerator, CaptionNetwork
from capgen.training.plan import LoopPlan, RunPlan
from capgen.training.process_group import ProcessGroup
from capgen.training.stages.cross_entropy import CrossEntropyStage
from capgen.training.stages.encoder_fine_tuning import EncoderFineTuningStage
from capgen.training.stages.self_critical import SelfCriticalStage
from capgen.training.stages.stage import Stage
from capgen.training.stages.warm_start import WarmStartStage
from capgen.training.trained_captioner import TrainedCaptioner
from capgen.training.training_data import TrainingData, build_training_data, choose_visual_words
from capgen.training.validation import Validation
from capgen.training.warm_start import WarmStart

CHECKPOINT, BEST = "checkpoint.npz", "best.npz"


class TrainingLoop:
    """Trains a network from the first epoch, or from a checkpoint, to its best weights.

    Args:
        plan: Which phases follow each other, and which epoch is the best.
        data: What the network learns from.
        network: The network.
        stages: How each phase of the plan trains.
        folder: Where checkpoints are written.
        group: The processes that train the network together.
    """

    def __init__(
        self,
        plan: LoopPlan,
        data: TrainingData,
        network: CaptionNetwork,
        stages: Mapping[Phase, Stage],
        folder: Path,
        group: ProcessGroup,
    ) -> None:
        self.data, self.network, self.generator = data, network, CaptionGenerator(data, network)
        self.epochs: list[Epoch] = []
        self._plan, self._stages, self._folder, self._group = plan, stages, folder, group
        self._validation = Validation(data, network, self.generator, group)

    def run(self, reporter: TrainingReporter) -> Iterator[Epoch]:
        """Train from the folder's checkpoint, if there is one, to the end; afterwards the network has the best weights.

        Args:
            reporter: Receives the progress.

        Yields:
            Each epoch, once it is safe on disk.

        Raises:
            TrainingError: The loss is not finite, or the checkpoint is damaged or of another model.
        """
        checkpoint, best_file = self._folder / CHECKPOINT, self._folder / BEST
        if checkpoint.exists():
            self.epochs = _epochs_of(checkpoints.progress(checkpoint), len(self.data.dev_images))
            reporter.on_resume(tuple(self.epochs), self.choice.best)
        phase: Phase | None = None
        while following := self._plan.next_phase(self.epochs):
            reporter.on_epoch_start(self._plan.start(self.epochs, following))
            if following != phase:
                phase = following
                self._enter(phase)
            epoch = self._epoch(phase, reporter)
            self.epochs.append(epoch)
            best = self.choice.best is epoch
            self._save(best=best)
            reporter.on_epoch(epoch, best=best)
            yield epoch
        checkpoints.load(best_file, self.network.model, optimizer=False)
        reporter.on_choice(self.choice)

    @property
    def choice(self) -> EpochChoice:
        """The best of the epochs so far, of which there is at least one."""
        return self._plan.choice(self.epochs)

    def trained(self) -> TrainedCaptioner:
        """Return what the loop has trained, once ``run`` has ended."""
        return TrainedCaptioner(self.data, self.network, self.generator, tuple(self.epochs))

    def _enter(self, phase: Phase) -> None:
        """Begin or resume a phase: a new one begins with the best weights so far and a new optimizer."""
        self._stages[phase].compile()
        if any(epoch.phase == phase for epoch in self.epochs):
            checkpoints.load(self._folder / CHECKPOINT, self.network.model)
        elif self.epochs:
            checkpoints.load(self._folder / BEST, self.network.model, optimizer=False)

    def _epoch(self, phase: Phase, reporter: TrainingReporter) -> Epoch:
        started = time.monotonic()
        number = self._plan.next_number(self.epochs)
        loss = self._stages[phase].train_epoch(number, lambda step, steps, loss: reporter.on_step(number, step, steps, loss))
        if not math.isfinite(loss):
            raise TrainingError(f"the loss of epoch {number} is not finite; train anew with a smaller learning_rate")
        return self._validation.epoch(number, phase, loss, started)

    def _save(self, *, best: bool) -> None:
        """Write the checkpoint, and the best weights if they are those, in the first process; the others wait for it."""
        progress = {
            "epochs": [epoch.to_mapping() for epoch in self.epochs],
            "per_image": [epoch.per_image for epoch in self.epochs],
        }

        def save() -> None:
            if best:
                checkpoints.save(self._folder / BEST, self.network.model, progress)
            checkpoints.save(self._folder / CHECKPOINT, self.network.model, progress)

        self._group.broadcast(save)


def _epochs_of(progress: Mapping[str, Any], dev_images: int) -> list[Epoch]:
    """Return the epochs that a checkpoint holds; one of an earlier version lacks the scores of each image of dev."""
    epochs = [Epoch.from_mapping(values) for values in progress["epochs"]]
    per_image = progress.get("per_image", [()] * len(epochs))
    return [
        replace(epoch, per_image=tuple(scores), dev_images=dev_images)
        for epoch, scores in zip(epochs, per_image, strict=True)
    ]


def decoder_loop(
    config: TrainingConfig,
    dataset: PreparedDataset,
    encoder: EncoderSpec,
    store: FeatureStore,
    folder: Path,
    *,
    warm_start: WarmStart | None = None,
    group: ProcessGroup | None = None,
) -> TrainingLoop:
    """Make the loop that trains a decoder on cached features.

    Args:
        config: The hyper-parameters.
        dataset: The prepared data set.
        encoder: The encoder whose features are cached.
        store: The feature cache.
        folder: Where checkpoints are written.
        warm_start: The weights to begin with; random ones by default.
        group: The processes that train it together; by default this process alone, with TensorFlow.

    Raises:
        ConfigError: Nothing would be trained.
        TrainingError: The vocabulary would be empty, or the weights of the warm start are those of another decoder.
        DataError: The train or the dev split is empty.
    """
    group = group or ProcessGroup.single()
    data, network = _data_and_network(config, dataset, encoder, store, warm_start=warm_start)
    plan = RunPlan.from_config(
        config, steps_per_epoch=data.steps_per_epoch(), continues_captioner=warm_start is not None
    ).decoder
    stages = {
        Phase.WARM_START: WarmStartStage(data, network, group),
        Phase.CROSS_ENTROPY: CrossEntropyStage(data, network, group),
        Phase.SELF_CRITICAL: SelfCriticalStage(data, network, group),
    }
    return TrainingLoop(plan, data, network, stages, folder, group)


def encoder_loop(
    config: TrainingConfig,
    dataset: PreparedDataset,
    encoder: EncoderSpec,
    store: FeatureStore,
    folder: Path,
    last_blocks: keras.Model,
) -> TrainingLoop:
    """Make the loop that fine-tunes an encoder's last blocks together with a decoder, in this process with TensorFlow.

    Args:
        config: The hyper-parameters, of which ``encoder_epochs`` are trained.
        dataset: The prepared data set.
        encoder: The encoder, whose ``middle`` output is cached.
        store: The feature cache.
        folder: Where checkpoints are written.
        last_blocks: The blocks from ``middle`` (N, C, D) to the grid; the loop changes their weights.

    Raises:
        TrainingError: The vocabulary would be empty.
        DataError: The train or the dev split is empty.
    """
    group = ProcessGroup.single()
    data, network = _data_and_network(config.for_encoder_fine_tuning(), dataset, encoder, store, last_blocks=last_blocks)
    plan = RunPlan.from_config(config, steps_per_epoch=data.steps_per_epoch()).encoder
    assert plan is not None
    stages = {Phase.CROSS_ENTROPY: EncoderFineTuningStage(data, network, group)}
    return TrainingLoop(plan, data, network, stages, folder, group)


def _data_and_network(
    config: TrainingConfig,
    dataset: PreparedDataset,
    encoder: EncoderSpec,
    store: FeatureStore,
    *,
    warm_start: WarmStart | None = None,
    last_blocks: keras.Model | None = None,
) -> tuple[TrainingData, CaptionNetwork]:
    keras.utils.set_random_seed(config.seed)
    images = dataset.split("train")
    config.check(encoder, images, warm_start=warm_start is not None)
    visual_words = warm_start.visual_words if warm_start else choose_visual_words(config, images, dataset.language)
    output = MIDDLE if last_blocks else encoder.output_for(DECODERS[config.decoder].preferred_output)
    data = build_training_data(config, dataset, CachedFeatures(store, output, visual_words), warm_start)
    return data, CaptionNetwork.build(data, encoder, warm_start=warm_start, last_blocks=last_blocks)
