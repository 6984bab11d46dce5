"""The n-grams of captions, numbered and counted for all captions at once. BLEU and CIDEr are computed from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

ORDERS = 4

_BITS = 31
_MASK = (1 << _BITS) - 1
"""Captions, n-grams and words have numbers of at most 31 bits, so that two of them fit into one int64."""


@dataclass(frozen=True)
class Counts:
    """How often captions contain their n-grams of one order, sorted by caption and then by n-gram.

    Attributes:
        caption: (E,) the index of the caption.
        ngram: (E,) the number of the n-gram.
        count: (E,) how often the caption contains it.
    """

    caption: np.ndarray
    ngram: np.ndarray
    count: np.ndarray

    @cached_property
    def keys(self) -> np.ndarray:
        """Caption and n-gram in one number, ascending: (E,)."""
        return self.caption << _BITS | self.ngram


@dataclass(frozen=True)
class OrderMatches:
    """How often the references of an image contain the n-grams of the candidates of that image, for one order.

    Attributes:
        counts: The E n-grams of the candidates.
        entry: (P,) ascending, the index of an n-gram among those E, once for each reference of its image that contains it.
        reference: (P,) the index of that reference.
        count: (P,) how often the reference contains the n-gram, at least once.
    """

    counts: Counts
    entry: np.ndarray
    reference: np.ndarray
    count: np.ndarray


@dataclass(frozen=True)
class Matches:
    """Candidates whose n-grams have been looked up in the references of their images.

    Attributes:
        words: (W,) the numbers of the words of all candidates, one candidate after the other.
        lengths: (M,) the number of words of each candidate.
        images: (M,) the index of the image of each candidate.
        orders: The matches of each order, from 1 to 4.
    """

    words: np.ndarray
    lengths: np.ndarray
    images: np.ndarray
    orders: list[OrderMatches]


class References:
    """The human captions of N images, with which candidates are compared.

    Args:
        captions: The tokens of the human captions of each image.

    Attributes:
        captions: The same.
        first: (N + 1,) the index of the first caption of each image among all R captions, and at the end R.
        different: (R,) the index of each caption among the D different captions.
        words: (W,) the numbers of the words of the different captions, one caption after the other.
        lengths: (D,) the number of words of each different caption.
        counts: The n-grams of the different captions, by order.

    Raises:
        ValueError: An image has no caption, or there is no image.
    """

    def __init__(self, captions: Sequence[Sequence[Sequence[str]]]) -> None:
        if not len(captions) or not all(map(len, captions)):
            raise ValueError("every image needs a reference, and there must be one image")
        self.captions = captions
        self.first = np.cumsum([0, *map(len, captions)])
        self._number: dict[str, int] = {}
        self._known: list[np.ndarray] = []
        index: dict[tuple[str, ...], int] = {}
        flat = (tuple(caption) for each in captions for caption in each)
        self.different = np.array([index.setdefault(caption, len(index)) for caption in flat])
        self.words, self.lengths = self._numbered(list(index))
        self.counts = self._count(self.words, self.lengths, learning=True)
        self._sizes = [len(self._number), *map(len, self._known)]  # the number of different n-grams of each order

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.first) - 1

    @cached_property
    def frequencies(self) -> list[np.ndarray]:
        """By order, the number of images whose captions contain each n-gram: (G,)."""
        image = np.repeat(np.arange(len(self)), np.diff(self.first))
        found = []
        for counts in self.counts:
            first = np.searchsorted(counts.caption, np.arange(len(self.lengths) + 1))
            caption, entry = _ranges(first[self.different], np.diff(first)[self.different])
            once, _ = _counted(image[caption] << _BITS | counts.ngram[entry])
            found.append(np.bincount(once & _MASK))
        return found

    @cached_property
    def _idf(self) -> list[np.ndarray]:
        """By order, the inverse document frequency of each n-gram, and at the end that of any other n-gram: (G + 1,)."""
        images = np.log(len(self))
        return [images - np.log(np.append(frequencies, 1)) for frequencies in self.frequencies]

    def idf(self, order: int, ngrams: np.ndarray) -> np.ndarray:
        """Return the inverse document frequency of n-grams, where a document is the captions of one image.

        Args:
            order: The words of an n-gram minus 1.
            ngrams: (E,) the numbers of n-grams.
        """
        return self._idf[order][np.minimum(ngrams, len(self._idf[order]) - 1)]

    @cached_property
    def tfidf_norms(self) -> list[np.ndarray]:
        """By order, the length of the TF-IDF vector of each different caption: (D,)."""
        squares = (
            (counts.caption, (counts.count * self.idf(order, counts.ngram)) ** 2) for order, counts in enumerate(self.counts)
        )
        return [np.sqrt(np.bincount(caption, square, len(self.lengths))) for caption, square in squares]

    def matches(self, candidates: Sequence[Sequence[str]], images: Sequence[int] | np.ndarray | None = None) -> Matches:
        """Look the n-grams of captions up in the references of their images.

        Args:
            candidates: The tokens of M captions.
            images: (M,) the index of the image of each caption; by default there is one caption for each image.

        Raises:
            ValueError: There are not as many images as captions.
        """
        images = np.arange(len(self)) if images is None else np.asarray(images, int)
        if len(images) != len(candidates):
            raise ValueError(f"{len(candidates)} captions of {len(images)} images")
        words, lengths = self._numbered(candidates)
        found: list[OrderMatches] = []
        for order, (counts, theirs) in enumerate(zip(self._count(words, lengths, learning=False), self.counts, strict=True)):
            known = np.flatnonzero(counts.ngram < self._sizes[order])
            if order:  # an n-gram can only be in references that contain all of it but the last word
                shorter = found[-1]
                prefix = self._known[order - 1][counts.ngram[known]] >> _BITS
                at = np.searchsorted(shorter.counts.keys, counts.caption[known] << _BITS | prefix)
                first = np.searchsorted(shorter.entry, np.arange(len(shorter.counts.ngram) + 1))
                of_known, match = _ranges(first[at], np.diff(first)[at])
                reference = shorter.reference[match]
            else:
                image = images[counts.caption[known]]
                of_known, reference = _ranges(self.first[image], np.diff(self.first)[image])
            entry = known[of_known]
            wanted = self.different[reference] << _BITS | counts.ngram[entry]
            at = np.searchsorted(theirs.keys, wanted)
            has = np.append(theirs.keys, -1)[at] == wanted
            found.append(OrderMatches(counts, entry[has], reference[has], theirs.count[at[has]]))
        return Matches(words, lengths, images, found)

    def _numbered(self, captions: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
        """Number the words of captions, (W,), and count them, (N,)."""
        number = self._number
        lengths = np.array([len(caption) for caption in captions], int)
        words = [number.setdefault(word, len(number)) for caption in captions for word in caption]
        return np.array(words, int), lengths

    def _count(self, words: np.ndarray, lengths: np.ndarray, *, learning: bool) -> list[Counts]:
        """Count n-grams. Those of references are learnt; n-grams of candidates that no reference has get higher numbers."""
        caption, ends = np.repeat(np.arange(len(lengths)), lengths), np.repeat(np.cumsum(lengths), lengths)
        start, ngrams = np.arange(len(words)), words
        found = []
        for order in range(ORDERS):
            if order:
                whole = start + order < ends[start]
                start = start[whole]
                ngrams = self._numbers(order, ngrams[whole] << _BITS | words[start + order], learning=learning)
            keys, counts = _counted(caption[start] << _BITS | ngrams)
            found.append(Counts(keys >> _BITS, keys & _MASK, counts))
        return found

    def _numbers(self, order: int, keys: np.ndarray, *, learning: bool) -> np.ndarray:
        """Number n-grams; a key has the number of an n-gram without its last word, and the number of that word."""
        different, which = np.unique(keys, return_inverse=True)
        if learning:
            self._known.append(different)
            return which
        known = self._known[order - 1]
        numbers = np.searchsorted(known, different)
        new = np.append(known, -1)[numbers] != different
        numbers[new] = len(known) + np.arange(np.count_nonzero(new))
        return numbers[which]


def _ranges(start: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Enumerate M ranges of whole numbers; return the index of the range and the number, (sum of ``count``,) each."""
    index = np.repeat(np.arange(len(count)), count)
    return index, np.arange(len(index)) - np.repeat(np.cumsum(count) - count - start, count)


def _counted(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the different numbers of a nearly sorted array in ascending order, and how often each occurs."""
    keys = np.sort(keys, kind="stable")  # the fastest way where the numbers are nearly sorted
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    return keys[first], np.diff(first, append=len(keys))
