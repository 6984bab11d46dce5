"""``RunPlan``: what a training run consists of, worked out from its config and the epochs so far. No Keras."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from capgen.evaluation.metrics import PRIMARY
from capgen.training.config import TrainingConfig
from capgen.training.history import Epoch, Phase

ENCODER_WARMUP_FRACTION = 5
"""The learning rate of an encoder warms up over one over this of all steps."""


class Criterion(StrEnum):
    """The criterion that chooses the best epoch."""

    CIDER_D = "cider_d"
    """The CIDEr-D of the captions generated for dev, the higher the better."""

    DEV_LOSS = "dev_loss"
    """The cross-entropy on dev, the lower the better: for weights with which training goes on."""


@dataclass(frozen=True)
class LoopPlan:
    """What one training loop does: a validation before it, cross-entropy epochs, self-critical epochs.

    Attributes:
        warm_start: Whether the loop begins with trained weights, which are validated first as epoch 0.
        cross_entropy_epochs: The greatest number of cross-entropy epochs.
        self_critical_epochs: The number of self-critical epochs.
        patience: Cross-entropy training stops after this many epochs without a better one.
        criterion: The criterion that chooses the best epoch.
    """

    warm_start: bool
    cross_entropy_epochs: int
    self_critical_epochs: int
    patience: int
    criterion: Criterion = Criterion.CIDER_D

    def next_phase(self, epochs: Sequence[Epoch]) -> Phase | None:
        """Return what follows after some epochs; ``None`` at the end of the loop."""
        if self.warm_start and not epochs:
            return Phase.WARM_START
        merits = [self.merit(epoch) for epoch in epochs if epoch.phase == Phase.CROSS_ENTROPY]
        since_best = len(merits) - 1 - merits.index(max(merits)) if merits else 0
        if len(merits) < self.cross_entropy_epochs and since_best < self.patience:
            return Phase.CROSS_ENTROPY
        self_critical = sum(epoch.phase == Phase.SELF_CRITICAL for epoch in epochs)
        return Phase.SELF_CRITICAL if self_critical < self.self_critical_epochs else None

    def next_number(self, epochs: Sequence[Epoch]) -> int:
        """Return the number of the epoch after some epochs; the validation of a warm start has the number 0."""
        return len(epochs) if self.warm_start else len(epochs) + 1

    def merit(self, epoch: Epoch) -> float:
        """Return how good the weights of an epoch are; a greater number is better."""
        return epoch.scores.get(PRIMARY, 0.0) if self.criterion == Criterion.CIDER_D else -epoch.dev_loss

    def is_best(self, epoch: Epoch, earlier: Sequence[Epoch]) -> bool:
        """Tell whether an epoch is better than all before it."""
        return all(self.merit(epoch) > self.merit(other) for other in earlier)


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
    def from_config(cls, config: TrainingConfig, *, continues_captioner: bool = False) -> "RunPlan":
        """Plan a run.

        Args:
            config: The hyper-parameters.
            continues_captioner: Whether the run continues a captioner, whose encoder stays as it is.
        """
        encoder = None
        if config.encoder_epochs and not continues_captioner:
            encoder = LoopPlan(
                warm_start=False,
                cross_entropy_epochs=config.encoder_epochs,
                self_critical_epochs=0,
                patience=config.patience,
                criterion=Criterion.DEV_LOSS,
            )
        decoder = LoopPlan(
            warm_start=continues_captioner or encoder is not None,
            cross_entropy_epochs=config.epochs,
            self_critical_epochs=config.scst_epochs,
            patience=config.patience,
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
