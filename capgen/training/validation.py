"""``Validation``: what the present weights of a network achieve on the dev split."""

import time
from dataclasses import asdict

import numpy as np
from keras import ops

from capgen.evaluation import metrics
from capgen.training.history import Epoch, Phase
from capgen.training.losses import CaptionLoss
from capgen.training.network import CaptionGenerator, CaptionNetwork
from capgen.training.process_group import ProcessGroup
from capgen.training.training_data import TrainingData

SAMPLES = 3
"""Dev captions kept of each epoch, to be shown."""


class Validation:
    """Validates a network on dev.

    Args:
        data: The dev split.
        network: The network.
        generator: Generates captions with it.
        group: The processes of the run, of which the first validates.
    """

    def __init__(
        self, data: TrainingData, network: CaptionNetwork, generator: CaptionGenerator, group: ProcessGroup
    ) -> None:
        self._data, self._generator, self._group = data, generator, group
        self._predict = group.predictor(network.model, data.config.batch_size)

    def epoch(self, number: int, phase: Phase, loss: float, started: float) -> Epoch:
        """Validate the weights of an epoch, once for all processes.

        Args:
            number: The number of the epoch.
            phase: What it trained with.
            loss: Its training loss.
            started: When it began, by ``time.monotonic``.
        """
        return Epoch(**self._group.broadcast(lambda: asdict(self._epoch(number, phase, loss, started))))

    def _epoch(self, number: int, phase: Phase, loss: float, started: float) -> Epoch:
        images = self._data.dev_images
        captions = self._generator.captions(images)
        references = [image.captions for image in images]
        scores = metrics.scores(captions, references, metrics.validation_metrics(), language=self._data.language)
        primary = scores.get(metrics.PRIMARY)
        shown = np.linspace(0, len(captions) - 1, min(SAMPLES, len(captions))).astype(int)
        return Epoch(
            number=number,
            loss=loss,
            dev_loss=self._loss(),
            scores={name: score.value for name, score in scores.items()},
            seconds=time.monotonic() - started,
            phase=phase,
            samples=tuple((images[index].path, captions[index]) for index in shown),
            alike=len(captions) > 1 and len(set(captions)) == 1,
            per_image=tuple(primary.per_image.tolist()) if primary else (),
            dev_images=len(images),
        )

    def _loss(self) -> float:
        """Return the mean cross-entropy of a dev word, in nats, without label smoothing."""
        loss, total, count = CaptionLoss(0.0), 0.0, 0
        batches = self._data.dev_batches()
        for index in range(len(batches)):
            inputs, targets = batches[index]
            words = loss.call(ops.convert_to_tensor(targets), self._predict(inputs))  # (P,)
            total += float(ops.mean(words)) * len(targets)
            count += len(targets)
        return total / count
