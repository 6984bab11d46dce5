"""Flickr30k as distributed: ``results.csv``, whose columns ``image_name| comment_number| comment`` are split by ``|``."""

import re
from pathlib import Path

from capgen.datasets.layout import MALFORMED, Example, Layout, LoadedDataset, Problem
from capgen.datasets.source_folders import image_folders
from capgen.datasets.text_files import lines
from capgen.errors import DataError
from capgen.storage.files import is_file

RESULTS = "results.csv"
HEADER = "image_name|"
COLUMNS = 3

_ANOTHER_ROW = re.compile(r"\.[a-z]+\|\s*[0-9]+\s*\|")
"""What a row begins with; in a caption it is another row, without the line end between them."""


def recognise(source: Path) -> str | None:
    """Say why ``source`` is in this layout, or return ``None``."""
    path = _find(source)
    if path is None:
        return None
    try:
        _, first = next(lines(path), ("", ""))
    except DataError:
        return None
    return f"{path.name} has columns split by '|'" if _is_header(first) else None


def read(source: Path) -> LoadedDataset:
    """Read ``results.csv``, or the folder that holds it.

    Raises:
        DataError: There is no such file, or it is not UTF-8 text.
    """
    path = _find(source)
    if path is None:
        raise DataError(f"there is no {RESULTS} in {source}")
    captions: dict[str, list[str]] = {}
    problems: list[Problem] = []
    for number, (where, line) in enumerate(lines(path)):
        if number == 0 and _is_header(line):
            continue
        parts = [part.strip() for part in line.split("|", COLUMNS - 1)]
        if len(parts) < COLUMNS or _ANOTHER_ROW.search(parts[2]):
            # The distributed file has one row without its second bar: "2199200615.jpg| 4   A dog runs across the grass ."
            problems.append(Problem(MALFORMED, where, "it is not image| number| caption"))
            continue
        captions.setdefault(parts[0], []).append(parts[2])
    examples = [Example(image, tuple(texts)) for image, texts in captions.items()]
    return LoadedDataset(examples, image_folders(path.parent), problems)


def _find(source: Path) -> Path | None:
    if is_file(source):
        return source if source.suffix == ".csv" else None
    folders = (source, source / "flickr30k_images")
    return next((folder / RESULTS for folder in folders if is_file(folder / RESULTS)), None)


def _is_header(line: str) -> bool:
    return line.replace(" ", "").startswith(HEADER)


LAYOUT = Layout("flickr30k", recognise, read)
