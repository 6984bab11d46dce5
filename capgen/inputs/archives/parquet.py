"""Parquet tables, read from a column of the bytes of images."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from capgen.errors import ImageError, Status, UsageError
from capgen.inputs.archives import Entry

_PICTURES = ("image", "jpg", "jpeg", "png", "webp")
"""Names of columns of pictures, the first that is there."""

_NAMES = ("path", "key", "__key__", "url")
_BATCH = 16
"""Pictures read at once."""


def pictures(file: BinaryIO) -> Iterator[Entry]:
    """Yield the pictures of a table, a few rows at a time; a value is bytes, or a struct of bytes and path.

    A picture is called what the first column of ``path``, ``key``, ``__key__`` and ``url`` that is there says, or the
    struct's path, or after its row.

    Raises:
        ImageError: It is no table, is damaged, or has no column of pictures.
        UsageError: pyarrow is missing.
    """
    arrow = load_pyarrow()
    try:
        table = arrow.parquet.ParquetFile(file)
        column = _column(arrow, table.schema_arrow)
        naming = next((name for name in _NAMES if name in table.schema_arrow.names), None)
        row = 0
        for group in range(table.num_row_groups):
            columns = [column, naming] if naming else [column]
            for batch in table.iter_batches(_BATCH, row_groups=[group], columns=columns):
                for values in batch.to_pylist():
                    yield _entry(values[column], values.get(naming) if naming else None, row)
                    row += 1
    except (arrow.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ImageError(Status.UNREADABLE, f"the table cannot be read ({reason}); what comes before was read") from error


def _entry(value: Any, name: Any, row: int) -> Entry:
    data = value
    if isinstance(value, dict):
        data, name = value.get("bytes"), name or value.get("path")
    name = name if isinstance(name, str) and name else str(row)
    return name, data if data else ImageError(Status.UNREADABLE, "its bytes are not in the table")


def _column(arrow: Any, schema: Any) -> str:
    for name in _PICTURES:
        if name in schema.names:
            kind = schema.field(name).type
            if arrow.types.is_struct(kind):
                kind = next(
                    (kind.field(index).type for index in range(kind.num_fields) if kind.field(index).name == "bytes"), None
                )
            if kind is not None and (arrow.types.is_binary(kind) or arrow.types.is_large_binary(kind)):
                return name
    raise ImageError(
        Status.UNSUPPORTED, f"it has no column of pictures' bytes called {', '.join(_PICTURES[:-1])} or {_PICTURES[-1]}"
    )


def load_pyarrow() -> Any:
    """Import pyarrow, which is an extra.

    Raises:
        UsageError: It is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError("Parquet takes one more package: pip install 'capgen[parquet]'") from error
    return pyarrow
