"""CIDEr and CIDEr-D (Vedantam et al. 2015): TF-IDF similarity of n-grams; D clips it and punishes another length.

What the coco-caption tools print as CIDEr is CIDEr-D.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from capgen.evaluation.metrics.ngrams import ORDERS, Matches, References

SIGMA = 6.0
SCALE = 10.0


def cider_d(candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> tuple[float, list[float]]:
    """Score captions; document frequencies come from the references given.

    Args:
        candidates: Tokens of one caption a picture.
        references: Tokens of the human captions of each.

    Returns:
        The mean, and each picture's score, 0 to 10; published tables show a hundred times the mean.
    """
    known = References(references)
    scores = Cider(known).scores(known.matches(candidates))
    return float(scores.mean()), scores.tolist()


def cider(candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> tuple[float, list[float]]:
    """Score captions by CIDEr without D, equations 2 and 3 of the paper; arguments and results as of ``cider_d``."""
    known = References(references)
    scores = Cider(known).scores(known.matches(candidates), plain=True)
    return float(scores.mean()), scores.tolist()


class Cider:
    """Scores any captions of the same pictures.

    Args:
        references: Their human captions, from which the document frequencies come.
    """

    def __init__(self, references: References) -> None:
        """Keep them."""
        self._references = references

    def scores(self, matches: Matches, *, plain: bool = False) -> np.ndarray:
        """Score captions by CIDEr-D or, if ``plain``, by CIDEr without D, 0 to 10 each: (N,)."""
        of, count, first = matches.pictures, len(matches.pictures), self._references.first
        each = np.diff(first)[of]  # (N,) references of its picture
        start = np.cumsum(each) - each - first[of]
        # (P,) of each pair of a caption and a reference of its picture
        ours = np.repeat(np.arange(count), each)
        theirs = self._references.different[np.arange(len(ours)) - np.repeat(start, each)]
        total = np.zeros(len(ours))
        for order, found in enumerate(matches.orders):
            caption, idf = found.counts.caption, self._idf(order, found.counts.gram)
            weight, human = (found.counts.count * idf)[found.entry], found.count * idf[found.entry]
            pair = start[caption[found.entry]] + found.reference
            both = weight if plain else np.minimum(weight, human)
            similar = np.bincount(pair, both * human, len(total))
            norms = np.sqrt(np.bincount(caption, (found.counts.count * idf) ** 2, count))
            lengths = norms[ours] * self._norms[order][theirs]
            total += np.divide(similar, lengths, out=np.zeros(len(total)), where=lengths > 0)
        if not plain:
            # coco-caption measures the length of a caption in its bigrams
            apart = np.maximum(0, matches.lengths - 1)[ours] - np.maximum(0, self._references.lengths - 1)[theirs]
            total *= np.exp(-(apart**2) / (2 * SIGMA**2))
        return SCALE * np.bincount(ours, total, count) / (ORDERS * each)

    @cached_property
    def _norms(self) -> list[np.ndarray]:
        """By order the length of each different reference's vector: (D,)."""
        squares = (
            (counts.caption, (counts.count * self._idf(order, counts.gram)) ** 2)
            for order, counts in enumerate(self._references.counts)
        )
        return [np.sqrt(np.bincount(caption, square, len(self._references.lengths))) for caption, square in squares]

    @cached_property
    def _weights(self) -> list[np.ndarray]:
        """By order what each n-gram weighs, by how few pictures have it in their captions, and last any other: (G + 1,)."""
        pictures = np.log(len(self._references))
        return [pictures - np.log(np.append(frequencies, 1)) for frequencies in self._references.frequencies]

    def _idf(self, order: int, grams: np.ndarray) -> np.ndarray:
        return self._weights[order][np.minimum(grams, len(self._weights[order]) - 1)]
