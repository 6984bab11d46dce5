"""Which files to caption: files, folders, patterns and URLs to images, each of them once, always in the same order."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from capgen.errors import ImageError, UsageError
from capgen.images.formats import SUFFIXES, ends_like_image
from capgen.inputs.braces import expand_braces
from capgen.inputs.folders import FolderWalk
from capgen.inputs.patterns import NameRules, PathPattern, has_wildcard
from capgen.storage import remote
from capgen.storage.hashing import HashSet, hash64
from capgen.storage.locations import Location, Url, is_url

TAR_ENDINGS = (".tar", ".tar.gz", ".tgz")
"""How the names of tar archives end."""

ARCHIVE_ENDINGS = (*TAR_ENDINGS, ".zip", ".parquet")
"""How the names of files end that hold images."""


@dataclass(frozen=True)
class Found:
    """A file to caption.

    Attributes:
        path: Its path or URL, as it was given or found.
        root: The folder whose sub-folders a folder of results mirrors: ``relative_path`` leads from it to the file.
    """

    path: Location
    root: Location

    @property
    def relative_path(self) -> str:
        """The path from ``root`` to the file, with ``/`` on every system."""
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
    """How files are chosen. A file that is named itself is always taken: all rules but ``shard`` are about the others.

    Attributes:
        recursive: Look for images in folders, at any depth.
        include: Patterns of which a file must match one, if there are any; see ``NameRules``.
        exclude: Patterns of which a file must match none; a folder that matches one is not entered.
        hidden: Take files and enter folders whose names are hidden; see ``is_hidden``.
        follow_links: Follow links to folders, to files outside the folder, and to nothing; see ``FolderWalk``.
        part: (i, n) to take the i-th of n parts, 1 <= i <= n. The part that a file is in depends on its path from its root
            alone, and each file is in exactly one.
        lenient: Accept a pattern that matches nothing.
    """

    recursive: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    hidden: bool = False
    follow_links: bool = False
    part: tuple[int, int] | None = None
    lenient: bool = False

    def find(
        self,
        arguments: Iterable[str],
        listed: Iterable[str] = (),
        on_link: Callable[[Path], None] = lambda path: None,
    ) -> Iterator[Found]:
        """Find files, reading folders only as far as files are asked for.

        Args:
            arguments: Files and folders, patterns where there is no file of that name, and URLs. With ``recursive``, a URL
                that does not end like an image or an archive is a folder. Also returned are files that do not exist, folders
                without ``recursive``, and folders that cannot be listed: reading them says why they fail.
            listed: More files and folders, whose names are never taken for patterns.
            on_link: Called with each link in a folder that is not followed; see ``FolderWalk``.

        Yields:
            The files in the order of ``arguments``, and by name in each folder. A file that is reached twice comes once.

        Raises:
            UsageError: A pattern matches nothing, or an argument is empty.
        """
        seen = HashSet()
        named = chain(
            ((text, True) for argument in arguments for text in _without_braces(argument)),
            ((path, False) for path in listed),
        )
        for argument, may_be_pattern in named:
            for found in self._named(argument, on_link, may_be_pattern=may_be_pattern):
                if seen.add(hash64(_absolute(found.path))) and self.holds(found):
                    yield found

    def holds(self, found: Found) -> bool:
        """Return whether a file is in the part that is taken."""
        if self.part is None:
            return True
        number, count = self.part
        return hash64(found.relative_path) % count == number - 1

    @property
    def _rules(self) -> NameRules:
        return NameRules(self.include, self.exclude, self.hidden)

    def _named(self, argument: str, on_link: Callable[[Path], None], *, may_be_pattern: bool) -> Iterator[Found]:
        """Find the files that one argument stands for."""
        if not argument:
            raise UsageError("an argument is empty, where a file or folder was expected")
        path = Path(argument)
        if is_url(argument):
            yield from self._at_url(Url(argument))
        elif os.path.isdir(argument):  # noqa: PTH112 - Path.is_dir raises where one may not look
            yield from self._in_folder(path, on_link) if self.recursive else [Found(path, path)]
        elif os.path.lexists(argument) or not may_be_pattern or not has_wildcard(argument):
            yield Found(path, _root_of(path))
        else:
            yield from self._matching(argument, on_link)

    def _at_url(self, url: Url) -> Iterator[Found]:
        if not self.recursive or url.name.lower().endswith((*SUFFIXES, *ARCHIVE_ENDINGS)):
            yield Found(url, url.parent)
            return
        try:
            paths = remote.list_files(url.text)
        except ImageError:  # reading the folder raises it again, and that is reported
            yield Found(url, url.parent)
            return
        rules = self._rules
        for path in paths:
            is_image = ends_like_image(path)
            if is_image and rules.allow_all_above(path) and rules.include_file(path):
                yield Found(url / path, url)

    def _matching(self, pattern: str, on_link: Callable[[Path], None]) -> Iterator[Found]:
        """Find the images that match a pattern; the folder before its first part with wildcards is their root."""
        parts = Path(pattern).parts
        fixed = next(index for index, part in enumerate(parts) if has_wildcard(part))
        root, found = Path(*parts[:fixed]), None
        if os.path.isdir(root):  # noqa: PTH112
            for found in self._in_folder(root, on_link, PathPattern(parts[fixed:], self.recursive)):
                yield found
        if found is None and not self.lenient:
            raise UsageError(f"no image matches {pattern!r}; check it, and add --recursive if it is meant to match folders")

    def _in_folder(self, root: Path, on_link: Callable[[Path], None], pattern: PathPattern | None = None) -> Iterator[Found]:
        walk = FolderWalk(root, self._rules, pattern, follow_links=self.follow_links, on_link=on_link)
        return (Found(path, root) for path in walk.images())


def parse_shard(text: str) -> tuple[int, int]:
    """Read a shard such as ``2/8``, the second of eight parts, as (2, 8).

    Raises:
        UsageError: The text is not a shard.
    """
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if match and 1 <= int(match[1]) <= int(match[2]):
        return int(match[1]), int(match[2])
    raise UsageError(f"there is no shard {text!r}; 2/8 is the second of eight, and they are counted from 1")


def _without_braces(argument: str) -> Iterator[str]:
    """Expand the braces in an argument, unless there is a file of that very name."""
    return iter([argument]) if os.path.lexists(argument) else expand_braces(argument)


def _absolute(location: Location) -> str:
    # links are not resolved, as that takes a system call for each part of the path
    return location.text if isinstance(location, Url) else os.path.abspath(location)  # noqa: PTH100


def _root_of(path: Path) -> Path:
    """Return the root of a file that was named itself: the current folder, or its own if it is not below that."""
    return path.parent if path.is_absolute() or ".." in path.parts else Path()
