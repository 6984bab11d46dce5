"""Which image a name means: its id, its path within the data set, its bare name where only one image has it, its number.

Names come from other programs and machines. ``/mnt/coco/val2014/x.jpg``, ``val2014/x.jpg`` and ``x.jpg`` may all be one
image of the data set; ``391895``, ``"000000391895"`` and ``391895.0`` are one number. An image of another split may have
the same bare name, so that the whole data set is looked at.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from urllib.parse import unquote

from capgen.evaluation.references import Reference
from capgen.inputs.names import composed

_NUMBER = re.compile(r"0*([0-9]{1,18})(?:\.0*)?")
"""A number as text, perhaps with leading zeros, or written as a float."""

_COCO_NAME = re.compile(r"(?:.*/)?(?:COCO_\w+_)?(?=[0-9]{12}\.)0*([0-9]+)\.\w+")
"""A file of COCO, whose name has the number of the image in 12 digits; in 2014 the year was before it."""

_NUMBERED_STEM = re.compile(r"(?:COCO_\w+_)?0*([0-9]{1,18})")
"""The stem of a file whose name is a number."""

BY_ID = 1000
"""What an image named by its id has in common with the name: more than any path has parts."""

Parts = tuple[str, ...]


@dataclass(frozen=True)
class Match:
    """The image that a name means.

    Attributes:
        reference: The image.
        agreement: How many parts of the name and of the image's path agree, from the end; ``BY_ID`` if the name is its id.
        is_other: Whether the image is of another split than is scored.
    """

    reference: Reference
    agreement: int
    is_other: bool


class AmbiguousNameError(Exception):
    """A name that several images have; the message is how these are called."""


@dataclass(frozen=True, eq=False)
class _Image:
    """An image of the data set.

    Attributes:
        reference: The image.
        name: The name of its file, composed (NFC).
        is_other: Whether it is of another split than is scored.
    """

    reference: Reference
    name: str
    is_other: bool

    @cached_property
    def paths(self) -> list[Parts]:
        """The parts of its paths, see ``_paths_of``; a data set may have many images of one name."""
        return _paths_of(self.reference)

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return PurePosixPath(self.name).stem

    @property
    def ids(self) -> list[str]:
        """The id of the image, if it has one beside its path."""
        reference = self.reference
        return [composed(reference.id)] if reference.image not in ("", reference.id) else []


_Index = Mapping[str, Sequence[_Image]]


class ImageNames:
    """The images of a data set by all that they may be called.

    Args:
        references: The images of the split that is scored.
        others: The images of the other splits.
    """

    def __init__(self, references: Sequence[Reference], others: Sequence[Reference]) -> None:
        self._scored = [_Image(one, _paths_of(one)[0][-1], is_other=False) for one in references]
        self._others = [_Image(one, _paths_of(one)[0][-1], is_other=True) for one in others]

    def find(self, name: str) -> Match | None:
        """Return the image that a name means, or None if it means none.

        Raises:
            AmbiguousNameError: Several images may be meant.
        """
        name = composed(name)
        numbers = _numbers(name, _NUMBER, _COCO_NAME)
        return (
            self._by_id(self._ids, [name])
            or self._by_path(name)
            or self._by_id(self._id_numbers, numbers)
            or self._by_file_number(numbers)
            or self._by_id(self._other_ids, [name, *numbers])
        )

    def is_number_of_another(self, name: str, reference: Reference) -> bool:
        """Tell whether a name is a number that the name of another image's file is, too."""
        found = [image.reference for number in _numbers(name, _NUMBER) for image in self._file_numbers.get(number, ())]
        return bool(found) and reference not in found

    def _by_id(self, index: _Index, ids: Sequence[str]) -> Match | None:
        found = next((index[one] for one in ids if one in index), ())
        return _only(found, [BY_ID] * len(found))

    def _by_file_number(self, numbers: Sequence[str]) -> Match | None:
        found = next((self._file_numbers[number] for number in numbers if number in self._file_numbers), ())
        return _only(found, [1] * len(found))

    def _by_path(self, name: str) -> Match | None:
        """Return the image whose path has most in common with a name, of those whose file is called like its last part."""
        for spelling in dict.fromkeys((name, unquote(name))):
            *folders, last = split_path(spelling) or ("",)
            names = ((self._file_names, last), (self._stems, last), (self._in_any_case, last.casefold()))
            found = next(filter(None, (_called(index, folders, one) for index, one in names)), ())
            if found:
                return _only(found, [1 + max(common(folders, path[:-1]) for path in one.paths) for one in found])
        return None

    @cached_property
    def _file_names(self) -> _Index:
        return _index((*self._scored, *self._others), lambda image: _with_folder(image, [image.name]))

    @cached_property
    def _stems(self) -> _Index:
        return _index((*self._scored, *self._others), lambda image: _with_folder(image, [image.stem]))

    @cached_property
    def _in_any_case(self) -> _Index:
        return _index(
            (*self._scored, *self._others),
            lambda image: _with_folder(image, {image.name.casefold(), image.stem.casefold()}),
        )

    @cached_property
    def _file_numbers(self) -> _Index:
        return _index((*self._scored, *self._others), lambda image: _numbers(image.stem, _NUMBERED_STEM))

    @cached_property
    def _ids(self) -> _Index:
        return _index(self._scored, lambda image: image.ids)

    @cached_property
    def _id_numbers(self) -> _Index:
        return _index(self._scored, lambda image: [number for one in image.ids for number in _numbers(one, _NUMBER)])

    @cached_property
    def _other_ids(self) -> _Index:
        return _index(self._others, lambda image: {text for one in image.ids for text in (one, *_numbers(one, _NUMBER))})


