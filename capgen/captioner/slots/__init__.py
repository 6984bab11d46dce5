"""Visual words: names of things that the encoder knows and the captions rarely contain, said through slots.

An ImageNet classifier knows a thousand classes; a few thousand captions name a few dozen of them. In training, a rare name
that agrees with the classifier becomes the slot of its group (delexicalisation): "a giraffe in a field" is "a <animal> in a
field". The decoder attends, beside the cells of the grid, to a class-probability token, which holds the classifier's
probability of the best name of each group, and learns when to say a slot. In captioning the slot is filled with that name
(relexicalisation), whether a training caption had it or not. After Neural Baby Talk (Lu et al. 2018), with a classifier in
place of a detector.

Letters: G groups, W = 2G + 1 numbers of the class-probability token, C cells, D channels.
"""

import csv
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from capgen.captioner.vocabulary import article, words

TABLE = Path(__file__).parent / "imagenet.tsv"
"""Everyday name, plural, group and kind of each of ImageNet's 1,000 classes."""

CLASSES = 1000


@dataclass(frozen=True)
class VisualWord:
    """What people call some classes of ImageNet.

    Attributes:
        singular: E.g. ``"fire engine"``.
        plural: E.g. ``"fire engines"``; the same as the singular for what is not counted.
        group: The group whose slot it fills, e.g. ``"vehicle"``.
        kind: ``count``, ``mass`` (takes no "a") or ``pair`` (plural only).
        classes: Indices of ImageNet's classes.
    """

    singular: str
    plural: str
    group: str
    kind: str
    classes: tuple[int, ...]


@dataclass(frozen=True)
class ClassScores:
    """What the classifier finds in one image.

    Attributes:
        best: The likeliest name of each group, by the name of the group.
        probabilities: (G, 2) float32, for each group the probability of that name and that of all names of the group.
    """

    best: dict[str, VisualWord]
    probabilities: np.ndarray

    @property
    def best_probabilities(self) -> dict[str, float]:
        """The probability of the likeliest name of each group, by the name of the group."""
        return dict(zip(self.best, self.probabilities[:, 0].tolist(), strict=True))

    def token(self) -> np.ndarray:
        """Return the class-probability token, which the decoder attends to: (W,) float32, the probabilities and a 1."""
        return np.append(self.probabilities.reshape(-1), np.float32(1.0))


