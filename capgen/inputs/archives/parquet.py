"""Parquet tables with a column of images, as data sets are published in."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from capgen.errors import ImageError, Status, UsageError
from capgen.inputs.archives import Entry

_IMAGE_COLUMNS = ("image", "jpg", "jpeg", "png", "webp")
"""Names of the column of images; the first that is there is taken."""

_NAME_COLUMNS = ("path", "key", "__key__", "url")
"""Names of the column with the images' names; the first that is there is taken."""

_BATCH = 16
"""The number of images that are read at once."""


def read_images(file: BinaryIO) -> Iterator[Entry]:
    """Yield the images of a table, a few rows at a time. A value is the bytes, or a struct of ``bytes`` and ``path``.

    An image is named by the column of names if there is one, or by the ``path`` of its struct, or by the number of its row.

    Raises:
        ImageError: The file is not a table, is damaged, or has no column of images.
        UsageError: pyarrow is missing.
    """
    arrow = load_pyarrow()
    try:
        table = arrow.parquet.ParquetFile(file)
        image_column = _image_column(arrow, table.schema_arrow)
        name_column = next((name for name in _NAME_COLUMNS if name in table.schema_arrow.names), None)
        for row, values in enumerate(_rows(table, [name for name in (image_column, name_column) if name])):
            yield _entry(values[image_column], values[name_column] if name_column else None, row)
    except (arrow.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ImageError(Status.UNREADABLE, f"the table cannot be read ({reason}); what comes before was read") from error


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


def _rows(table: Any, columns: list[str]) -> Iterator[dict[str, Any]]:
    for group in range(table.num_row_groups):
        for batch in table.iter_batches(_BATCH, row_groups=[group], columns=columns):
            yield from batch.to_pylist()


def _entry(value: Any, name: Any, row: int) -> Entry:
    data = value
    if isinstance(value, dict):
        data, name = value.get("bytes"), name or value.get("path")
    name = name if isinstance(name, str) and name else str(row)
    return name, data if data else ImageError(Status.UNREADABLE, "its bytes are not in the table")


def _image_column(arrow: Any, schema: Any) -> str:
    for name in _IMAGE_COLUMNS:
        if name in schema.names and _is_binary(arrow, _type_of_bytes(arrow, schema.field(name).type)):
            return name
    expected = f"{', '.join(_IMAGE_COLUMNS[:-1])} or {_IMAGE_COLUMNS[-1]}"
    raise ImageError(Status.UNSUPPORTED, f"it has no column of images' bytes called {expected}")


def _type_of_bytes(arrow: Any, column_type: Any) -> Any:
    """Return the type of a struct's field ``bytes``, ``None`` if it has none; any other type is returned unchanged."""
    if not arrow.types.is_struct(column_type):
        return column_type
    fields = (column_type.field(index) for index in range(column_type.num_fields))
    return next((field.type for field in fields if field.name == "bytes"), None)


def _is_binary(arrow: Any, value_type: Any) -> bool:
    return value_type is not None and (arrow.types.is_binary(value_type) or arrow.types.is_large_binary(value_type))
