"""``RunPlan``: what a training run consists of, worked out from its config and the epochs so far. No Keras."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from capgen.evaluation.metrics import PRIMARY
from capgen.training.choice import Criterion, EpochChoice
from capgen.training.config import TrainingConfig
from capgen.training.history import Epoch, EpochStart, Phase

ENCODER_WARMUP_FRACTION = 5
"""The learning rate of an encoder warms up over one over this of all steps."""


@dataclass(frozen=True)
class LoopPlan:
    """What one training loop does: a validation before it, cross-entropy epochs, self-critical epochs.

    Attributes:
        warm_start: Whether the loop begins with trained weights, which are validated first as epoch 0.
        cross_entropy_epochs: The greatest number of cross-entropy epochs.
        self_critical_epochs: The number of self-critical epochs.
        patience: Cross-entropy training stops after this many epochs that were of no use, see ``is_exhausted``.
        warmup_epochs: Epochs in which the learning rate is still rising; they do not count against patience.
        criterion: What the best epoch is chosen by.
    """

    warm_start: bool
    cross_entropy_epochs: int
    self_critical_epochs: int
    patience: int
    warmup_epochs: int = 0
    criterion: Criterion = Criterion.CAPTIONS_AND_LOSS

    def next_phase(self, epochs: Sequence[Epoch]) -> Phase | None:
        """Return what follows after some epochs; ``None`` at the end of the loop.

        Self-critical training that has begun is never left again: an earlier version counted patience in another way.
        """
        if self.warm_start and not epochs:
            return Phase.WARM_START
        done = Counter(epoch.phase for epoch in epochs)
        self_critical, cross_entropy = done[Phase.SELF_CRITICAL], done[Phase.CROSS_ENTROPY]
        if not self_critical and cross_entropy < self.cross_entropy_epochs and not self.is_exhausted(epochs):
            return Phase.CROSS_ENTROPY
        return Phase.SELF_CRITICAL if self_critical < self.self_critical_epochs else None

    def next_number(self, epochs: Sequence[Epoch]) -> int:
        """Return the number of the epoch after some epochs; the validation of a warm start has the number 0."""
        return len(epochs) if self.warm_start else len(epochs) + 1

    def start(self, epochs: Sequence[Epoch], phase: Phase) -> EpochStart:
        """Return where in the run the epoch begins that follows some epochs in a phase."""
        number = self.next_number(epochs)
        if phase == Phase.WARM_START:
            return EpochStart(number, number)
        if phase == Phase.SELF_CRITICAL:
            before = sum(epoch.phase == Phase.CROSS_ENTROPY for epoch in epochs)
            return EpochStart(number, before + self.self_critical_epochs)
        if self.criterion == Criterion.DEV_LOSS:
            return EpochStart(number, self.cross_entropy_epochs, "the decoder")
        return EpochStart(number, self.cross_entropy_epochs, "self-critical epochs" if self.self_critical_epochs else "")

    def choice(self, epochs: Sequence[Epoch]) -> EpochChoice:
        """Return the choice of the best of some epochs, at least one."""
        *_, choice = EpochChoice.successive(epochs, self.criterion)
        return choice

    def is_exhausted(self, epochs: Sequence[Epoch]) -> bool:
        """Tell whether patience has run out.

        An epoch of cross-entropy training was of use if its captions for dev score higher than those of all before,
        or if its loss on dev is lower than that of all such epochs. Training never stops while the loss falls.
        """
        count, last_useful, lowest, highest = 0, self.warmup_epochs, math.inf, 0.0
        for epoch in epochs:
            score = epoch.scores.get(PRIMARY, 0.0)
            if epoch.phase == Phase.CROSS_ENTROPY:
                count += 1
                raises_score = score > highest and self.criterion == Criterion.CAPTIONS_AND_LOSS
                if raises_score or epoch.dev_loss < lowest:
                    last_useful = max(last_useful, count)
                lowest = min(lowest, epoch.dev_loss)
            highest = max(highest, score)
        return count - last_useful >= self.patience


@dataclass(frozen=True)
class RunPlan:
    """What a run consists of.

    Attributes:
        encoder: The loop that fine-tunes the encoder's last blocks together with a decoder, if there is one.
        decoder: The loop that trains the decoder, with the weights of the first loop or of a captioner as its warm start.
    """

    encoder: LoopPlan | None
    decoder: LoopPlan

    @classmethod
    def from_config(cls, config: TrainingConfig, *, steps_per_epoch: int, continues_captioner: bool = False) -> "RunPlan":
        """Plan a run.

        Args:
            config: The hyper-parameters.
            steps_per_epoch: The number of training steps in a cross-entropy epoch.
            continues_captioner: Whether the run continues a captioner, whose encoder stays as it is.
        """
        encoder = None
        if config.encoder_epochs and not continues_captioner:
            encoder = LoopPlan(
                warm_start=False,
                cross_entropy_epochs=config.encoder_epochs,
                self_critical_epochs=0,
                patience=config.patience,
                warmup_epochs=_warmup_epochs(config, config.encoder_epochs, steps_per_epoch),
                criterion=Criterion.DEV_LOSS,
            )
        decoder = LoopPlan(
            warm_start=continues_captioner or encoder is not None,
            cross_entropy_epochs=config.epochs,
            self_critical_epochs=config.scst_epochs,
            patience=config.patience,
            warmup_epochs=_warmup_epochs(config, config.epochs, steps_per_epoch),
        )
        return cls(encoder, decoder)


@dataclass(frozen=True)
class LearningRatePlan:
    """How the learning rate of a loop's cross-entropy epochs changes.

    Attributes:
        peak: The learning rate after the warm-up.
        warmup_steps: Steps over which it rises from 0 to the peak.
        decay_steps: Steps over which it then falls to 0, along half a cosine wave.
        constant: Whether it has the peak value at every step in place of that.
        encoder_warmup_steps: Steps over which the multiplier of an encoder rises from 0.
    """

    peak: float
    warmup_steps: int
    decay_steps: int
    constant: bool
    encoder_warmup_steps: int

    @classmethod
    def from_config(cls, config: TrainingConfig, steps: int) -> "LearningRatePlan":
        """Plan the learning rate of a number of steps, of which the warm-up takes at most half."""
        warmup = min(config.warmup_steps, steps // 2)
        return cls(
            peak=config.learning_rate,
            warmup_steps=warmup,
            decay_steps=max(1, steps - warmup),
            constant=config.schedule == "constant",
            encoder_warmup_steps=max(1, steps // ENCODER_WARMUP_FRACTION),
        )


def _warmup_epochs(config: TrainingConfig, epochs: int, steps_per_epoch: int) -> int:
    """Return the number of epochs in which the learning rate is still rising, the last of them in part."""
    if config.schedule == "constant" or not steps_per_epoch:
        return 0
    return math.ceil(LearningRatePlan.from_config(config, epochs * steps_per_epoch).warmup_steps / steps_per_epoch)
