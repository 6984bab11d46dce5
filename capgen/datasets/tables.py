"""Tables with named columns: CSV and TSV (Kaggle's ``captions.txt`` among them), and JSON lines.

A row has an image, one caption or a list of them, and may have a split. In place of captions it may have a label, the name
of what is in the picture, of which short captions are made.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from capgen.captioner.vocabulary import article, words
from capgen.datasets.layout import SPLIT_NAMES, Layout, Problem, Reading, Row, image_folders, lines, read_text
from capgen.errors import DataError

IMAGE_COLUMNS = ("image", "file_name", "filename", "image_name", "image_path", "file", "path", "filepath")
CAPTION_COLUMNS = ("captions", "caption", "text", "comment", "sentence", "description")
LABEL_COLUMNS = ("label",)
SPLIT_COLUMNS = ("split",)

LABEL_CAPTIONS = ("a close up of {}", "{} up close", "a view of {}")
"""What is said of a picture of which only the name of the thing in it is known."""

_TABLES = (".csv", ".tsv", ".txt")
_JSON_LINES = (".jsonl", ".ndjson")


def recognise_csv(source: Path) -> str | None:
    """Say why ``source`` is a CSV or TSV file with the columns needed, or ``None``."""
    path = _file(source, _TABLES, lambda path: _csv_columns(path) is not None)
    if path is None:
        return None
    columns = _csv_columns(path)
    return f"{path.name} has the columns {' and '.join(columns)}" if columns else None


def read_csv(source: Path) -> Reading:
    """Read ``source``, a CSV or TSV file or the folder of one; captions with commas are quoted."""
    path = _file(source, _TABLES, lambda path: _csv_columns(path) is not None)
    if path is None:
        needed = f"one of {', '.join(IMAGE_COLUMNS)} and one of {', '.join((*CAPTION_COLUMNS, *LABEL_COLUMNS))}"
        raise DataError(f"{source} has no table whose first line names its columns: {needed}")
    problems: list[Problem] = []
    return _reading(path, _csv_rows(path, problems), problems)


def recognise_jsonl(source: Path) -> str | None:
    """Say why ``source`` is a file of JSON lines with the keys needed, or ``None``; malformed lines are passed over."""
    path = _file(source, _JSON_LINES, lambda path: True)
    if path is None:
        return None
    found = (_columns(row) for _, row in _json_rows(path, []))
    columns = next((names for names in found if names), None)
    return f"{path.name} has the keys {' and '.join(columns)}" if columns else None


def read_jsonl(source: Path) -> Reading:
    """Read ``source``, a file of JSON lines or the folder of one."""
    path = _file(source, _JSON_LINES, lambda path: True)
    if path is None:
        raise DataError(f"{source} has no file of JSON lines")
    problems: list[Problem] = []
    return _reading(path, _json_rows(path, problems), problems)


def _file(source: Path, suffixes: Iterable[str], fits: Callable[[Path], bool]) -> Path | None:
    """Return ``source`` or the first fitting file in it."""
    found = [source] if source.is_file() else sorted(path for path in source.glob("*") if path.is_file())
    return next((path for path in found if path.suffix.lower() in suffixes and fits(path)), None)


def _columns(names: Iterable[str]) -> tuple[str, str] | None:
    """Return the names of the image and the caption column, if both are there."""
    present = {str(name).strip().lower(): str(name) for name in names}
    image = next((present[name] for name in IMAGE_COLUMNS if name in present), None)
    caption = next((present[name] for name in (*CAPTION_COLUMNS, *LABEL_COLUMNS) if name in present), None)
    return (image, caption) if image and caption else None


def _csv_columns(path: Path) -> tuple[str, str] | None:
    """Return the columns that a table's first line names.

    Raises:
        DataError: It is a table by its name, but no UTF-8 text.
    """
    first = read_text(path).partition("\n")[0]
    return _columns(next(csv.reader([first], delimiter=_delimiter(first)), []))


def _delimiter(first_line: str) -> str:
    return "\t" if "\t" in first_line else ","


def _csv_rows(path: Path, problems: list[Problem]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    content = read_text(path)
    # newline="" leaves it to the csv module what ends a row, so that other line separators stay inside captions
    reader = csv.DictReader(io.StringIO(content, newline=""), delimiter=_delimiter(content.partition("\n")[0]))
    previous = reader.reader.line_num
    try:
        for row in reader:
            place, previous = f"{path.name}:{previous + 1}", reader.line_num
            if any("\n" in value for value in row.values() if isinstance(value, str)):
                problems.append(Problem("malformed row", place, "a quote is left open, or a caption has several lines"))
                continue
            yield place, row
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num} is no CSV: {error}") from error


def _json_rows(path: Path, problems: list[Problem]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for place, line in lines(path):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            problems.append(Problem("malformed row", place, f"it is no JSON ({error})"))
            continue
        if isinstance(value, dict):
            yield place, value
        else:
            problems.append(Problem("malformed row", place, "it is no JSON object"))


def _reading(path: Path, rows: Iterable[tuple[str, Mapping[str, Any]]], problems: list[Problem]) -> Reading:
    found: list[Row] = []
    for place, row in rows:
        columns = _columns(key for key in row if key is not None)
        image = row[columns[0]] if columns else None
        captions = _captions(row[columns[1]]) if columns else None
        if captions and columns and columns[1].strip().lower() in LABEL_COLUMNS:
            labels = filter(words, captions)
            captions = tuple(said.format(f"{article(label)} {label}") for label in labels for said in LABEL_CAPTIONS)
        if not image or not isinstance(image, str) or captions is None:
            problems.append(Problem("malformed row", place, "it lacks an image or a caption"))
            continue
        if None in row:
            problems.append(Problem("malformed row", place, "it has more columns than names; quote a caption with commas"))
            continue
        given = next((row[key] for key in row if str(key).strip().lower() in SPLIT_COLUMNS), None)
        named = str(given or "").strip().lower()
        if named and named not in SPLIT_NAMES:
            problems.append(Problem("malformed row", place, f"{given!r} is no split"))
            continue
        found.append(Row(image.strip(), captions, SPLIT_NAMES[named] if named else None))
    return Reading(found, image_folders(path.parent), problems)


def _captions(value: Any) -> tuple[str, ...] | None:
    """Read one caption, a list of them, or in a table a list written as JSON."""
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


CSV_LAYOUT = Layout("csv", recognise_csv, read_csv)
JSONL_LAYOUT = Layout("jsonl", recognise_jsonl, read_jsonl)
