"""MS-COCO's annotations: ``captions_*.json`` beside image folders such as ``train2014``."""

from pathlib import Path

from capgen.datasets.layout import (
    SPLIT_NAMES,
    Layout,
    Problem,
    Reading,
    Row,
    image_folders,
    is_json_object_with,
    read_json,
    text,
)
from capgen.errors import DataError


def recognise(source: Path) -> str | None:
    """Say why ``source`` is this layout, or ``None``."""
    found = _annotations(source)
    return f"{', '.join(path.name for path in found)} has COCO's images and annotations" if found else None


def read(source: Path) -> Reading:
    """Read ``source``: an annotation file, or a folder of them.

    One file alone gives no splits; of several, each is the split that its name says.
    """
    paths = _annotations(source)
    if not paths:
        raise DataError(f"there is no COCO annotation file at {source}")
    rows: list[Row] = []
    problems: list[Problem] = []
    for path in paths:
        values = read_json(path)
        split = _split(path) if len(paths) > 1 else None
        try:
            names = {image["id"]: text(image["file_name"]) for image in values["images"]}
            captions: dict[int, list[str]] = {identifier: [] for identifier in names}
            for annotation in values["annotations"]:
                if annotation["image_id"] in captions:
                    captions[annotation["image_id"]].append(text(annotation["caption"]))
                else:
                    problems.append(Problem("caption without an image", path.name, f"annotation {annotation.get('id')}"))
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path} is no COCO annotation file: {error} is missing or of the wrong kind") from error
        rows += [Row(name, tuple(captions[key]), split, str(key)) for key, name in names.items()]
    root = paths[0].parent
    years = [f"{split}{year}" for split in ("train", "val") for year in ("2014", "2017")]
    return Reading(rows, image_folders(root, years), problems)


def _annotations(source: Path) -> list[Path]:
    keys = ("images", "annotations")
    if source.is_file():
        return [source] if is_json_object_with(source, keys) else []
    found = [path for folder in (source, source / "annotations") for path in sorted(folder.glob("captions_*.json"))]
    return [path for path in found if is_json_object_with(path, keys)]


def _split(path: Path) -> str | None:
    words = path.stem.lower().removeprefix("captions_")
    return next((split for name, split in SPLIT_NAMES.items() if words.startswith(name)), None)


LAYOUT = Layout("coco", recognise, read)
