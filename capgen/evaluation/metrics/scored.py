"""What each caption adds to the scores of all, and how far those would move on other pictures of the same kind."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from capgen.evaluation.metrics.bleu import ORDERS, bleu_of

RESAMPLES = 1000
SEED = 0
LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """How much higher one system scores than another on the same pictures.

    Attributes:
        value: The difference.
        interval: Its 95 % interval.
        p: How likely the draws would be so much on one side if there were no difference, two-sided.
    """

    value: float
    interval: tuple[float, float]
    p: float


@dataclass(frozen=True)
class Scored:
    """Captions after each was compared with the human ones of its picture.

    Attributes:
        bleu_counts: (N, 10), see ``metrics.bleu_counts``.
        rouge_l: (N,).
        cider_d: (N,), with document frequencies from the references of all.
        cider: (N,), likewise.
    """

    bleu_counts: np.ndarray
    rouge_l: np.ndarray
    cider_d: np.ndarray
    cider: np.ndarray

    def scores(self) -> dict[str, float]:
        """Return ``BLEU-1`` to ``BLEU-4``, ``ROUGE-L``, ``CIDEr-D``, ``CIDEr``, as fractions, and ``images``, how many."""
        once = np.ones((1, len(self.rouge_l)), np.int64)
        return {**{name: float(values[0]) for name, values in self._over(once).items()}, "images": len(self.rouge_l)}

    @cached_property
    def drawn(self) -> dict[str, np.ndarray]:
        """Each score, (1000,), over pictures drawn with replacement (Efron 1979); of equally many pictures the same ones."""
        count = len(self.rouge_l)
        return self._over(np.random.default_rng(SEED).multinomial(count, np.full(count, 1 / count), size=RESAMPLES))

    def intervals(self) -> dict[str, tuple[float, float]]:
        """Return the 95 % interval of each score, from the percentiles of what is drawn."""
        return {name: _interval(values) for name, values in self.drawn.items()}

    def differences(self, other: "Scored") -> dict[str, Difference]:
        """Say how much higher each score is than that of other captions of the same pictures in the same order.

        By the paired bootstrap: both are scored over the same draws (Koehn 2004).
        """
        ours, theirs, drawn = self.scores(), other.scores(), other.drawn
        apart = {name: values - drawn[name] for name, values in self.drawn.items()}
        return {
            name: Difference(ours[name] - theirs[name], _interval(values), _chance(values)) for name, values in apart.items()
        }

    def _over(self, times: np.ndarray) -> dict[str, np.ndarray]:
        """Score draws: how often each picture is in each, (D, N), to the value of each score on each, (D,)."""
        blue = bleu_of(times @ self.bleu_counts)
        means = {
            name: times @ each / times.sum(axis=1)
            for name, each in (("ROUGE-L", self.rouge_l), ("CIDEr-D", self.cider_d), ("CIDEr", self.cider))
        }
        return {f"BLEU-{n + 1}": blue[:, n] for n in range(ORDERS)} | means


def _interval(draws: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return low, high


def _chance(differences: np.ndarray) -> float:
    """Return the two-sided p of the draws' differences (D,); never 0, as more draws might show otherwise."""
    beyond = min((differences <= 0).sum(), (differences >= 0).sum())
    return min(1.0, 2 * (float(beyond) + 1) / (len(differences) + 1))
