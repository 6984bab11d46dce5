"""Andrej Karpathy's ``dataset_*.json``: sentences and the customary splits of Flickr8k, Flickr30k and COCO in one file."""

from pathlib import Path, PurePosixPath
from typing import Any

from capgen.datasets.layout import MALFORMED, UNUSED, Example, Layout, LoadedDataset, Problem
from capgen.datasets.source_folders import image_folders, json_files
from capgen.datasets.splits import SPLIT_NAMES
from capgen.datasets.text_files import has_keys, read_json, require_text
from capgen.errors import DataError
from capgen.storage.files import is_file

KEYS = ("images", "dataset")


def recognise(source: Path) -> str | None:
    """Say why ``source`` is in this layout, or return ``None``."""
    path, _ = _find(source)
    return f"{path.name} has Karpathy's images and dataset" if path else None


def read(source: Path) -> LoadedDataset:
    """Read the JSON file, or the folder that holds it.

    Raises:
        DataError: There is no such file, or it has no image that can be read.
    """
    path, value = _find(source)
    if path is None:
        raise DataError(f"there is no dataset_*.json of Karpathy's at {source}")
    entries = value["images"]
    if not isinstance(entries, list):
        raise DataError(f"{path} is not in Karpathy's layout: its images are not a list")
    examples: list[Example] = []
    problems: list[Problem] = []
    for number, entry in enumerate(entries, 1):
        try:
            examples.append(_example(entry, f"{path.name}: images {number}", problems))
        except (KeyError, TypeError, AttributeError) as error:
            detail = f"images {number}: {error} is missing or of the wrong kind"
            problems.append(Problem(MALFORMED, path.name, detail))
    if problems and not examples:
        raise DataError(f"{path} is not in Karpathy's layout: {problems[0].detail}")
    return LoadedDataset(examples, image_folders(path.parent), problems)


def _find(source: Path) -> tuple[Path | None, dict[str, Any]]:
    """Return the file of a source, one of the customary name before any other, and the object in it."""
    files = [source] if is_file(source) else json_files(source)
    files.sort(key=lambda path: not path.name.startswith("dataset"))
    likely = (path for path in files if path.suffix == ".json" and has_keys(path, *KEYS))  # big files are not parsed for it
    for path in likely:
        value = _object(path)
        if all(key in value for key in KEYS):
            return path, value
    return None, {}


def _object(path: Path) -> dict[str, Any]:
    """Return the object that a JSON file is; an empty one if it is something else or cannot be read."""
    try:
        value = read_json(path)
    except DataError:
        return {}
    return value if isinstance(value, dict) else {}


def _example(entry: Any, where: str, problems: list[Problem]) -> Example:
    """Read an entry of ``images``, which raises ``KeyError``, ``TypeError`` or ``AttributeError`` where it does not fit."""
    name = str(PurePosixPath(entry.get("filepath") or "") / require_text(entry["filename"]))
    captions = []
    for number, sentence in enumerate(entry["sentences"], 1):
        try:
            captions.append(_caption(sentence))
        except (KeyError, TypeError) as error:
            problems.append(Problem(MALFORMED, where, f"sentences {number}: {error} is missing or of the wrong kind"))
    split = entry.get("split")
    return Example(
        name,
        tuple(captions),
        None if split is None else SPLIT_NAMES.get(require_text(split).strip().lower(), UNUSED),
        str(entry.get("cocoid", entry["filename"])),
    )


def _caption(sentence: Any) -> str:
    """Return a sentence as it was written or, where only its words are left, these."""
    return require_text(sentence["raw"]) if "raw" in sentence else " ".join(map(require_text, sentence["tokens"]))


LAYOUT = Layout("karpathy", recognise, read)
