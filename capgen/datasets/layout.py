"""What every layout is loaded into, and the small tools that the layouts share."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capgen.errors import DataError

MALFORMED = "malformed row"
"""The kind of problem that a row is which cannot be read; it costs that row alone."""

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
    """

    image: str
    captions: tuple[str, ...]
    split: str | None = None
    id: str = ""


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


@dataclass(frozen=True)
class LoadedDataset:
    """The annotations of a source, before any image is looked for.

    Attributes:
        examples: What could be read.
        image_folders: Where the images may lie, the most likely folder first; at least one.
        problems: What could not be read.
        layout: The name of the layout.
        recognised_by: In words, how the layout was recognised.
    """

    examples: Sequence[Example]
    image_folders: Sequence[Path]
    problems: Sequence[Problem] = ()
    layout: str = ""
    recognised_by: str = ""


@dataclass(frozen=True)
class Layout:
    """One way in which data sets are distributed.

    Attributes:
        name: What ``--format`` calls it.
        recognise: Takes a source, a file or a folder, and returns the reason why it is in this layout, or ``None``.
        read: Takes a source and returns its examples; raises ``DataError`` where what it looks for is not there.
    """

    name: str
    recognise: Callable[[Path], str | None]
    read: Callable[[Path], LoadedDataset]


SPLIT_NAMES = {
    "train": "train", "training": "train", "restval": "train",
    "dev": "dev", "val": "dev", "valid": "dev", "validation": "dev",
    "test": "test", "testing": "test",
}  # fmt: skip
"""The names that data sets give to the three splits."""

IMAGE_FOLDERS = ("images", "Images", "Flicker8k_Dataset", "Flickr8k_Dataset", "flickr30k-images", "flickr30k_images")
"""What the folder of the images is called in the public data sets; "Flicker" is Flickr8k's own spelling."""


def image_folders(root: Path, extra: Iterable[str] = ()) -> list[Path]:
    """List the folders in which the images of a data set may lie.

    Args:
        root: The folder of its annotations.
        extra: Names of folders that only this layout has.
    """
    candidates = [base / name for base in (root, root.parent) for name in (*extra, *IMAGE_FOLDERS)]
    return [root, *(folder for folder in candidates if folder.is_dir())]


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, with or without a byte order mark.

    Raises:
        DataError: The file cannot be read, or it is not UTF-8 text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start}); convert it first") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: The file cannot be read, or it is not JSON.
    """
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}") from error


def lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the lines of a text file that are not blank, each after ``file:number``, which names it in messages."""
    yield from numbered(read_text(path), path.name)


def numbered(content: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield the lines of a text that are not blank, each after ``name:number``, which names it in messages."""
    for number, line in enumerate(content.split("\n"), 1):
        if line.strip():
            yield f"{name}:{number}", line.rstrip("\r")


def require_text(value: Any) -> str:
    """Return a value of a JSON file that must be a text.

    Raises:
        TypeError: The value is not a text.
    """
    if not isinstance(value, str):
        raise TypeError(f"{value!r} in place of a text")
    return value


def is_json_object_with(path: Path, keys: tuple[str, ...]) -> bool:
    """Tell whether a file is a JSON object with these keys.

    Raises:
        DataError: The file's name ends in ``.json``, but it is not UTF-8 text.
    """
    if path.suffix != ".json" or not path.is_file():
        return False
    try:
        value = json.loads(read_text(path))
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and all(key in value for key in keys)
