"""What every layout is read into, and the small tools that the readers share."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capgen.errors import DataError


@dataclass(frozen=True)
class Row:
    """Captions of one picture, as written in the source.

    Attributes:
        image: Its name or path, as written.
        captions: One or several; none if only its split is known.
        split: ``train``, ``dev``, ``test``; ``unused`` if the official splits leave it out; ``None`` without splits.
        id: How predictions call it; its name by default.
    """

    image: str
    captions: tuple[str, ...]
    split: str | None = None
    id: str = ""


@dataclass(frozen=True)
class Problem:
    """Something found that is reported and left out.

    Attributes:
        kind: E.g. ``"empty caption"``; problems of a kind are counted together.
        where: The row or file.
        detail: What is the matter, if the kind does not say it all.
    """

    kind: str
    where: str
    detail: str = ""


@dataclass
class Reading:
    """A source as read.

    Attributes:
        rows: Its captions.
        folders: Where its pictures may lie, the most likely first.
        problems: Rows that could not be read.
        layout: Name of the layout.
        why: How it was recognised, in words.
    """

    rows: list[Row]
    folders: list[Path]
    problems: list[Problem] = field(default_factory=list)
    layout: str = ""
    why: str = ""


@dataclass(frozen=True)
class Layout:
    """One way in which data sets are distributed.

    Attributes:
        name: What ``--format`` calls it.
        recognise: From a source to the reason why it is this layout, or ``None``.
        read: From a source to its rows.
    """

    name: str
    recognise: Callable[[Path], str | None]
    read: Callable[[Path], Reading]


SPLIT_NAMES = {
    "train": "train", "training": "train", "restval": "train",
    "dev": "dev", "val": "dev", "valid": "dev", "validation": "dev",
    "test": "test", "testing": "test",
}  # fmt: skip
"""The names that data sets give to the three splits."""

IMAGE_FOLDERS = ("images", "Images", "Flicker8k_Dataset", "Flickr8k_Dataset", "flickr30k-images", "flickr30k_images")
"""What the folder of the pictures is called in the public data sets; "Flicker" is Flickr8k's own spelling."""


def image_folders(root: Path, extra: Iterable[str] = ()) -> list[Path]:
    """List where the pictures of a data set at ``root`` may lie."""
    named = [base / name for base in (root, root.parent) for name in (*extra, *IMAGE_FOLDERS)]
    return [root, *(folder for folder in named if folder.is_dir())]


def read_text(path: Path) -> str:
    """Read a file of captions.

    Raises:
        DataError: It cannot be read, or is no UTF-8 text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no UTF-8 text (byte {error.start}); convert it first") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: It cannot be read, or is no JSON.
    """
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no JSON: {error}") from error


def lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the lines of a text file that are not blank, each with its place (``file:number``)."""
    yield from numbered(read_text(path), path.name)


def numbered(content: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield the lines of a text that are not blank, each with its place (``name:number``)."""
    for number, line in enumerate(content.split("\n"), 1):
        if line.strip():
            yield f"{name}:{number}", line.rstrip("\r")


def text(value: Any) -> str:
    """Return a value of a source that must be a text.

    Raises:
        TypeError: It is not.
    """
    if not isinstance(value, str):
        raise TypeError(f"{value!r} in place of a text")
    return value


def is_json_object_with(path: Path, keys: tuple[str, ...]) -> bool:
    """Tell whether a file is a JSON object with these keys.

    Raises:
        DataError: It looks like JSON, but is no UTF-8 text.
    """
    if path.suffix != ".json" or not path.is_file():
        return False
    try:
        value = json.loads(read_text(path))
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and all(key in value for key in keys)
