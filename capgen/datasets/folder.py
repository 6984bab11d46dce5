"""A folder of images with a file of captions beside each, one caption a line; folders inside it count, too.

The file is called as the image is, with ``.txt`` or ``.caption`` in place of the image's ending, or after it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

from capgen.datasets.layout import MALFORMED, NOT_READ, Example, Layout, LoadedDataset, Problem
from capgen.datasets.splits import split_in_folders, with_splits_of_names
from capgen.datasets.text_files import lines
from capgen.errors import DataError, os_reason
from capgen.images.formats import ends_like_image
from capgen.inputs.folders import visible_files
from capgen.inputs.names import composed
from capgen.storage.files import is_file, is_folder

CAPTION_SUFFIXES = (".txt", ".caption")
"""The endings of files of captions; of an image that has several the first is read."""

_Key = TypeVar("_Key")

_NAMES = " or ".join(CAPTION_SUFFIXES)

_REPEATS = re.compile(r"[0-9]{1,4}_.")
"""What a folder's name begins with where a trainer takes it for how often its images are seen in an epoch."""

_Pair: TypeAlias = tuple[Path, list[Path]]
"""An image with its files of captions, the one first that is read."""


def recognise(source: Path) -> str | None:
    """Say why ``source`` is in this layout, or return ``None``."""
    first = next((path for path, found in _Contents.of(source).pairs() if found), None) if is_folder(source) else None
    return f"{first.name} has a {_NAMES} file beside it" if first else None


def read(source: Path) -> LoadedDataset:
    """Read a folder; an image without a file of captions is an example without captions.

    Raises:
        DataError: The source is a file, or no image in it has a file of captions.
    """
    if not is_folder(source):
        raise DataError(f"{source} is a file; the folder layout takes a folder of images with {_NAMES} files")
    contents = _Contents.of(source)
    pairs = list(contents.pairs())
    if not any(sidecars for _, sidecars in pairs):
        raise DataError(f"there is no image with a {_NAMES} file of captions beside it in {source}")
    examples, problems = _read_pairs(source, pairs)
    problems = [*contents.problems, *problems, *_unused(contents, pairs)]
    named = [split_in_folders(example.image) for example in examples]
    return LoadedDataset(with_splits_of_names(examples, named), [source], problems, notes=_notes(source, pairs))


def _read_pairs(source: Path, pairs: list[_Pair]) -> tuple[list[Example], list[Problem]]:
    """Make an example of each image, but for those whose captions cannot be read."""
    examples: list[Example] = []
    problems: list[Problem] = []
    for path, sidecars in pairs:
        problems += [Problem(NOT_READ, str(other), f"{sidecars[0].name} is read") for other in sidecars[1:]]
        try:
            captions = tuple(line.strip() for _, line in lines(sidecars[0])) if sidecars else ()
        except DataError as error:
            problems.append(Problem(MALFORMED, str(sidecars[0]), str(error)))
            continue
        examples.append(Example(str(path.relative_to(source)), captions))
    return examples, problems


def _unused(contents: "_Contents", pairs: list[_Pair]) -> list[Problem]:
    """Name the files of captions that have no image."""
    used = {path for _, sidecars in pairs for path in sidecars}
    return [Problem("caption without an image", str(path)) for path in contents.texts() if path not in used]


def seen(source: Path) -> list[str]:
    """Say how many images without captions there are."""
    images = sum(1 for _ in _Contents.of(source).pairs()) if is_folder(source) else 0
    return [f"no image of {images:,} has a {_NAMES} file beside it"] if images else []


@dataclass(frozen=True)
class _Contents:
    """The files of a folder.

    Attributes:
        files: Those that are not hidden, by name.
        problems: The folders that cannot be listed.
    """

    files: list[Path]
    problems: list[Problem]

    @classmethod
    def of(cls, source: Path) -> "_Contents":
        problems: list[Problem] = []

        def note(error: OSError) -> None:
            problems.append(Problem("unreadable folder", str(error.filename), os_reason(error)))

        return cls(list(visible_files(source, note)), problems)

    def texts(self) -> list[Path]:
        """Return the files that may have the captions of images."""
        return [path for path in self.files if path.suffix.lower() in CAPTION_SUFFIXES and is_file(path)]

    def pairs(self) -> Iterator[_Pair]:
        """Yield each image with its files of captions, the one first that is read."""
        sidecars = {path.with_suffix(path.suffix.lower()): path for path in self.texts()}
        # one program composes letters with accents, and another one does not
        by_composed_path = {composed(str(name)): path for name, path in sidecars.items()}
        images = [path for path in self.files if ends_like_image(path)]
        images_of_path = Counter(composed(str(path)) for path in images)
        for path in images:
            possible = _possible_sidecars(path)
            found = _present(possible, sidecars)
            if not found and images_of_path[composed(str(path))] == 1:
                found = _present(map(composed, map(str, possible)), by_composed_path)
            yield path, found


def _possible_sidecars(image: Path) -> list[Path]:
    """Return what the files of captions of an image may be called, the one first that is read."""
    return [image.with_name(base + ending) for ending in CAPTION_SUFFIXES for base in (image.stem, image.name)]


def _present(keys: Iterable[_Key], files: Mapping[_Key, Path]) -> list[Path]:
    """Return the files that are there under some keys, in the order of the keys."""
    return [files[key] for key in keys if key in files]


def _notes(source: Path, pairs: list[_Pair]) -> list[str]:
    folders = (part for path, _ in pairs for part in path.relative_to(source).parts[:-1])
    numbered = next(filter(_REPEATS.match, folders), None)
    if numbered is None:
        return []
    return [f"the number of repeats in {numbered!r} is ignored; give each such folder as a source, with its `weight`"]


LAYOUT = Layout("folder", recognise, read, seen)
