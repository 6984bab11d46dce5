"""JSON lines, an object or a pair a line: what ``capgen caption --output FILE.jsonl`` writes, and COCO's entries."""

import json
from collections.abc import Sequence
from typing import Any

from capgen.datasets.text_files import numbered
from capgen.evaluation.predictions.form import Row, Source, row_of
from capgen.evaluation.predictions.pairs import pair


class JsonLinesForm:
    """An object with an image and a caption on each line."""

    example = '{"image": "42.jpg", "caption": "..."} on each line'
    takes_folders = False

    def rows(self, source: Source) -> Sequence[Row] | None:
        """Return the rows; see ``Form``."""
        if isinstance(source.json, list):
            return None
        rows = [row(where, parsed(line)) for where, line in numbered(source.text, source.path.name)]
        return rows if any(one.image for one in rows) else None


def row(where: str, value: Any) -> Row:
    """Make a row of the value of one line; ``where`` names it in messages."""
    return pair(where, value) if isinstance(value, list) else row_of(where, value)


def parsed(line: str) -> Any:
    """Return the value of one line; None if it is not JSON."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


FORM = JsonLinesForm()
