"""A table whose first line names its columns, as CSV or TSV: what ``capgen caption --output FILE.csv`` writes, too."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from capgen.datasets import cells, csv
from capgen.datasets.layout import Problem
from capgen.evaluation.predictions.form import NAME_KEYS, TEXT_KEYS, Row, Source, best_first, first_key, row_of
from capgen.outputs.csv import COLUMNS, COLUMNS_BEFORE


class TableForm:
    """A table with a column of names and a column of captions."""

    example = "a CSV or TSV table with columns such as image_id and caption"
    takes_folders = False

    def rows(self, source: Source) -> Iterator[Row] | None:
        """Return the rows; see ``Form``."""
        names = csv.column_names(source.text)
        columns = {name.lower(): name for name in names}
        if first_key(columns, NAME_KEYS) is None or first_key(columns, TEXT_KEYS) is None:
            return None
        found = csv.rows(source.text, source.path.name)
        rows = (Row(one.where) if isinstance(one, Problem) else _row(*one) for one in found if not _is_header(one))
        return best_first(rows) if tuple(columns) in (COLUMNS, COLUMNS_BEFORE) else rows


def _is_header(row: tuple[str, Mapping[str, Any]] | Problem) -> bool:
    """Tell whether a row is a header again, as in several files that were put together."""
    return not isinstance(row, Problem) and all(name == cell for name, cell in row[1].items())


def _row(where: str, values: Mapping[str, Any]) -> Row:
    """Make a row of the cells by column; a cell may show a list of captions."""
    row = row_of(where, values)
    try:
        return replace(row, captions=tuple(text for cell in row.captions for text in cells.texts(cell) or ()))
    except ValueError:  # it begins like a list and is none
        return replace(row, captions=())


FORM = TableForm()
