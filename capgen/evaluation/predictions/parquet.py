"""A Parquet table, such as a shard that ``capgen caption`` wrote."""

from collections.abc import Iterator
from typing import Any

from capgen.errors import DataError, damage
from capgen.evaluation.predictions.form import NAME_KEYS, TEXT_KEYS, Row, Source, first_key, row_of
from capgen.inputs.archives.parquet import load_pyarrow


class ParquetForm:
    """A table with a column of names and a column of captions."""

    example = "a Parquet table with columns such as path and caption"
    takes_folders = False

    def rows(self, source: Source) -> Iterator[Row] | None:
        """Return the rows; see ``Form``.

        Raises:
            UsageError: pyarrow is missing.
        """
        if not source.head.startswith(b"PAR1"):
            return None
        arrow = load_pyarrow()
        try:
            table = arrow.parquet.ParquetFile(source.path)
            schema = table.schema_arrow
            named = {field.name.lower(): field.name for field in schema if not arrow.types.is_nested(field.type)}
            columns = [first_key(named, NAME_KEYS), first_key({name.lower(): name for name in schema.names}, TEXT_KEYS)]
        except (arrow.ArrowException, OSError, ValueError) as error:
            raise _damaged(source, error) from error
        return _rows(source, arrow, table, columns) if all(columns) else None


def _rows(source: Source, arrow: Any, table: Any, columns: list[str | None]) -> Iterator[Row]:
    number = 0
    try:
        for batch in table.iter_batches(columns=columns):
            for values in batch.to_pylist():
                number += 1
                yield row_of(f"row {number}", values)
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise _damaged(source, error) from error


def _damaged(source: Source, error: Exception) -> DataError:
    return DataError(f"{source.path} cannot be read as a Parquet table: {damage(error)}")


FORM = ParquetForm()
