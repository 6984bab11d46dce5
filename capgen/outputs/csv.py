"""``csv``: ``path,caption,confidence,rank``, a row for each caption, for spreadsheets and tables."""

import csv
import io
import os
import re
from typing import Self

from capgen.captioner.results import Result
from capgen.errors import Status
from capgen.outputs.format import LineFormat

COLUMNS = ("path", "caption", "confidence", "rank")
"""The columns of a new file. Of several captions of an image, the best has rank 1."""

COLUMNS_BEFORE = COLUMNS[:3]
"""The columns of files that were begun before there were ranks; they go on without."""

_DELIMITERS = (",", ";", "\t")
"""What stands between columns; a spreadsheet takes the semicolon where numbers have a comma."""


class CsvFormat(LineFormat):
    """Rows as in RFC 4180, but in a new file with plain line feeds. Every row has its path."""

    header = ",".join(COLUMNS)

    columns: tuple[str, ...] = COLUMNS
    delimiter = ","

    def as_in(self, first_line: bytes) -> Self:
        """Return the format with the columns, the delimiter and the line end of a file's first line.

        Where that is no header, as of an older file of a later part, its cells are counted, and commas are between them.
        """
        found, header = super().as_in(first_line), os.fsdecode(first_line).strip()
        known = {one.join(columns): (columns, one) for columns in (COLUMNS, COLUMNS_BEFORE) for one in _DELIMITERS}
        try:
            cells = next(csv.reader([header]), [])
        except csv.Error:  # it is no row
            cells = []
        without = COLUMNS_BEFORE if len(cells) == len(COLUMNS_BEFORE) and not self.header.startswith(header) else COLUMNS
        found.columns, found.delimiter = known.get(header, (without, ","))
        found.header = found.delimiter.join(found.columns)
        return found

    def lines(self, result: Result) -> list[str]:
        """Return a row for each caption; none for an image without a caption."""
        if result.status is not Status.CAPTIONED:
            return []
        rows = (
            (str(result.path), caption.text, f"{caption.confidence:.3f}", str(rank))
            for rank, caption in enumerate(result.captions, 1)
        )
        return [_row(row[: len(self.columns)], self.delimiter) for row in rows]

    def is_whole(self, record: bytes) -> bool:
        """Tell whether the lines read so far are a whole record; a line end inside quotes belongs to a field."""
        return record.endswith(b"\n") and not _ends_in_quotes(record, self.delimiter.encode())

    def parse(self, record: bytes) -> tuple[str, str | None] | None:
        """Return the path and the caption in a row, or ``None`` if it is not such a row, or is the header."""
        try:
            lines = io.StringIO(os.fsdecode(record), newline="")
            rows = list(csv.reader(lines, delimiter=self.delimiter, strict=True))
        except csv.Error:
            return None
        if (
            len(rows) != 1
            or len(rows[0]) not in (len(COLUMNS), len(COLUMNS_BEFORE))
            or self.header.startswith(self.delimiter.join(rows[0]))
        ):
            return None
        return rows[0][0], rows[0][1] or None


def _row(values: tuple[str, ...], delimiter: str) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter, lineterminator="\r\n").writerow(
        values
    )  # the writer quotes what holds one of these
    return buffer.getvalue().removesuffix("\r\n")


_QUOTED = rb'(?:(?<=%b)|\A)"(?:[^"]|"")*+"'
"""A field in quotes, after a delimiter. A quote opens one only at the beginning of a field; elsewhere it is plain text."""

_OPEN = rb'(?:%b|\A)"'


def _ends_in_quotes(record: bytes, delimiter: bytes) -> bool:
    """Tell whether a quoted field is still open."""
    return b'"' in record and re.search(_OPEN % delimiter, re.sub(_QUOTED % delimiter, b"", record)) is not None
