"""``EpochChoice``: which epoch's weights a training loop ends with, and why. No Keras.

The last epoch is taken of those whose captions for dev are not clearly worse than the best and whose loss on dev is not
clearly higher than the lowest. Neither criterion is enough: CIDEr-D is undefined for one image, 0 while all captions are one
word long, and noisy on few images; the loss rises while captions still improve. Among epochs that do not differ clearly, the
last one had the smallest learning rate.
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

The differences of five have one sign by chance in one of 16 cases.
"""

LOSS_DEVIATION = 0.5
"""Nats by which the loss on one image changes by chance from one epoch to another; on N images by this over their root.

A run on 240 photographs had the lowest loss on 30 of dev after 10 epochs. After 15 its captions for 200 others were better
(CIDEr-D 0.37, not 0.31) at a loss that was higher by 0.05, which is within 0.5 / sqrt(30).
"""


class Criterion(StrEnum):
    """What epochs are compared by."""

    CAPTIONS_AND_LOSS = "captions and loss"
    """The captions that are generated for dev, and the loss on dev."""

    DEV_LOSS = "dev_loss"
    """The lowest cross-entropy on dev alone: for weights with which training goes on."""


@dataclass(frozen=True)
class EpochChoice:
    """The best of some epochs.

    Attributes:
        best: The epoch whose weights are kept.
        leader: The epoch whose captions for dev score highest, the last of equals.
        lowest: The epoch whose loss on dev is the lowest, the last of equals.
        first: The first of the epochs, with which ``best`` is compared in ``describe``.
        criterion: What they were compared by.
    """

    best: Epoch
    leader: Epoch
    lowest: Epoch
    first: Epoch
    criterion: Criterion = Criterion.CAPTIONS_AND_LOSS

    @classmethod
    def successive(
        cls, epochs: Iterable[Epoch], criterion: Criterion = Criterion.CAPTIONS_AND_LOSS
    ) -> Iterator["EpochChoice"]:
        """Yield the choice after each of some epochs, which come in the order in which they were trained."""
        choice = None
        for epoch in epochs:
            choice = choice.challenged_by(epoch) if choice else cls(epoch, epoch, epoch, epoch, criterion)
            yield choice

    def challenged_by(self, epoch: Epoch) -> "EpochChoice":
        """Return the choice after one more epoch.

        With a warm start an epoch counts only if it scores no less than that, whatever its loss: the loss of a captioner
        that was trained self-critically is high, and any epoch lowers it. One of the two must also be clearly better: after
        90 photographs, 6 epochs were within chance of their start on 10 of dev, and worse on 140 others.
        """
        if self.first.phase == Phase.WARM_START and not self._improves_on_start(epoch):
            return self
        leader = epoch if _score(epoch) >= _score(self.leader) else self.leader
        lowest = epoch if _loss(epoch) <= _loss(self.lowest) else self.lowest
        best = epoch if self._is_beaten_by(epoch) else self.best
        return EpochChoice(best, leader, lowest, self.first, self.criterion)

    def _improves_on_start(self, epoch: Epoch) -> bool:
        if _score(epoch) < _score(self.first):
            return False
        is_refined = epoch.phase == Phase.SELF_CRITICAL or self.criterion == Criterion.DEV_LOSS
        return is_refined or is_clearly_better(epoch, self.first) or is_clearly_higher(self.first, epoch)

    def _is_beaten_by(self, epoch: Epoch) -> bool:
        if self.criterion == Criterion.DEV_LOSS:
            return _loss(epoch) <= _loss(self.best)
        if epoch.phase == Phase.SELF_CRITICAL:
            # The score is what self-critical training maximises, in steps too small to be told apart; its loss rises.
            return _score(epoch) >= _score(self.best)
        if is_clearly_better(self.leader, epoch):
            return False
        return is_clearly_better(epoch, self.best) or not is_clearly_higher(epoch, self.lowest)

    def describe(self) -> str:
        """Say in one line which epoch is taken, by what, and how it compares with what training began with."""
        best, first = self.best, self.first
        begins_trained = first.phase == Phase.WARM_START
        if begins_trained and best.number == first.number:
            start = f"the captioner that training began with ({_numbers(best)})"
            return f"no epoch is clearly better than {start}; nothing was gained, and it stays as it was"
        text = f"epoch {best.number} is taken by {self._measures()}: {_numbers(best)}"
        if self.criterion == Criterion.CAPTIONS_AND_LOSS and best.phase != Phase.SELF_CRITICAL:
            text += self._rivals()
        return text + (f"; before training {_numbers(first)}{_gain(first, best)}" if begins_trained else "")

    def _measures(self) -> str:
        if self.criterion == Criterion.DEV_LOSS:
            return "dev loss"
        if PRIMARY not in self.best.scores:
            return f"dev loss, because {PRIMARY} is not defined for these images of dev"
        if self.best.phase == Phase.SELF_CRITICAL:
            return f"dev {PRIMARY}"
        return f"dev {PRIMARY} and dev loss" if _score(self.leader) else f"dev loss, because {PRIMARY} is 0 for all epochs"

    def _rivals(self) -> str:
        """Name the epochs that are better by one measure, but not clearly."""
        text = ""
        if _score(self.leader) > _score(self.best):
            text += f", not clearly below the {self.leader.score_texts[PRIMARY]} of epoch {self.leader.number}"
        if _loss(self.lowest) < _loss(self.best):
            text += f", not clearly above the loss of {self.lowest.dev_loss:.4f} of epoch {self.lowest.number}"
        return text


