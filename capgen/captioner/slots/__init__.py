"""Names of things that the encoder knows and the captions hardly mention, said through slots.

An ImageNet classifier knows a thousand classes; a few thousand captions name a few dozen of them. In training, a rare name
that agrees with the classifier becomes the slot of its group: "a giraffe in a field" is "a <animal> in a field". The
decoder sees, in a cell of its own beside the grid, how sure the classifier is of the best name of each group, and learns
when to say a slot; in captioning the slot is filled with that name, whether a caption ever had it or not. After Neural
Baby Talk (Lu et al. 2018), with a classifier in place of a detector.

Letters: G groups, W = 2G + 1 numbers of the cell.
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

LEAST = 0.15
"""Probability from which the classifier's best name may fill a slot."""


@dataclass(frozen=True)
class VisualWord:
    """What people call some classes.

    Attributes:
        singular: E.g. ``"fire engine"``.
        plural: E.g. ``"fire engines"``; of what is not counted the same as the singular.
        group: Whose slot it fills.
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
    """What the classifier says of one picture.

    Attributes:
        best: Group to its likeliest name.
        chances: (G, 2) float32, by group the probability of that name and of all its names.
    """

    best: dict[str, VisualWord]
    chances: np.ndarray

    @property
    def sure(self) -> dict[str, float]:
        """Group to the probability of its likeliest name."""
        return dict(zip(self.best, self.chances[:, 0].tolist(), strict=True))

    def cell(self) -> np.ndarray:
        """Return what the decoder sees: (W,) float32, the chances and a 1."""
        return np.append(self.chances.reshape(-1), np.float32(1.0))


class VisualWords:
    """Some names, and what can be done with them.

    Args:
        names: Each class in at most one of them.
    """

    def __init__(self, names: Iterable[VisualWord]) -> None:
        """Index them."""
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
            raise TypeError("a name is no printable text")
        return cls(names)

    def plain(self) -> list[dict[str, Any]]:
        """Return them for JSON."""
        return [asdict(name) for name in self.names]

    def rarer_than(self, count: int, captions: Iterable[str]) -> "VisualWords":
        """Keep the names that captions say less than ``count`` times."""
        said: dict[VisualWord, int] = dict.fromkeys(self.names, 0)
        for caption in captions:
            for _, _, name, _ in self._mentions(words(caption)):
                said[name] += 1
        return VisualWords(name for name, times in said.items() if times < count)

    @property
    def slots(self) -> tuple[str, ...]:
        """The entries that they add to a vocabulary: by group one for a name, one for its plural."""
        return tuple(self._slots)

    @property
    def width(self) -> int:
        """W, numbers of the cell."""
        return 2 * len(self.groups) + 1

    def class_scores(self, probabilities: np.ndarray) -> ClassScores:
        """Sum the probabilities of classes (1000,) by name, and find the best of each group."""
        chances = np.bincount(self._name_of_class, weights=probabilities, minlength=len(self.names) + 1)
        best, rows = {}, []
        for group, members in self._members.items():
            likeliest = members[int(chances[members].argmax())]
            best[group] = self.names[likeliest]
            rows.append((chances[likeliest], chances[members].sum()))
        return ClassScores(best, np.array(rows, np.float32).reshape(-1, 2))

    def fillable(self, class_scores: ClassScores, unsaid: Collection[str] = ()) -> dict[str, VisualWord]:
        """Return the groups whose slots may be said of a picture, each with its name.

        Args:
            class_scores: Of the picture.
            unsaid: Words that no name may contain.
        """
        return {
            group: name
            for (group, name), (chance, _) in zip(class_scores.best.items(), class_scores.chances, strict=True)
            if chance >= LEAST and not (unsaid and set(unsaid).intersection(words(f"{name.singular} {name.plural}")))
        }

    def delexicalise(self, said: Sequence[str], class_scores: ClassScores) -> list[str]:
        """Put slots for the names in a caption that agree with the classifier.

        Args:
            said: The words of a caption.
            class_scores: Of its picture.
        """
        fillable = self.fillable(class_scores)
        result: list[str] = []
        position = 0
        for start, end, name, plural in self._mentions(said):
            if fillable.get(name.group) != name:
                continue
            result += said[position:start]
            if result and result[-1] == "an":
                result[-1] = "a"
            result.append(slot(name.group, plural=plural))
            position = end
        return [*result, *said[position:]]

    def relexicalise(self, said: Sequence[str], class_scores: ClassScores) -> list[str]:
        """Undo ``delexicalise``, with "a" and "an" as the names ask for."""
        return [word for word, _ in self.placed(said, class_scores)]

    def placed(self, said: Sequence[str], class_scores: ClassScores) -> list[tuple[str, int]]:
        """Do what ``relexicalise`` does, and return with each word the place in ``said`` that it comes from."""
        result: list[tuple[str, int]] = []
        for place, word in enumerate(said):
            if word not in self._slots:
                result.append((word, place))
                continue
            group, plural = self._slots[word]
            name = class_scores.best[group]
            if result and result[-1][0] in ("a", "an"):
                _, before = result.pop()
                if name.kind == "count":
                    plural = False  # "a goldfish" taught "a <fishs>", which must not be "a sharks"
                    result.append((article(name.singular), before))
            parts = (name.plural if plural else name.singular).split()
            if result and result[-1][0] == "of" and "of" in parts:  # "a mug of <food>" is no mug of cups of coffee
                parts = parts[parts.index("of") + 1 :]
            result += [(part, place) for part in parts]
        return result

    @cached_property
    def _slots(self) -> dict[str, tuple[str, bool]]:
        return {slot(group, plural=plural): (group, plural) for group in self.groups for plural in (False, True)}

    @cached_property
    def _members(self) -> dict[str, np.ndarray]:
        """Group to the indices of its names."""
        return {
            group: np.array([index for index, name in enumerate(self.names) if name.group == group]) for group in self.groups
        }

    @cached_property
    def _name_of_class(self) -> np.ndarray:
        """Class to the index of its name, or one past the last: (1000,)."""
        found = np.full(CLASSES, len(self.names))
        for index, name in enumerate(self.names):
            found[list(name.classes)] = index
        return found

    @cached_property
    def _forms(self) -> dict[tuple[str, ...], tuple[VisualWord, bool]]:
        """Words to the name that they are and whether as a plural; what is not counted stands like a plural."""
        plurals = {tuple(words(name.plural)): (name, True) for name in self.names}
        return {tuple(words(name.singular)): (name, False) for name in self.names if name.kind == "count"} | plurals

    @cached_property
    def _longest(self) -> int:
        """Words of the longest name."""
        return max(map(len, self._forms), default=0)

    def _mentions(self, said: Sequence[str]) -> Iterable[tuple[int, int, VisualWord, bool]]:
        """Find names in the words of a caption, the longest first: their start, end, name and whether it is a plural."""
        position = 0
        while position < len(said):
            for length in range(self._longest, 0, -1):
                found = self._forms.get(tuple(said[position : position + length]))
                if found:
                    yield position, position + length, *found
                    position += length - 1
                    break
            position += 1


def slot(group: str, *, plural: bool) -> str:
    """Return the entry of a vocabulary that stands for a name of a group."""
    return f"<{group}s>" if plural else f"<{group}>"


def with_class_token(grid: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Put a cell beside a grid, each with channels of its own: (C, D) and (W,) to (C + 1, D + W)."""
    cells, channels = grid.shape
    both = np.zeros((cells + 1, channels + len(cell)), grid.dtype)
    both[:cells, :channels] = grid
    both[cells, channels:] = cell
    return both
