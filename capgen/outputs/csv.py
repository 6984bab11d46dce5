"""``csv``: ``path,caption,confidence``, a row for each caption, for spreadsheets and tables."""

import csv
import io
import os
import re

from capgen.captioner.results import Result
from capgen.errors import Status
from capgen.outputs.format import LineFormat

COLUMNS = ("path", "caption", "confidence")


class CsvFormat(LineFormat):
    """Rows as in RFC 4180, but with plain line feeds. Every row has its path."""

    header = ",".join(COLUMNS)

    def lines(self, result: Result) -> list[str]:
        """Return a row for each caption; none for an image without a caption."""
        if result.status is not Status.CAPTIONED:
            return []
        return [_row((str(result.path), caption.text, f"{caption.confidence:.3f}")) for caption in result.captions]

    def is_whole(self, record: bytes) -> bool:
        """Tell whether the lines read so far are a whole record; a line end inside quotes belongs to a field."""
        return record.endswith(b"\n") and not _ends_in_quotes(record)

    def parse(self, record: bytes) -> tuple[str, str | None] | None:
        """Return the path and the caption in a row, or ``None`` if it is not such a row, or is the header."""
        try:
            rows = list(csv.reader(io.StringIO(os.fsdecode(record), newline=""), strict=True))
        except csv.Error:
            return None
        if len(rows) != 1 or len(rows[0]) != len(COLUMNS) or self.header.startswith(",".join(rows[0])):
            return None
        return rows[0][0], rows[0][1] or None


def _row(values: tuple[str, ...]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow(values)  # the writer quotes what holds one of these
    return buffer.getvalue().removesuffix("\r\n")


_QUOTED = re.compile(rb'(?:(?<=,)|\A)"(?:[^"]|"")*+"')
"""A field in quotes. A quote opens one only at the beginning of a field; elsewhere it is plain text."""

_OPEN = re.compile(rb'(?:,|\A)"')


def _ends_in_quotes(record: bytes) -> bool:
    """Tell whether a quoted field is still open."""
    return b'"' in record and _OPEN.search(_QUOTED.sub(b"", record)) is not None
