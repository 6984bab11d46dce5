"""Parquet tables: pictures are read from a column of their bytes, and shards are written as rows of captions."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from capgen.errors import ImageError, UsageError
from capgen.results import Result
from capgen.shards.sources import Entry, Picture

_PICTURES = ("image", "jpg", "jpeg", "png", "webp")
"""Names of columns of pictures, the first that is there."""

_NAMES = ("path", "key", "__key__", "url")
_BATCH = 16
"""Pictures read at once."""

_ROWS = 1000
"""Captions of a row group."""


def pictures(file: BinaryIO) -> Iterator[Entry]:
    """Yield the pictures of a table, a few rows at a time; a value is bytes, or a struct of bytes and path.

    A picture is called what the first column of ``path``, ``key``, ``__key__`` and ``url`` that is there says, or the
    struct's path, or after its row.

    Raises:
        ImageError: It is no table, is damaged, or has no column of pictures.
        UsageError: pyarrow is missing.
    """
    arrow = _pyarrow()
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
        raise ImageError("unreadable", f"the table cannot be read ({reason}); what comes before was read") from error


class ParquetShard:
    """A row a picture, failed ones included: path, caption, confidence, status, reason and alternatives.

    Args:
        file: Written to.
    """

    ending = ".parquet"

    def __init__(self, file: BinaryIO) -> None:
        """Begin."""
        arrow = _pyarrow()
        alternative = [("caption", arrow.string()), ("confidence", arrow.float64()), ("log_probability", arrow.float64())]
        self._schema = arrow.schema(
            [
                *((name, arrow.string()) for name in ("path", "caption")),
                ("confidence", arrow.float64()),
                *((name, arrow.string()) for name in ("status", "reason")),
                ("alternatives", arrow.list_(arrow.struct(alternative))),
            ]
        )
        self._writer = arrow.parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._arrow, self._rows = arrow, list[dict[str, Any]]()

    def put(self, result: Result, picture: Picture | None) -> None:
        """Add a result."""
        names = ("caption", "confidence", "log_probability")
        captions = [(utf8(c.text), c.confidence, c.log_probability) for c in result.captions]
        self._rows.append(
            {
                "path": utf8(str(result.path)),
                "caption": captions[0][0] if captions else None,
                "confidence": result.confidence,
                "status": result.status,
                "reason": utf8(result.reason) or None,
                "alternatives": [dict(zip(names, caption, strict=True)) for caption in captions],
            }
        )
        if len(self._rows) == _ROWS:
            self._flush()

    def close(self) -> None:
        """Finish."""
        self._flush()
        self._writer.close()

    @staticmethod
    def paths(file: BinaryIO) -> Iterator[str]:
        """Read the paths of the pictures in a shard."""
        for batch in _pyarrow().parquet.ParquetFile(file).iter_batches(columns=["path"]):
            yield from batch.column(0).to_pylist()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._arrow.Table.from_pylist(self._rows, schema=self._schema))
            self._rows.clear()


def utf8(text: str) -> str:
    """Write out the bytes of a path that are no UTF-8, which a table cannot hold."""
    return text.encode("utf-8", "backslashreplace").decode()


def _entry(value: Any, name: Any, row: int) -> Entry:
    data = value
    if isinstance(value, dict):
        data, name = value.get("bytes"), name or value.get("path")
    name = name if isinstance(name, str) and name else str(row)
    return name, data if data else ImageError("unreadable", "its bytes are not in the table")


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
        "unsupported", f"it has no column of pictures' bytes called {', '.join(_PICTURES[:-1])} or {_PICTURES[-1]}"
    )


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError("Parquet takes one more package: pip install 'capgen[parquet]'") from error
    return pyarrow
