"""A folder of shards, as ``capgen caption --output FOLDER/`` writes it: the rows of all of them."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

from capgen.datasets.source_folders import names_in
from capgen.evaluation.predictions import jsonl, parquet, tar
from capgen.evaluation.predictions.form import Form, Row, Source

SHARDS: dict[str, Form] = {".jsonl": jsonl.FORM, ".parquet": parquet.FORM, ".tar": tar.FORM}


class ShardsForm:
    """A folder of JSON lines, Parquet tables or tar archives."""

    example = "a folder of shards of capgen caption"
    takes_folders = True

    def rows(self, source: Source) -> Iterator[Row] | None:
        """Return the rows; see ``Form``."""
        paths = [source.path / name for name in names_in(source.path) if not name.startswith(".")]
        found = [path for path in paths if path.suffix in SHARDS]
        return chain.from_iterable(map(_rows, found)) if found else None


def _rows(path: Path) -> Iterator[Row]:
    rows = SHARDS[path.suffix].rows(Source(path))
    if rows is None:
        return iter([Row(path.name)])
    return (replace(row, where=row.where if path.name in row.where else f"{path.name} {row.where}") for row in rows)


FORM = ShardsForm()
