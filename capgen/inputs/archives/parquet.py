"""Parquet tables with a column of images, as data sets are published in.

A value of the column is the bytes of an image, a structure of ``bytes`` and ``path``, or a list of either, whatever the type
in which Arrow keeps bytes; or the bytes as text, in base64. A row is read with all that it says in words about its images.
"""

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

from capgen.errors import ImageError, Status, UsageError
from capgen.images.formats import HEAD_BYTES, looks_like_image
from capgen.inputs.archives.members import Entry

_IMAGE_COLUMNS = ("image", "images", "img", "image_bytes", "jpg", "jpeg", "png", "webp")
"""Names of the column of images in lower case; the first that is there and holds bytes is taken."""

_NAME_COLUMNS = ("path", "key", "__key__", "url", "file_name", "filename")
"""Names of the column with the images' names in lower case; the first that is there is taken."""

_PATHS = "where a table has paths, caption the files: name their folder, or `from_file=LIST` with a path a line"
"""What helps where a table has the paths of images instead of the images."""

_SMALLER = "write it anew with row_group_size=100, as pandas and pyarrow call it"
"""What helps where a page of a table, which can only be read as a whole, is too large; both put 1,024 images into one."""

_BATCH = 16
"""The most rows that are read at once."""

_BATCH_BYTES = 16 << 20
"""The bytes of a column's values that are read at once, as long as the rows are about equally large."""

_BUFFER = 1 << 20
"""The bytes of a column that are read from the file at once."""

_SHOWN = 20
"""The most columns that a message names."""

_LONGEST_TYPE = 40
"""The most letters of a column's type in a message."""


@dataclass(frozen=True)
class TableImage:
    """An image in a row of a table.

    Attributes:
        name: What the table calls it, or the number of its row, counted from 0.
        data: Its bytes; ``None`` if they are not in the table.
        path: The path in its structure, if there is one.
    """

    name: str
    data: bytes | None
    path: str | None = None


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        images: Its images; none if the table has no column of them, or the row's list is empty.
        values: The values of the columns that hold text, or lists of it, by the columns' names.
    """

    images: Sequence[TableImage]
    values: Mapping[str, Any]


def read_images(file: BinaryIO) -> Iterator[Entry]:
    """Yield the images of a table, a few rows at a time.

    An image is named by the column of names if there is one, else by the ``path`` of its structure or the number of its row.

    Raises:
        ImageError: The file is not a table, is damaged, or has no column of images.
        UsageError: pyarrow is missing.
    """
    for row in read_rows(file, with_text=False):
        for image in row.images:
            where = f", only the path {image.path}; {_PATHS}" if image.path else ""
            missing = ImageError(Status.UNREADABLE, f"its bytes are not in the table{where}")
            yield image.name, image.data or missing


def read_rows(file: BinaryIO, *, column: str | None = None, with_text: bool = True) -> Iterator[Row]:
    """Yield the rows of a table; where a part of it is damaged, those after it as well.

    Args:
        file: The table.
        column: The name of the column of images, in any case; by default the one that must be it.
        with_text: Read the columns that hold text, too, and be content with a table that has no column of images.

    Raises:
        ImageError: The file is not a table, is damaged, or has no column of images; after the rows that can be read.
        UsageError: pyarrow is missing.
    """
    arrow = load_pyarrow()
    table = _opened(arrow, file)
    schema = table.schema_arrow
    image_column = _image_column(arrow, table, column, required=not with_text)
    name_column = _name_column(schema)
    text_columns = _text_columns(arrow, schema, image_column) if with_text else []
    wanted = list(dict.fromkeys(name for name in (image_column, name_column, *text_columns) if name))
    for number, values in _numbered(arrow, table, wanted):
        name = values[name_column] if name_column else None
        found = _images(values[image_column], name, number) if image_column else []
        yield Row(found, {name: values[name] for name in text_columns})


def _name_column(schema: Any) -> str | None:
    return next((name for known in _NAME_COLUMNS for name in schema.names if name.lower() == known), None)


def _text_columns(arrow: Any, schema: Any, image_column: str | None) -> list[str]:
    return [field.name for field in schema if field.name != image_column and _holds_text(arrow, field.type)]


def load_pyarrow() -> Any:
    """Import pyarrow, which is an optional package.

    Raises:
        UsageError: It is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError("Parquet takes one more package: pip install 'capgen[parquet]'") from error
    return pyarrow


