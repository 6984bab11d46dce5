"""How sidecars are named beside their photographs: what programs do, and which file an image has already.

Two names are in use: the stem, ``a.xmp`` for ``a.jpg`` (Adobe, training sets), and the full name, ``a.jpg.xmp`` (darktable,
digiKam, Immich, PhotoPrism). A file that is there under either name, in any case, with accents composed or not,
is the image's. What a new one is called follows from the images' names and from what the library uses at the beginning, and
never from a sidecar that another image has just been given.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from capgen.errors import member
from capgen.images.formats import ends_like_image
from capgen.inputs.names import folded
from capgen.inputs.selection import Found
from capgen.outputs.choices import SidecarName
from capgen.outputs.destination import sibling

_FOLDERS = 64
"""Listings that are kept in memory: a run goes through one folder after the other."""

_FOR_EXTENSION = re.compile(rb"SidecarForExtension\s*(?:=\s*[\"']|>)\s*\.?([^\"'<\s]+)")
"""``photoshop:SidecarForExtension``, with which Adobe says which of several files of one stem a sidecar belongs to."""


def share_stem(one: Path, other: Path) -> bool:
    """Tell whether two images lie in one folder under one stem, as the two files of a photograph do."""
    return one.parent == other.parent and folded(one.stem) == folded(other.stem)


class SidecarNames:
    """Finds the sidecar of an image, or says what it is to be called.

    Args:
        ending: The ending of sidecars, with its dot.
        output_dir: The folder in which the folders of images are made anew; ``None`` for sidecars beside the images.
        rule: What a new one is called.

    Raises:
        UnknownNameError: There is no such rule.
    """

    def __init__(self, ending: str, output_dir: Path | None, rule: str = SidecarName.AUTO) -> None:
        self._ending, self._output_dir, self._rule = ending, output_dir, member(SidecarName, rule, "way to name sidecars")
        self._folders: dict[tuple[str, str], _Folder] = {}
        self._prefers_full: bool | None = None

    def survey(self, images: Iterable[Found]) -> None:
        """Look at the folders of images, anew if that was done before. What the library uses is decided the first time.

        A rule that does not ask what the library uses needs none of them.
        """
        self._folders.clear()
        if self._prefers_full is not None or self._rule is not SidecarName.AUTO:
            return
        seen, full, stem = set[str](), 0, 0
        for found in images:
            image, root = found.local()
            if (parent := _folder_of(image)) not in seen:
                seen.add(parent)
                folder = self._folder(image, sibling(image, root, self._output_dir, self._ending))
                full, stem = full + folder.named_full, stem + folder.named_by_stem
        self._prefers_full = full > stem

    def path(self, image: Path, root: Path) -> Path:
        """Return the sidecar of an image, which was found under the folder ``root``: the one that is there, or a new one."""
        by_stem = sibling(image, root, self._output_dir, self._ending)
        folder, full = self._folder(image, by_stem), image.name + self._ending
        if there := self._there(image, by_stem):
            name = there[0]
        elif folder.existing(by_stem.name, image.name) is not None:  # another image's
            name = full
        else:
            name = self._new(image, by_stem, full)
        return by_stem if name == by_stem.name else by_stem.with_name(name)

    def found(self, image: Path, root: Path) -> list[Path]:
        """Return the sidecars of an image that are there, one under its full name before one under its stem."""
        by_stem = sibling(image, root, self._output_dir, self._ending)
        return [by_stem.with_name(name) for name in self._there(image, by_stem)]

    def _there(self, image: Path, by_stem: Path) -> list[str]:
        folder, there = self._folder(image, by_stem), []
        if (name := folder.existing(image.name + self._ending, image.name)) is not None:
            there.append(name)
        if (name := folder.existing(by_stem.name, image.name)) is not None:
            is_anothers = _is_double(image) and os.path.lexists(image.with_name(image.stem))
            if self._ending == ".xmp":
                is_anothers = is_anothers or folder.is_for_another(by_stem.with_name(name), image.name)
            if not is_anothers:
                there.append(name)
        return there

    def _new(self, image: Path, by_stem: Path, full: str) -> str:
        is_full = self._rule is SidecarName.FULL or _is_double(image)
        if self._rule is SidecarName.AUTO:
            is_full = is_full or bool(self._prefers_full) or self._folder(image, by_stem).shares_stem(image.name)
        return full if is_full else by_stem.name

    def _folder(self, image: Path, by_stem: Path) -> "_Folder":
        # Names are cut as texts here, since this is asked of every image, several times, and paths take ten times as long.
        key = (_folder_of(image), _folder_of(by_stem))
        folder = self._folders.pop(key, None)
        if folder is None:
            there = _names(image.parent)
            sidecars = there if by_stem.parent == image.parent else _names(by_stem.parent)
            folder = _Folder(there, sidecars, self._ending)
        self._folders[key] = folder  # the last used comes last
        if len(self._folders) > _FOLDERS:
            del self._folders[next(iter(self._folders))]
        return folder


class _Folder:
    """What matters of the names in a folder of images and in that of their sidecars.

    Args:
        files: The names in the folder of images.
        sidecars: The names in the folder of their sidecars.
        ending: The ending of sidecars.

    Attributes:
        named_full: How many sidecars are named after a whole image.
        named_by_stem: How many are named after the stem of one.
    """

    def __init__(self, files: Iterable[str], sidecars: Iterable[str], ending: str) -> None:
        self._ending = ending
        self._sidecars = _grouped((name for name in sidecars if name.lower().endswith(ending.lower())), folded)
        others = (name for name in files if not name.lower().endswith(ending.lower()))
        of_stem = _grouped(others, lambda name: folded(_stem(name)))
        self.named_full, self.named_by_stem = _count_names((name[: -len(ending)] for name in self._sidecars), of_stem)
        self._extensions: dict[str, str | None] = {}  # what sidecars have been found to say, by their names
        self._of_stem = {stem: names for stem, names in of_stem.items() if len(names) > 1}

    def shares_stem(self, image: str) -> bool:
        """Tell whether another image has the stem of one."""
        return any(map(ends_like_image, self._others(image)))

    def existing(self, sidecar: str, image: str) -> str | None:
        """Return the name of a sidecar as it is spelt in the folder; ``None`` if there is none, or it is another image's."""
        spelt = self._sidecars.get(folded(sidecar), ())
        if sidecar in spelt or not spelt:
            return sidecar if spelt else None
        others = filter(ends_like_image, self._others(image))
        taken = {exact for other in others for exact in (other, _stem(other))}
        return next((name for name in sorted(spelt) if name[: -len(self._ending)] not in taken), None)

    def is_for_another(self, sidecar: Path, image: str) -> bool:
        """Tell whether a sidecar of several files of one stem says itself that it belongs to another of them."""
        others = self._others(image)
        if not others:
            return False
        if sidecar.name not in self._extensions:
            self._extensions[sidecar.name] = _extension_said_by(sidecar)
        extension = self._extensions[sidecar.name]
        return (
            extension is not None
            and not image.casefold().endswith(extension)
            and any(name.casefold().endswith(extension) for name in others)
        )

    def _others(self, image: str) -> list[str]:
        return [name for name in self._of_stem.get(folded(_stem(image)), ()) if name != image]


