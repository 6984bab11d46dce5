"""``csv``: ``path,caption,confidence``, a row for each caption, for spreadsheets and tables."""

import csv
import io
import os
import re
from typing import Self

from capgen.captioner.results import Result
from capgen.errors import Status
from capgen.outputs.format import LineFormat

COLUMNS = ("path", "caption", "confidence")
_DELIMITERS = (",", ";", "\t")
"""What stands between columns; a spreadsheet takes the semicolon where numbers have a comma."""


class CsvFormat(LineFormat):
    """Rows as in RFC 4180, but in a new file with plain line feeds. Every row has its path."""

    header = ",".join(COLUMNS)

    delimiter = ","

    def as_in(self, first_line: bytes) -> Self:
        """Return the format with the delimiter, a comma if there is no header, and the line end of a file's first line."""
        found, header = super().as_in(first_line), os.fsdecode(first_line).strip()
        found.delimiter = next((one for one in _DELIMITERS if header == one.join(COLUMNS)), ",")
        found.header = found.delimiter.join(COLUMNS)
        return found

    def lines(self, result: Result) -> list[str]:
        """Return a row for each caption; none for an image without a caption."""
        if result.status is not Status.CAPTIONED:
            return []
        return [
            _row((str(result.path), caption.text, f"{caption.confidence:.3f}"), self.delimiter)
            for caption in result.captions
        ]

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
        if len(rows) != 1 or len(rows[0]) != len(COLUMNS) or self.header.startswith(self.delimiter.join(rows[0])):
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
