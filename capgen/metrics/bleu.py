"""BLEU-1 to BLEU-4 over a whole corpus (Papineni et al. 2002), with the closest reference length."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

ORDERS = 4

_TINY, _SMALL = 1e-15, 1e-9
"""coco-caption's guards: an order without a match counts as almost nothing instead of making the score undefined."""


def ngrams(tokens: Sequence[str], orders: int = ORDERS) -> Counter[tuple[str, ...]]:
    """Count the n-grams of every order from 1 to ``orders``."""
    return Counter(tuple(tokens[i : i + n]) for n in range(1, orders + 1) for i in range(len(tokens) - n + 1))


def bleu(candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> list[float]:
    """Score a corpus.

    Args:
        candidates: Tokens of one caption a picture.
        references: Tokens of the human captions of each.

    Returns:
        BLEU-1 to BLEU-4, 0 to 1.
    """
    return bleu_of(bleu_counts(candidates, references).sum(axis=0)).tolist()


def bleu_counts(candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> np.ndarray:
    """Count what BLEU is made of, so that the counts of any pictures can be added.

    Args:
        candidates: Tokens of one caption a picture.
        references: Tokens of the human captions of each.

    Returns:
        (N, 10): the matched and the possible n-grams of each order, the length of the caption and of the closest reference.
    """
    rows = []
    for candidate, truths in zip(candidates, references, strict=True):
        most: Counter[tuple[str, ...]] = Counter()
        for truth in truths:
            most |= ngrams(truth)
        matched = [0] * ORDERS
        for gram, count in ngrams(candidate).items():
            matched[len(gram) - 1] += min(count, most[gram])
        possible = [max(0, len(candidate) - n) for n in range(ORDERS)]
        closest = min((abs(len(t) - len(candidate)), len(t)) for t in truths)[1]
        rows.append([*matched, *possible, len(candidate), closest])
    return np.array(rows, np.int64)


def bleu_of(counts: np.ndarray) -> np.ndarray:
    """Return BLEU-1 to BLEU-4 (..., 4) of sums of ``bleu_counts`` (..., 10)."""
    matched, possible = counts[..., :ORDERS], counts[..., ORDERS : 2 * ORDERS]
    ratio = (counts[..., -2] + _TINY) / (counts[..., -1] + _SMALL)
    penalty = np.exp(np.minimum(0.0, 1 - 1 / ratio))
    products = np.cumprod((matched + _TINY) / (possible + _SMALL), axis=-1)
    return products ** (1 / np.arange(1, ORDERS + 1)) * penalty[..., None]
