"""A table with named columns: CSV or TSV, Kaggle's ``captions.txt`` among them."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from capgen.datasets.layout import MALFORMED, Layout, LoadedDataset, Problem, read_text
from capgen.datasets.tables import NEEDED, Row, find_file, image_and_caption_columns, load
from capgen.errors import DataError

SUFFIXES = (".csv", ".tsv", ".txt")


def recognise(source: Path) -> str | None:
    """Say why ``source`` is in this layout, or return ``None``."""
    path = _find(source)
    columns = _columns(path) if path else None
    return f"{path.name} has the columns {' and '.join(columns)}" if path and columns else None


def read(source: Path) -> LoadedDataset:
    """Read a table, or the folder that holds one; captions with commas are quoted.

    Raises:
        DataError: There is no table with the columns needed, or it is not UTF-8 text or not CSV.
    """
    path = _find(source)
    if path is None:
        raise DataError(f"{source} has no table whose first line names its columns: {NEEDED}")
    return load(path, _rows(path))


def _find(source: Path) -> Path | None:
    return find_file(source, SUFFIXES, lambda path: _columns(path) is not None)


def _columns(path: Path) -> tuple[str, str] | None:
    """Return the image column and the caption column that the first line names.

    Raises:
        DataError: The file is a table by its name, but it is not UTF-8 text.
    """
    first = read_text(path).partition("\n")[0]
    return image_and_caption_columns(next(csv.reader([first], delimiter=_delimiter(first)), []))


def _delimiter(first_line: str) -> str:
    return "\t" if "\t" in first_line else ","


def _rows(path: Path) -> Iterator[Row | Problem]:
    content = read_text(path)
    # newline="" leaves it to the csv module what ends a row, so that other line separators stay inside captions
    reader = csv.DictReader(io.StringIO(content, newline=""), delimiter=_delimiter(content.partition("\n")[0]))
    previous = reader.reader.line_num
    try:
        for row in reader:
            where, previous = f"{path.name}:{previous + 1}", reader.line_num
            if any("\n" in value for value in row.values() if isinstance(value, str)):
                yield Problem(MALFORMED, where, "a quote is left open, or a caption has several lines")
            else:
                yield where, row
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num} is not CSV: {error}") from error


LAYOUT = Layout("csv", recognise, read)
