"""BLEU-1 to BLEU-4 over a whole corpus (Papineni et al. 2002), with the closest reference length."""

from collections.abc import Sequence

import numpy as np

from capgen.evaluation.metrics.ngrams import ORDERS, Matches, References

_TINY, _SMALL = 1e-15, 1e-9
"""coco-caption's guards: an order without a match counts as almost nothing instead of making the score undefined."""


def bleu(candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> list[float]:
    """Score a corpus.

    Args:
        candidates: Tokens of one caption a picture.
        references: Tokens of the human captions of each.

    Returns:
        BLEU-1 to BLEU-4, 0 to 1.
    """
    known = References(references)
    return bleu_of(bleu_counts(known, known.matches(candidates)).sum(axis=0)).tolist()


def bleu_counts(references: References, matches: Matches) -> np.ndarray:
    """Count what BLEU is made of, so that the counts of any pictures can be added.

    Args:
        references: The human captions of N pictures.
        matches: Of one caption a picture.

    Returns:
        (N, 10): the matched and the possible n-grams of each order, the length of the caption and of the closest reference.
    """
    lengths = matches.lengths
    columns = []
    for found in matches.orders:
        most = np.zeros(len(found.counts.gram), int)
        np.maximum.at(most, found.entry, found.count)
        columns.append(np.bincount(found.counts.caption, np.minimum(found.counts.count, most), len(lengths)))
    columns += [np.maximum(0, lengths - order) for order in range(ORDERS)]
    theirs = references.lengths[references.different]
    apart = np.abs(theirs - np.repeat(lengths, np.diff(references.first)))
    # the closest, of equally close ones the shorter: the least of both in one number
    closest = np.minimum.reduceat(apart * _LONGEST + theirs, references.first[:-1]) % _LONGEST
    return np.stack([*columns, lengths, closest], axis=1).astype(np.int64)


_LONGEST = 1 << 20
"""More words than a caption has."""


def bleu_of(counts: np.ndarray) -> np.ndarray:
    """Return BLEU-1 to BLEU-4 (..., 4) of sums of ``bleu_counts`` (..., 10)."""
    matched, possible = counts[..., :ORDERS], counts[..., ORDERS : 2 * ORDERS]
    ratio = (counts[..., -2] + _TINY) / (counts[..., -1] + _SMALL)
    penalty = np.exp(np.minimum(0.0, 1 - 1 / ratio))
    products = np.cumprod((matched + _TINY) / (possible + _SMALL), axis=-1)
    return products ** (1 / np.arange(1, ORDERS + 1)) * penalty[..., None]
