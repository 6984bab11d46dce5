"""The bootstrap (Efron 1979): how far scores would move on other images of the same kind.

Images are sampled with replacement, 1,000 times as many as there are. For equally many images the samples are the same, so
that two systems are compared over the same samples (the paired bootstrap, Koehn 2004).
"""

from dataclasses import dataclass

import numpy as np

RESAMPLES = 1000
SEED = 0
LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """How much higher one system scores than another on the same images.

    Attributes:
        value: The score of the one minus the score of the other.
        interval: The 95 % interval of the difference.
        p: The two-sided p-value: how likely so many samples would be on one side if there were no difference.
    """

    value: float
    interval: tuple[float, float]
    p: float


def weights(count: int) -> np.ndarray:
    """Return how often each of ``count`` images is in each sample: (1000, N) float64, whole numbers."""
    random = np.random.default_rng(SEED)
    return random.multinomial(count, np.full(count, 1 / count), size=RESAMPLES).astype(np.float64)


def interval(samples: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of a score from its values on the samples (D,), by percentiles."""
    low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return low, high


def p_value(differences: np.ndarray) -> float:
    """Return the two-sided p-value of differences on the samples (D,). It is never 0: more samples might differ."""
    beyond = min((differences <= 0).sum(), (differences >= 0).sum())
    return min(1.0, 2 * (float(beyond) + 1) / (len(differences) + 1))
