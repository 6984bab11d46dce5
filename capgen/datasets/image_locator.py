"""Which file a source means by the name of an image: its path within the data set.

A data set is loaded with the names that its author wrote, often on another machine. ``ImageLocator`` takes it and returns
the file of each example, or the ``Problem`` that it is: an image is never taken for another one with the same file name.
"""

import filecmp
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, product
from pathlib import Path
from urllib.parse import unquote

from capgen.datasets.layout import UNUSED, Example, LoadedDataset, Problem
from capgen.datasets.source_folders import names_in, split_folders
from capgen.datasets.splits import split_in_folders, split_in_name
from capgen.images.formats import ends_like_image
from capgen.inputs.folders import visible_files
from capgen.inputs.names import composed, folded
from capgen.storage.files import is_file, is_folder

MISSING = "missing image"
"""Problem kind: an image whose file was not found."""

AMBIGUOUS = "ambiguous image name"
"""Problem kind: a name that several files or several images have."""

_LONGEST_SUFFIX = 16
"""The most folders before a file name that are compared; a path of another machine may have any number."""

_DEEPEST = 4
"""How many folders deep an image is looked for that is in none of the usual ones; the table may lie among other things."""

_ENOUGH = 2
"""The number of images of one name that are remembered."""

_YEAR = re.compile(r"\d{4}")


@dataclass(frozen=True)
class _SearchFolders:
    """Where the file of an image is looked for.

    Attributes:
        own: The folder of the file that names it, and the one folder of its split; the first that has the file is right.
        shared: The other folders of the data set; only one of them may have it.
        borrowed: The folders of other splits, where its own split has no folder.
    """

    own: tuple[Path, ...]
    shared: tuple[Path, ...]
    borrowed: tuple[Path, ...]

    def all(self) -> list[Path]:
        """Return all of them, each once."""
        return list(dict.fromkeys((*self.own, *self.shared, *self.borrowed)))


@dataclass(frozen=True)
class _Identity:
    """What makes two names of a source names of one image.

    Attributes:
        own: The folders that are its own.
        name: The whole name, with slashes, composed.
    """

    own: tuple[Path, ...]
    name: str

    def __str__(self) -> str:
        return str(self.own[0] / self.name)


@dataclass(frozen=True)
class _Hit:
    """The files that one reading of a name leads to.

    Attributes:
        files: At least one, each of another content.
        relative: The path that was looked for.
        is_whole: Whether it is all of the name, not the last parts of it.
        is_certain: Whether no other image can be meant: they have exactly the whole path, in no folder of another split.
    """

    files: list[Path]
    relative: str
    is_whole: bool
    is_certain: bool


