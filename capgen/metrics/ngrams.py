"""The n-grams of captions, numbered and counted, of all captions at once: what BLEU and CIDEr are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

ORDERS = 4

_APART = 1 << 31
"""More than there are different words."""


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
        return self.caption * _APART + self.gram


@dataclass(frozen=True)
class Found:
    """How often the references of their pictures have the n-grams of candidates; of one order.

    Attributes:
        counts: Of the E n-grams of candidates.
        entry: (P,) rising, the index of an n-gram, once for each reference of its candidate's picture.
        reference: (P,) the index of that reference.
        count: (P,) how often it has the n-gram.
    """

    counts: Counts
    entry: np.ndarray
    reference: np.ndarray
    count: np.ndarray


@dataclass(frozen=True)
class Matches:
    """Candidates after their n-grams were looked up in the references of their pictures.

    Attributes:
        lengths: (N,) words of each candidate.
        pictures: (N,) the index of its picture.
        orders: What was found, by order.
    """

    lengths: np.ndarray
    pictures: np.ndarray
    orders: list[Found]


class References:
    """The human captions of pictures, to which candidates are compared.

    Args:
        references: Tokens of the human captions of each picture.

    Attributes:
        first: (N + 1,) the index of each picture's first caption among all, and how many there are.
        lengths: (R,) words of each.
        counts: By order, their n-grams.

    Raises:
        ValueError: A picture has none, or there is no picture.
    """

    def __init__(self, references: Sequence[Sequence[Sequence[str]]]) -> None:
        """Number and count their n-grams."""
        if not len(references) or not all(map(len, references)):
            raise ValueError("every picture needs a reference, and there must be one picture")
        self.first = np.cumsum([0, *map(len, references)])
        self._words: dict[str, int] = {}
        self._known: list[np.ndarray] = []
        captions = [caption for each in references for caption in each]
        self.lengths = np.array([len(caption) for caption in captions], int)
        self.counts = self._count(captions, learning=True)

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.first) - 1

    @cached_property
    def frequencies(self) -> list[np.ndarray]:
        """By order the number of pictures whose captions have each n-gram, (G,)."""
        picture = np.repeat(np.arange(len(self)), np.diff(self.first))
        found = []
        for counts in self.counts:
            keys = np.sort(picture[counts.caption] * _APART + counts.gram)  # several times faster than np.unique
            once = keys[np.diff(keys, prepend=-1) > 0]
            found.append(np.bincount(once % _APART))
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
        found = []
        for counts, theirs in zip(self._count(candidates, learning=False), self.counts, strict=True):
            picture = of[counts.caption]
            each = self.first[picture + 1] - self.first[picture]  # (E,) references to look in
            entry = np.repeat(np.arange(len(each)), each)
            place = np.arange(len(entry)) - np.repeat(np.cumsum(each) - each, each)
            reference = np.repeat(self.first[picture], each) + place
            wanted = reference * _APART + counts.gram[entry]
            at = np.minimum(np.searchsorted(theirs.keys, wanted), max(0, len(theirs.keys) - 1))
            count = np.where(theirs.keys[at] == wanted, theirs.count[at], 0) if len(theirs.keys) else np.zeros(len(at), int)
            found.append(Found(counts, entry, reference, count))
        return Matches(np.array([len(candidate) for candidate in candidates], int), of, found)

    def _count(self, captions: Sequence[Sequence[str]], *, learning: bool) -> list[Counts]:
        """Count n-grams; those of references are learnt, those of candidates get numbers beyond if they are others."""
        number = self._words
        lengths = np.array([len(caption) for caption in captions], int)
        words = np.array([number.setdefault(word, len(number)) for caption in captions for word in caption], int)
        caption, ends = np.repeat(np.arange(len(captions)), lengths), np.repeat(np.cumsum(lengths), lengths)
        start, grams = np.arange(len(words)), words
        found = []
        for order in range(ORDERS):
            if order:
                whole = start + order < ends[start]
                start = start[whole]
                grams = self._numbers(order, grams[whole] * _APART + words[start + order], learning=learning)
            keys, counts = np.unique(caption[start] * _APART + grams, return_counts=True)
            found.append(Counts(keys // _APART, keys % _APART, counts))
        return found

    def _numbers(self, order: int, keys: np.ndarray, *, learning: bool) -> np.ndarray:
        """Number n-grams, each given as the number of all but its last word, and that word."""
        if learning:
            known, numbers = np.unique(keys, return_inverse=True)
            self._known.append(known)
            return numbers
        known = self._known[order - 1]
        numbers = np.searchsorted(known, keys)
        new = np.ones(len(keys), bool)
        inside = numbers < len(known)
        new[inside] = known[numbers[inside]] != keys[inside]
        numbers[new] = len(known) + np.unique(keys[new], return_inverse=True)[1]
        return numbers
