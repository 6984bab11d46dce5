"""BLEU-1 to BLEU-4 over a whole corpus (Papineni et al. 2002), with the closest reference length."""

from collections.abc import Sequence

import numpy as np

from capgen.evaluation.metrics.metric import Candidates, PerImageMetric
from capgen.evaluation.metrics.ngrams import ORDERS, Matches, References

_TINY, _SMALL = 1e-15, 1e-9
"""The guards of coco-caption: an order without a match counts as almost nothing instead of making the score undefined."""


def bleu(candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> list[float]:
    """Score a corpus.

    Args:
        candidates: The tokens of one caption an image.
        references: The tokens of the human captions of each image.

    Returns:
        BLEU-1 to BLEU-4, 0 to 1.
    """
    known = References(references)
    return bleu_of(bleu_counts(known, known.matches(candidates)).sum(axis=0)).tolist()


def bleu_counts(references: References, matches: Matches) -> np.ndarray:
    """Count what BLEU is made of for each image; the counts of any images can be added.

    Args:
        references: The human captions of N images.
        matches: The matches of one caption an image.

    Returns:
        (N, 10): the matched and the possible n-grams of each order, the length of the caption and of the closest reference.
    """
    lengths = matches.lengths
    columns = []
    for order in matches.orders:
        most = np.zeros(len(order.counts.ngram), int)
        np.maximum.at(most, order.entry, order.count)
        columns.append(np.bincount(order.counts.caption, np.minimum(order.counts.count, most), len(lengths)))
    columns += [np.maximum(0, lengths - order) for order in range(ORDERS)]
    theirs = references.lengths[references.different]
    distances = np.abs(theirs - np.repeat(lengths, np.diff(references.first)))
    # Each number is a distance and a length, so that the least is the closest length, and the shorter of equally close ones.
    closest = np.minimum.reduceat(distances * _LONGEST + theirs, references.first[:-1]) % _LONGEST
    return np.stack([*columns, lengths, closest], axis=1).astype(np.int64)


_LONGEST = 1 << 20
"""More words than any caption has."""


def bleu_of(counts: np.ndarray) -> np.ndarray:
    """Return BLEU-1 to BLEU-4 (..., 4) from sums of ``bleu_counts`` (..., 10)."""
    matched, possible = counts[..., :ORDERS], counts[..., ORDERS : 2 * ORDERS]
    ratio = (counts[..., -2] + _TINY) / (counts[..., -1] + _SMALL)
    penalty = np.exp(np.minimum(0.0, 1 - 1 / ratio))
    products = np.cumprod((matched + _TINY) / (possible + _SMALL), axis=-1)
    return products ** (1 / np.arange(1, ORDERS + 1)) * penalty[..., None]


class Bleu(PerImageMetric):
    """BLEU with n-grams up to an order; counts are summed over the images before they are divided.

    Args:
        order: 1 to 4.
    """

    in_model_card = True

    def __init__(self, order: int) -> None:
        self.name, self.order = f"BLEU-{order}", order
        self.in_validation = order == ORDERS

    def per_image(self, candidates: Candidates) -> np.ndarray:
        """Return the counts of each image, see ``bleu_counts``: (N, 10)."""
        return candidates.once(_counts)

    def aggregate(self, per_image: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the BLEU of the summed counts of each sample: (D,)."""
        return bleu_of(weights @ per_image)[:, self.order - 1]


def _counts(candidates: Candidates) -> np.ndarray:
    # Whole numbers stay exact in float64, whose matrix product is much faster than that of integers.
    return bleu_counts(candidates.references, candidates.matches).astype(np.float64)


BLEU_1, BLEU_2, BLEU_3, BLEU_4 = map(Bleu, range(1, ORDERS + 1))
