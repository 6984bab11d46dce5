"""``DataStatistics``: how much there is to learn from, and in which words. Settings that are not given follow from it."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from capgen.captioner.language import ENGLISH
from capgen.captioner.vocabulary import words
from capgen.datasets.prepared import PreparedImage


@dataclass(frozen=True)
class DataStatistics:
    """Numbers of a train split.

    Attributes:
        images: The number of images of an epoch, by their weights.
        word_counts: How often each word is in the captions.
        lengths: How many captions have each number of words.
    """

    images: float
    word_counts: Mapping[str, int]
    lengths: Mapping[int, int]

    @classmethod
    def of(cls, images: Iterable[PreparedImage], language: str = ENGLISH) -> "DataStatistics":
        """Count the words of the captions of images, which are in the language of a tag."""
        total, word_counts, lengths = 0.0, Counter[str](), Counter[int]()
        for image in images:
            total += image.weight
            for caption in image.captions:
                found = words(caption, language)
                word_counts.update(found)
                lengths[len(found)] += 1
        return cls(total, word_counts, lengths)

    def steps(self, batch_size: int) -> int:
        """Return the number of training steps of an epoch, at least 1."""
        return max(1, math.ceil(self.images / batch_size))

    def known_share(self, min_count: int) -> float:
        """Return the share of all words in the captions, 0..1, that occur at least ``min_count`` times."""
        total = sum(self.word_counts.values())
        return sum(count for count in self.word_counts.values() if count >= min_count) / total if total else 1.0

    def length_covering(self, share: float) -> int:
        """Return the smallest number of words that at least ``share`` of the captions do not exceed, at least 1."""
        allowed = (1 - share) * sum(self.lengths.values())
        longer = 0
        for length in sorted(self.lengths, reverse=True):
            longer += self.lengths[length]
            if longer > allowed:
                return max(1, length)
        return 1
