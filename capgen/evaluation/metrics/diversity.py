"""How varied captions are, which no human captions are needed for.

Distinct n-grams: Li et al., "A Diversity-Promoting Objective Function for Neural Conversation Models", NAACL 2016.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from capgen.evaluation.metrics.metric import Candidates, Need, PerImageMetric


class _Description(PerImageMetric):
    """A property of captions of which neither more nor less is better."""

    is_quality = False
    bootstrapped = False
    format = ".3f"
    needs = frozenset()


class VocabularySize(_Description):
    """How many different tokens the captions have."""

    name = "vocabulary size used"
    range = (0, float("inf"))
    format = ",d"

    def per_image(self, candidates: Candidates) -> np.ndarray:
        """Return the numbers of the tokens of each caption: (N, T), -1 behind its end."""
        return _numbered_ngrams(candidates.tokens, 1)

    def aggregate(self, per_image: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Count the different tokens of each sample: (D,) int."""
        return np.array([_different(per_image[weight > 0]) for weight in weights])


class Distinct(_Description):
    """The different n-grams as a share of all n-grams.

    Args:
        order: The length of the n-grams in tokens.
    """

    def __init__(self, order: int) -> None:
        self.name, self.order = f"distinct-{order}", order

    def per_image(self, candidates: Candidates) -> np.ndarray:
        """Return the numbers of the n-grams of each caption: (N, T), -1 behind the last."""
        return _numbered_ngrams(candidates.tokens, self.order)

    def aggregate(self, per_image: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Divide the different n-grams of each sample by all of them: (D,)."""
        different = np.array([_different(per_image[weight > 0]) for weight in weights])
        return different / np.maximum(1, weights @ (per_image >= 0).sum(axis=1))


class Duplicates(_Description):
    """The share of the images whose caption another image has too."""

    name = "share of duplicate captions"
    label = "images that share a caption"
    is_corpus_dependent = True

    def per_image(self, candidates: Candidates) -> np.ndarray:
        """Return 1 for each image whose caption another image has, else 0: (N,)."""
        counts = Counter(map(tuple, candidates.tokens))
        return np.array([float(counts[tuple(caption)] > 1) for caption in candidates.tokens])


class Length(_Description):
    """The mean number of tokens of a caption."""

    name = "length"
    label = "words of a caption"
    range = (0, float("inf"))

    def per_image(self, candidates: Candidates) -> np.ndarray:
        """Return the number of tokens of each caption: (N,)."""
        return np.array([float(len(caption)) for caption in candidates.tokens])


class SeenInTraining(_Description):
    """The share of the captions that an image of the train split has, word for word."""

    name = "seen in training"
    label = "captions seen in training"
    needs = frozenset({Need.TRAINING_CAPTIONS})

    def per_image(self, candidates: Candidates) -> np.ndarray:
        """Return 1 for each caption that is in the train split, else 0: (N,)."""
        return np.array([float(tuple(caption) in candidates.training_captions) for caption in candidates.tokens])


def _numbered_ngrams(captions: Sequence[Sequence[str]], order: int) -> np.ndarray:
    """Number the n-grams of captions: (N, T), -1 behind the last of each caption."""
    numbers: dict[tuple[str, ...], int] = {}
    table = np.full((len(captions), max(map(len, captions), default=0)), -1)
    for row, caption in zip(table, captions, strict=True):
        ngrams = zip(*(caption[start:] for start in range(order)), strict=False)
        found = [numbers.setdefault(ngram, len(numbers)) for ngram in ngrams]
        row[: len(found)] = found
    return table


def _different(table: np.ndarray) -> int:
    """Count the different numbers of a table, without -1."""
    return len(np.unique(table[table >= 0]))


VOCABULARY_SIZE = VocabularySize()
DISTINCT_1, DISTINCT_2 = Distinct(1), Distinct(2)
DUPLICATES = Duplicates()
LENGTH = Length()
SEEN_IN_TRAINING = SeenInTraining()
