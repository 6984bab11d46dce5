"""CIDEr and CIDEr-D (Vedantam et al. 2015): TF-IDF similarity of n-grams; D clips it and punishes another length.

What the coco-caption tools print as CIDEr is CIDEr-D.
"""

import functools
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from capgen.metrics.bleu import ORDERS, ngrams

SIGMA = 6.0
SCALE = 10.0

CACHED = 1000
"""Pictures whose weighted references are kept for the next caption."""


def cider_d(candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> tuple[float, list[float]]:
    """Score captions; document frequencies come from the references given.

    Args:
        candidates: Tokens of one caption a picture.
        references: Tokens of the human captions of each.

    Returns:
        The mean, and each picture's score, 0 to 10; published tables show a hundred times the mean.
    """
    scorer = CiderD(references)
    scores = [
        scorer.score(index, candidate) for index, (candidate, _) in enumerate(zip(candidates, references, strict=True))
    ]
    return float(np.mean(scores)), scores


def cider(candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> tuple[float, list[float]]:
    """Score captions by CIDEr without D, equations 2 and 3 of the paper; arguments and results as of ``cider_d``."""
    scorer = CiderD(references, plain=True)
    scores = [
        scorer.score(index, candidate) for index, (candidate, _) in enumerate(zip(candidates, references, strict=True))
    ]
    return float(np.mean(scores)), scores


class CiderD:
    """Scores any number of captions of the same pictures.

    Args:
        references: Tokens of the human captions of each, from which the document frequencies come.
        plain: CIDEr without D.
    """

    def __init__(self, references: Sequence[Sequence[Sequence[str]]], *, plain: bool = False) -> None:
        """Count their n-grams."""
        self._plain = plain
        self._counted = [[ngrams(truth) for truth in truths] for truths in references]
        present = ({gram for counts in truths for gram in counts} for truths in self._counted)
        self._frequency = Counter(gram for grams in present for gram in grams)
        self._documents = math.log(len(references))
        self._vector = functools.lru_cache(CACHED)(self._vectors)

    def score(self, picture: int, candidate: Sequence[str]) -> float:
        """Score a caption of the picture with an index, 0 to 10."""
        vector = _Vector(ngrams(candidate), self._frequency, self._documents)
        truths = self._vector(picture)
        return SCALE * float(np.mean(sum(vector.similarity(truth, plain=self._plain) for truth in truths))) / len(truths)

    def _vectors(self, picture: int) -> list["_Vector"]:
        return [_Vector(counts, self._frequency, self._documents) for counts in self._counted[picture]]


class _Vector:
    """The TF-IDF weights of a caption's n-grams, a vector for each order."""

    def __init__(self, counts: Counter[tuple[str, ...]], frequency: Counter[tuple[str, ...]], documents: float) -> None:
        self.weights: list[dict[tuple[str, ...], float]] = [{} for _ in range(ORDERS)]
        squares = [0.0] * ORDERS
        self.length = 0
        for gram, count in counts.items():
            order = len(gram) - 1
            weight = count * (documents - math.log(max(1.0, frequency[gram])))
            self.weights[order][gram] = weight
            squares[order] += weight**2
            # coco-caption measures the length of a caption in its bigrams
            self.length += count if order == 1 else 0
        self.norms = [math.sqrt(square) for square in squares]

    def similarity(self, truth: "_Vector", *, plain: bool) -> np.ndarray:
        """Cosine of each order, (4,); unless ``plain`` clipped, and times the Gaussian length penalty."""
        values = np.zeros(ORDERS)
        for order, weights in enumerate(self.weights):
            for gram, weight in weights.items():
                other = truth.weights[order].get(gram, 0.0)
                values[order] += (weight if plain else min(weight, other)) * other
            if self.norms[order] and truth.norms[order]:
                values[order] /= self.norms[order] * truth.norms[order]
        return values if plain else values * math.exp(-((self.length - truth.length) ** 2) / (2 * SIGMA**2))
