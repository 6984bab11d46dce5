"""Parquet tables with the images themselves, as the Hugging Face Hub has data sets, or with paths to files beside them.

A repository of the Hub has its tables in ``data``, one or several a split: ``data/train-00000-of-00002.parquet``.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

from capgen import images
from capgen.datasets.layout import MALFORMED, NOT_READ, Columns, Example, Layout, LoadedDataset, Problem
from capgen.datasets.table_layout import TableFormat, table_layout
from capgen.datasets.tables import Row, examples_of
from capgen.datasets.unpacking import ImageWriter, load_archives
from capgen.errors import CapgenError, DataError, ImageError
from capgen.images.formats import ends_like_image, suffix_for
from capgen.inputs.archives import parquet
from capgen.inputs.archives.parquet import TableImage
from capgen.inputs.folders import visible_files
from capgen.storage.files import is_file

SUFFIX = ".parquet"

_IMAGE = "__image__"
"""The column that the names of a row's images are put into."""

_LOOKED_AT = 16
"""The rows at the beginning of a table by which it is recognised."""


def parquet_layout(columns: Columns | None = None) -> Layout:
    """Return the layout.

    Args:
        columns: The columns that a person names.
    """
    chosen = columns or Columns()
    return Layout("parquet", partial(_recognise, chosen), partial(_read, chosen), _seen, parquet_layout)


def _recognise(columns: Columns, source: Path) -> str | None:
    """Say why ``source`` is in this layout, or return ``None``."""
    found = _with_images(source, columns)
    return f"{found[0].name} has images and captions" if found else _of_paths(columns).recognise(source)


def _read(columns: Columns, source: Path) -> LoadedDataset:
    """Read a table, or those in a folder; images in it are unpacked into the cache.

    Raises:
        DataError: There is no table with the columns needed.
        StorageError: The images cannot be written.
    """
    tables = _with_images(source, columns)
    if not tables:
        return _of_paths(columns).read(source)
    dataset = load_archives(source, tables, partial(_unpack, columns), columns.image, columns.caption)
    others = [table for table in _tables(source) if table not in tables]
    left_out = [Problem(NOT_READ, table.relative_to(source).as_posix(), _columns_of(table)) for table in others]
    return replace(dataset, problems=[*dataset.problems, *left_out])


def _seen(source: Path) -> list[str]:
    """Say of each table of a source which columns it has, or why it cannot be read."""
    return [f"{table.name}: {_columns_of(table)}" for table in _tables(source)]


def _columns_of(table: Path) -> str:
    try:
        with images.open_file(table) as file:
            return f"its columns are {parquet.described_columns(file)}"
    except CapgenError as error:
        return str(error)


def _of_paths(columns: Columns) -> Layout:
    """Return the layout of tables with paths in place of images."""
    return table_layout(TableFormat("parquet", (SUFFIX,), "column", _text_rows), columns)


def _text_rows(table: Path) -> Iterator[Row | Problem]:
    try:
        with images.open_file(table) as file:
            for number, row in enumerate(parquet.read_rows(file), 1):
                yield f"{table.name}:{number}", row.values
    except ImageError as error:
        raise DataError(f"{table}: {error}") from error


def _with_images(source: Path, columns: Columns) -> list[Path]:
    """Return the tables of a source that have images and captions, as far as their first rows tell."""
    return [table for table in _tables(source) if _has_images(table, columns)]


def _tables(source: Path) -> list[Path]:
    found = [source] if is_file(source) else visible_files(source)
    return [path for path in found if path.suffix.lower() == SUFFIX]


def _has_images(table: Path, columns: Columns) -> bool:
    rows: list[Row] = []
    with suppress(CapgenError), images.open_file(table) as file:
        for row in islice(parquet.read_rows(file, column=columns.image), _LOOKED_AT):
            rows += [(str(len(rows)), {**row.values, _IMAGE: "image"})] if row.images else []
    return bool(examples_of(rows, Columns(_IMAGE, columns.caption))[0])


def _unpack(columns: Columns, table: Path, writer: ImageWriter) -> Iterator[Example | Problem]:
    """Write the images of a table, and yield their captions; see ``unpacking.Read``."""
    unpacker = _Unpacker(table, writer)
    examples, problems = examples_of(unpacker.rows(columns.image), Columns(_IMAGE, columns.caption))
    yield from problems
    for example in examples:
        name = unpacker.names.get((example.where, example.image))
        yield replace(example, id=name) if name else replace(example, folder=table.parent.absolute())
    if unpacker.fault:
        raise unpacker.fault


class _Unpacker:
    """Writes the images of one table.

    Args:
        table: The table.
        writer: Receives the images.

    Attributes:
        names: What the table calls each image that was written, by its row and its path.
        fault: What is wrong with the table itself.
    """

    def __init__(self, table: Path, writer: ImageWriter) -> None:
        self._table, self._writer = table, writer
        self.names: dict[tuple[str, str], str] = {}
        self.fault: ImageError | None = None

    def rows(self, column: str | None) -> Iterator[Row | Problem]:
        """Yield the rows with paths in the place of their images, whose column is the one that is named or must be it."""
        try:
            with images.open_file(self._table) as file:
                for number, row in enumerate(parquet.read_rows(file, column=column), 1):
                    where = f"{self._table.name}:{number}"
                    paths = [path for image in row.images if (path := self._path(where, image))]
                    if len(paths) < max(1, len(row.images)):
                        yield Problem(
                            MALFORMED, where, "the bytes of its image are not there" if row.images else "it has no image"
                        )
                    if paths:
                        yield where, {**row.values, _IMAGE: paths}
        except ImageError as error:
            self.fault = error

    def _path(self, where: str, image: TableImage) -> str | None:
        """Write an image and return its path, or the path of the file that it is in; ``None`` if it is nowhere."""
        if not image.data:
            return image.path
        path = self._writer.add(_file_name(image.name, image.data), image.data)
        self.names[where, path] = image.name
        return path


def _file_name(name: str, data: bytes) -> str:
    """Return a name for the file of an image that ends like one, without white space around it."""
    ending = "" if ends_like_image(name) else suffix_for(data) or ""
    return name.strip() + ending


LAYOUT = parquet_layout()
