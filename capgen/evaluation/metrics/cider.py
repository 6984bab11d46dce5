"""CIDEr and CIDEr-D (Vedantam et al. 2015): the TF-IDF similarity of n-grams. D clips it and punishes a different length.

What the coco-caption tools print as CIDEr is CIDEr-D.
"""

from collections.abc import Sequence

import numpy as np

from capgen.evaluation.metrics.metric import Candidates, PerImageMetric
from capgen.evaluation.metrics.ngrams import ORDERS, Matches, References

SIGMA = 6.0
SCALE = 10.0

FEW_IMAGES = 100
"""Of fewer images it is said that the document frequencies are those of few."""


def cider_d(candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> tuple[float, list[float]]:
    """Score captions by CIDEr-D; the document frequencies are those of the references.

    Args:
        candidates: The tokens of one caption an image.
        references: The tokens of the human captions of each image.

    Returns:
        The mean, and the score of each image, 0 to 10; published tables show a hundred times the mean.
    """
    known = References(references)
    scores = Cider(known).scores(known.matches(candidates))
    return float(scores.mean()), scores.tolist()


def cider(candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> tuple[float, list[float]]:
    """Score captions by CIDEr without D, equations 2 and 3 of the paper; arguments and results are those of ``cider_d``."""
    known = References(references)
    scores = Cider(known).plain_scores(known.matches(candidates))
    return float(scores.mean()), scores.tolist()


class Cider:
    """Scores any number of captions of the same images.

    Args:
        references: The human captions of the images, from which the document frequencies come.
    """

    def __init__(self, references: References) -> None:
        self._references = references

    def scores(self, matches: Matches) -> np.ndarray:
        """Score M captions by CIDEr-D, 0 to 10 each: (M,)."""
        ours, theirs = self._pairs(matches)
        similarity = self._similarity(matches, ours, theirs, clipped=True)
        # coco-caption measures the length of a caption in its bigrams.
        apart = np.maximum(0, matches.lengths - 1)[ours] - np.maximum(0, self._references.lengths - 1)[theirs]
        similarity *= np.exp(-(apart**2) / (2 * SIGMA**2))
        return self._mean(matches, similarity, ours)

    def plain_scores(self, matches: Matches) -> np.ndarray:
        """Score M captions by CIDEr without D, 0 to 10 each: (M,)."""
        ours, theirs = self._pairs(matches)
        return self._mean(matches, self._similarity(matches, ours, theirs, clipped=False), ours)

    def _pairs(self, matches: Matches) -> tuple[np.ndarray, np.ndarray]:
        """Pair each caption with each reference of its image; return the indices of caption and reference, (P,) each."""
        each = np.diff(self._references.first)[matches.images]  # (M,) references of its image
        ours = np.repeat(np.arange(len(each)), each)
        return ours, self._references.different[np.arange(len(ours)) - np.repeat(self._start(matches), each)]

    def _start(self, matches: Matches) -> np.ndarray:
        """Return what is added to the index of a reference to get the index of its pair, for each caption: (M,)."""
        first = self._references.first
        each = np.diff(first)[matches.images]
        return np.cumsum(each) - each - first[matches.images]

    def _similarity(self, matches: Matches, ours: np.ndarray, theirs: np.ndarray, *, clipped: bool) -> np.ndarray:
        """Add up the cosines of the TF-IDF vectors of all orders, for each pair: (P,)."""
        start, count = self._start(matches), len(matches.images)
        total = np.zeros(len(ours))
        for order, found in enumerate(matches.orders):
            caption, idf = found.counts.caption, self._references.idf(order, found.counts.ngram)
            weight, human = (found.counts.count * idf)[found.entry], found.count * idf[found.entry]
            pair = start[caption[found.entry]] + found.reference
            common = np.minimum(weight, human) if clipped else weight
            products = np.bincount(pair, common * human, len(total))
            norms = np.sqrt(np.bincount(caption, (found.counts.count * idf) ** 2, count))
            norms_of_pairs = norms[ours] * self._references.tfidf_norms[order][theirs]
            total += np.divide(products, norms_of_pairs, out=np.zeros(len(total)), where=norms_of_pairs > 0)
        return total

    def _mean(self, matches: Matches, similarity: np.ndarray, ours: np.ndarray) -> np.ndarray:
        """Average over the references of each caption, and over the orders: (M,)."""
        count = len(matches.images)
        each = np.diff(self._references.first)[matches.images]
        return SCALE * np.bincount(ours, similarity, count) / (ORDERS * each)


class _MeanCider(PerImageMetric):
    """What the two metrics have in common: words count by how few of the images they are said of."""

    range = (0.0, SCALE)
    is_corpus_dependent = True

    def why_undefined(self, candidates: Candidates) -> str:
        """Say why these images give no weights to words: there is one image, or people say the same of all of them."""
        if len(candidates) == 1:
            return "it is not defined for one image: it weighs words by how few of the images they are said of"
        if not any(norms.any() for norms in candidates.references.tfidf_norms):
            return "it is not defined where people say the same of all images: it weighs words by how few images have them"
        return ""

    def caveat(self, candidates: Candidates) -> str:
        """Say that the weights of words are those of few images."""
        if len(candidates) >= FEW_IMAGES:
            return ""
        return (
            f"the weights of words come from the human captions of these {len(candidates)} images; compare only with scores"
            " over the same images"
        )


class CiderD(_MeanCider):
    """The mean CIDEr-D of the images."""

    name = "CIDEr-D"
    in_model_card = True
    in_validation = True

    def per_image(self, candidates: Candidates) -> np.ndarray:
        """Return the score of each image: (N,)."""
        return Cider(candidates.references).scores(candidates.matches)


class PlainCider(_MeanCider):
    """The mean CIDEr of the images, without D."""

    name = "CIDEr"

    def per_image(self, candidates: Candidates) -> np.ndarray:
        """Return the score of each image: (N,)."""
        return Cider(candidates.references).plain_scores(candidates.matches)


CIDER_D, CIDER = CiderD(), PlainCider()
