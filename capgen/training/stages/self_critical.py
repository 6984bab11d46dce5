"""Self-critical sequence training (SCST): sampled captions become likelier the better their reward is."""

from collections.abc import Callable, Sequence
from functools import cached_property

import keras
import numpy as np

from capgen.captioner.decoding import DecodingOptions
from capgen.training.losses import PolicyLoss
from capgen.training.rewards import SampledBatch, SelfCriticalSampler
from capgen.training.stages.stage import OnStep, Stage


class SelfCriticalStage(Stage):
    """Trains with Adam on captions that the decoder samples without dropout; the loss is the negative mean reward."""

    def compile(self) -> None:
        """Give the model the policy loss and Adam, and switch dropout off."""
        config, model = self.config, self.network.model
        for dropout in self.network.decoder.dropouts.values():
            dropout.rate = 0.0
        adam = keras.optimizers.Adam(config.scst_learning_rate, global_clipnorm=config.clip_norm)
        model.compile(adam, PolicyLoss(config.scst_temperature), jit_compile=self.group.jit_compile)
        adam.build(model.trainable_variables)

    def train_epoch(self, number: int, on_step: OnStep) -> float:
        """Train once on ``scst_images`` images, or on all if there are fewer, chosen at random."""
        config = self.config
        generator = np.random.default_rng([config.seed, number])
        order = generator.permutation(len(self.data.self_critical_images))[: config.scst_images].tolist()
        batches = [order[start : start + config.batch_size] for start in range(0, len(order), config.batch_size)]
        reward = train_on_samples(
            batches,
            lambda chosen, step: self._sample(chosen, [config.seed, number, step]),
            lambda batch: self.group.train_step(
                self.network.model, batch.inputs, batch.targets, config.batch_size, batch.advantages
            ),
            lambda step, reward: on_step(step, len(batches), -reward),
        )
        return -reward

    def _sample(self, chosen: Sequence[int], seed: Sequence[int]) -> SampledBatch:
        """Sample the captions of a batch once for all processes."""
        return SampledBatch(*self.group.broadcast(lambda: self._sampler.batch(chosen, seed)))

    @cached_property
    def _sampler(self) -> SelfCriticalSampler:
        config = self.config
        options = DecodingOptions(
            num_beams=1,
            num_captions=config.scst_samples,
            max_words=config.max_words,
            temperature=config.scst_temperature,
        )
        return SelfCriticalSampler(
            self.data.self_critical_images,
            self.data.features,
            self.data.text,
            self.data.constraints,
            self.network.stepwise,
            options,
            config.scst_distinctiveness,
        )


def train_on_samples(
    batches: Sequence[Sequence[int]],
    sample: Callable[[Sequence[int], int], SampledBatch],
    train: Callable[[SampledBatch], object],
    on_step: Callable[[int, float], None],
) -> float:
    """Sample captions and train on them, a batch at a time.

    Args:
        batches: The indices of the images of each batch.
        sample: Samples captions for a batch, given the number of the step, counted from 1.
        train: Takes one step of training.
        on_step: Called after each step with its number and the mean reward so far.

    Returns:
        The mean reward of an image.
    """
    total, images = 0.0, 0
    for step, chosen in enumerate(batches, 1):
        batch = sample(chosen, step)
        train(batch)
        total += batch.reward * len(chosen)
        images += len(chosen)
        on_step(step, total / images)
    return total / images
