"""The training loop: epochs of teacher forcing, each judged by the captions that the decoder then writes on dev."""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from capgen import decoding, metrics
from capgen.datasets.prepared import PreparedDataset, PreparedPicture
from capgen.errors import TrainingError
from capgen.training import checkpoints
from capgen.training.batches import CaptionBatches, Sample
from capgen.training.config import TrainingConfig
from capgen.training.decoders import DECODERS
from capgen.training.decoders.decoder import Decoder, Shape
from capgen.training.encoders import Encoder
from capgen.training.features import FeatureStore
from capgen.training.history import Epoch, Observer
from capgen.training.steps import KerasSteps
from capgen.vocabulary import Vocabulary

DEV_BATCH = 50
"""Images decoded at once on dev."""

CHECKPOINT, BEST = "checkpoint.npz", "best.npz"

SAMPLES = 3
"""Dev captions shown after each epoch."""


class CaptionLoss(keras.losses.Loss):
    """Sparse cross-entropy over the words of whole captions, with label smoothing.

    Args:
        smoothing: Share of each target spread over the vocabulary (Szegedy et al. 2016).
    """

    def __init__(self, smoothing: float) -> None:
        """Keep the share."""
        super().__init__(name="caption_loss", reduction=None)
        self.smoothing = smoothing

    def call(self, y_true, y_pred):
        """Return the mean over words: targets (P,), logits (P, V) to a scalar."""
        loss = ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)  # (P,)
        if self.smoothing:
            uniform = ops.logsumexp(y_pred, axis=-1) - ops.mean(y_pred, axis=-1)  # cross-entropy with all words alike
            loss = (1 - self.smoothing) * loss + self.smoothing * uniform
        return ops.mean(loss)


