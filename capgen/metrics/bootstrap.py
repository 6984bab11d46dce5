"""How far a score would move on other pictures of the same kind: percentile bootstrap over pictures (Efron 1979)."""

from collections.abc import Sequence

import numpy as np

from capgen.metrics.bleu import bleu_counts, bleu_of
from capgen.metrics.cider import cider_d
from capgen.metrics.rouge import rouge_l

RESAMPLES = 1000
LEVEL = 0.95


def resampled(
    candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]], seed: int = 0
) -> dict[str, np.ndarray]:
    """Score many draws of the pictures, with replacement; the document frequencies of CIDEr-D stay those of all.

    Args:
        candidates: Tokens of one caption a picture.
        references: Tokens of the human captions of each.
        seed: Decides the draws, so that two systems are compared on the same ones.

    Returns:
        By the name of the score its value on each draw, (1000,).
    """
    count = len(candidates)
    times = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)  # (1000, N)
    blue = bleu_of(times @ bleu_counts(candidates, references))
    means = {
        "ROUGE-L": times @ np.array(rouge_l(candidates, references)[1]) / count,
        "CIDEr-D": times @ np.array(cider_d(candidates, references)[1]) / count,
    }
    return {f"BLEU-{n + 1}": blue[:, n] for n in range(blue.shape[1])} | means


def interval(draws: np.ndarray) -> tuple[float, float]:
    """Return the middle 95 % of a score's values on draws."""
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
