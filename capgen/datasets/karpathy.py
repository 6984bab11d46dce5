"""Andrej Karpathy's ``dataset_*.json``: sentences and the customary splits of Flickr8k, Flickr30k and COCO in one file."""

from pathlib import Path

from capgen.datasets.layout import SPLIT_NAMES, Layout, Reading, Row, image_folders, is_json_object_with, read_json, text
from capgen.errors import DataError


def recognise(source: Path) -> str | None:
    """Say why ``source`` is this layout, or ``None``."""
    path = _dataset(source)
    return f"{path.name} has Karpathy's images and dataset" if path else None


def read(source: Path) -> Reading:
    """Read ``source``, the file or its folder."""
    path = _dataset(source)
    if path is None:
        raise DataError(f"there is no dataset_*.json of Karpathy's at {source}")
    try:
        rows = [
            Row(
                str(Path(image.get("filepath", "")) / text(image["filename"])),
                tuple(text(sentence["raw"]) for sentence in image["sentences"]),
                SPLIT_NAMES.get(image["split"], "unused"),
                str(image.get("cocoid", image["filename"])),
            )
            for image in read_json(path)["images"]
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is not in Karpathy's layout: {error} is missing or of the wrong kind") from error
    return Reading(rows, image_folders(path.parent))


def _dataset(source: Path) -> Path | None:
    found = [source] if source.is_file() else sorted(source.glob("dataset_*.json")) or sorted(source.glob("dataset.json"))
    return next((path for path in found if is_json_object_with(path, ("images", "dataset"))), None)


LAYOUT = Layout("karpathy", recognise, read)