class ImageLocator:
    """Finds the files of the images of one data set.

    The name as it is written goes before the same name in another normal form (composed or decomposed, upper or lower case),
    with slashes in place of backslashes, or with percent signs decoded. The whole path goes before its last parts, down
    to the bare name; parts of a path are only taken for it if no other image of the data set ends in them, too. In each
    step the folder of the file that names the image goes first, then the folder of its split, then the others, of which only
    one may have such a file. A folder of another split counts only where the image's own split has none, and if no other
    image of the data set has the name. Files of the same content are one file. An image that is in none of these folders is
    looked for by its bare name in all that are below its own.

    Args:
        dataset: The data set as loaded, with the examples of all of its splits.
    """

    def __init__(self, dataset: LoadedDataset) -> None:
        self._examples = dataset.examples
        self._folders = tuple(dataset.image_folders)
        self._folders_in: dict[Path, list[Path]] = {}
        for folder in self._folders:
            self._folders_in.setdefault(folder.parent, []).append(folder)
        self._search_folders: dict[tuple[Path | None, str, str | None], _SearchFolders] = {}
        self._listings: dict[Path, frozenset[str]] = {}
        self._deep_listings: dict[Path, dict[str, list[Path]]] = {}
        self._normal_listings: dict[Path, dict[str, list[str]]] = {}
        self._located: dict[tuple[Path | None, str, str | None, str], Path | Problem] = {}

    def locate(self, example: Example) -> Path | Problem:
        """Return the file of an example's image, or why there is none that is certainly it; no image is opened."""
        key = (example.folder, example.part, example.split, example.image)
        if key not in self._located:
            self._located[key] = self._search(example, self._search_folders_of(example))
        return self._located[key]

    def _search(self, example: Example, folders: _SearchFolders) -> Path | Problem:
        image = example.image
        hit = next(self._hits(image, folders), None) or self._deeper(example, folders)
        if hit is None:
            return Problem(MISSING, image, f"not in {', '.join(map(str, folders.all()))}")
        first, *others = hit.files
        if others:
            return Problem(AMBIGUOUS, image, f"it may be {' or '.join(map(str, hit.files))}")
        rival = None if hit.is_certain else self._rival(image, folders, hit)
        return first if rival is None else Problem(AMBIGUOUS, image, f"{first} may be the image of {rival}, too")

    def _hits(self, image: str, folders: _SearchFolders) -> Iterator[_Hit]:
        """Yield the files that a name may mean, the most certain reading of it first."""
        searches = ((self._exactly, True), (self._in_normal_form, False))
        for (relative, is_whole), (search, is_exact) in product(_readings(image), searches):
            for paths, is_borrowed in self._groups(relative, folders):
                fitting = [(folder, path) for folder, path in paths if not self._has_folder_of(image, path, folder)]
                if found := [file for folder, path in fitting for file in search(folder, path)]:
                    is_certain = is_whole and is_exact and not is_borrowed
                    yield _Hit(_of_different_content(found), relative, is_whole, is_certain)

    def _groups(self, relative: str, folders: _SearchFolders) -> Iterator[tuple[list[tuple[Path, str]], bool]]:
        """Yield the folders that are looked into together, each with the path to look for, the most particular ones first.

        ``train/1.jpg`` may be ``train/images/1.jpg``: an image folder in the folder that is named goes before any other.
        The second value tells whether these are the folders of other splits.
        """
        yield from (([(folder, relative)], False) for folder in folders.own)
        parent, _, name = relative.rpartition("/")
        yield [(folder, name) for folder in self._folders_in.get(folders.own[0] / parent, ())], False
        yield [(folder, relative) for folder in folders.shared], False
        yield [(folder, relative) for folder in folders.borrowed], True

    def _has_folder_of(self, image: str, relative: str, folder: Path) -> bool:
        """Tell whether a folder has the folder that a name has before what is looked for: the file would be in that."""
        before = image.replace("\\", "/").removesuffix(relative).rstrip("/").rpartition("/")[2]
        return before not in ("", ".", "..", image) and before in self._names(folder) and is_folder(folder / before)

    def _deeper(self, example: Example, folders: _SearchFolders) -> _Hit | None:
        """Return the files of an image's bare name in any folder below its own, but those of other splits and examples."""
        home, written = folders.own[0], example.image.replace("\\", "/").rpartition("/")[2]
        if any(self._has_folder_of(example.image, written, folder) for folder in folders.all()):
            return None
        name = comparable(written)
        found = [
            path
            for path in self._below(home).get(name, ())
            if not self._is_of_other_examples(path.parent, home)
            and split_in_folders(path.relative_to(home).as_posix()) in (None, example.split)
        ]
        return _Hit(_of_different_content(found), name, is_whole=False, is_certain=False) if found else None

    def _below(self, folder: Path) -> dict[str, list[Path]]:
        """Return the images in a folder and in those in it, a few folders deep, by their bare names as they are compared."""
        if folder not in self._deep_listings:
            listing: dict[str, list[Path]] = {}
            for path in visible_files(folder, depth=_DEEPEST) if is_folder(folder) else ():
                if ends_like_image(path.name):
                    listing.setdefault(comparable(path.name), []).append(path)
            self._deep_listings[folder] = listing
        return self._deep_listings[folder]

    def _exactly(self, folder: Path, relative: str) -> list[Path]:
        """Return the file of exactly this path, if there is one."""
        first = relative.partition("/")[0]
        may_be_there = first in ("", ".", "..") or first in self._names(folder)  # to ask for each file takes much longer
        return [folder / relative] if may_be_there and is_file(folder / relative) else []

    def _in_normal_form(self, folder: Path, relative: str) -> list[Path]:
        """Return the files whose path differs only in the normal form and in the case of its letters."""
        found = [folder]
        for part in relative.split("/"):
            found = [inner / name for inner in found for name in self._by_normal_form(inner).get(_normal_form(part), ())]
        return [path for path in found if is_file(path)]

    def _names(self, folder: Path) -> frozenset[str]:
        if folder not in self._listings:
            self._listings[folder] = frozenset(names_in(folder))
        return self._listings[folder]

    def _by_normal_form(self, folder: Path) -> dict[str, list[str]]:
        """Return the names in a folder by their normal form."""
        if folder not in self._normal_listings:
            listing: dict[str, list[str]] = {}
            for name in sorted(self._names(folder)):
                listing.setdefault(_normal_form(name), []).append(name)
            self._normal_listings[folder] = listing
        return self._normal_listings[folder]

    def _rival(self, image: str, folders: _SearchFolders, hit: _Hit) -> _Identity | None:
        """Return another image of the data set whose name is, or ends in, what was taken for the name of this one."""
        this = _Identity(folders.own, _name(image))
        key = comparable(hit.relative)
        return next((one for one in self._by_ending.get(f"/{key}" if hit.is_whole else key, ()) if one != this), None)

    @cached_property
    def _by_ending(self) -> dict[str, tuple[_Identity, ...]]:
        """The images of the data set by each path that their names end in and, after ``/``, by their whole names.

        Of each there are two at most, which are enough to know of one that there is another; all are in the normal form.
        """
        found: dict[str, tuple[_Identity, ...]] = {}
        identities = (_Identity(self._search_folders_of(example).own, _name(example.image)) for example in self._examples)
        for identity in dict.fromkeys(identities):
            whole = comparable(identity.name)
            for key in (f"/{whole}", *_suffixes(whole)):
                others = found.get(key, ())
                if len(others) < _ENOUGH:
                    found[key] = (*others, identity)
        return found

    def _search_folders_of(self, example: Example) -> _SearchFolders:
        key = (example.folder, example.part, example.split)
        if key not in self._search_folders:
            home = example.folder or self._folders[0]
            of_split = self._split_folders_of(*_designation(example))
            own = (home, *of_split) if len(of_split) == 1 else (home,)
            shared = tuple(
                folder
                for folder in dict.fromkeys((*self._folders, *of_split))
                if folder not in own and not self._is_of_other_examples(folder, home)
            )
            self._search_folders[key] = _SearchFolders(own, shared, () if of_split else self._claimed_split_folders)
        return self._search_folders[key]

    def _is_of_other_examples(self, folder: Path, home: Path) -> bool:
        """Tell whether a folder lies in one whose file names the images of other examples, and so has those."""
        if home.is_relative_to(folder):
            return False
        return any(other in self._homes and not home.is_relative_to(other) for other in (folder, *folder.parents))

    @cached_property
    def _homes(self) -> frozenset[Path]:
        """The folders of the files that name images."""
        return frozenset(example.folder for example in self._examples if example.folder)

    def _split_folders_of(self, split: str | None, year: str) -> list[Path]:
        """Return the folders of a split, those of the same year if there are any."""
        fitting = [folder for folder in self._split_folders if split is not None and split_in_name(folder.name) == split]
        same_year = [folder for folder in fitting if _year(folder.name) == year]
        return same_year or [folder for folder in fitting if not (year and _year(folder.name))]

    @cached_property
    def _split_folders(self) -> tuple[Path, ...]:
        """The folders of splits in the image folders, such as ``images/train2017`` or ``train2017/train2017``."""
        found = list(chain.from_iterable(map(split_folders, self._folders)))
        return tuple(dict.fromkeys((*found, *chain.from_iterable(map(split_folders, found)))))

    @cached_property
    def _claimed_split_folders(self) -> tuple[Path, ...]:
        """The folders of splits that examples of this data set are in; of every split if some examples are in none."""
        designations = dict.fromkeys(map(_designation, self._examples))
        if any(split is None for split, _ in designations):
            return self._split_folders
        return tuple(folder for designation in designations for folder in self._split_folders_of(*designation))


