"""The splits that names of folders and files tell, where a source has no column for them.

``train/1.jpg``, ``validation/metadata.csv`` and ``captions_test.jsonl`` say what their images are for. A single such name
does not: a folder ``train`` beside ``dog`` and ``cat`` is one of locomotives.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from capgen.datasets.layout import Example, split_of_folder


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