def _grouped(names: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(key(name), []).append(name)
    return groups


def _count_names(sidecars: Iterable[str], of_stem: Mapping[str, Sequence[str]]) -> tuple[int, int]:
    """Return how many sidecars are named after a whole image, and how many after the stem of a file.

    Args:
        sidecars: What their names have before their ending, folded.
        of_stem: The names of the files beside them, by their folded stems.
    """
    wholes = {folded(name) for names in of_stem.values() for name in names if ends_like_image(name)}
    full = by_stem = 0
    for name in sidecars:
        if name in wholes:
            full += 1
        elif name in of_stem:
            by_stem += 1
    return full, by_stem


def _extension_said_by(sidecar: Path) -> str | None:
    """Return the ending of the file that a sidecar says it belongs to, with its dot and in lower case."""
    try:
        said = _FOR_EXTENSION.search(sidecar.read_bytes())
    except OSError:
        return None
    return None if said is None else "." + os.fsdecode(said[1]).casefold()


def _is_double(image: Path) -> bool:
    """Tell whether the stem of an image is the name of another: photo.jpg.xmp would be the sidecar of photo.jpg."""
    return "." in image.stem and ends_like_image(Path(image.stem))


def _folder_of(path: Path) -> str:
    return os.fspath(path).rpartition(os.sep)[0]


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names, of which there may be many
    except OSError:
        return []


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name