class VisualWords:
    """The visual words of a captioner. They are replaced by slots in captions to learn, and replace slots in captions found.

    Args:
        names: The visual words; each class is in at most one of them.
    """

    def __init__(self, names: Iterable[VisualWord]) -> None:
        self.names = tuple(names)
        self.groups = tuple(sorted({name.group for name in self.names}))

    @classmethod
    @cache
    def imagenet(cls) -> "VisualWords":
        """Read the table of ImageNet's classes, once."""
        classes: dict[tuple[str, str, str, str], list[int]] = {}
        with TABLE.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                key = (row["name"], row["plural"], row["group"], row["kind"])
                classes.setdefault(key, []).append(int(row["class"]))
        return cls(VisualWord(*key, tuple(indices)) for key, indices in classes.items())

    @classmethod
    def from_plain(cls, values: Any) -> "VisualWords":
        """Undo ``plain``.

        Raises:
            TypeError, KeyError, ValueError: It is not what ``plain`` makes.
        """
        names = [VisualWord(**{**value, "classes": tuple(map(int, value["classes"]))}) for value in values]
        if any(not 0 <= index < CLASSES for name in names for index in name.classes):
            raise ValueError("there is no such class")
        texts = [text for name in names for text in (name.singular, name.plural, name.group, name.kind)]
        if not all(isinstance(text, str) and text.isprintable() for text in texts):
            raise TypeError("a name is not printable text")
        return cls(names)

    def plain(self) -> list[dict[str, Any]]:
        """Return the names for JSON."""
        return [asdict(name) for name in self.names]

    def rarer_than(self, count: int, captions: Iterable[str]) -> "VisualWords":
        """Return the names that captions say less than ``count`` times."""
        counts: dict[VisualWord, int] = dict.fromkeys(self.names, 0)
        for caption in captions:
            for _, _, name, _ in self._occurrences(words(caption)):
                counts[name] += 1
        return VisualWords(name for name, times in counts.items() if times < count)

    @property
    def slots(self) -> tuple[str, ...]:
        """The entries that slots add to a vocabulary: two a group, for a name and for its plural."""
        return tuple(self._slots)

    @property
    def token_width(self) -> int:
        """W, how many numbers the class-probability token has."""
        return 2 * len(self.groups) + 1

    def class_scores(self, probabilities: np.ndarray) -> ClassScores:
        """Sum the probabilities of the classes (1000,) by name, and find the likeliest name of each group."""
        sums = np.bincount(self._name_of_class, weights=probabilities, minlength=len(self.names) + 1)  # (names + 1,)
        best, rows = {}, []
        for group, members in self._members.items():
            likeliest = members[int(sums[members].argmax())]
            best[group] = self.names[likeliest]
            rows.append((sums[likeliest], sums[members].sum()))
        return ClassScores(best, np.array(rows, np.float32).reshape(-1, 2))

    def fillable(
        self,
        class_scores: ClassScores,
        min_probability: float,
        suppressed_words: Collection[str] = (),
    ) -> dict[str, VisualWord]:
        """Return the groups whose slots a caption of an image may have, each with the name that fills its slot.

        Args:
            class_scores: The class scores of the image.
            min_probability: The least probability that the name must have.
            suppressed_words: Words that no name may contain.
        """
        return {
            group: name
            for (group, name), (probability, _) in zip(class_scores.best.items(), class_scores.probabilities, strict=True)
            if probability >= min_probability and not _contains(name, suppressed_words)
        }

    def delexicalise(self, caption: Sequence[str], class_scores: ClassScores, min_probability: float) -> list[str]:
        """Replace the names in a caption that agree with the classifier by slots.

        Args:
            caption: The words of a caption.
            class_scores: The class scores of its image.
            min_probability: The least probability of a name that becomes a slot.
        """
        fillable = self.fillable(class_scores, min_probability)
        result: list[str] = []
        position = 0
        for start, end, name, plural in self._occurrences(caption):
            if fillable.get(name.group) != name:
                continue
            result += caption[position:start]
            if result and result[-1] == "an":
                result[-1] = "a"
            result.append(slot(name.group, plural=plural))
            position = end
        return [*result, *caption[position:]]

    def relexicalise(self, caption: Sequence[str], class_scores: ClassScores) -> list[str]:
        """Undo ``delexicalise``, with "a" and "an" as the names ask for."""
        return [word for word, _ in self.relexicalise_with_positions(caption, class_scores)]

    def relexicalise_with_positions(self, caption: Sequence[str], class_scores: ClassScores) -> list[tuple[str, int]]:
        """Return the words of ``relexicalise``, each with the position in ``caption`` that it comes from."""
        result: list[tuple[str, int]] = []
        for position, word in enumerate(caption):
            if word not in self._slots:
                result.append((word, position))
                continue
            group, plural = self._slots[word]
            name = class_scores.best[group]
            if result and result[-1][0] in ("a", "an"):
                _, before = result.pop()
                if name.kind == "count":
                    plural = False  # from "a goldfish" a decoder learns "a <fishs>", which must not become "a sharks"
                    result.append((article(name.singular), before))
            parts = (name.plural if plural else name.singular).split()
            if result and result[-1][0] == "of" and "of" in parts:  # "a mug of <food>" is "a mug of coffee"
                parts = parts[parts.index("of") + 1 :]
            result += [(part, position) for part in parts]
        return result

    @cached_property
    def _slots(self) -> dict[str, tuple[str, bool]]:
        return {slot(group, plural=plural): (group, plural) for group in self.groups for plural in (False, True)}

    @cached_property
    def _members(self) -> dict[str, np.ndarray]:
        """The indices of the names of each group, by the name of the group."""
        return {
            group: np.array([index for index, name in enumerate(self.names) if name.group == group]) for group in self.groups
        }

    @cached_property
    def _name_of_class(self) -> np.ndarray:
        """The index of the name of each class, or one past the last index for a class without a name: (1000,)."""
        found = np.full(CLASSES, len(self.names))
        for index, name in enumerate(self.names):
            found[list(name.classes)] = index
        return found

    @cached_property
    def _forms(self) -> dict[tuple[str, ...], tuple[VisualWord, bool]]:
        """By the words of each name and plural: the name, and whether it is the plural; uncounted names count as plurals."""
        plurals = {tuple(words(name.plural)): (name, True) for name in self.names}
        return {tuple(words(name.singular)): (name, False) for name in self.names if name.kind == "count"} | plurals

    @cached_property
    def _longest(self) -> int:
        """How many words the longest name has."""
        return max(map(len, self._forms), default=0)

    def _occurrences(self, caption: Sequence[str]) -> Iterable[tuple[int, int, VisualWord, bool]]:
        """Find the names in a caption, the longest first: their start, their end, the name and whether it is a plural."""
        position = 0
        while position < len(caption):
            for length in range(self._longest, 0, -1):
                found = self._forms.get(tuple(caption[position : position + length]))
                if found:
                    yield position, position + length, *found
                    position += length - 1
                    break
            position += 1


def slot(group: str, *, plural: bool) -> str:
    """Return the entry of a vocabulary that stands for a name of a group."""
    return f"<{group}s>" if plural else f"<{group}>"


def with_class_token(grid: np.ndarray, token: np.ndarray) -> np.ndarray:
    """Append a class-probability token to a grid as one more cell, each in channels of its own.

    Args:
        grid: (C, D).
        token: (W,).

    Returns:
        (C + 1, D + W), of the type of the grid.
    """
    cells, channels = grid.shape
    both = np.zeros((cells + 1, channels + len(token)), grid.dtype)  # (C + 1, D + W)
    both[:cells, :channels] = grid
    both[cells, channels:] = token
    return both


def _contains(name: VisualWord, suppressed_words: Collection[str]) -> bool:
    """Return whether a name or its plural has one of the words."""
    return bool(suppressed_words) and not set(suppressed_words).isdisjoint(words(f"{name.singular} {name.plural}"))
