"""MS-COCO's annotations: ``captions_*.json`` beside image folders such as ``train2014``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from capgen.datasets.layout import (
    MALFORMED,
    SPLIT_NAMES,
    Example,
    Layout,
    LoadedDataset,
    Problem,
    image_folders,
    is_json_object_with,
    read_json,
    require_text,
)
from capgen.errors import DataError

KEYS = ("images", "annotations")
YEAR_FOLDERS = tuple(f"{split}{year}" for split in ("train", "val") for year in ("2014", "2017"))


def recognise(source: Path) -> str | None:
    """Say why ``source`` is in this layout, or return ``None``."""
    found = _find(source)
    return f"{', '.join(path.name for path in found)} has COCO's images and annotations" if found else None


def read(source: Path) -> LoadedDataset:
    """Read an annotation file, or a folder of several.

    A single file gives no splits; of several files, each is the split that its name says.

    Raises:
        DataError: There is no annotation file, or a file has no caption that can be read.
    """
    paths = _find(source)
    if not paths:
        raise DataError(f"there is no COCO annotation file (captions_*.json) at {source}")
    examples: list[Example] = []
    problems: list[Problem] = []
    for path in paths:
        examples += _read_file(path, _split(path) if len(paths) > 1 else None, problems)
    return LoadedDataset(examples, image_folders(paths[0].parent, YEAR_FOLDERS), problems)


def _find(source: Path) -> list[Path]:
    if source.is_file():
        return [source] if is_json_object_with(source, KEYS) else []
    found = [path for folder in (source, source / "annotations") for path in sorted(folder.glob("captions_*.json"))]
    return [path for path in found if is_json_object_with(path, KEYS)]


def _split(path: Path) -> str | None:
    name = path.stem.lower().removeprefix("captions_")
    return next((split for prefix, split in SPLIT_NAMES.items() if name.startswith(prefix)), None)


def _read_file(path: Path, split: str | None, problems: list[Problem]) -> list[Example]:
    """Read one annotation file; entries that cannot be read are added to ``problems``."""
    values = read_json(path)
    names: dict[Any, str] = {}
    for entry in _entries(path, values, "images", ("id", "file_name"), problems):
        names[entry["id"]] = entry["file_name"]
    captions: dict[Any, list[str]] = {identifier: [] for identifier in names}
    for entry in _entries(path, values, "annotations", ("image_id", "caption"), problems):
        if entry["image_id"] in captions:
            captions[entry["image_id"]].append(entry["caption"])
        else:
            problems.append(Problem("caption without an image", path.name, f"annotation {entry.get('id')}"))
    return [Example(name, tuple(captions[key]), split, str(key)) for key, name in names.items()]


def _entries(
    path: Path, values: dict[str, Any], kind: str, keys: tuple[str, str], problems: list[Problem]
) -> Iterator[dict[str, Any]]:
    """Yield the entries of a list that have an identifier and a text under ``keys``.

    Raises:
        DataError: There are entries, but none of them can be read: this is not a file of captions.
    """
    identifier, text = keys
    readable, first_error = 0, None
    if not isinstance(values[kind], list):
        raise DataError(f"{path} is not a COCO annotation file: its {kind} are not a list")
    for number, entry in enumerate(values[kind], 1):
        try:
            require_text(entry[text])
            hash(entry[identifier])
        except (KeyError, TypeError) as error:
            first_error = first_error or error
            problems.append(Problem(MALFORMED, path.name, f"{kind} {number}: {error} is missing or of the wrong kind"))
            continue
        readable += 1
        yield entry
    if first_error and not readable:
        raise DataError(f"{path} is not a COCO annotation file: {first_error} is missing or of the wrong kind")


LAYOUT = Layout("coco", recognise, read)
