"""One JSON value that holds the rows of a table: an array of objects, or an object of captions by the names of images.

A file of JSON lines whose name ends in ``.json`` is read as well. Objects are decoded one by one, so that a damaged one
costs itself: reading goes on where the next begins.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from capgen.datasets.cells import ends_like_image
from capgen.datasets.layout import MALFORMED, Problem, has_broken_bytes, read_rows_text
from capgen.datasets.table_layout import TableFormat, table_layout
from capgen.datasets.tables import Row

_BETWEEN = re.compile(r"[\s,]*")
_NEXT_OBJECT = re.compile(r"\}\s*,?\s*(?=\{)")
"""The end of an object after which another begins, as between the elements of an array."""

_END = re.compile(r"\]\s*\Z")

_IMAGE, _CAPTION = "image", "caption"


def read_rows(path: Path) -> Iterator[Row | Problem]:
    """Read the objects of an array, or of the longest array in an object, or the entries of an object.

    Raises:
        DataError: The file cannot be read.
    """
    text = read_rows_text(path)
    values = list(_values(text, path.name))
    if not text.lstrip().startswith("[") and len(values) == 1 and isinstance(values[0], tuple):
        yield from _rows_of_object(path.name, values[0][1])
    else:
        yield from _rows(values)


def _rows(values: Iterable[tuple[str, Any] | Problem]) -> Iterator[Row | Problem]:
    for value in values:
        if isinstance(value, Problem):
            yield value
        elif isinstance(value[1], dict):
            yield value[0], value[1]
        else:
            yield Problem(MALFORMED, value[0], "it is not a JSON object")


def _values(text: str, name: str) -> Iterator[tuple[str, Any] | Problem]:
    """Yield the values of a text, or of the array that it is, each after the line that it begins in."""
    decode = json.JSONDecoder().raw_decode
    position = len(text) - len(text.lstrip())
    is_array = text.startswith("[", position)
    position += is_array
    line, counted = 1, 0
    while True:
        position = len(text) if (between := _BETWEEN.match(text, position)) is None else between.end()
        line, counted = line + text.count("\n", counted, position), position
        if position == len(text) and is_array:
            yield Problem(MALFORMED, f"{name}:{line}", "the array does not end; the file seems to be cut off")
        if position == len(text) or (is_array and _END.match(text, position)):
            return
        try:
            value, end = decode(text, position)
        except (ValueError, RecursionError) as error:
            yield Problem(MALFORMED, f"{name}:{line}", f"it is not JSON ({error})")
            following = _NEXT_OBJECT.search(text, position)
            if following is None:
                return
            position = following.end()
            continue
        if has_broken_bytes(text[position:end]):
            yield Problem(MALFORMED, f"{name}:{line}", "it is not UTF-8 text")
        else:
            yield f"{name}:{line}", value
        position = end


def _rows_of_object(name: str, value: Any) -> Iterator[Row | Problem]:
    """Yield the rows of the longest array in an object, or, of an object by names of images, its entries."""
    if isinstance(value, dict) and value and all(map(ends_like_image, value)):
        for key, entry in value.items():
            yield f"{name}: {key}", {**entry, _IMAGE: key} if isinstance(entry, dict) else {_IMAGE: key, _CAPTION: entry}
        return
    arrays = {key: entry for key, entry in value.items() if isinstance(entry, list)} if isinstance(value, dict) else {}
    objects = {key: entry for key, entry in arrays.items() if any(isinstance(item, dict) for item in entry)}
    if objects:
        key = max(objects, key=lambda name: len(objects[name]))
        yield from _rows((f"{name}: {key} {number}", item) for number, item in enumerate(objects[key], 1))
    else:
        yield from _rows([(f"{name}:1", value)])


LAYOUT = table_layout(TableFormat("json", (".json",), "key", read_rows))
