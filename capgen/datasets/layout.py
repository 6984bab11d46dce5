"""What every layout is loaded into, and the small tools that the layouts share."""

import codecs
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capgen.errors import DataError
from capgen.images.formats import ends_like_image

MALFORMED = "malformed row"
"""The kind of problem that a row is which cannot be read; it costs that row alone."""

UNREADABLE_FILE = "unreadable file"
"""The kind of problem that a whole file of captions is which cannot be read."""

NOT_READ = "file not read"
"""The kind of problem that a file of captions is in place of which another is read."""

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
        name: What ``--format`` calls it.
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


SPLIT_NAMES = {
    "train": "train", "training": "train", "restval": "train",
    "dev": "dev", "val": "dev", "valid": "dev", "validation": "dev", "eval": "dev",
    "test": "test", "testing": "test",
}  # fmt: skip
"""The names that data sets give to the three splits, in lower case."""

IMAGE_FOLDERS = (
    "images", "image", "img", "imgs", "photos", "pictures", "jpegimages",
    "flicker8k_dataset", "flickr8k_dataset", "flickr30k-images", "flickr30k_images",
)  # fmt: skip
"""What the folder of the images is called, in lower case; "Flicker" is Flickr8k's own spelling."""

_WORDS_BESIDE_A_SPLIT = {"images", "image", "img", "imgs", "photos", "pictures", "set", "split", "data"}
"""What else the name of the folder of a split may say, as ``train_images`` does; ``train_old`` is another folder."""

_WORDS_OF_A_NAME = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")


def split_in_name(name: str) -> str | None:
    """Return the split that a file or folder is named for, as ``captions_train2017`` is; ``None`` if it is none or two."""
    named = {SPLIT_NAMES.get(word.lower()) for word in _WORDS_OF_A_NAME.findall(name)} - {None}
    return named.pop() if len(named) == 1 else None


def split_of_folder(name: str) -> str | None:
    """Return the split of which a folder has the images, if its name says nothing else: ``train2017``, ``test_images``."""
    said = {word.lower() for word in _WORDS_OF_A_NAME.findall(name)}
    return split_in_name(name) if said <= _WORDS_BESIDE_A_SPLIT | SPLIT_NAMES.keys() else None


def split_folders(folder: Path) -> list[Path]:
    """Return the folders directly in a folder that are those of a split: ``train2017``, ``val``, ``test_images``."""
    return [folder / name for name in names_in(folder) if split_of_folder(name) and (folder / name).is_dir()]


def image_folders(root: Path) -> list[Path]:
    """List the folders in which the images of a data set may lie.

    Args:
        root: The folder of its annotations. The folder around it counts only if the images cannot be in this one, as it has
            neither images nor a folder for them.
    """
    inside = _with_named_folders(root)
    around = root.resolve().parent if root.name in ("", "..") else root.parent
    return inside if len(inside) > 1 or _has_images(root) else [*inside, *_with_named_folders(around)]


def _with_named_folders(root: Path) -> list[Path]:
    """Return a folder, and those for images in it; they may have another one in them, where each archive got a folder."""
    inside = _named_folders(root)
    return [root, *inside, *(nested for folder in inside for nested in _named_folders(folder))]


def _named_folders(folder: Path) -> list[Path]:
    return [folder / name for name in names_in(folder) if name.lower() in IMAGE_FOLDERS and (folder / name).is_dir()]


def _has_images(root: Path) -> bool:
    """Tell whether a folder has images or folders of splits directly in it."""
    files = (Path(name) for name in names_in(root) if name[0] != ".")
    return any(ends_like_image(name) for name in files) or bool(split_folders(root))


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder, sorted; none if it cannot be listed."""
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names alone, as a folder may hold millions
    except OSError:
        return []


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, with or without a byte order mark, or in UTF-16 with one.

    Raises:
        DataError: The file cannot be read, or it is not such text.
    """
    try:
        return decoded(path.read_bytes())
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start}); convert it first") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def decoded(data: bytes, errors: str = "strict") -> str:
    r"""Decode UTF-8, with or without a byte order mark, or UTF-16 with one, as spreadsheets write it.

    Args:
        data: The bytes of a text.
        errors: What becomes of bytes that are not UTF-8, as in ``bytes.decode``.

    Returns:
        The text; every line of it ends in ``\n``, whatever the file has.

    Raises:
        UnicodeDecodeError: It is neither.
    """
    is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = data.decode("utf-16") if is_utf16 else data.decode("utf-8-sig", errors)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_rows_text(path: Path) -> str:
    """Read a text file of rows, of which a few may have bytes that are not UTF-8; ``has_broken_bytes`` tells them.

    Raises:
        DataError: The file cannot be read, or it is in another encoding.
    """
    try:
        return read_text(path)
    except DataError as error:
        try:
            text = decoded(path.read_bytes(), "surrogateescape")
        except (OSError, UnicodeDecodeError):
            raise error from None
        if sum(map(has_broken_bytes, text.split("\n"))) > BROKEN_SHARE * text.count("\n"):
            raise
        return text


BROKEN_SHARE = 0.1
"""A text of which more of the lines than this are not UTF-8 is in another encoding."""


def has_broken_bytes(text: str) -> bool:
    """Tell whether there are bytes in a text of ``read_rows_text`` that are not UTF-8."""
    return re.search("[\udc80-\udcff]", text) is not None


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


def read_split_lists(folder: Path, names: Mapping[str, str], problems: list[Problem]) -> dict[str, str]:
    """Return the split of each image that lists name, one image a line.

    Args:
        folder: The folder of the lists.
        names: The file name of the list of each split, in the order train, dev, test.
        problems: What is wrong with the lists is added to it.
    """
    splits: dict[str, str] = {}
    for split, name in names.items():
        listing = folder / name
        if not listing.is_file():
            continue
        for where, line in lines(listing):
            image = line.strip()
            if splits.get(image, split) != split:
                # The lists come in the order train, dev, test: what is tested on must not be trained on.
                problems.append(Problem("image in two splits", where, f"kept in {split}, not {splits[image]}"))
            splits[image] = split
    return splits


def require_text(value: Any) -> str:
    """Return a value of a JSON file that must be a text.

    Raises:
        TypeError: The value is not a text.
    """
    if not isinstance(value, str):
        raise TypeError(f"{value!r} in place of a text")
    return value


def json_files(folder: Path) -> list[Path]:
    """Return the JSON files in a folder, sorted, without those that belong to one image; none if it cannot be listed."""
    names = [Path(name) for name in names_in(folder) if name[0] != "."]
    images = {text for name in names if ends_like_image(name) for text in (name.name, name.stem)}
    paths = (folder / name for name in names if name.suffix == ".json" and name.stem not in images)
    return [path for path in paths if path.is_file()]  # a pipe would be waited for


def has_keys(path: Path, *keys: str) -> bool:
    """Tell whether a file has these keys anywhere; big files are not parsed for it, nor do damaged ones have to be whole."""
    try:
        content = decoded(path.read_bytes(), "replace")
    except (OSError, UnicodeDecodeError):
        return False
    return all(re.search(rf'"{key}"\s*:', content) for key in keys)


def is_json_object_with(path: Path, keys: tuple[str, ...]) -> bool:
    """Tell whether a file is a JSON object with these keys; one that cannot be read is not."""
    try:
        value = read_json(path)
    except DataError:
        return False
    return isinstance(value, dict) and all(key in value for key in keys)


def is_damaged_json(path: Path) -> bool:
    """Tell whether a file cannot be read as JSON."""
    try:
        read_json(path)
    except DataError:
        return True
    return False