def _only(found: Sequence[_Image], agreements: Sequence[int]) -> Match | None:
    """Return the image that agrees most with a name; none if there is no image.

    Raises:
        AmbiguousNameError: There are several.
    """
    if not found:
        return None
    most = max(agreements)
    best = [image for image, agreement in zip(found, agreements, strict=True) if agreement == most]
    if len(best) > 1:
        raise AmbiguousNameError(_shown([image.reference for image in best]))
    return Match(best[0].reference, most, best[0].is_other)


def _paths_of(reference: Reference) -> list[Parts]:
    """Return the parts of the paths of an image: that of its file, if that was found, and that in the data set."""
    paths = [str(reference.path) if reference.path else "", reference.image or reference.id]
    return [parts for path in paths if (parts := split_path(path))] or [(reference.id,)]


def split_path(name: str) -> Parts:
    """Return the parts of a path of any system, or of a URL, composed (NFC)."""
    path = composed(name).replace("\\", "/")
    return tuple(part for part in path.split("/") if part not in ("", "."))


def common(first: Sequence[str], second: Sequence[str]) -> int:
    """Return how many parts of two paths agree, from the end."""
    count = 0
    for one, other in zip(reversed(first), reversed(second), strict=False):
        if one != other:
            break
        count += 1
    return count


def _with_folder(image: _Image, names: Iterable[str]) -> set[str]:
    """Return the names, and each of them after the folder of the image, as there may be thousands of one name."""
    folders = {path[-2:-1] for path in image.paths}
    return {"/".join((*folder, name)) for name in names for folder in ((), *folders)}


def _called(index: _Index, folders: Sequence[str], name: str) -> Sequence[_Image]:
    """Return the images of a name; those in a folder called like the last one if there are any, as they agree most."""
    return index.get("/".join((*folders[-1:], name))) or index.get(name, ())


def _index(images: Iterable[_Image], keys: Callable[[_Image], Iterable[str]]) -> _Index:
    index: defaultdict[str, list[_Image]] = defaultdict(list)
    for image in images:
        for key in keys(image):
            index[key].append(image)
    return dict(index)


def _numbers(text: str, *patterns: re.Pattern[str]) -> list[str]:
    """Return the number that a text has by the first pattern that fits, without leading zeros, or nothing."""
    match = next(filter(None, (pattern.fullmatch(text) for pattern in patterns)), None)
    return [match[1]] if match else []


def _shown(references: Sequence[Reference]) -> str:
    """Name several images, with as many folders as tell them apart."""
    paths = [_paths_of(reference)[0] for reference in references[:2]]
    length = 1 + common(*paths)
    return " and ".join("/".join(path[-length:]) for path in paths)
