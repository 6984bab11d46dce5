"""The splits that names of folders and files tell, or lists of images, where a source has no column for them.

``train/1.jpg``, ``validation/metadata.csv`` and ``captions_test.jsonl`` say what their images are for. A single such name
does not: a folder ``train`` beside ``dog`` and ``cat`` is one of locomotives.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from capgen.datasets.layout import Example, Problem
from capgen.datasets.text_files import lines
from capgen.storage.files import is_file

SPLIT_NAMES = {
    "train": "train", "training": "train", "restval": "train",
    "dev": "dev", "val": "dev", "valid": "dev", "validation": "dev", "eval": "dev",
    "test": "test", "testing": "test",
}  # fmt: skip
"""The names that data sets give to the three splits, in lower case."""

_WORDS_BESIDE_A_SPLIT = {"images", "image", "img", "imgs", "photos", "pictures", "set", "split", "data"}
"""What else the name of the folder of a split may say, as ``train_images`` does; ``train_old`` is another folder."""

_WORDS_OF_A_NAME = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")


def split_in_name(name: str) -> str | None:
    """Return the split that a file or folder is named for, as ``captions_train2017`` is; ``None`` if it is none or two."""
    named = {SPLIT_NAMES.get(word.lower()) for word in _WORDS_OF_A_NAME.findall(name)} - {None}
    return named.pop() if len(named) == 1 else None


def split_of_folder(name: str) -> str | None:
    """Return the split of which a folder has the images, if its name says nothing else: ``train2017``, ``test_images``."""
    said = {word.lower() for word in _WORDS_OF_A_NAME.findall(name)}
    return split_in_name(name) if said <= _WORDS_BESIDE_A_SPLIT | SPLIT_NAMES.keys() else None


def split_in_folders(path: str) -> str | None:
    """Return the split that the folders in a path tell; the innermost of them goes before the others."""
    return _split_of_path(path.replace("\\", "/").rpartition("/")[0])


@lru_cache(10_000)
def _split_of_path(folder: str) -> str | None:
    return next(filter(None, map(split_of_folder, reversed(folder.split("/")))), None)


def with_splits_of_names(examples: Sequence[Example], named: Sequence[str | None]) -> list[Example]:
    """Give examples the splits that names tell.

    Args:
        examples: The examples of a source.
        named: The split that each of them is named for; ``None`` if it is named for none.

    Returns:
        The examples, which are unchanged if one of them has a split of its own, or names do not tell several splits.
    """
    are_several = len(set(filter(None, named))) > 1
    if not are_several or any(example.split for example in examples):
        return list(examples)
    return [replace(example, split=split) for example, split in zip(examples, named, strict=True)]


def read_split_lists(folder: Path, names: Mapping[str, str], problems: list[Problem]) -> dict[str, str]:
    """Return the split of each image that lists name, one image a line.

    Args:
        folder: The folder of the lists.
        names: The file name of the list of each split, in the order train, dev, test.
        problems: What is wrong with the lists is added to it.
    """
    splits: dict[str, str] = {}
    for split, name in names.items():
        listing = folder / name
        if not is_file(listing):
            continue
        for where, line in lines(listing):
            image = line.strip()
            if splits.get(image, split) != split:
                # The lists come in the order train, dev, test: what is tested on must not be trained on.
                problems.append(Problem("image in two splits", where, f"kept in {split}, not {splits[image]}"))
            splits[image] = split
    return splits
