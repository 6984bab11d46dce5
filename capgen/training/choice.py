"""``EpochChoice``: which epoch's weights a training loop ends with, and why. No Keras.

Epochs are compared by the captions that they write for dev where those tell them apart, and by the loss on dev where they do
not: for one image CIDEr-D is not defined, while all captions are one word long it is 0, and of a few images it is a rough
measure. The loss sees every word of every human caption.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np

from capgen.evaluation.metrics import PRIMARY, bootstrap
from capgen.training.history import Epoch, Phase

MIN_IMAGES = 6
"""The fewest dev images whose captions can tell two epochs apart.

The differences of five have one sign by chance in one of 16 cases, which is more often than an interval of 95 % allows.
"""


class Criterion(StrEnum):
    """What epochs are compared by."""

    CAPTIONS = "captions"
    """The captions that are generated for dev, and the loss where those do not tell two epochs apart."""

    DEV_LOSS = "dev_loss"
    """The cross-entropy on dev alone: for weights with which training goes on."""


@dataclass(frozen=True)
class EpochChoice:
    """The best of some epochs.

    Attributes:
        best: The epoch whose weights are kept.
        leader: The epoch whose captions for dev score highest, the last of equals. The captions of ``best`` are never
            clearly worse than its.
        first: The first of the epochs, with which ``best`` is compared in ``describe``.
        criterion: What they were compared by.
    """

    best: Epoch
    leader: Epoch
    first: Epoch
    criterion: Criterion = Criterion.CAPTIONS

    @classmethod
    def successive(cls, epochs: Iterable[Epoch], criterion: Criterion = Criterion.CAPTIONS) -> Iterator["EpochChoice"]:
        """Yield the choice after each of some epochs, which come in the order in which they were trained."""
        choice = None
        for epoch in epochs:
            choice = choice.challenged_by(epoch) if choice else cls(epoch, epoch, epoch, criterion)
            yield choice

    def challenged_by(self, epoch: Epoch) -> "EpochChoice":
        """Return the choice after one more epoch."""
        leader = epoch if _score(epoch) >= _score(self.leader) else self.leader
        best = epoch if self._is_beaten_by(epoch) else self.best
        return EpochChoice(best, leader, self.first, self.criterion)

    def _is_beaten_by(self, epoch: Epoch) -> bool:
        if self.criterion == Criterion.DEV_LOSS:
            return _loss(epoch) <= _loss(self.best)
        if self.first.phase == Phase.WARM_START and _score(epoch) < _score(self.first):
            # The loss of a captioner that was trained self-critically is no measure of it: any epoch lowers that.
            return False
        if epoch.phase == Phase.SELF_CRITICAL:
            # The score is what self-critical training maximises, in steps too small to be told apart; its loss rises.
            return _score(epoch) >= _score(self.best)
        if is_clearly_better(self.leader, epoch):
            return False
        return is_clearly_better(epoch, self.best) or _loss(epoch) <= _loss(self.best)

    def describe(self) -> str:
        """Say in one line which epoch is taken, by what, and how it compares with what training began with."""
        best, first = self.best, self.first
        begins_trained = first.phase == Phase.WARM_START
        if begins_trained and best.number == first.number:
            return f"no epoch is better than the captioner that training began with ({_numbers(best)}); it stays as it was"
        compared = f"; before training {_numbers(first)}" if begins_trained else ""
        return f"epoch {best.number} is taken {self._reason()}: {_numbers(best)}{compared}"

    def _reason(self) -> str:
        if self.criterion == Criterion.DEV_LOSS:
            return "by its dev loss"
        if PRIMARY not in self.best.scores:
            return f"by its dev loss, because {PRIMARY} is not defined for these images of dev"
        if self.best.phase == Phase.SELF_CRITICAL or _score(self.best) == _score(self.leader) > 0:
            return f"by its {PRIMARY} on dev"
        if _score(self.leader) == 0:
            return f"by its dev loss, because {PRIMARY} is 0 for all epochs"
        highest = self.leader.score_texts[PRIMARY]
        return f"by its dev loss, because {PRIMARY} cannot tell it from epoch {self.leader.number} with {highest}"


def is_clearly_better(one: Epoch, other: Epoch) -> bool:
    """Tell whether the captions of one epoch are better than those of another beyond chance.

    The 95 % interval of the difference between their scores, over the same resampled images of dev (paired bootstrap), must
    lie above 0.
    """
    count = len(one.per_image)
    if count < MIN_IMAGES or count != len(other.per_image):
        return False
    differences = np.array(one.per_image) - np.array(other.per_image)  # (N,)
    low, _ = bootstrap.interval(_weights(count) @ differences / count)
    return low > 0


@lru_cache(maxsize=1)
def _weights(count: int) -> np.ndarray:
    """Return the bootstrap samples of ``count`` images, (1000, N), which are the same after each epoch."""
    return bootstrap.weights(count)


def _score(epoch: Epoch) -> float:
    return epoch.scores.get(PRIMARY, 0.0)


def _loss(epoch: Epoch) -> float:
    return math.inf if math.isnan(epoch.dev_loss) else epoch.dev_loss


def _numbers(epoch: Epoch) -> str:
    return f"dev {PRIMARY} {epoch.score_texts[PRIMARY]}, dev loss {epoch.dev_loss:.4f}"
