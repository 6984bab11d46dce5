"""BLEU-1 to BLEU-4 over a whole corpus (Papineni et al. 2002), with the closest reference length."""

import math
from collections import Counter
from collections.abc import Sequence

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
    possible, matched = [0] * ORDERS, [0] * ORDERS
    candidate_length = reference_length = 0
    for candidate, truths in zip(candidates, references, strict=True):
        most: Counter[tuple[str, ...]] = Counter()
        for truth in truths:
            most |= ngrams(truth)
        for gram, count in ngrams(candidate).items():
            matched[len(gram) - 1] += min(count, most[gram])
        for n in range(ORDERS):
            possible[n] += max(0, len(candidate) - n)
        candidate_length += len(candidate)
        reference_length += min((abs(len(t) - len(candidate)), len(t)) for t in truths)[1]
    ratio = (candidate_length + _TINY) / (reference_length + _SMALL)
    penalty = math.exp(1 - 1 / ratio) if ratio < 1 else 1.0
    product, scores = 1.0, []
    for n in range(ORDERS):
        product *= (matched[n] + _TINY) / (possible[n] + _SMALL)
        scores.append(product ** (1 / (n + 1)) * penalty)
    return scores
