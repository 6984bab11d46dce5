"""What a form of predictions is, and what the forms share: a source to look at, and how a value becomes a row."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

from capgen.datasets.columns import CAPTION_COLUMNS, IMAGE_COLUMNS
from capgen.datasets.text_files import read_rows_text
from capgen.errors import DataError, json_fault, os_reason

NAME_KEYS = ("image_id", *IMAGE_COLUMNS, "key", "__key__", "url", "id")
"""What the name of an image may be called, the most particular first: the ``id`` of an annotation of COCO is its own."""

TEXT_KEYS = ("generated_text", "prediction", "caption", *CAPTION_COLUMNS)
"""What a caption may be called. The first names are only those of a system's, which may stand beside those of people; and
``caption`` goes before ``captions``, because ``capgen caption`` writes the best as that.
"""


@dataclass(frozen=True)
class Row:
    """What a source says of one image.

    Attributes:
        where: What names the row in messages if it has no name of an image.
        image: The name that it gives to the image; empty if it has none.
        captions: The captions that it gives to the image; empty if it has none.
    """

    where: str
    image: str = ""
    captions: tuple[str, ...] = ()


class Source:
    """A file or a folder that may be in any form; what several forms look at is read once.

    Args:
        path: The file or the folder.

    Attributes:
        json_fault: Why a file that begins like JSON is not, once ``json`` has been asked for; else empty.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.json_fault = path, ""

    @cached_property
    def head(self) -> bytes:
        """The first bytes of the file.

        Raises:
            DataError: It cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                return file.read(512)
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {os_reason(error)}") from error

    @cached_property
    def text(self) -> str:
        """The content of the file, in which a few lines may have bytes that are not UTF-8.

        Raises:
            DataError: It cannot be read, or it is in another encoding.
        """
        return read_rows_text(self.path)

    @cached_property
    def json(self) -> Any:
        """The value of the file as JSON; None if it does not begin like a list or an object, or is not JSON."""
        if not self.text.lstrip().startswith(("[", "{")):
            return None
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError) as error:
            self.json_fault = f"it is not JSON: {json_fault(error)}"
            return None


class Form(Protocol):
    """A form in which the captions of a system are stored.

    A form is a module with one of these as its ``FORM``. Forms are tried in the order of the registry.
    """

    example: str
    """How it looks, for messages."""

    takes_folders: bool
    """Whether it is a form of folders, not of files."""

    def rows(self, source: Source) -> Iterable[Row] | None:
        """Return the rows of a source, or None if it is in another form; a row that cannot be read has no image.

        Raises:
            DataError: The source cannot be read.
        """
        ...


def row_of(where: str, value: Any) -> Row:
    """Make a row of an object with the name of an image and a caption; anything else has neither."""
    if not isinstance(value, Mapping):
        return Row(where)
    keys = {str(key).strip().lower(): key for key in value if key is not None}
    name = first_key(keys, NAME_KEYS)
    text = first_key(keys, TEXT_KEYS)
    if name is None or text is None:
        return Row(where)
    return Row(where, name_text(value[name]), texts(value[text]))


def file_of(value: Any) -> str:
    """Return the path of an image's file in a pair or an object, as it is written; empty if there is none.

    Unlike in ``row_of``, spaces are kept, and only the keys of columns of files count.
    """
    if isinstance(value, list):
        found = value[:1]
    else:
        keys = {str(key).strip().lower(): key for key in value} if isinstance(value, Mapping) else {}
        found = [value[keys[name]] for name in IMAGE_COLUMNS if name in keys]
    return next((path for path in found if isinstance(path, str) and path.strip()), "")


def best_first(rows: Iterable[Row]) -> Iterator[Row]:
    """Keep the first of rows that follow each other for one image: of several captions, capgen writes the best first."""
    for _, same in groupby(rows, key=lambda row: row.image or row.where):
        yield next(same)


def first_key(keys: Mapping[str, str], wanted: Sequence[str]) -> str | None:
    """Return the first of the wanted keys that is there, as it is written; ``keys`` are by their names in lower case."""
    return next((keys[key] for key in wanted if key in keys), None)


def name_text(value: Any) -> str:
    """Return the name of an image as text, empty if the value is none; a number may have been stored as a float."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    is_name = isinstance(value, str | int | float) and not isinstance(value, bool)
    return str(value).strip() if is_name else ""


def texts(value: Any) -> tuple[str, ...]:
    """Return the captions in a value: a text, an object with one, a list of these, or nothing in the place of one."""
    return tuple(_texts(value, depth=0))


_DEEPEST = 4
"""Lists and objects within each other that still are captions; no program writes more."""


def _texts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping) and depth < _DEEPEST:
        key = first_key({str(key).lower(): key for key in value}, TEXT_KEYS)
        yield from _texts(value[key], depth + 1) if key is not None else ()
    elif isinstance(value, list) and depth < _DEEPEST:
        for item in value:
            yield from _texts(item, depth + 1)
