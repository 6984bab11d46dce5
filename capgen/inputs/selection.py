"""Which files to caption: files, folders and patterns to pictures, each once, in an order that does not change.

Patterns are those of a shell: ``*`` and ``?`` stand for anything but ``/``, ``[abc]`` for one of its letters, and ``**``
between slashes for any number of folders. They do not tell capitals from small letters, as cameras write ``.JPG``.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from capgen.errors import ImageError, UsageError
from capgen.images import formats
from capgen.images.formats import is_image_file
from capgen.inputs.braces import expanded
from capgen.storage import locations
from capgen.storage.hashing import HashSet, hash64
from capgen.storage.locations import Location, Url

_CHUNK = 65536
"""Bytes of a list read at once, at most."""

ARCHIVES = frozenset({".tar", ".parquet"})
"""Endings of files that hold pictures."""

NAMED = formats.SUFFIXES | ARCHIVES
"""Endings that tell a file at a URL from a folder."""


@dataclass(frozen=True)
class Found:
    """A file to caption.

    Attributes:
        path: As it was given, or found.
        root: The folder that folders of results mirror: ``relative_path`` leads from it to the file.
    """

    path: Location
    root: Location

    @property
    def relative_path(self) -> str:
        """The path from ``root``, with ``/`` on every system."""
        match self.path, self.root:
            case Url(), Url():
                return self.path.relative_to(self.root)
            case Path(), Path():
                return self.path.relative_to(self.root).as_posix()
        raise TypeError(f"{self.path} and {self.root} must be two paths or two URLs")

    def local(self) -> tuple[Path, Path]:
        """Return ``path`` and ``root``, for what is only possible with files of this machine.

        Raises:
            UsageError: The file is at a URL.
        """
        if isinstance(self.path, Path) and isinstance(self.root, Path):
            return self.path, self.root
        raise UsageError(f"{self.path} is not a file of this machine; write its caption with --output")


@dataclass(frozen=True)
class Selection:
    """How files are chosen. All but ``shard`` is about folders and patterns; a file that is named itself is always taken.

    Attributes:
        recursive: Look for pictures in folders, at any depth.
        include: Patterns of which a file must match one, if there are any. A pattern without ``/`` is matched with the
            name, one with ``/`` with the path from the folder that was given.
        exclude: Patterns of which a file must match none; a folder that matches one is not entered.
        hidden: Take files and enter folders whose names begin with a dot.
        follow_links: Follow links to folders, to files outside the folder that was given, and to nothing, which fail later.
            Each folder is entered once, under the first of its names, so that circles end.
        shard: (i, n) to take the i-th of n parts, 1 <= i <= n, told by a file's place in its root. Each file is in one.
        lenient: Let a pattern match nothing.
    """

    recursive: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    hidden: bool = False
    follow_links: bool = False
    shard: tuple[int, int] | None = None
    lenient: bool = False

    def find(self, arguments: Iterable[str], listed: Iterable[str] = ()) -> Iterator[Found]:
        """Find files, reading folders only as far as files are asked for.

        Args:
            arguments: Files and folders, and patterns where there is no file of that name; and URLs, of which those that do
                not end like a picture are folders if ``recursive``. What does not exist is given out too, as are a folder
                without ``recursive`` and one that cannot be listed: reading them says why they fail.
            listed: More files and folders, whose names are no patterns.

        Yields:
            The files, in the order of ``arguments``, and by name in each folder. One that is reached twice comes once.

        Raises:
            UsageError: A pattern finds nothing, or an argument is empty.
        """
        seen = HashSet()
        named = chain(
            ((part, True) for argument in arguments for part in _parts(argument)), ((one, False) for one in listed)
        )
        for argument, pattern in named:
            for found in self._named_by(argument, pattern=pattern):
                # not resolved, as links take a call of the system a part
                path = str(found.path) if isinstance(found.path, Url) else os.path.abspath(found.path)  # noqa: PTH100
                if seen.add(hash64(path)) and self.holds(found):
                    yield found

    def _named_by(self, argument: str, *, pattern: bool) -> Iterator[Found]:
        if not argument:
            raise UsageError("an argument is empty, where a file or folder was expected")
        if locations.is_url(argument):
            yield from self._remote(Url(argument))
            return
        path = Path(argument)
        if os.path.isdir(argument):  # noqa: PTH112 - Path.is_dir raises where one may not look
            yield from self._pictures(path) if self.recursive else [Found(path, path)]
        elif os.path.lexists(argument) or not pattern or not has_wildcard(argument):
            yield Found(path, _root_of(path))
        else:
            yield from self._expanded(argument)

    def _remote(self, url: Url) -> Iterator[Found]:
        if not self.recursive or url.suffix.lower() in NAMED:
            yield Found(url, url.parent)
            return
        try:
            places = list(locations.listing(str(url)))
        except ImageError:  # reading it says why
            yield Found(url, url.parent)
            return
        for place in places:
            names = place.split("/")
            folders = ("/".join(names[:end]) for end in range(1, len(names) + 1))
            shown = self.hidden or not any(name.startswith(".") for name in names)
            wanted = Path(place).suffix.lower() in formats.SUFFIXES and self._is_taken(place, None)
            if shown and wanted and not any(_matches_any(self.exclude, folder) for folder in folders):
                yield Found(url / place, url)

    def _expanded(self, pattern: str) -> Iterator[Found]:
        """Find the pictures that match a pattern, looked for as in a folder, from its last part without wildcards on."""
        parts = Path(pattern).parts
        fixed = next(index for index, part in enumerate(parts) if has_wildcard(part))
        root, wanted = Path(*parts[:fixed]), parts[fixed:]
        found = None
        if os.path.isdir(root):  # noqa: PTH112
            for found in self._pictures(root, wanted):
                yield found
        if found is None and not self.lenient:
            raise UsageError(
                f"no picture matches {pattern!r}; check it, and add --recursive if it is meant to match folders"
            )

    def _pictures(self, root: Path, wanted: tuple[str, ...] | None = None) -> Iterator[Found]:
        """Walk a folder for pictures, or only for those with a place that the parts of a pattern match."""
        real_root = os.path.realpath(root)
        entered: set[tuple[int, int]] = set()
        waiting = [iter([""])]  # places in root, a folder's before the rest of the folder that it is in
        while waiting:
            place = next(waiting[-1], None)
            if place is None:
                waiting.pop()
                continue
            path = root / place
            mode = self._mode(path, real_root) if place else stat.S_IFDIR
            if mode is None:
                continue
            if stat.S_ISDIR(mode):
                if not self._is_entered(place, wanted) or (self.follow_links and not _is_new(path, entered)):
                    continue
                try:
                    names = sorted(os.listdir(path))  # noqa: PTH208 - names alone, as a folder may hold millions
                except OSError:  # named when it is its turn, like a file that cannot be read
                    yield Found(path, root)
                else:
                    waiting.append(self._places(place, names))
            elif self._is_taken(place, wanted) and _is_picture(path, mode):
                yield Found(path, root)

    def _places(self, folder: str, names: Iterable[str]) -> Iterator[str]:
        shown = (name for name in names if self.hidden or not name.startswith("."))
        places = (f"{folder}/{name}" if folder else name for name in shown)
        return (place for place in places if not _matches_any(self.exclude, place))

    def _mode(self, path: Path, real_root: str) -> int | None:
        """Return the mode of what is there, zero if it cannot be told, or None for a link that is not followed."""
        try:
            mode = path.lstat().st_mode
        except OSError:
            return 0
        if not stat.S_ISLNK(mode):
            return mode
        try:
            mode = path.stat().st_mode
        except OSError:  # it leads nowhere
            return 0 if self.follow_links else None
        if self.follow_links:
            return mode
        is_outside = os.path.commonpath([real_root, os.path.realpath(path)]) != real_root
        return None if is_outside or stat.S_ISDIR(mode) else mode

    def _is_entered(self, folder: str, wanted: tuple[str, ...] | None) -> bool:
        if wanted is None or not folder:
            return True
        names = folder.split("/")
        return _may_lead_to(wanted, names) or (self.recursive and _matches_beginning(wanted, names))

    def _is_taken(self, place: str, wanted: tuple[str, ...] | None) -> bool:
        if self.include and not _matches_any(self.include, place):
            return False
        if wanted is None:
            return True
        names = place.split("/")
        return _matches_beginning(wanted, names) if self.recursive else _matches(wanted, names)

    def holds(self, found: Found) -> bool:
        """Tell whether a file is in the shard."""
        if self.shard is None:
            return True
        number, count = self.shard
        return hash64(found.relative_path) % count == number - 1


def read_list(stream: BinaryIO, *, nul: bool) -> Iterator[str]:
    """Read paths from a list, as they come.

    Args:
        stream: The list: one path a line, ended by a line feed or by carriage return and line feed.
        nul: Each path is ended by a zero byte instead, so that it may hold any other.

    Yields:
        The paths, in the file system's encoding; empty ones are left out.
    """
    end = b"\0" if nul else b"\n"
    read = getattr(stream, "read1", stream.read)  # what a pipe holds already, where there is such a call
    rest = b""
    while chunk := read(_CHUNK):
        *entries, rest = (rest + chunk).split(end)
        yield from _decoded(entries, nul=nul)
    yield from _decoded([rest], nul=nul)


def _decoded(entries: Iterable[bytes], *, nul: bool) -> Iterator[str]:
    for entry in entries:
        name = entry if nul else entry.removesuffix(b"\r")
        if name:
            yield os.fsdecode(name)


def parse_shard(text: str) -> tuple[int, int]:
    """Read which part of how many is meant: ``2/8`` is (2, 8).

    Raises:
        UsageError: It is nothing of the kind.
    """
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if match and 1 <= int(match[1]) <= int(match[2]):
        return int(match[1]), int(match[2])
    raise UsageError(f"there is no shard {text!r}; 2/8 is the second of eight, and they are counted from 1")


def _is_picture(path: Path, mode: int) -> bool:
    """Tell a picture by its name or, of a regular file, by how it begins."""
    return path.suffix.lower() in formats.SUFFIXES or (stat.S_ISREG(mode) and is_image_file(path))


def _is_new(folder: Path, entered: set[tuple[int, int]]) -> bool:
    try:
        status = folder.stat()
    except OSError:  # listing it will fail, too, and be told
        return True
    key = (status.st_dev, status.st_ino)
    is_new = key not in entered
    entered.add(key)
    return is_new


def _parts(argument: str) -> Iterator[str]:
    """Write out what braces in an argument stand for, unless there is a file of that very name."""
    return iter([argument]) if os.path.lexists(argument) else expanded(argument)


def _root_of(path: Path) -> Path:
    return path.parent if path.is_absolute() or ".." in path.parts else Path()


def has_wildcard(text: str) -> bool:
    """Tell whether a text may be a pattern."""
    return any(sign in text for sign in "*?[")


def _matches_any(patterns: Iterable[str], place: str) -> bool:
    return any(_matches_place(pattern.replace(os.sep, "/"), place) for pattern in patterns)


def _matches_place(pattern: str, place: str) -> bool:
    """Match one pattern of ``include`` or ``exclude``; ``./`` or ``/`` before it and ``/`` after it add nothing."""
    parts = tuple(part for part in pattern.split("/") if part not in {"", "."})
    names = place.split("/")
    return _matches(parts, names if "/" in pattern.rstrip("/") else names[-1:])


def _matches(parts: tuple[str, ...], names: list[str]) -> bool:
    if not parts:
        return not names
    if parts[0] == "**":
        rest = parts[1:] or ("*",)  # at the end it stands for what is in folders, not for the folder before it
        return any(_matches(rest, names[start:]) for start in range(len(names) + 1))
    return bool(names) and _matches_name(parts[0], names[0]) and _matches(parts[1:], names[1:])


def _matches_beginning(parts: tuple[str, ...], names: list[str]) -> bool:
    """Tell whether a place, or a folder that it is in, matches."""
    return any(_matches(parts, names[:end]) for end in range(1, len(names) + 1))


def _may_lead_to(parts: tuple[str, ...], names: list[str]) -> bool:
    """Tell whether something in a folder could match."""
    if "**" in parts[: len(names) + 1]:
        fixed = parts.index("**")
        return all(map(_matches_name, parts[:fixed], names))
    return len(names) < len(parts) and all(map(_matches_name, parts, names))


def _matches_name(part: str, name: str) -> bool:
    return _compiled(part).match(name) is not None


@lru_cache(1024)
def _compiled(part: str) -> re.Pattern[str]:
    return re.compile(translate(part), re.IGNORECASE)
