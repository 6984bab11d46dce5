"""Flickr30k Entities: a file of captions for each image, whose phrases are marked, and a list of images for each split."""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from capgen.datasets.layout import MALFORMED, UNUSED, Example, Layout, LoadedDataset, Problem
from capgen.datasets.source_folders import image_folders, names_in
from capgen.datasets.splits import read_split_lists
from capgen.datasets.text_files import lines
from capgen.errors import DataError
from capgen.images.formats import ends_like_image
from capgen.inputs.passed_over import is_hidden
from capgen.storage.files import is_file

SENTENCES = "Sentences"
SPLIT_FILES = {"train": "train.txt", "dev": "val.txt", "test": "test.txt"}

MARK = "[/EN#"
"""How the mark of a phrase begins."""

_PHRASE = re.compile(r"\[/EN#\S* ?([^\]]*)\]?")
"""A marked phrase, such as ``[/EN#283585/people Two young guys]``: the number of what it names, its kinds, its words."""

_FILES_LOOKED_INTO = 20
"""The number of files in which a mark is looked for; every file has some."""


def recognise(source: Path) -> str | None:
    """Say why ``source`` is in this layout, or return ``None``."""
    path = _find(source)
    return f"{path.parent.name}/{path.name} has captions with marked phrases" if path else None


def read(source: Path) -> LoadedDataset:
    """Read the folder ``Sentences``, or the one that holds it; the lists of the splits lie beside it.

    Raises:
        DataError: There is no such folder.
    """
    marked = _find(source)
    if marked is None:
        raise DataError(f"there is no folder {SENTENCES} of captions with marked phrases at {source}")
    folder = marked.parent
    problems: list[Problem] = []
    splits = read_split_lists(folder.parent, SPLIT_FILES, problems)
    captions: dict[str, tuple[str, ...]] = dict.fromkeys(splits, ())
    for path in _files(folder):
        try:
            captions[path.stem] = tuple(_PHRASE.sub(r"\1", line).strip() for _, line in lines(path))
        except DataError as error:
            captions.pop(path.stem, None)
            problems.append(Problem(MALFORMED, f"{folder.name}/{path.name}", str(error)))
    folders = image_folders(folder.parent)
    names = _image_names(folders)
    examples = [
        Example(names.get(key, f"{key}.jpg"), texts, splits.get(key, UNUSED) if splits else None)
        for key, texts in captions.items()
    ]
    return LoadedDataset(examples, folders, problems)


def _find(source: Path) -> Path | None:
    """Return the first file of captions with marked phrases."""
    files = (path for folder in (source / SENTENCES, source) for path in islice(_files(folder), _FILES_LOOKED_INTO))
    return next(filter(_is_marked, files), None)


def _files(folder: Path) -> Iterator[Path]:
    paths = (folder / name for name in names_in(folder) if name.endswith(".txt") and not is_hidden(name))
    return (path for path in paths if is_file(path))


def _is_marked(path: Path) -> bool:
    try:
        return any(MARK in line for _, line in lines(path))
    except DataError:
        return False


def _image_names(folders: list[Path]) -> dict[str, str]:
    """Return the names of the image files by what stands before their endings, which is all that the captions know."""
    names = (Path(name) for folder in folders for name in names_in(folder))
    return {name.stem: name.name for name in names if ends_like_image(name)}


LAYOUT = Layout("flickr30k-entities", recognise, read)
