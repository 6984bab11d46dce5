"""What lies in the folder of a data set: the folders of its images and of its splits, and files of JSON."""

import os
from pathlib import Path

from capgen.datasets.splits import split_of_folder
from capgen.images.formats import ends_like_image
from capgen.storage.files import is_file, is_folder

IMAGE_FOLDERS = (
    "images", "image", "img", "imgs", "photos", "pictures", "jpegimages",
    "flicker8k_dataset", "flickr8k_dataset", "flickr30k-images", "flickr30k_images",
)  # fmt: skip
"""What the folder of the images is called, in lower case; "Flicker" is Flickr8k's own spelling."""


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder, sorted; none if it cannot be listed."""
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names alone, as a folder may hold millions
    except OSError:
        return []


def split_folders(folder: Path) -> list[Path]:
    """Return the folders directly in a folder that are those of a split: ``train2017``, ``val``, ``test_images``."""
    return [folder / name for name in names_in(folder) if split_of_folder(name) and is_folder(folder / name)]


def image_folders(root: Path) -> list[Path]:
    """List the folders in which the images of a data set may lie.

    Args:
        root: The folder of its annotations. The folder around it counts only if the images cannot be in this one, as it has
            neither images nor a folder for them.
    """
    inside = _with_named_folders(root)
    around = root.resolve().parent if root.name in ("", "..") else root.parent
    return inside if len(inside) > 1 or _has_images(root) else [*inside, *_with_named_folders(around)]


def _with_named_folders(root: Path) -> list[Path]:
    """Return a folder, and those for images in it; they may have another one in them, where each archive got a folder."""
    inside = _named_folders(root)
    return [root, *inside, *(nested for folder in inside for nested in _named_folders(folder))]


def _named_folders(folder: Path) -> list[Path]:
    return [folder / name for name in names_in(folder) if name.lower() in IMAGE_FOLDERS and is_folder(folder / name)]


def _has_images(root: Path) -> bool:
    """Tell whether a folder has images or folders of splits directly in it."""
    files = (Path(name) for name in names_in(root) if name[0] != ".")
    return any(ends_like_image(name) for name in files) or bool(split_folders(root))


def json_files(folder: Path) -> list[Path]:
    """Return the JSON files in a folder, sorted, without those that belong to one image; none if it cannot be listed."""
    names = [Path(name) for name in names_in(folder) if name[0] != "."]
    images = {text for name in names if ends_like_image(name) for text in (name.name, name.stem)}
    paths = (folder / name for name in names if name.suffix == ".json" and name.stem not in images)
    return [path for path in paths if is_file(path)]  # a pipe would be waited for
