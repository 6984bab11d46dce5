"""What a layout is, and what every layout is loaded into: examples, problems, and where the images may lie."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MALFORMED = "malformed row"
"""Problem kind: a row that cannot be read; the other rows are."""

UNREADABLE_FILE = "unreadable file"
"""Problem kind: a file of captions that cannot be read at all."""

NOT_READ = "file not read"
"""Problem kind: a file of captions that is not read, because another one is."""

UNUSED = "unused"
"""The split of an image that the official splits leave out."""


@dataclass(frozen=True)
class Example:
    """An image of a source with its captions, as the source writes them.

    Attributes:
        image: The name or the path of the image.
        captions: One caption or several; empty if the source has none for this image.
        split: ``train``, ``dev``, ``test`` or ``unused``; ``None`` if the source has no splits.
        id: What predictions call the image; empty if that is its name.
        folder: The folder of the file that names the image, where it is looked for first; by default the first of the
            data set's image folders.
        part: The name of the file that names the image, such as ``captions_val2017``, where the folders of the images may be
            named for the same split; by default they may be named for ``split``.
        where: The row that says so, as ``file:line``; empty if the image has no row of its own.
    """

    image: str
    captions: tuple[str, ...]
    split: str | None = None
    id: str = ""
    folder: Path | None = None
    part: str = ""
    where: str = field(default="", compare=False)


@dataclass(frozen=True)
class Problem:
    """Something in a source that is reported and left out.

    Attributes:
        kind: Such as ``"empty caption"``; problems of one kind are counted together.
        where: The row or the file.
        detail: What is wrong, where the kind alone does not say it.
    """

    kind: str
    where: str
    detail: str = ""

    def __str__(self) -> str:
        return self.where + (f": {self.detail}" if self.detail else "")


def by_kind(problems: Iterable[Problem]) -> dict[str, list[Problem]]:
    """Return problems by their kind, in the order in which they were found."""
    found: dict[str, list[Problem]] = {}
    for problem in problems:
        found.setdefault(problem.kind, []).append(problem)
    return found


def problem_of(example: Example, kind: str, detail: str = "") -> Problem:
    """Name a problem by the row of an example, or by its image where it has no row."""
    if not example.where:
        return Problem(kind, example.image, detail)
    return Problem(kind, example.where, f"{example.image}: {detail}" if detail else example.image)


@dataclass(frozen=True)
class LoadedDataset:
    """The annotations of a source, before any image is looked for.

    Attributes:
        examples: What could be read.
        image_folders: Where the images may lie, the most likely folder first; at least one.
        problems: What could not be read.
        layout: The name of the layout.
        recognised_by: In words, how the layout was recognised.
        notes: What a person should know of how the source was read, a sentence each.
    """

    examples: Sequence[Example]
    image_folders: Sequence[Path]
    problems: Sequence[Problem] = ()
    layout: str = ""
    recognised_by: str = ""
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Columns:
    """The columns of tables that a person names, where they are not called as capgen expects.

    Attributes:
        image: The column of the names of the images; by default the one of a known name that holds names of image files.
        caption: The column of the captions; by default the first of a known name that holds texts.
    """

    image: str | None = None
    caption: str | None = None


@dataclass(frozen=True)
class Layout:
    """One way in which data sets are distributed.

    Attributes:
        name: What it is called where a layout is named.
        recognise: Takes a source, a file or a folder, and returns the reason why it is in this layout, or ``None``.
            It never raises: a file that cannot be read is not in this layout.
        read: Takes a source and returns its examples; raises ``DataError`` where what it looks for is not there.
        seen: Takes a source that is in no layout, and says in words what of it comes near to this one.
        with_columns: Returns the layout as it reads columns of other names; ``None`` for a layout without columns.
    """

    name: str
    recognise: Callable[[Path], str | None]
    read: Callable[[Path], LoadedDataset]
    seen: Callable[[Path], list[str]] = lambda source: []
    with_columns: "Callable[[Columns], Layout] | None" = None
