"""``table_layout`` makes the layout of a kind of table: which files of a source are such tables, and reading all of them.

In a folder, the tables lie in the folder itself, or in folders that are named for splits, or are called ``metadata``, as in
image folders of the Hugging Face Hub, which have one in each folder of images.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePosixPath

from capgen.datasets.columns import NEEDED, Choice
from capgen.datasets.layout import NOT_READ, Columns, Example, Layout, LoadedDataset, Problem
from capgen.datasets.source_folders import image_folders
from capgen.datasets.splits import split_in_folders, split_in_name, split_of_folder, with_splits_of_names
from capgen.datasets.tables import SAMPLE, Row, chooser_for, examples_of, is_usable
from capgen.errors import CapgenError, DataError
from capgen.images.formats import ends_like_image
from capgen.inputs.folders import visible_files
from capgen.inputs.passed_over import is_hidden
from capgen.storage.files import is_file, is_folder

RowReader = Callable[[Path], Iterator[Row | Problem]]
"""Reads the rows of a file, and in the place of each that cannot be read the problem; raises ``DataError`` for the file."""

METADATA = "metadata"
"""The name, without its ending, of the tables of image folders, which go before all others."""

ANNOTATIONS = "annotations"
"""The name of a folder of tables beside the folders of images."""

METADATA_SUFFIXES = (".csv", ".jsonl", ".parquet")

IMAGE_COMPANION_SUFFIXES = (".txt", ".json")
"""The endings of files that belong to an image beside them, if it has the same name."""

_PART_NUMBER = re.compile(r"(?<![0-9])[0-9]{3,}(?![0-9])")
"""The numbers of the parts that programs write a large table in have leading zeros."""

_SHOWN_TABLES, _SHOWN, _LONGEST_NAME = 5, 12, 40
"""The most tables that a message lists, the most names of columns of each, and the most letters of each name."""


@dataclass(frozen=True)
class TableFormat:
    """A kind of table.

    Attributes:
        name: The name of its layout.
        suffixes: The endings of its files.
        column: What one of its columns is called.
        rows: Reads a file.
    """

    name: str
    suffixes: tuple[str, ...]
    column: str
    rows: RowReader


@dataclass(frozen=True)
class _Table:
    """A file of a source; ``path`` leads to it from ``root``, which is the source or, of a single file, its folder."""

    root: Path
    path: PurePosixPath

    @property
    def file(self) -> Path:
        return self.root / self.path

    @property
    def split(self) -> str | None:
        """The split that its folder or its name tells."""
        return split_in_folders(str(self.path)) or split_in_name(self.path.stem)

    @property
    def is_metadata(self) -> bool:
        """Whether it is called as the tables of image folders are."""
        return self.path.stem == METADATA


@dataclass(frozen=True)
class _Selection:
    """The tables of a source.

    Attributes:
        read: Those that are read.
        others: Those that could be read in their place.
        unfit: Those of which no row can be used, though their names say that they belong to the others.
        choice: The columns of the first that is read.
    """

    read: list[_Table]
    others: list[_Table]
    unfit: list[_Table]
    choice: Choice | None


def table_layout(kind: TableFormat, columns: Columns | None = None) -> Layout:
    """Return the layout of tables of a kind.

    Args:
        kind: The kind of table.
        columns: The columns that a person names.
    """
    finder = _Finder(kind, columns or Columns())
    return Layout(kind.name, finder.recognise, finder.read, finder.seen, lambda named: table_layout(kind, named))


class _Finder:
    def __init__(self, kind: TableFormat, columns: Columns) -> None:
        self._kind, self._columns = kind, columns

    def recognise(self, source: Path) -> str | None:
        """Say why ``source`` is in this layout, or return ``None``."""
        selection = self._selected(source)
        tables = selection.read
        if not tables or (not tables[0].is_metadata and self._has_other_metadata(source)):
            return None
        names = ", ".join(str(table.path) for table in tables)
        return f"{names} {'has' if len(tables) == 1 else 'have'} the {self._kind.column}s {selection.choice}"

    def read(self, source: Path) -> LoadedDataset:
        """Read a table, or the tables of a folder.

        Raises:
            DataError: There is no table with the columns needed.
        """
        selection = self._selected(source)
        tables = selection.read
        if not tables:
            seen = "; ".join(self.seen(source))
            endings = ", ".join(self._kind.suffixes)
            raise DataError(
                f"{source} has no table ({endings}) with the {self._kind.column}s needed, {NEEDED}{seen and '; '}{seen}"
            )
        problems = self._not_read(selection)
        examples: list[Example] = []
        named: list[str | None] = []
        for table in tables:
            found, faults = self._read_table(table)
            split = table.split if len(tables) > 1 else None
            named += [split or split_in_folders(_within(table, example.image)) for example in found]
            examples += found
            problems += faults
        folders = [folder for table in tables for folder in image_folders(table.file.parent)]
        folders = list(dict.fromkeys((tables[0].root, *folders)))
        return LoadedDataset(with_splits_of_names(examples, named), folders, problems)

    def _not_read(self, selection: _Selection) -> list[Problem]:
        """Say which tables are not read, and why."""
        detail = f"{selection.read[0].path} is read; name this file in place of its folder to read it"
        problems = [Problem(NOT_READ, str(other.path), detail) for other in selection.others]
        return problems + [Problem(NOT_READ, str(table.path), self._described(table)) for table in selection.unfit]

    def _read_table(self, table: _Table) -> tuple[list[Example], list[Problem]]:
        """Read one table; if it is in a folder of the source, that is where its images are looked for first."""
        examples, problems = examples_of(self._kind.rows(table.file), self._columns)
        if table.path.parent.name:
            examples = [replace(one, folder=table.file.parent, where=_within(table, one.where)) for one in examples]
            problems = [replace(problem, where=_within(table, problem.where)) for problem in problems]
        return examples, problems

    def seen(self, source: Path) -> list[str]:
        """Say of each table of a source which columns it has, or why it cannot be read."""
        return [self._described(table) for table in _candidates(source, self._kind.suffixes)[:_SHOWN_TABLES]]

    def _selected(self, source: Path) -> _Selection:
        candidates = _candidates(source, self._kind.suffixes)
        choices = {table: self._choice(table.file) for table in candidates}
        tables = [table for table in candidates if choices[table]]
        chosen = _preferred(tables)
        others = [table for table in tables if table not in chosen]
        useless = [table for table in candidates if table not in tables]
        unfit = [table for table in useless if table.is_metadata or table.split]
        return _Selection(chosen, others, unfit, choices[chosen[0]] if chosen else None)

    def _choice(self, path: Path) -> Choice | None:
        """Return the columns of the first row that can be used; ``None`` if there is none among the first of the table."""
        try:
            rows = list(islice(self._kind.rows(path), SAMPLE))
        except CapgenError:
            return None
        chooser = chooser_for(rows, self._columns)
        choices = ((row[1], chooser.choose(row[1])) for row in rows if not isinstance(row, Problem))
        return next((choice for row, choice in choices if is_usable(row, choice)), None)

    def _has_other_metadata(self, source: Path) -> bool:
        others = [suffix for suffix in METADATA_SUFFIXES if suffix not in self._kind.suffixes]
        return any(table.is_metadata for table in _candidates(source, others))

    def _described(self, table: _Table) -> str:
        try:
            first = next(self._kind.rows(table.file), None)
        except CapgenError as error:
            return str(error)
        if first is None:
            return f"{table.path} has no rows" + (" below its first line" if self._kind.column == "column" else "")
        if isinstance(first, Problem):
            return f"{_within(table, first.where)}: {first.detail}"
        names = [" ".join(name.split())[:_LONGEST_NAME] for name in first[1]]
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return f"{table.path} has the {self._kind.column}s {', '.join(names[:_SHOWN])}{more}"


def _preferred(tables: Sequence[_Table]) -> list[_Table]:
    """Return those of some tables that are read: those of image folders, or of several splits, or the first one alone."""
    metadata = [table for table in tables if table.is_metadata]
    split = [table for table in tables if table.split]
    are_several = len({table.split for table in split}) > 1
    return metadata or (split if are_several else _parts_of_first(tables))


def _parts_of_first(tables: Sequence[_Table]) -> list[_Table]:
    """Return the first of some tables, with the other parts of the same one: ``part-00000.csv``, ``part-00001.csv``."""
    return [table for table in tables if _part_of(table.path) == _part_of(tables[0].path)]


def _part_of(path: PurePosixPath) -> PurePosixPath:
    """Return the path of a table without the number that it has as a part of a larger one."""
    return path.with_name(_PART_NUMBER.sub("#", path.name))


def _within(table: _Table, path: str) -> str:
    """Return the path in a source that is one in the folder of a table."""
    return str(table.path.parent / path)


def _candidates(source: Path, suffixes: Sequence[str]) -> list[_Table]:
    """Return the files of a source with certain endings, those in the folder itself first, but no sidecars of images."""
    if is_file(source):
        return [_Table(source.parent, PurePosixPath(source.name))] if source.suffix.lower() in suffixes else []
    paths = _without_sidecars(visible_files(source, depth=0), suffixes)
    for folder in _sub_folders(source):
        if split_of_folder(folder.name) or folder.name == ANNOTATIONS:
            paths += _without_sidecars(visible_files(folder, depth=0), suffixes)
        else:
            paths += [path for suffix in suffixes if is_file(path := folder / f"{METADATA}{suffix}")]
    return [_Table(source, PurePosixPath(path.relative_to(source).as_posix())) for path in paths]


def _without_sidecars(files: Iterable[Path], suffixes: Sequence[str]) -> list[Path]:
    found = list(files)
    images = {path.stem for path in found if ends_like_image(path.name)}
    tables = (path for path in found if path.suffix.lower() in suffixes)
    own = (path for path in tables if path.suffix.lower() not in IMAGE_COMPANION_SUFFIXES or path.stem not in images)
    return [path for path in own if is_file(path)]  # else a pipe, say


def _sub_folders(source: Path) -> list[Path]:
    """Return the folders in a source, and those in its folder ``data``, where repositories of the Hub have them."""
    found = _folders(source)
    return found + [inner for folder in found if folder.name == "data" for inner in _folders(folder)]


def _folders(source: Path) -> list[Path]:
    try:
        return sorted(path for path in source.iterdir() if is_folder(path) and not is_hidden(path.name))
    except OSError:
        return []
