"""JSON lines: an object a line, with the keys that a table has as its columns."""

import json
from collections.abc import Iterator
from pathlib import Path

from capgen.datasets.layout import MALFORMED, Layout, LoadedDataset, Problem, lines
from capgen.datasets.tables import NEEDED, Row, find_file, image_and_caption_columns, load
from capgen.errors import DataError

SUFFIXES = (".jsonl", ".ndjson")


def recognise(source: Path) -> str | None:
    """Say why ``source`` is in this layout, or return ``None``; malformed lines are passed over."""
    path = _find(source)
    if path is None:
        return None
    found = (image_and_caption_columns(row[1]) for row in _rows(path) if not isinstance(row, Problem))
    columns = next((names for names in found if names), None)
    return f"{path.name} has the keys {' and '.join(columns)}" if columns else None


def read(source: Path) -> LoadedDataset:
    """Read a file of JSON lines, or the folder that holds one.

    Raises:
        DataError: There is no such file, or it is not UTF-8 text.
    """
    path = _find(source)
    if path is None:
        raise DataError(f"{source} has no file of JSON lines ({', '.join(SUFFIXES)}) with the keys {NEEDED}")
    return load(path, _rows(path))


def _find(source: Path) -> Path | None:
    return find_file(source, SUFFIXES, lambda path: True)


def _rows(path: Path) -> Iterator[Row | Problem]:
    for where, line in lines(path):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield Problem(MALFORMED, where, f"it is not JSON ({error})")
            continue
        if isinstance(value, dict):
            yield where, value
        else:
            yield Problem(MALFORMED, where, "it is not a JSON object")


LAYOUT = Layout("jsonl", recognise, read)