def _designation(example: Example) -> tuple[str | None, str]:
    """Return the split and the year of the folder that an example's image may have: what its part is named for."""
    if example.part:
        return split_in_name(example.part), _year(example.part)
    return (None if example.split == UNUSED else example.split), ""


def _year(name: str) -> str:
    found = _YEAR.search(name)
    return found.group() if found else ""


def _readings(image: str) -> Iterator[tuple[str, bool]]:
    """Yield what a name may mean, as a path within a folder, and whether that is all of it."""
    with_slashes = image.replace("\\", "/")
    spellings = dict.fromkeys((image, with_slashes, unquote(with_slashes)))
    yield from ((spelling, True) for spelling in spellings)
    yield from ((suffix, False) for spelling in spellings for suffix in _suffixes(spelling) if suffix != spelling)


def _suffixes(path: str) -> Iterator[str]:
    """Yield the paths that a path ends in, the longest first."""
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    for start in range(max(0, len(parts) - _LONGEST_SUFFIX), len(parts)):
        yield "/".join(parts[start:])


def _name(image: str) -> str:
    return composed(image.replace("\\", "/").removeprefix("./"))


def comparable(name: str) -> str:
    """Return a path as it is compared with others: composed, in one case, with slashes, and without percent signs."""
    return _normal_form(unquote(_name(name)))


def _normal_form(text: str) -> str:
    return composed(folded(text))


def _of_different_content(files: Sequence[Path]) -> list[Path]:
    """Return the files without those of which an equal one comes before."""
    kept: list[Path] = []
    for file in files:
        if not any(_are_equal(file, other) for other in kept):
            kept.append(file)
    return kept


def _are_equal(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second) or filecmp.cmp(first, second, shallow=False)
    except OSError:  # one of them cannot be read
        return False
