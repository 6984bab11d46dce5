"""Which columns of a table hold its images, captions and splits.

A column is known by its name, and where several have known names, by what they hold: a column ``image`` of numbers does not
hide a column ``file_name`` of names of files.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from capgen.datasets.cells import names_image_files, texts
from capgen.datasets.layout import Columns
from capgen.datasets.splits import SPLIT_NAMES

IMAGE_COLUMNS = ("image", "file_name", "filename", "image_name", "image_path", "file", "path", "filepath", "file_names")
CAPTION_COLUMNS = ("captions", "caption", "text", "comment", "sentence", "sentences", "description", "prompt", "title")
LABEL_COLUMNS = ("label",)
SPLIT_COLUMN, OTHER_SPLIT_COLUMNS = "split", ("set", "subset", "partition")
"""What the column of splits is called. Others may hold something else, and are read if they hold names of splits alone."""

NEEDED = f"one of {', '.join(IMAGE_COLUMNS)} and one of {', '.join((*CAPTION_COLUMNS, *LABEL_COLUMNS))}"
"""The columns that a table must have, in words."""

_IMAGE_ENDINGS = ("_file_name", "_file_names")
"""How the names of further columns of images end in image folders of the Hugging Face Hub."""

_NUMBERED = re.compile(r"(.+?)[ _-]?[0-9]{1,3}")


@dataclass(frozen=True)
class Choice:
    """The columns that a row is read from.

    Attributes:
        image: The column of its image or images.
        captions: The columns of its captions: one, or several with numbers, such as ``caption_0`` and ``caption_1``.
        are_labels: Whether what they hold are names of things.
        split: The column of its split, if there is one.
    """

    image: str
    captions: tuple[str, ...]
    are_labels: bool
    split: str | None = None

    def __str__(self) -> str:
        return f"{self.image} and {', '.join(self.captions)}"


class ColumnChooser:
    """Chooses the columns of the rows of one table.

    Args:
        sample: Some of its rows, by which columns of known names are told apart.
        named: The columns that a person names.
    """

    def __init__(self, sample: Iterable[Mapping[str, Any]], named: Columns) -> None:
        self._named = named
        self._image_counts: Counter[str] = Counter()
        self._with_text: set[str] = set()
        self._choices: dict[tuple[str, ...], Choice | None] = {}
        self._no_splits: set[str] = set()
        for row in sample:
            self._no_splits.update(name for name in row if _is_other_than_split(name, row[name]))
            self._image_counts.update(name for name in _images(row, named) if names_image_files(row[name]))
            self._with_text.update(name for _, group in _captions(row, named) for name in group if _has_text(row[name]))

    def choose(self, names: Iterable[str]) -> Choice | None:
        """Return the columns to be used of a row with columns of these names; ``None`` if it lacks one."""
        key = tuple(names)
        if key not in self._choices:
            self._choices[key] = self._choose(key)
        return self._choices[key]

    def _choose(self, names: tuple[str, ...]) -> Choice | None:
        images, captions = _images(names, self._named), _captions(names, self._named)
        if not images or not captions:
            return None
        known, group = next(
            (found for found in captions if not self._with_text.isdisjoint(found[1])),
            captions[0],
        )
        image = max(images, key=lambda name: self._image_counts[name])
        return Choice(image, group, known in LABEL_COLUMNS, self._split_column(names))

    def _split_column(self, names: tuple[str, ...]) -> str | None:
        present = {_plain(name): name for name in names}
        others = (present[plain] for plain in OTHER_SPLIT_COLUMNS if plain in present)
        return present.get(SPLIT_COLUMN) or next((name for name in others if name not in self._no_splits), None)


def only_caption_column(names: Iterable[str]) -> str | None:
    """Return the column of captions, if just one of the columns has a known name of them."""
    columns = [name for _, group in _captions(names, Columns()) for name in group]
    return columns[0] if len(columns) == 1 else None


def _is_other_than_split(name: str, value: Any) -> bool:
    """Tell whether a column that may be one of splits holds something else."""
    return _plain(name) in OTHER_SPLIT_COLUMNS and str(value).strip().lower() not in SPLIT_NAMES


def _plain(name: str) -> str:
    return name.strip().lower()


def _images(names: Iterable[str], named: Columns) -> list[str]:
    """Return the columns that may hold images, the best known first."""
    present = {_plain(name): name for name in names}
    if named.image is not None:
        return [present[_plain(named.image)]] if _plain(named.image) in present else []
    others = [name for plain, name in present.items() if plain.endswith(_IMAGE_ENDINGS)]
    known = [present[plain] for plain in IMAGE_COLUMNS if plain in present]
    return known + (others if len(others) == 1 else [])  # of several, it is not known which one a caption is of


def _captions(names: Iterable[str], named: Columns) -> list[tuple[str, tuple[str, ...]]]:
    """Return each known name of columns of captions with the columns of that name, numbered or not."""
    if named.caption is not None:
        group = tuple(name for name in names if _plain(name) == _plain(named.caption))
        return [("", group)] if group else []
    groups: dict[str, list[str]] = {}
    for name in names:
        plain = _plain(name)
        numbered = _NUMBERED.fullmatch(plain)
        groups.setdefault(numbered[1] if numbered else plain, []).append(name)
    return [(known, tuple(groups[known])) for known in (*CAPTION_COLUMNS, *LABEL_COLUMNS) if known in groups]


def _has_text(value: Any) -> bool:
    try:
        return any(text.strip() for text in texts(value) or ())
    except ValueError:  # it is a list that cannot be read, but a list of texts
        return True
