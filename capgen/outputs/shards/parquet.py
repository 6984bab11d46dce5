"""Shards as Parquet tables, a row for each image."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from capgen.captioner.results import Result, SkipReason
from capgen.inputs.archives import LazyImage
from capgen.inputs.archives.parquet import load_pyarrow
from capgen.inputs.selection import Found
from capgen.outputs.jsonl import shown
from capgen.outputs.shards import Shard

_ROWS = 1000
"""The number of rows in a row group."""


class ParquetShard(Shard):
    """A row for each image, failed ones included: path, caption, confidence, status, reason and alternatives."""

    ending = ".parquet"

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        arrow = load_pyarrow()
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

    def write(self, item: Found, result: Result, image: LazyImage | None = None) -> SkipReason | None:
        """Add the row of an image; see ``Shard``."""
        names = ("caption", "confidence", "log_probability")
        captions = [(utf8(c.text), shown(c.confidence), c.log_probability) for c in result.captions]
        self._rows.append(
            {
                "path": utf8(str(result.path)),
                "caption": captions[0][0] if captions else None,
                "confidence": captions[0][1] if captions else None,
                "status": result.status,
                "reason": utf8(result.reason) or None,
                "alternatives": [dict(zip(names, caption, strict=True)) for caption in captions],
            }
        )
        if len(self._rows) == _ROWS:
            self._flush()
        return None

    def _finish(self) -> None:
        self._flush()
        self._writer.close()

    @staticmethod
    def paths(file: BinaryIO) -> Iterator[str]:
        """Read the paths of the images in a shard."""
        for batch in load_pyarrow().parquet.ParquetFile(file).iter_batches(columns=["path"]):
            yield from batch.column(0).to_pylist()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._arrow.Table.from_pylist(self._rows, schema=self._schema))
            self._rows.clear()


def utf8(text: str) -> str:
    """Return a path with its bytes that are not UTF-8 written as escapes, since a table cannot hold them."""
    return text.encode("utf-8", "backslashreplace").decode()
