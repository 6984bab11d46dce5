"""A table with named columns as text: CSV (RFC 4180), TSV, or with semicolons or bars; Kaggle's ``captions.txt`` among them.

A quoted cell may have line breaks. A quotation mark that is left open would swallow the rows after it, up to the next mark,
and put their captions under the name of its own image: such a record is given up, and what follows its first line is read
anew. In a table with tabs that line is a row without quoting, as many programs write them. An unquoted delimiter in a
caption is part of it if nothing comes after the caption.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from capgen.datasets.columns import only_caption_column
from capgen.datasets.layout import MALFORMED, Problem
from capgen.datasets.table_layout import TableFormat, table_layout
from capgen.datasets.tables import Row
from capgen.datasets.text_files import has_broken_bytes, read_rows_text
from capgen.images.formats import ends_like_image

_NAMED_DELIMITER = re.compile(r'"?sep=([,;|\t])"?')
"""The line that Excel writes before a table for itself."""

_HEADER_LINES = 100
"""The most lines from the beginning among which those are that name the columns."""

LEFT_OPEN = "a quotation mark is left open"


def read_rows(path: Path) -> Iterator[Row | Problem]:
    """Read a table whose first line names its columns.

    Raises:
        DataError: The file cannot be read.
    """
    yield from rows(read_rows_text(path), path.name)


def rows(text: str, name: str) -> Iterator[Row | Problem]:
    """Yield the rows of a table whose first line names its columns, given the text and the name of its file."""
    is_whole = not has_broken_bytes(text)
    lines = io.StringIO(text).readlines()
    dialect = _dialect_of(lines)
    names: list[str] = []
    for number, record in _records(lines, dialect):
        where = f"{name}:{number}"
        if isinstance(record, str):
            yield Problem(MALFORMED, where, record)
        elif not any(map(str.strip, record)):  # spreadsheets end tables with rows of nothing but delimiters
            continue
        elif not names:
            names = _unique(record)
        elif not is_whole and any(map(has_broken_bytes, record)):
            yield Problem(MALFORMED, where, "it is not UTF-8 text")
        elif not any(map(str.strip, record[len(names) :])):
            yield where, dict(zip(names, record, strict=False))
        elif only_caption_column(names) == names[-1] and (rest := _last_cell(lines[number - 1], dialect, len(names))):
            yield where, dict(zip(names, [*record[: len(names) - 1], rest], strict=True))
        else:
            detail = f"it has more columns than names; quote a caption with {dialect.delimiter!r} in it"
            yield Problem(MALFORMED, where, detail)


def column_names(text: str) -> list[str]:
    """Return the names of a table's columns, those of its first line with any."""
    lines = list(islice(io.StringIO(text), _HEADER_LINES))
    records = (record for _, record in _records(lines, _dialect_of(lines)) if not isinstance(record, str))
    return next((_unique(record) for record in records if any(map(str.strip, record))), [])


def _dialect_of(lines: list[str]) -> "_Dialect":
    """Tell the dialect of a table, and blank the line that names its delimiter: it is no row, but counts as a line."""
    first = next(filter(str.strip, lines), "")
    named = _NAMED_DELIMITER.fullmatch(first.strip(" \n"))
    if named is None:
        return _dialect(first)
    lines[lines.index(first)] = "\n"
    return _Dialect(named[1], is_spaced=False)


@dataclass(frozen=True)
class _Dialect:
    """What stands between the cells of a row, and whether a space after it belongs to it."""

    delimiter: str
    is_spaced: bool

    def read(self, lines: Iterable[str], *, strict: bool) -> Any:  # what the csv module calls a reader has no public type
        return csv.reader(lines, delimiter=self.delimiter, skipinitialspace=self.is_spaced, strict=strict)

    def read_escaped(self, line: str) -> Any:
        """Read a line with a backslash before each quotation mark inside a cell, as Spark and MySQL write them."""
        return csv.reader(
            [line],
            delimiter=self.delimiter,
            skipinitialspace=self.is_spaced,
            strict=True,
            doublequote=False,
            escapechar="\\",
        )


def _dialect(header: str) -> _Dialect:
    """Tell the dialect by the line that names the columns: its tab, or whichever sign makes the most of them."""
    delimiter = "\t" if "\t" in header else max(",;|", key=header.count)
    return _Dialect(delimiter, f"{delimiter} " in header)


def _unique(names: Sequence[str]) -> list[str]:
    """Number the names that have been there before."""
    seen: Counter[str] = Counter()
    unique = []
    for name in map(str.strip, names):
        seen[name] += 1
        unique.append(f"{name}_{seen[name]}" if seen[name] > 1 else name)
    return unique


def _records(lines: Sequence[str], dialect: _Dialect) -> Iterator[tuple[int, list[str] | str]]:
    """Yield the number of each record's first line, and its cells, or what is wrong with it; blank lines are left out."""
    start, width = 0, 0
    while start < len(lines):
        reader, first = dialect.read((lines[index] for index in range(start, len(lines))), strict=True), start
        try:
            for cells in reader:
                end = start + reader.line_num
                if end - first > 1 and (len(cells) < width or _is_several_rows(lines[first:end], dialect, width)):
                    raise csv.Error(LEFT_OPEN)  # noqa: TRY301 - what the reader itself raises when the file ends
                width = width or len(cells)
                if cells:
                    yield first + 1, cells
                first = end
        except csv.Error:
            yield first + 1, _line_alone(lines[first], dialect)
            start = first + 1
        else:
            return


def _line_alone(line: str, dialect: _Dialect) -> list[str] | str:
    """Return the cells of a line in which quoting is not as it should be, or what is wrong with it."""
    if dialect.delimiter == "\t":
        return line.rstrip("\n").split("\t")
    line = line.rstrip("\n") + "\n"
    try:
        if '\\"' in line:
            return next(dialect.read_escaped(line), [])
        cells: list[str] = next(dialect.read([line], strict=False), [])
    except csv.Error as error:
        return "a cell in it is too long" if "limit" in str(error) else "its quotation marks are not those of a CSV"
    return LEFT_OPEN if cells and cells[-1].endswith("\n") else cells


def _last_cell(line: str, dialect: _Dialect, width: int) -> str | None:
    """Return the last cell of a row with delimiters in it; ``None`` if quoting or another row may have to do with them."""
    rest = line.rstrip("\n").split(dialect.delimiter, width - 1)[-1]
    cells = map(str.strip, rest.split(dialect.delimiter))
    return None if '"' in line or any(map(ends_like_image, cells)) else rest


def _is_several_rows(lines: Sequence[str], dialect: _Dialect, width: int) -> bool:
    """Tell whether more than one of the lines of a record is like a row: with the name of an image, or a number first."""

    def is_row(line: str) -> bool:
        cells = [cell.strip().strip('"') for cell in line.split(dialect.delimiter)]
        has_image = len(cells) > 1 and any(map(ends_like_image, cells))
        return has_image or (len(cells) >= width and cells[0].isdigit())

    return sum(map(is_row, lines)) > 1


LAYOUT = table_layout(TableFormat("csv", (".csv", ".tsv", ".txt"), "column", read_rows))
