"""Andrej Karpathy's ``dataset_*.json``: sentences and the customary splits of Flickr8k, Flickr30k and COCO in one file."""

from pathlib import Path
from typing import Any

from capgen.datasets.layout import (
    MALFORMED,
    SPLIT_NAMES,
    UNUSED,
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

KEYS = ("images", "dataset")


def recognise(source: Path) -> str | None:
    """Say why ``source`` is in this layout, or return ``None``."""
    path = _find(source)
    return f"{path.name} has Karpathy's images and dataset" if path else None


def read(source: Path) -> LoadedDataset:
    """Read the JSON file, or the folder that holds it.

    Raises:
        DataError: There is no such file, or it has no image that can be read.
    """
    path = _find(source)
    if path is None:
        raise DataError(f"there is no dataset_*.json of Karpathy's at {source}")
    entries = read_json(path)["images"]
    if not isinstance(entries, list):
        raise DataError(f"{path} is not in Karpathy's layout: its images are not a list")
    examples: list[Example] = []
    problems: list[Problem] = []
    for number, entry in enumerate(entries, 1):
        try:
            examples.append(_example(entry))
        except (KeyError, TypeError, AttributeError) as error:
            detail = f"images {number}: {error} is missing or of the wrong kind"
            problems.append(Problem(MALFORMED, path.name, detail))
    if problems and not examples:
        raise DataError(f"{path} is not in Karpathy's layout: {problems[0].detail}")
    return LoadedDataset(examples, image_folders(path.parent), problems)


def _find(source: Path) -> Path | None:
    found = [source] if source.is_file() else sorted(source.glob("dataset_*.json")) or sorted(source.glob("dataset.json"))
    return next((path for path in found if is_json_object_with(path, KEYS)), None)


def _example(entry: Any) -> Example:
    """Read an entry of ``images``, which raises ``KeyError``, ``TypeError`` or ``AttributeError`` where it does not fit."""
    return Example(
        str(Path(entry.get("filepath", "")) / require_text(entry["filename"])),
        tuple(require_text(sentence["raw"]) for sentence in entry["sentences"]),
        SPLIT_NAMES.get(entry["split"], UNUSED),
        str(entry.get("cocoid", entry["filename"])),
    )


LAYOUT = Layout("karpathy", recognise, read)
