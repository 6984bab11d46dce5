"""Which image a name means: its id, its path within the data set, its bare name where only one image has it, its number.

Names come from other programs and machines. ``/mnt/coco/val2014/x.jpg``, ``val2014/x.jpg`` and ``x.jpg`` may all be one
image of the data set; ``391895``, ``"000000391895"`` and ``391895.0`` are one number. An image of another split may have
the same bare name, so that the whole data set is looked at.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote

from capgen.evaluation.references import Reference

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


class ImageNames:
    """The images of a data set by all that they may be called.

    Args:
        references: The images of the split that is scored.
        others: The images of the other splits.
    """

    def __init__(self, references: Sequence[Reference], others: Sequence[Reference]) -> None:
        self._is_other = {id(other) for other in others}
        everything = [*references, *others]
        self._by_file_name = _index(everything, lambda one: [_paths_of(one)[0][-1]])
        self._by_stem = _index(everything, lambda one: [PurePosixPath(_paths_of(one)[0][-1]).stem])
        self._in_any_case = _index(everything, _names_in_any_case)
        self._by_number = _index(everything, lambda one: _numbers(PurePosixPath(_paths_of(one)[0][-1]).stem, _NUMBERED_STEM))
        self._ids = [(_index(some, _ids), _index(some, _id_numbers)) for some in (references, others)]

    def find(self, name: str) -> Match | None:
        """Return the image that a name means, or None if it means none.

        Raises:
            AmbiguousNameError: Several images may be meant.
        """
        name = unicodedata.normalize("NFC", name)
        number = _numbers(name, _NUMBER, _COCO_NAME)
        (ids, id_numbers), (other_ids, other_id_numbers) = self._ids
        return (
            self._by_id(ids.get(name))
            or self._by_path(name)
            or self._by_id(next((id_numbers[key] for key in number if key in id_numbers), None))
            or self._one_of(next((self._by_number[key] for key in number if key in self._by_number), ()), ("",))
            or self._by_id(other_ids.get(name))
            or self._by_id(next((other_id_numbers[key] for key in number if key in other_id_numbers), None))
        )

    def is_number_of_another(self, name: str, reference: Reference) -> bool:
        """Tell whether a name is a number that the name of another image's file is, too."""
        found = [one for key in _numbers(name, _NUMBER) for one in self._by_number.get(key, ())]
        return bool(found) and reference not in found

    def _by_id(self, found: Sequence[Reference] | None) -> Match | None:
        if not found:
            return None
        if len(found) > 1:
            raise AmbiguousNameError(_shown(found))
        return Match(found[0], BY_ID, id(found[0]) in self._is_other)

    def _by_path(self, name: str) -> Match | None:
        for spelling in dict.fromkeys((name, unquote(name))):
            parts = split_path(spelling)
            last = parts[-1] if parts else ""
            known = self._by_file_name.get(last) or self._by_stem.get(last) or self._in_any_case.get(last.casefold())
            if known:
                return self._one_of(known, parts)
        return None

    def _one_of(self, candidates: Sequence[Reference], parts: Parts) -> Match | None:
        """Return the candidate whose path has most in common with a path, all of which have the same last part.

        Raises:
            AmbiguousNameError: There are several.
        """
        if not candidates:
            return None
        agreements = [1 + max(common(parts[:-1], path[:-1]) for path in _paths_of(one)) for one in candidates]
        best = [one for one, agreement in zip(candidates, agreements, strict=True) if agreement == max(agreements)]
        if len(best) > 1:
            raise AmbiguousNameError(_shown(best))
        return Match(best[0], max(agreements), id(best[0]) in self._is_other)


def _paths_of(reference: Reference) -> list[Parts]:
    """Return the parts of the paths of an image: that of its file, if that was found, and that in the data set."""
    paths = [str(reference.path) if reference.path else "", reference.image or reference.id]
    return [parts for path in paths if (parts := split_path(path))] or [(reference.id,)]


def _names_in_any_case(reference: Reference) -> list[str]:
    name = _paths_of(reference)[0][-1].casefold()
    return list(dict.fromkeys((name, PurePosixPath(name).stem)))


def split_path(name: str) -> Parts:
    """Return the parts of a path of any system, or of a URL, composed (NFC)."""
    path = unicodedata.normalize("NFC", name).replace("\\", "/")
    return tuple(part for part in path.split("/") if part not in ("", "."))


def common(first: Parts, second: Parts) -> int:
    """Return how many parts of two paths agree, from the end."""
    count = 0
    for one, other in zip(reversed(first), reversed(second), strict=False):
        if one != other:
            break
        count += 1
    return count


def _index(references: Iterable[Reference], keys: Callable[[Reference], Iterable[str]]) -> dict[str, list[Reference]]:
    index: defaultdict[str, list[Reference]] = defaultdict(list)
    for reference in references:
        for key in keys(reference):
            index[key].append(reference)
    return dict(index)


def _ids(reference: Reference) -> list[str]:
    """Return the id of an image, if it has one beside its path."""
    return [unicodedata.normalize("NFC", reference.id)] if reference.image not in ("", reference.id) else []


def _id_numbers(reference: Reference) -> list[str]:
    return [number for text in _ids(reference) for number in _numbers(text, _NUMBER)]


def _numbers(text: str, *patterns: re.Pattern[str]) -> list[str]:
    """Return the number that a text has by the first pattern that fits, without leading zeros, or nothing."""
    match = next(filter(None, (pattern.fullmatch(text) for pattern in patterns)), None)
    return [match[1]] if match else []


def _shown(references: Sequence[Reference]) -> str:
    """Name several images, with as many folders as tell them apart."""
    paths = [_paths_of(reference)[0] for reference in references[:2]]
    length = 1 + common(*paths)
    return " and ".join("/".join(path[-length:]) for path in paths)