class Trainer:
    """One run, from its first epoch or a checkpoint to its best weights.

    Args:
        config: The hyper-parameters.
        data: The prepared data set.
        encoder: Whose features are cached.
        store: The cache.
        folder: Where checkpoints go.

    Raises:
        TrainingError: The vocabulary would be empty.
        DataError: The train or the dev split is empty.
    """

    def __init__(
        self, config: TrainingConfig, data: PreparedDataset, encoder: Encoder, store: FeatureStore, folder: Path
    ) -> None:
        """Build vocabulary, decoder and optimizer."""
        keras.utils.set_random_seed(config.seed)
        self.config, self.data, self.store, self.folder = config, data, store, folder
        self.epochs: list[Epoch] = []
        self.train_pictures, self.dev_pictures = data.split("train"), data.split("dev")
        self.vocabulary = Vocabulary.build((c for p in self.train_pictures for c in p.captions), config.minimum_count)
        if len(self.vocabulary) <= 4:  # noqa: PLR2004 - only the special entries
            raise TrainingError(f"no word occurs {config.minimum_count} times in the training captions; lower minimum_count")
        family = DECODERS[config.decoder]
        self.output = encoder.output_for(family.wants)
        cells, channels = encoder.outputs[self.output]
        shape = Shape(
            cells, channels, len(self.vocabulary), config.embedding_size, config.lstm_size, config.heads, config.dropout
        )
        self.decoder: Decoder = family(shape)
        self.model = self.decoder.training_model(config.captions_per_image, config.maximum_words + 1)
        self.steps = KerasSteps(self.decoder)
        self.samples = self._samples(self.train_pictures)
        self._compile()

    def run(self, observer: Observer) -> Iterator[Epoch]:
        """Train from the folder's checkpoint, if there is one, to the end; afterwards the model holds the best weights.

        Args:
            observer: Who is told.

        Yields:
            Each epoch, once it is safe on disk.
        """
        checkpoint, best_file = self.folder / CHECKPOINT, self.folder / BEST
        self.model.optimizer.build(self.model.trainable_variables)
        if checkpoint.exists():
            self.epochs = [Epoch(**values) for values in checkpoints.load(checkpoint, self.model)["epochs"]]
        while len(self.epochs) < self.config.epochs and self._since_best() < self.config.patience:
            epoch = self._epoch(len(self.epochs), observer)
            best = epoch.cider_d > max((e.cider_d for e in self.epochs), default=-1.0)
            self.epochs.append(epoch)
            progress = {"epochs": [e.plain() for e in self.epochs]}
            if best:
                checkpoints.save(best_file, self.model, progress)
            checkpoints.save(checkpoint, self.model, progress)
            observer.on_epoch(epoch, best=best)
            yield epoch
        checkpoints.load(best_file, self.model)

    def _since_best(self) -> int:
        """Count the epochs since the best one, 0 at the start."""
        scores = [epoch.cider_d for epoch in self.epochs]
        return len(scores) - 1 - scores.index(max(scores)) if scores else 0

    def write_captions(self, pictures: list[PreparedPicture], options: decoding.DecodingOptions) -> list[str]:
        """Caption pictures from their cached features with the present weights."""
        captions = []
        for start in range(0, len(pictures), DEV_BATCH):
            keys = [picture.image_hash for picture in pictures[start : start + DEV_BATCH]]
            found = decoding.search(self.steps, self.store.rows(keys, self.output).astype(np.float32), options)
            captions += [self.vocabulary.decode(hypotheses[0].ids) for hypotheses in found]
        return captions

    @property
    def options(self) -> decoding.DecodingOptions:
        """How dev is captioned, and the bundle's default."""
        return decoding.DecodingOptions(beam=self.config.beam, length_power=self.config.length_power)

    def _samples(self, pictures: list[PreparedPicture]) -> list[Sample]:
        return [Sample(p.image_hash, [self.vocabulary.encode(c) for c in p.captions], p.weight) for p in pictures]

    def _batches(self, samples: list[Sample], **order: Any) -> CaptionBatches:
        config = self.config
        return CaptionBatches(
            samples,
            self.store,
            self.output,
            captions=config.captions_per_image,
            maximum_words=config.maximum_words,
            batch_size=config.batch_size,
            **order,
        )

    def _compile(self) -> None:
        config = self.config
        steps = config.epochs * len(self._batches(self.samples, seed=config.seed, epoch=0))
        rate: Any = config.learning_rate
        if config.schedule == "cosine":
            warmup = min(config.warmup_steps, steps // 2)
            rate = keras.optimizers.schedules.CosineDecay(
                0.0, max(1, steps - warmup), warmup_target=config.learning_rate, warmup_steps=warmup
            )
        optimizer = keras.optimizers.AdamW(rate, weight_decay=config.weight_decay, global_clipnorm=config.clip_norm)
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        self.model.compile(optimizer, CaptionLoss(config.label_smoothing), jit_compile=False)

    def _epoch(self, done: int, observer: Observer) -> Epoch:
        started = time.monotonic()
        batches = self._batches(self.samples, views=self.data.views, seed=self.config.seed, epoch=done)
        telling = _Telling(lambda step, loss: observer.on_step(done + 1, step, len(batches), loss))
        history = self.model.fit(batches, epochs=1, shuffle=False, verbose=0, callbacks=[telling])
        loss = float(history.history["loss"][-1])
        if not math.isfinite(loss):
            raise TrainingError(f"the loss of epoch {done + 1} is not finite; train anew with a smaller learning_rate")
        captions = self.write_captions(self.dev_pictures, self.options)
        scores = metrics.score(captions, [picture.captions for picture in self.dev_pictures])
        shown = np.linspace(0, len(captions) - 1, min(SAMPLES, len(captions))).astype(int)
        return Epoch(
            number=done + 1,
            loss=loss,
            dev_loss=self._dev_loss(),
            cider_d=scores["CIDEr-D"],
            bleu_4=scores["BLEU-4"],
            seconds=time.monotonic() - started,
            samples=tuple((self.dev_pictures[index].path, captions[index]) for index in shown),
        )

    def _dev_loss(self) -> float:
        """Mean cross-entropy of a dev word."""
        loss, total, count = CaptionLoss(0.0), 0.0, 0
        batches = self._batches(self._samples(self.dev_pictures))
        for index in range(len(batches)):
            inputs, targets = batches[index]
            total += float(loss.call(ops.convert_to_tensor(targets), self.model.predict_on_batch(inputs))) * len(targets)
            count += len(targets)
        return total / count


class _Telling(keras.callbacks.Callback):
    """Passes the end of each step on."""

    def __init__(self, tell: Callable[[int, float], None]) -> None:
        super().__init__()
        self._tell = tell

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._tell(batch + 1, float((logs or {}).get("loss", float("nan"))))
