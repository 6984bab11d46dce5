"""JSON lines: an object a line, with the keys that a table has as its columns."""

import json
from collections.abc import Iterator
from pathlib import Path

from capgen.datasets.layout import MALFORMED, Problem
from capgen.datasets.table_layout import TableFormat, table_layout
from capgen.datasets.tables import Row
from capgen.datasets.text_files import has_broken_bytes, numbered, read_rows_text
from capgen.errors import json_fault


def read_rows(path: Path) -> Iterator[Row | Problem]:
    """Read an object from each line.

    Raises:
        DataError: The file cannot be read.
    """
    for where, line in numbered(read_rows_text(path), path.name):
        if has_broken_bytes(line):
            yield Problem(MALFORMED, where, "it is not UTF-8 text")
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield Problem(MALFORMED, where, f"it is not JSON: {json_fault(error)}")
            continue
        if isinstance(value, dict):
            yield where, value
        else:
            yield Problem(MALFORMED, where, "it is not a JSON object")


LAYOUT = table_layout(TableFormat("jsonl", (".jsonl", ".ndjson"), "key", read_rows))