def is_clearly_better(one: Epoch, other: Epoch) -> bool:
    """Tell whether the captions of one epoch are better than those of another beyond chance.

    Its score must be higher on 95 % of 1,000 samples of the images of dev, the same for both (paired bootstrap, one-sided).
    A stricter rule leaves the choice to the loss: on 2,000 web photographs that was epoch 8 with a CIDEr-D of 0.34, though
    those from the 13th on had 0.36 to 0.41. Where the scores of single images are not known, as of epochs of an earlier
    version, the higher score decides, as it did there.
    """
    if not (one.per_image and other.per_image):
        return _score(one) > _score(other)
    count = len(one.per_image)
    if count < MIN_IMAGES or count != len(other.per_image):
        return False
    differences = np.array(one.per_image) - np.array(other.per_image)  # (N,)
    return bool(np.quantile(_weights(count) @ differences, 1 - bootstrap.LEVEL) > 0)


def is_clearly_higher(one: Epoch, other: Epoch) -> bool:
    """Tell whether the loss on dev of one epoch is higher than that of another beyond chance."""
    images = max(1, one.dev_images, len(one.per_image))
    return _loss(one) > _loss(other) + LOSS_DEVIATION / math.sqrt(images)


@lru_cache(maxsize=1)
def _weights(count: int) -> np.ndarray:
    """Return the bootstrap samples of ``count`` images, (1000, N), which are the same after each epoch."""
    return bootstrap.weights(count)


def _score(epoch: Epoch) -> float:
    return epoch.scores.get(PRIMARY, 0.0)


def _loss(epoch: Epoch) -> float:
    return math.inf if math.isnan(epoch.dev_loss) else epoch.dev_loss


def _gain(first: Epoch, best: Epoch) -> str:
    """Say how much the score is higher than at the beginning, where it is defined."""
    if PRIMARY not in first.scores or PRIMARY not in best.scores:
        return ""
    gain = round(best.scores[PRIMARY], 4) - round(first.scores[PRIMARY], 4)
    return f"; gained {gain:.4f} in {PRIMARY}" if gain > 0 else f"; nothing was gained in {PRIMARY}"


def _numbers(epoch: Epoch) -> str:
    return f"dev {PRIMARY} {epoch.score_texts[PRIMARY]}, dev loss {epoch.dev_loss:.4f}"
