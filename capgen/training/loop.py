"""The training loop: epochs of teacher forcing, each judged by the captions that the decoder then writes on dev."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np
from keras import ops

from capgen.captioner import decoding
from capgen.captioner.constraints import ConstraintConfig, Constraints
from capgen.captioner.slots import ClassScores, VisualWords
from capgen.captioner.text import CaptionText
from capgen.captioner.vocabulary import SPECIAL, START, Vocabulary, words
from capgen.datasets.prepared import PreparedDataset, PreparedImage, in_target_domain
from capgen.errors import TrainingError
from capgen.evaluation import metrics
from capgen.training import checkpoints
from capgen.training.batches import CaptionBatches, Sample, filled
from capgen.training.config import TrainingConfig
from capgen.training.decoders import DECODERS
from capgen.training.decoders.decoder import Decoder, Shape
from capgen.training.encoders import MIDDLE, Encoder
from capgen.training.features import CachedFeatures, FeatureStore
from capgen.training.fine_tuning import SharedRate, seeing
from capgen.training.history import Epoch, Phase, TrainingReporter
from capgen.training.keras_steps import KerasSteps, runner
from capgen.training.losses import CaptionLoss, PolicyLoss
from capgen.training.process_group import Group
from capgen.training.rewards import SelfCritical
from capgen.training.warm_start import Begun, take

DEV_BATCH = 50
"""Images decoded at once on dev."""

CHECKPOINT, BEST = "checkpoint.npz", "best.npz"

SLOW_START = 5
"""One over the share of the steps in which the encoder's own step size rises."""

SAMPLES = 3
"""Dev captions shown after each epoch."""

T = TypeVar("T")


