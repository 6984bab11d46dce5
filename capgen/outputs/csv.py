"""``csv``: ``path,caption,confidence``, a row a caption, for spreadsheets and tables."""

import csv
import io
import os

from capgen.captioner.results import Result
from capgen.errors import Status

COLUMNS = ("path", "caption", "confidence")


class CsvFormat:
    """Rows as RFC 4180 has them, apart from the line ends, which are plain.

    Args:
        several: Makes no difference: every row has its path.
    """

    header = ",".join(COLUMNS)

    def __init__(self, *, several: bool) -> None:
        """Take what every format takes."""

    def lines(self, result: Result) -> list[str]:
        """Return a row a caption; none for a file that failed."""
        if result.status is not Status.CAPTIONED:
            return []
        return [_row((str(result.path), c.text, f"{c.confidence:.3f}")) for c in result.captions]

    def whole(self, record: bytes) -> bool:
        """See ``Format``: a line end inside quotes is part of a name."""
        return record.endswith(b"\n") and not _ends_in_quotes(record)

    def parse(self, record: bytes) -> tuple[str, str | None] | None:
        """See ``Format``."""
        try:
            rows = list(csv.reader(io.StringIO(os.fsdecode(record), newline=""), strict=True))
        except csv.Error:
            return None
        if len(rows) != 1 or len(rows[0]) != len(COLUMNS) or self.header.startswith(",".join(rows[0])):
            return None
        return rows[0][0], rows[0][1] or None


def _row(values: tuple[str, ...]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow(values)  # its characters are those that are quoted
    return buffer.getvalue().removesuffix("\r\n")


def _ends_in_quotes(record: bytes) -> bool:
    """Tell whether a field that begins with a quote is still open; a quote inside a field is a character like any other."""
    if b'"' not in record:
        return False
    quoted, at_start, index = False, True, 0
    while index < len(record):
        character = record[index : index + 1]
        if quoted and character == b'"':
            if record[index + 1 : index + 2] == b'"':
                index += 1
            else:
                quoted = False
        elif not quoted:
            quoted = at_start and character == b'"'
            at_start = character == b","
        index += 1
    return quoted
