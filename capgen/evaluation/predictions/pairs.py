"""A list of lists, each with the name of an image and its caption."""

from collections.abc import Iterator
from typing import Any

from capgen.evaluation.predictions.form import Row, Source, name_text, texts


class PairsForm:
    """A JSON list of pairs."""

    example = '[["42.jpg", "..."], ...]'
    takes_folders = False

    def rows(self, source: Source) -> Iterator[Row] | None:
        """Return the rows; see ``Form``."""
        value = source.json
        if not isinstance(value, list) or not any(pair("", one).image for one in value):
            return None
        return (pair(f"row {number}", one) for number, one in enumerate(value, 1))


def pair(where: str, value: Any) -> Row:
    """Make a row of a list with a name and a caption; anything else has neither."""
    if not isinstance(value, list) or not texts(value[1:]):
        return Row(where)
    return Row(where, name_text(value[0]), texts(value[1:]))


FORM = PairsForm()
