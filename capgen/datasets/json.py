"""One JSON value that holds the rows of a table: an array of objects, or an object of captions by the names of images.

A file of JSON lines whose name ends in ``.json`` is read as well. Objects are decoded one by one, so that a damaged one
costs itself: reading goes on where the next begins.
"""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from capgen.datasets.layout import MALFORMED, Problem
from capgen.datasets.table_layout import TableFormat, table_layout
from capgen.datasets.tables import Row
from capgen.datasets.text_files import has_broken_bytes, read_rows_text
from capgen.errors import json_fault
from capgen.images.formats import ends_like_image

_BETWEEN = re.compile(r"[\s,]*")
_NEXT_OBJECT = re.compile(r"\}\s*(?:,\s*)?(?=\{)")
"""The end of an object after which another begins, as between the elements of an array."""

_BEGIN = re.compile(r"\s*\[")
_END_OF_ALL, _END = re.compile(r"\]\s*\Z"), re.compile(r"\]")
_BEGIN_INSIDE = re.compile(r'\s*\{\s*"[^"\n]*"\s*:\s*\[')
"""The beginning of an object whose first value is an array."""

_IMAGE, _CAPTION = "image", "caption"


def read_rows(path: Path) -> Iterator[Row | Problem]:
    """Read the objects of an array, or of the longest array in an object, or the entries of an object.

    Raises:
        DataError: The file cannot be read.
    """
    text = read_rows_text(path)
    if begin := _BEGIN.match(text):
        yield from _rows(_values(text, path.name, begin.end(), _END_OF_ALL))
        return
    values = _values(text, path.name)
    first = list(islice(values, 2))
    inside = _BEGIN_INSIDE.match(text)
    if len(first) == 1 and isinstance(first[0], tuple):
        yield from _rows_of_object(text, path.name, first[0][1])
    elif first and isinstance(first[0], Problem) and inside:
        yield from _rows(_values(text, path.name, inside.end()))  # what comes before the damage is not lost with it
    else:
        yield from _rows(chain(first, values))


def _rows(values: Iterable[tuple[str, Any] | Problem]) -> Iterator[Row | Problem]:
    for value in values:
        if isinstance(value, Problem):
            yield value
        elif isinstance(value[1], dict):
            yield value[0], value[1]
        else:
            yield Problem(MALFORMED, value[0], "it is not a JSON object")


def _values(
    text: str, name: str, position: int = 0, end_of_array: re.Pattern[str] | None = None
) -> Iterator[tuple[str, Any] | Problem]:
    """Yield the values of a text, each after the line that it begins in.

    Args:
        text: The text.
        name: What the file is called in messages.
        position: Where the first of the values begins.
        end_of_array: What ends the values, if they are those of an array.
    """
    decode = json.JSONDecoder().raw_decode
    line, counted = 1, 0
    while True:
        between = _BETWEEN.match(text, position)
        position = between.end() if between else position
        line, counted = line + text.count("\n", counted, position), position
        if position == len(text) and end_of_array:
            yield Problem(MALFORMED, f"{name}:{line}", "the array does not end; the file seems to be cut off")
        if position == len(text) or (end_of_array and end_of_array.match(text, position)):
            return
        try:
            value, end = decode(text, position)
        except (ValueError, RecursionError) as error:
            yield Problem(MALFORMED, f"{name}:{line}", f"it is not JSON: {json_fault(error)}")
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


def _rows_of_object(text: str, name: str, value: Any) -> Iterator[Row | Problem]:
    """Yield the rows of the longest array in an object, or, of an object by names of images, its entries."""
    if isinstance(value, dict) and value and all(map(ends_like_image, value)):
        for key, entry in value.items():
            yield f"{name}: {key}", {**entry, _IMAGE: key} if isinstance(entry, dict) else {_IMAGE: key, _CAPTION: entry}
    elif (longest := _longest_array(value)) is not None:
        yield from _rows(_elements(text, name, longest, value[longest]))
    else:
        yield from _rows([(f"{name}:1", value)])


def _longest_array(value: Any) -> str | None:
    """Return the key of the longest array with objects in it; ``None`` if a value is not an object with such an array."""
    entries = value.items() if isinstance(value, dict) else ()
    arrays = {key: entry for key, entry in entries if isinstance(entry, list)}
    lengths = {key: len(array) for key, array in arrays.items() if any(isinstance(item, dict) for item in array)}
    return max(lengths, key=lengths.__getitem__, default=None)


def _elements(text: str, name: str, key: str, array: list[Any]) -> list[tuple[str, Any] | Problem]:
    """Return the elements of an array, each after the line that it begins in, or after the key if that is not clear."""
    begin = re.search(rf"{re.escape(json.dumps(key))}\s*:\s*\[", text)
    found = list(_values(text, name, begin.end(), _END)) if begin else []
    values = [one[1] for one in found if not isinstance(one, Problem)]
    is_this = values == array  # and not another array under the same key, deeper inside
    return found if is_this else [(f"{name}: {key}", element) for element in array]


LAYOUT = table_layout(TableFormat("json", (".json",), "key", read_rows))
