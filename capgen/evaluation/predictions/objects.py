"""A list of objects, one a caption: COCO's result format, and what gives other names to its keys.

The list may be the only one of an object, such as the ``annotations`` of COCO's annotation format. If that object also lists
images, captions are known by the file names there, since the numbers may be those of this file alone. In place of the list
there may be an object of columns, as data frames are written.
"""

from collections.abc import Iterator
from typing import Any

from capgen.evaluation.predictions.form import NAME_KEYS, TEXT_KEYS, Row, Source, first_key, row_of


class ObjectsForm:
    """A JSON list of objects."""

    example = '[{"image_id": 42, "caption": "..."}, ...] (COCO\'s result format)'
    takes_folders = False

    def rows(self, source: Source) -> Iterator[Row] | None:
        """Return the rows; see ``Form``."""
        value, names = source.json, dict[Any, str]()
        if isinstance(value, dict):
            names = _file_names(value.get("images"))
            lists = list(filter(_has_rows, (*value.values(), _rows_of_columns(value))))
            value = lists[0] if len(lists) == 1 else None
        if not _has_rows(value):
            return None
        return (row_of(f"row {number}", _named(one, names)) for number, one in enumerate(value, 1))


def _has_rows(value: Any) -> bool:
    return isinstance(value, list) and any(row_of("", one).image for one in value)


def _rows_of_columns(columns: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Return the rows of an object with columns of names and of captions: lists, or objects by the number of the row."""
    keys = {name.strip().lower(): name for name in columns}
    name, text = first_key(keys, NAME_KEYS), first_key(keys, TEXT_KEYS)
    if name is None or text is None:
        return None
    names, captions = columns[name], columns[text]
    if isinstance(names, dict) and isinstance(captions, dict):
        names, captions = list(names.values()), [captions.get(row) for row in names]
    if not isinstance(names, list) or not isinstance(captions, list) or len(names) != len(captions):
        return None
    return [{name: one, text: said} for one, said in zip(names, captions, strict=True)]


def _file_names(images: Any) -> dict[Any, str]:
    """Return the file name of each image that an annotation file lists, by its id."""
    listed = [image for image in images if isinstance(image, dict)] if isinstance(images, list) else []
    return {
        image["id"]: image["file_name"]
        for image in listed
        if isinstance(image.get("id"), str | int) and isinstance(image.get("file_name"), str)
    }


def _named(value: Any, names: dict[Any, str]) -> Any:
    """Put the file name of the image in the place of its id, if the file says it."""
    identifier = value.get("image_id") if names and isinstance(value, dict) else None
    if not isinstance(identifier, str | int) or identifier not in names:
        return value
    return {**value, "image_id": names[identifier]}


FORM = ObjectsForm()