def described_columns(file: BinaryIO) -> str:
    """Return the names of a table's columns with their types, in words.

    Raises:
        ImageError: The file is not a table.
        UsageError: pyarrow is missing.
    """
    return _described(_opened(load_pyarrow(), file).schema_arrow)


def _described(schema: Any) -> str:
    return ", ".join(f"{field.name} ({str(field.type)[:_LONGEST_TYPE]})" for field in list(schema)[:_SHOWN])


def _opened(arrow: Any, file: BinaryIO) -> Any:
    try:
        # By default a whole group of rows is read at once, however large; the size of the buffer alone does not change that.
        table = arrow.parquet.ParquetFile(file, page_checksum_verification=True, pre_buffer=False, buffer_size=_BUFFER)
        table.schema_arrow  # noqa: B018 - it is computed when it is asked for
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise ImageError(Status.UNREADABLE, "it is not a Parquet table, or its end is missing") from error
    return table


def _numbered(arrow: Any, table: Any, columns: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rows with their numbers. A group of rows that is damaged is passed over, and raised at the end."""
    first, damage = 0, dict[int, Exception]()
    for group in range(table.num_row_groups):
        number = first
        try:
            for batch in table.iter_batches(
                _batch_size(table.metadata.row_group(group)), row_groups=[group], columns=columns
            ):
                for values in _rows(batch):
                    yield number, values
                    number += 1
        except (arrow.ArrowException, OSError, ValueError, MemoryError) as error:
            damage[number] = error
        first += table.metadata.row_group(group).num_rows
    if damage:
        number, cause = next(iter(damage.items()))
        if isinstance(cause, MemoryError):
            raise ImageError(
                Status.TOO_LARGE, f"from its row {number} on it does not fit into memory; {_SMALLER}"
            ) from cause
        reason = f"the table is damaged from its row {number} on; what could be read was read"
        raise ImageError(Status.UNREADABLE, reason) from cause


def _batch_size(group: Any) -> int:
    """Return how many rows of a group are read at once, so that large images do not fill the memory."""
    return max(1, min(_BATCH, _BATCH_BYTES * group.num_rows // max(1, group.total_byte_size)))


def _rows(batch: Any) -> list[dict[str, Any]]:
    try:
        return batch.to_pylist()
    except UnicodeDecodeError:  # a text is not UTF-8; the others are read
        columns = {name: [_value(cell) for cell in batch.column(name)] for name in batch.schema.names}
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _value(cell: Any) -> Any:
    try:
        return cell.as_py()
    except UnicodeDecodeError:
        return None


def _images(value: Any, name: Any, number: int) -> list[TableImage]:
    """Return the images that a value of the column holds."""
    base = name if isinstance(name, str) and name else str(number)
    if not isinstance(value, list):
        return [_image(value, base, named=base == name)]
    return [_image(one, f"{base}-{index}", named=False) for index, one in enumerate(value)]


def _image(value: Any, name: str, *, named: bool) -> TableImage:
    if not isinstance(value, dict):
        return TableImage(name, _bytes(value))
    path = value.get("path")
    path = path if isinstance(path, str) and path else None
    return TableImage(path if path and not named else name, _bytes(value.get("bytes")), path)


def _bytes(value: Any) -> bytes | None:
    """Return the bytes that a value is or, as a text in base64, stands for; ``None`` if it is neither."""
    if not isinstance(value, str):
        return value if isinstance(value, bytes) else None
    try:
        return base64.b64decode(value.partition(";base64,")[2] or value)
    except ValueError:
        return None


def _image_column(arrow: Any, table: Any, wanted: str | None, *, required: bool) -> str | None:
    """Return the name of the column of images: the one that is wanted, one with a name for it, or the only one with bytes.

    Raises:
        ImageError: There is none, though one is required.
    """
    schema = table.schema_arrow
    names = [wanted.lower()] if wanted else _IMAGE_COLUMNS
    binary = _columns_of(schema, partial(_holds_bytes, arrow))
    texts = _columns_of(schema, partial(_is_text, arrow))
    found = next(_named(names, binary), None)
    if found is None and not wanted and len(binary) == 1:
        found = next(iter(binary.values()))
    if found is None:
        found = next((column for column in _named(names, texts) if _begins_with_image(arrow, table, column)), None)
    if found is None and required:
        raise _no_image_column(schema, are_several=bool(binary), have_text=bool(texts))
    return found


def _no_image_column(schema: Any, *, are_several: bool, have_text: bool) -> ImageError:
    """Return the error that a table has no column of images, or several columns of bytes that may be it."""
    reason = "has several columns of bytes, none of them called 'image'" if are_several else "has no column of images' bytes"
    remedy = f"; {_PATHS}" if have_text and not are_several else ""
    return ImageError(Status.UNSUPPORTED, f"it {reason}; its columns: {_described(schema)}{remedy}")


def _columns_of(schema: Any, fits: Callable[[Any], bool]) -> dict[str, str]:
    """Return the names of the columns whose type fits, by these names in lower case."""
    return {field.name.lower(): field.name for field in schema if fits(field.type)}


def _named(names: Iterable[str], columns: Mapping[str, str]) -> Iterator[str]:
    """Yield the columns that have one of some names, in the order of the names."""
    return (columns[name] for name in names if name in columns)


def _begins_with_image(arrow: Any, table: Any, column: str) -> bool:
    """Return whether the first text of a column is an image in base64."""
    first = next((values for _, values in _numbered(arrow, table, [column])), {})
    return looks_like_image((_bytes(first.get(column)) or b"")[:HEAD_BYTES])


def _holds_bytes(arrow: Any, column_type: Any) -> bool:
    """Return whether the values of a type are bytes, structures with ``bytes``, or lists of either."""
    if arrow.types.is_struct(column_type):
        fields = (column_type.field(index) for index in range(column_type.num_fields))
        return any(field.name == "bytes" and _holds_bytes(arrow, field.type) for field in fields)
    if inner := _inner_type(arrow, column_type):
        return _holds_bytes(arrow, inner)
    tests = (
        arrow.types.is_binary,
        arrow.types.is_large_binary,
        arrow.types.is_binary_view,
        arrow.types.is_fixed_size_binary,
    )
    return any(test(column_type) for test in tests)


def _holds_text(arrow: Any, column_type: Any) -> bool:
    """Return whether the values of a type are texts, structures with texts, or lists of either; no bytes are in them."""
    if arrow.types.is_struct(column_type):
        fields = [column_type.field(index) for index in range(column_type.num_fields)]
        return any(_holds_text(arrow, field.type) for field in fields) and not _holds_bytes(arrow, column_type)
    if inner := _inner_type(arrow, column_type):
        return _holds_text(arrow, inner)
    return _is_text(arrow, column_type)


def _is_text(arrow: Any, column_type: Any) -> bool:
    tests = (arrow.types.is_string, arrow.types.is_large_string, arrow.types.is_string_view)
    return any(test(column_type) for test in tests)


def _inner_type(arrow: Any, column_type: Any) -> Any:
    """Return the type of the values in a list or a dictionary; ``None`` for every other type."""
    types = arrow.types
    lists = (types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_list_view, types.is_large_list_view)
    is_nested = types.is_dictionary(column_type) or any(test(column_type) for test in lists)
    return column_type.value_type if is_nested else None
