"""What the layouts with named columns share: which columns they may have, and how a row becomes an example.

A row has an image and one caption or a list of captions, and it may have a split. In place of captions it may have a label,
the name of what the image shows, of which short captions are made.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from capgen.captioner.vocabulary import article, words
from capgen.datasets.layout import MALFORMED, SPLIT_NAMES, Example, LoadedDataset, Problem, image_folders

IMAGE_COLUMNS = ("image", "file_name", "filename", "image_name", "image_path", "file", "path", "filepath")
CAPTION_COLUMNS = ("captions", "caption", "text", "comment", "sentence", "description")
LABEL_COLUMNS = ("label",)
SPLIT_COLUMNS = ("split",)

NEEDED = f"one of {', '.join(IMAGE_COLUMNS)} and one of {', '.join((*CAPTION_COLUMNS, *LABEL_COLUMNS))}"
"""The columns that a table must have, in words."""

LABEL_CAPTIONS = ("a close up of {}", "{} up close", "a view of {}")
"""The captions of an image of which only the name of the thing in it is known."""

Row = tuple[str, Mapping[Any, Any]]
"""A row of a table: what names it in messages, and its values by column."""


def find_file(source: Path, suffixes: Iterable[str], fits: Callable[[Path], bool]) -> Path | None:
    """Return ``source``, or the first file in it, that ends in one of the suffixes and fits."""
    found = [source] if source.is_file() else sorted(path for path in source.glob("*") if path.is_file())
    return next((path for path in found if path.suffix.lower() in suffixes and fits(path)), None)


def image_and_caption_columns(names: Iterable[str]) -> tuple[str, str] | None:
    """Return the names of the image column and the caption column, if both are among ``names``."""
    present = {str(name).strip().lower(): str(name) for name in names}
    image = next((present[name] for name in IMAGE_COLUMNS if name in present), None)
    caption = next((present[name] for name in (*CAPTION_COLUMNS, *LABEL_COLUMNS) if name in present), None)
    return (image, caption) if image and caption else None


def load(path: Path, rows: Iterable[Row | Problem]) -> LoadedDataset:
    """Turn the rows of a table into examples.

    Args:
        path: The file of the table; its images may lie beside it.
        rows: The rows, and the problems that were found where a row should be.
    """
    examples: list[Example] = []
    problems: list[Problem] = []
    for row in rows:
        found = row if isinstance(row, Problem) else _example(*row)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            examples.append(found)
    return LoadedDataset(examples, image_folders(path.parent), problems)


def _example(where: str, row: Mapping[Any, Any]) -> Example | Problem:
    """Make an example of a row, or say what is wrong with it."""
    found = _image_and_captions(row)
    if found is None:
        return Problem(MALFORMED, where, "it lacks an image or a caption")
    if None in row:  # where csv.DictReader puts what is beyond the last column
        return Problem(MALFORMED, where, "it has more columns than names; quote a caption with commas")
    value = next((row[key] for key in row if str(key).strip().lower() in SPLIT_COLUMNS), None)
    split = str(value or "").strip().lower()
    if split and split not in SPLIT_NAMES:
        return Problem(MALFORMED, where, f"{value!r} is not the name of a split")
    return Example(*found, SPLIT_NAMES[split] if split else None)


def _image_and_captions(row: Mapping[Any, Any]) -> tuple[str, tuple[str, ...]] | None:
    """Return the name of a row's image and its captions, or ``None`` if it lacks one of them."""
    columns = image_and_caption_columns(key for key in row if key is not None)
    if columns is None:
        return None
    image, captions = row[columns[0]], _captions(columns[1], row[columns[1]])
    if not image or not isinstance(image, str) or captions is None:
        return None
    return image.strip(), captions


def _captions(column: str, value: Any) -> tuple[str, ...] | None:
    """Return the captions of a row, or ``None`` if the value holds none; a label becomes captions."""
    texts = _texts(value)
    if texts is None or column.strip().lower() not in LABEL_COLUMNS:
        return texts
    labels = filter(words, texts)
    return tuple(template.format(f"{article(label)} {label}") for label in labels for template in LABEL_CAPTIONS)


def _texts(value: Any) -> tuple[str, ...] | None:
    """Return one text, a list of texts, or a list of texts that a cell holds as JSON; else ``None``."""
    if isinstance(value, str) and value.lstrip().startswith('["'):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return (value,)
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    return None