class Trainer:
    """One run, from its first epoch or a checkpoint to its best weights.

    Args:
        config: The hyper-parameters.
        data: The prepared data set.
        encoder: Whose features are cached.
        store: The cache.
        folder: Where checkpoints go.
        begun: What to go on from, instead of from nothing.
        last_blocks: The part of the encoder that is trained along, from (N, C, D) of ``middle`` to the grid.
        group: The devices and processes to train on, which has been joined; by default TensorFlow has what there is.

    Raises:
        TrainingError: The vocabulary would be empty.
        DataError: The train or the dev split is empty.
    """

    def __init__(
        self,
        config: TrainingConfig,
        data: PreparedDataset,
        encoder: Encoder,
        store: FeatureStore,
        folder: Path,
        *,
        begun: Begun | None = None,
        last_blocks: keras.Model | None = None,
        group: Group | None = None,
    ) -> None:
        """Build vocabulary and decoder."""
        keras.utils.set_random_seed(config.seed)
        self.config, self.data, self.folder = config, data, folder
        self.begun, self.last_blocks, self.group = begun, last_blocks, group
        self.epochs: list[Epoch] = []
        self.train_pictures, self.dev_pictures = data.split("train"), data.split("dev")
        config.check(encoder, self.train_pictures, warm_start=begun is not None)
        family = DECODERS[config.decoder]
        self.output = encoder.output_for(family.wants)
        self.visual_words = begun.visual_words if begun else self._names()
        self.features = CachedFeatures(store, MIDDLE if last_blocks else self.output, self.visual_words)
        taught = self.train_pictures if config.epochs else []
        styles = sorted({picture.domain for picture in taught} - {""})
        marks = (*(self.visual_words.slots if self.visual_words else ()), *map(_style_mark, styles))
        said = [self._words(picture) for picture in taught]
        self.vocabulary = Vocabulary.build((c for captions in said for c in captions), config.min_count, marks)
        if taught and len(self.vocabulary) <= len(SPECIAL) + len(marks):
            raise TrainingError(f"no word occurs {config.min_count} times in the training captions; lower min_count")
        if begun:
            self.vocabulary = begun.vocabulary.extended(self.vocabulary)
        constraints = ConstraintConfig.default()
        self.text = CaptionText(self.vocabulary, self.visual_words, constraints.min_class_probability)
        self.constraints = Constraints(self.vocabulary, self.visual_words, constraints)
        cells, channels = encoder.outputs[self.output]
        width = self.visual_words.token_width if self.visual_words else 0
        self.seeing = seeing(last_blocks, (cells, channels), width) if last_blocks else None
        if self.visual_words:
            cells, channels = cells + 1, channels + width
        shape = Shape(
            cells, channels, len(self.vocabulary), config.embedding_size, config.lstm_size, config.heads, config.dropout
        )
        self.decoder: Decoder = family(shape)
        self.model = self.decoder.training_model(config.max_words + 1, self.seeing)
        if begun:
            take(self.model, begun.weights, (len(begun.vocabulary), len(self.vocabulary)))
        self.steps = KerasSteps(self.decoder)
        self.samples = list(map(self._sample, taught, said))
        self.dev_samples = [self._sample(picture, self._words(picture)) for picture in self.dev_pictures]
        self.judged = config.self_critical_images(self.train_pictures)

    def run(self, reporter: TrainingReporter) -> Iterator[Epoch]:
        """Train from the folder's checkpoint, if there is one, to the end; afterwards the model holds the best weights.

        Args:
            reporter: Who is told.

        Yields:
            Each epoch, once it is safe on disk.
        """
        checkpoint, best_file = self.folder / CHECKPOINT, self.folder / BEST
        if checkpoint.exists():
            self.epochs = [Epoch.from_mapping(values) for values in checkpoints.progress(checkpoint)["epochs"]]
        phase = ""
        while following := self._phase():
            if following != phase:
                phase = following
                self._compile(phase)
                if self._of(phase):  # it goes on
                    checkpoints.load(checkpoint, self.model)
                elif self.epochs:
                    checkpoints.load(best_file, self.model, optimizer=False)
            epoch = self._epoch(phase, reporter)
            best = self._merit(epoch) > max(map(self._merit, self.epochs), default=-math.inf)
            self.epochs.append(epoch)
            self._shared(lambda: self._save(best=best))  # noqa: B023 - which calls it at once
            reporter.on_epoch(epoch, best=best)
            yield epoch
        checkpoints.load(best_file, self.model, optimizer=False)

    def _save(self, *, best: bool) -> None:
        progress = {"epochs": [epoch.to_mapping() for epoch in self.epochs]}
        if best:
            checkpoints.save(self.folder / BEST, self.model, progress)
        checkpoints.save(self.folder / CHECKPOINT, self.model, progress)

    def _shared(self, make: Callable[[], T]) -> T:
        """Make something once, for the whole group."""
        return self.group.shared(make) if self.group else make()

    def _phase(self) -> str:
        """Name what comes next: a look at where it starts, teacher forcing until that has stopped, drawing, nothing."""
        if self.begun and not self.epochs:
            return Phase.WARM_START
        scores = list(map(self._merit, self._of(Phase.CROSS_ENTROPY)))
        since_best = len(scores) - 1 - scores.index(max(scores)) if scores else 0
        if len(scores) < self.config.epochs and since_best < self.config.patience:
            return Phase.CROSS_ENTROPY
        return Phase.SELF_CRITICAL if len(self._of(Phase.SELF_CRITICAL)) < self.config.scst_epochs else ""

    def _merit(self, epoch: Epoch) -> float:
        """Say how good an epoch's weights are: by the captions, or where training will go on from them by the loss."""
        return -epoch.dev_loss if self.last_blocks else epoch.cider_d

    def _of(self, phase: str) -> list[Epoch]:
        return [epoch for epoch in self.epochs if epoch.phase == phase]

    def write_captions(self, pictures: list[PreparedImage], options: decoding.DecodingOptions) -> list[str]:
        """Caption pictures from their cached features with the present weights."""
        captions = []
        for start in range(0, len(pictures), DEV_BATCH):
            keys = [picture.image_hash for picture in pictures[start : start + DEV_BATCH]]
            class_scores_list = [self.features.class_scores(key) for key in keys]
            found = self.search(self.described(keys), class_scores_list, options)
            captions += [
                self.text.decode(hypotheses[0].ids, class_scores)
                for hypotheses, class_scores in zip(found, class_scores_list, strict=True)
            ]
        return captions

    def described(self, keys: Sequence[str]) -> np.ndarray:
        """Return the features of pictures as the decoder takes them: (N, C, D) float32."""
        features = self.features.rows(keys).astype(np.float32)
        return self.seeing.predict_on_batch(features) if self.seeing else features

    def search(
        self, features: np.ndarray, class_scores_list: list[ClassScores | None], options: decoding.DecodingOptions
    ) -> list[list[decoding.Hypothesis]]:
        """Search captions of described pictures, (N, C, D), with the present weights."""
        processors = self.constraints.processors(class_scores_list)
        if options.guidance > 1:
            guidance = decoding.Guidance(self.steps, self.average.astype(np.float32), options.guidance)
            processors = [guidance, *processors]
        return decoding.search(self.steps, features, options, processors)

    @cached_property
    def average(self) -> np.ndarray:
        """The features of an average picture, over dev, which is always described: (C, D) float16."""
        rows = (self.features.rows([picture.image_hash])[0].astype(np.float32) for picture in self.dev_pictures)
        return (sum(rows) / len(self.dev_pictures)).astype(np.float16)

    def result(self) -> Begun:
        """Return what another run can go on from."""
        weights = {v.path: np.array(v) for v in self.model.weights if "seed_generator" not in v.path}
        return Begun(self.vocabulary, self.visual_words, weights)

    @property
    def options(self) -> decoding.DecodingOptions:
        """How dev is captioned, and the bundle's default but for variety: what is common is known at the end."""
        guidance = 1.0 if self.seeing else self.config.guidance  # what an average picture is changes as the encoder learns
        return decoding.DecodingOptions(
            num_beams=self.config.num_beams, length_penalty=self.config.length_penalty, guidance=guidance
        )

    def _sample(self, picture: PreparedImage, said: list[list[str]]) -> Sample:
        return Sample(
            image_hash=picture.image_hash,
            captions=[self.vocabulary.ids(caption) for caption in said],
            weight=picture.weight,
            start=self.vocabulary.ids([_style_mark(picture.domain)])[0] if picture.domain else START,
        )

    def _words(self, picture: PreparedImage) -> list[list[str]]:
        """Return the words of a picture's captions, with slots."""
        captions = [words(caption) for caption in picture.captions]
        class_scores = self.features.class_scores(picture.image_hash)
        return (
            [self.visual_words.delexicalise(said, class_scores) for said in captions]
            if self.visual_words and class_scores
            else captions
        )

    def _names(self) -> VisualWords | None:
        """Choose the names that are said through slots: those that are rare in the style that the captioner writes in."""
        if not self.config.slots_below:
            return None
        own = (caption for picture in in_target_domain(self.train_pictures) for caption in picture.captions)
        return VisualWords.imagenet().rarer_than(self.config.slots_below, own)

    def _batches(self, samples: list[Sample], **order: Any) -> CaptionBatches:
        config = self.config
        return CaptionBatches(
            samples,
            self.features,
            captions=config.captions_per_image,
            maximum_words=config.max_words,
            batch_size=config.batch_size,
            **order,
        )

    def _compile(self, phase: str) -> None:
        """Take up the loss and the optimizer of a phase."""
        config = self.config
        if phase == Phase.SELF_CRITICAL:
            for dropout in self.decoder.dropouts.values():  # what is drawn is drawn without it
                dropout.rate = 0.0
            adam = keras.optimizers.Adam(config.scst_learning_rate, global_clipnorm=config.clip_norm)
            self.model.compile(adam, PolicyLoss(config.scst_temperature), jit_compile=self.group is not None)
            self.model.optimizer.build(self.model.trainable_variables)
            return
        steps = config.epochs * len(self._batches(self.samples, seed=config.seed, epoch=1))
        rate: Any = config.learning_rate
        if config.schedule == "cosine":
            warmup = min(config.warmup_steps, steps // 2)
            rate = keras.optimizers.schedules.CosineDecay(
                0.0, max(1, steps - warmup), warmup_target=config.learning_rate, warmup_steps=warmup
            )
        slow = self.last_blocks.trainable_variables if self.last_blocks else []
        optimizer = SharedRate(
            rate,
            slow,
            config.encoder_lr_multiplier,
            steps // SLOW_START,
            weight_decay=config.weight_decay,
            global_clipnorm=config.clip_norm,
        )
        optimizer.exclude_from_weight_decay(var_list=slow, var_names=["bias"])
        self.model.compile(optimizer, CaptionLoss(config.label_smoothing), jit_compile=self.group is not None)
        self.model.optimizer.build(self.model.trainable_variables)

    def _epoch(self, phase: str, reporter: TrainingReporter) -> Epoch:
        started = time.monotonic()
        done = len(self.epochs)
        number = done if self.begun else done + 1
        loss = 0.0
        if phase != Phase.WARM_START:
            loss = (self._teach if phase == Phase.CROSS_ENTROPY else self._draw)(number, reporter)
        if not math.isfinite(loss):
            raise TrainingError(f"the loss of epoch {number} is not finite; train anew with a smaller learning_rate")
        return Epoch(**self._shared(lambda: asdict(self._judge(number, phase, loss, started))))

    def _judge(self, number: int, phase: str, loss: float, started: float) -> Epoch:
        """See what an epoch achieved."""
        captions = self.write_captions(self.dev_pictures, self.options)
        scores = metrics.score(captions, [picture.captions for picture in self.dev_pictures])
        shown = np.linspace(0, len(captions) - 1, min(SAMPLES, len(captions))).astype(int)
        return Epoch(
            number=number,
            loss=loss,
            dev_loss=self._dev_loss(),
            cider_d=scores["CIDEr-D"],
            bleu_4=scores["BLEU-4"],
            seconds=time.monotonic() - started,
            phase=Phase(phase),
            samples=tuple((self.dev_pictures[index].path, captions[index]) for index in shown),
        )

    def _teach(self, number: int, reporter: TrainingReporter) -> float:
        """Go through the training images once, and return the mean loss."""
        batches = self._batches(self.samples, views=self.data.augmentations, seed=self.config.seed, epoch=number)
        if self.group:
            return self._teach_together(batches, lambda step, loss: reporter.on_step(number, step, len(batches), loss))
        telling = _Telling(lambda step, loss: reporter.on_step(number, step, len(batches), loss))
        history = self.model.fit(batches, epochs=1, shuffle=False, verbose=0, callbacks=[telling])
        return float(history.history["loss"][-1])

    def _teach_together(self, batches: CaptionBatches, tell: Callable[[int, float], None]) -> float:
        """Do on the group's devices what ``fit`` does."""
        total, seen = 0.0, 0
        for index in range(len(batches)):
            inputs, targets = batches[index]
            images = len(inputs["words"])
            total += self._step(inputs, targets) * images
            seen += images
            tell(index + 1, total / seen)
        return total / seen

    def _step(self, inputs: dict[str, np.ndarray], targets: np.ndarray, weights: np.ndarray | None = None) -> float:
        """Take one step of training on a batch, and return its loss."""
        if not self.group:
            return self.model.train_on_batch(inputs, targets, sample_weight=weights)
        return self.group.train(self.model, *filled(inputs, targets, self.config.batch_size, weights))

    def _draw(self, number: int, reporter: TrainingReporter) -> float:
        """Train on captions drawn for some of the training images, and return the negative mean reward."""
        config = self.config
        order = np.random.default_rng([config.seed, number]).permutation(len(self.judged))[: config.scst_images]
        return -self._critic.round(
            self._step,
            order.tolist(),
            config.batch_size,
            [config.seed, number],
            lambda step, steps, reward: reporter.on_step(number, step, steps, -reward),
            self._shared,
        )

    @cached_property
    def _critic(self) -> SelfCritical:
        config = self.config
        options = decoding.DecodingOptions(
            num_beams=1,
            num_captions=config.scst_samples,
            max_words=config.max_words,
            temperature=config.scst_temperature,
        )
        return SelfCritical(
            self.judged, self.features, self.text, self.constraints, self.steps, options, config.scst_distinctiveness
        )

    def _dev_loss(self) -> float:
        """Mean cross-entropy of a dev word."""
        loss, total, count = CaptionLoss(0.0), 0.0, 0
        batches = self._batches(self.dev_samples)
        predict = self._predict if self.group else self.model.predict_on_batch
        for index in range(len(batches)):
            inputs, targets = batches[index]
            words = loss.call(ops.convert_to_tensor(targets), predict(inputs))
            total += float(ops.mean(words)) * len(targets)
            count += len(targets)
        return total / count

    def _predict(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """Do what ``predict_on_batch`` does, in this process alone."""
        count = len(inputs["places"])
        whole, *_ = filled(inputs, inputs["places"], self.config.batch_size)
        return np.asarray(self._runner(whole))[:count]

    @cached_property
    def _runner(self) -> Callable[[Any], Any]:
        return runner(self.model)


def _style_mark(style: str) -> str:
    return f"<style {style}>"


class _Telling(keras.callbacks.Callback):
    """Passes the end of each step on."""

    def __init__(self, tell: Callable[[int, float], None]) -> None:
        super().__init__()
        self._tell = tell

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._tell(batch + 1, float((logs or {}).get("loss", float("nan"))))
