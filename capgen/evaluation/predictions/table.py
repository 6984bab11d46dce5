"""A table whose first line names its columns, as CSV or TSV: what ``capgen caption --output FILE.csv`` writes, too."""

import re
from collections.abc import Iterator

from capgen.datasets import csv
from capgen.datasets.layout import Problem
from capgen.evaluation.predictions.form import NAME_KEYS, TEXT_KEYS, Row, Source, best_first, first_key, row_of
from capgen.outputs.csv import COLUMNS


class TableForm:
    """A table with a column of names and a column of captions."""

    example = "a CSV or TSV table with columns such as image_id and caption"
    takes_folders = False

    def rows(self, source: Source) -> Iterator[Row] | None:
        """Return the rows; see ``Form``."""
        columns = _columns(source.text)
        if first_key(columns, NAME_KEYS) is None or first_key(columns, TEXT_KEYS) is None:
            return None
        found = csv.rows(source.path)
        rows = (Row(one.where) if isinstance(one, Problem) else row_of(*one) for one in found)
        return best_first(rows) if tuple(columns) == COLUMNS else rows


def _columns(text: str) -> dict[str, str]:
    """Return the cells of the first line, whatever splits them."""
    cells = re.split(r"[,;\t|]", text.lstrip().partition("\n")[0])
    names = [cell.strip().strip('"') for cell in cells]
    return {name.lower(): name for name in names}


FORM = TableForm()
