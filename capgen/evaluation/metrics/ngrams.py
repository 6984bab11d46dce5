"""The n-grams of captions, numbered and counted, of all captions at once: what BLEU and CIDEr are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

ORDERS = 4

_BITS = 31
_MASK = (1 << _BITS) - 1
"""Captions, n-grams and words have numbers below it, so that two fit into one."""


@dataclass(frozen=True)
class Counts:
    """How often captions have their n-grams of one order; sorted by caption, then n-gram.

    Attributes:
        caption: (E,) indices of captions.
        gram: (E,) numbers of n-grams.
        count: (E,) how often.
    """

    caption: np.ndarray
    gram: np.ndarray
    count: np.ndarray

    @cached_property
    def keys(self) -> np.ndarray:
        """Caption and n-gram in one number each, rising: (E,)."""
        return self.caption << _BITS | self.gram


@dataclass(frozen=True)
class Found:
    """How often the references of their pictures have the n-grams of candidates; of one order.

    Attributes:
        counts: Of the E n-grams of candidates.
        entry: (P,) rising, the index of an n-gram, once for each reference of its candidate's picture that has it.
        reference: (P,) the index of that reference.
        count: (P,) how often it has the n-gram, 1 or more.
    """

    counts: Counts
    entry: np.ndarray
    reference: np.ndarray
    count: np.ndarray


@dataclass(frozen=True)
class Matches:
    """Candidates after their n-grams were looked up in the references of their pictures.

    Attributes:
        words: (W,) the numbers of the words of all candidates, one candidate after the other.
        lengths: (N,) words of each candidate.
        pictures: (N,) the index of its picture.
        orders: What was found, by order.
    """

    words: np.ndarray
    lengths: np.ndarray
    pictures: np.ndarray
    orders: list[Found]


class References:
    """The human captions of pictures, to which candidates are compared.

    Args:
        references: Tokens of the human captions of each picture.

    Attributes:
        first: (N + 1,) the index of each picture's first caption among all, and how many there are.
        different: (R,) the index of each caption among the D different ones.
        words: (W,) the numbers of the words of the different captions, one after the other.
        lengths: (D,) how many words each has.
        counts: By order, their n-grams.

    Raises:
        ValueError: A picture has none, or there is no picture.
    """

    def __init__(self, references: Sequence[Sequence[Sequence[str]]]) -> None:
        """Number and count their n-grams."""
        if not len(references) or not all(map(len, references)):
            raise ValueError("every picture needs a reference, and there must be one picture")
        self.first = np.cumsum([0, *map(len, references)])
        self._number: dict[str, int] = {}
        self._known: list[np.ndarray] = []
        index: dict[tuple[str, ...], int] = {}
        captions = (tuple(caption) for each in references for caption in each)
        self.different = np.array([index.setdefault(caption, len(index)) for caption in captions])
        self.words, self.lengths = self._numbered(list(index))
        self.counts = self._count(self.words, self.lengths, learning=True)
        self._sizes = [len(self._number), *map(len, self._known)]  # different n-grams of each order

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.first) - 1

    @cached_property
    def frequencies(self) -> list[np.ndarray]:
        """By order the number of pictures whose captions have each n-gram, (G,)."""
        picture = np.repeat(np.arange(len(self)), np.diff(self.first))
        found = []
        for counts in self.counts:
            first = np.searchsorted(counts.caption, np.arange(len(self.lengths) + 1))
            of, entry = _ranges(first[self.different], np.diff(first)[self.different])
            once, _ = _counted(picture[of] << _BITS | counts.gram[entry])
            found.append(np.bincount(once & _MASK))
        return found

    def matches(self, candidates: Sequence[Sequence[str]], pictures: Sequence[int] | np.ndarray | None = None) -> Matches:
        """Look the n-grams of captions up in the references of their pictures.

        Args:
            candidates: Tokens of captions.
            pictures: The index of each one's picture; one caption a picture by default.

        Raises:
            ValueError: There is not one picture for each.
        """
        of = np.arange(len(self)) if pictures is None else np.asarray(pictures, int)
        if len(of) != len(candidates):
            raise ValueError(f"{len(candidates)} captions of {len(of)} pictures")
        words, lengths = self._numbered(candidates)
        found: list[Found] = []
        for order, (counts, theirs) in enumerate(zip(self._count(words, lengths, learning=False), self.counts, strict=True)):
            known = np.flatnonzero(counts.gram < self._sizes[order])
            if order:  # only references that have all but its last word can have an n-gram
                shorter = found[-1]
                prefix = self._known[order - 1][counts.gram[known]] >> _BITS
                at = np.searchsorted(shorter.counts.keys, counts.caption[known] << _BITS | prefix)
                first = np.searchsorted(shorter.entry, np.arange(len(shorter.counts.gram) + 1))
                of_known, place = _ranges(first[at], np.diff(first)[at])
                reference = shorter.reference[place]
            else:
                picture = of[counts.caption[known]]
                of_known, reference = _ranges(self.first[picture], np.diff(self.first)[picture])
            entry = known[of_known]
            wanted = self.different[reference] << _BITS | counts.gram[entry]
            at = np.searchsorted(theirs.keys, wanted)
            has = np.append(theirs.keys, -1)[at] == wanted
            found.append(Found(counts, entry[has], reference[has], theirs.count[at[has]]))
        return Matches(words, lengths, of, found)

    def _numbered(self, captions: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
        """Number the words of captions, (W,), and count them, (N,)."""
        number = self._number
        lengths = np.array([len(caption) for caption in captions], int)
        words = [number.setdefault(word, len(number)) for caption in captions for word in caption]
        return np.array(words, int), lengths

    def _count(self, words: np.ndarray, lengths: np.ndarray, *, learning: bool) -> list[Counts]:
        """Count n-grams; those of references are learnt, those of candidates get numbers beyond if they are others."""
        caption, ends = np.repeat(np.arange(len(lengths)), lengths), np.repeat(np.cumsum(lengths), lengths)
        start, grams = np.arange(len(words)), words
        found = []
        for order in range(ORDERS):
            if order:
                whole = start + order < ends[start]
                start = start[whole]
                grams = self._numbers(order, grams[whole] << _BITS | words[start + order], learning=learning)
            keys, counts = _counted(caption[start] << _BITS | grams)
            found.append(Counts(keys >> _BITS, keys & _MASK, counts))
        return found

    def _numbers(self, order: int, keys: np.ndarray, *, learning: bool) -> np.ndarray:
        """Number n-grams, each given as the number of all but its last word, and that word."""
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
    """Enumerate ranges of whole numbers, (M,): the index of the range and the number, both (sum of ``count``,)."""
    of = np.repeat(np.arange(len(count)), count)
    return of, np.arange(len(of)) - np.repeat(np.cumsum(count) - count - start, count)


def _counted(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the different ones of numbers that rise but for a little disorder, rising, and how often each is there."""
    keys = np.sort(keys, kind="stable")  # which is quickest where there is order already
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    return keys[first], np.diff(first, append=len(keys))
