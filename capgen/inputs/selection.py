"""Which files to caption: files, folders, patterns and URLs to images, each of them once, always in the same order."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from capgen.captioner.results import ImageVersion
from capgen.errors import ImageError, UsageError
from capgen.images.formats import SUFFIXES, ends_like_image
from capgen.inputs.archive_endings import ARCHIVE_ENDINGS
from capgen.inputs.braces import expand_braces
from capgen.inputs.folders import FolderWalk, OnPassedOver
from capgen.inputs.names import on_disk
from capgen.inputs.passed_over import PassedOver, PassedOverLog
from capgen.inputs.patterns import NameRules, PathPattern, has_wildcard
from capgen.storage import remote
from capgen.storage.files import is_folder
from capgen.storage.hashing import HashSet, hash64
from capgen.storage.locations import Location, Url, is_url

STDIN = "-"
"""The argument that stands for the standard input, and the path of an image that came on it."""


@dataclass(frozen=True)
class Found:
    """A file to caption.

    Attributes:
        path: Its path or URL, as it was given or found.
        root: The folder whose sub-folders a folder of results mirrors: ``relative_path`` leads from it to the file.
        data: The file itself, of an image that came on the standard input and is called ``STDIN``.
    """

    path: Location
    root: Location
    data: bytes | None = field(default=None, repr=False)

    @property
    def version(self) -> ImageVersion:
        """What is known of the image without reading it; every image on the standard input may be another."""
        return ImageVersion.of_file(self.path) if self.data is None else ImageVersion(state=STDIN)

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
        raise UsageError(f"{self.path} is not a file of this machine; write its caption with `output`")


@dataclass(frozen=True)
class Selection:
    """How files are chosen. A file that is named itself is always taken: all rules but ``shard`` are about the others.

    Attributes:
        recursive: Look for images at any depth below a folder, and not only in the folder itself.
        include: Patterns of which a file must match one, if there are any, or one pattern; see ``NameRules``.
        exclude: Patterns, or one, of which a file must match none; a folder that matches one is not entered.
        hidden: Take files and enter folders that are passed over else for their names; see ``kind_of_name``.
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

    def __post_init__(self) -> None:
        for name in ("include", "exclude"):
            object.__setattr__(self, name, texts(getattr(self, name)))

    def find(
        self,
        arguments: Iterable[str],
        listed: Iterable[str] = (),
        on_passed_over: OnPassedOver = lambda location, kind: None,
    ) -> Iterator[Found]:
        """Find files, reading folders only as far as files are asked for.

        Args:
            arguments: Files and folders, patterns where there is no file of that name, and URLs. A URL is a folder if it
                ends in ``/``, or with ``recursive`` if it does not end like an image or an archive. Also returned are files
                that do not exist, and folders that cannot be listed: reading them says why they fail.
            listed: More files and folders, whose names are never taken for patterns.
            on_passed_over: Called with what is passed over in folders, and its kind; see ``FolderWalk``.

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
            for found in self._named(argument, on_passed_over, may_be_pattern=may_be_pattern):
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

    def _named(self, argument: str, on_passed_over: OnPassedOver, *, may_be_pattern: bool) -> Iterator[Found]:
        """Find the files that one argument stands for."""
        if not argument:
            raise UsageError("an argument is empty, where a file or folder was expected")
        if is_url(argument):
            yield from self._at_url(Url(argument), on_passed_over)
            return
        path = on_disk(Path(argument))
        if is_folder(path):
            pattern = None if self.recursive else PathPattern(("*",))
            yield from self._in_folder(path, on_passed_over, pattern)
        elif os.path.lexists(path) or not may_be_pattern or not has_wildcard(argument):
            yield Found(path, _root_of(path))
        else:
            yield from self._matching(argument, on_passed_over)

    def _at_url(self, url: Url, on_passed_over: OnPassedOver) -> Iterator[Found]:
        is_file = url.name.lower().endswith((*SUFFIXES, *ARCHIVE_ENDINGS)) if self.recursive else not _is_remote_folder(url)
        if is_file:
            yield Found(url, url.parent)
            return
        try:
            paths = remote.list_files(url.text, recursive=self.recursive)
        except ImageError:  # reading the folder raises it again, and that is reported
            yield Found(url, url.parent)
            return
        for path in paths:
            kind = self._passed_over_at_url(path)
            if kind is None:
                yield Found(url / path, url)
            else:
                on_passed_over(url / path, kind)

    def _passed_over_at_url(self, path: str) -> PassedOver | None:
        """Return the kind for which a file is passed over, by its path from the given folder; ``None`` if it is not."""
        rules = self._rules
        if path.endswith("/"):
            return PassedOver.FOLDER
        kind = rules.passed_over_above(path)
        if kind is not None:
            return kind
        if not ends_like_image(path):
            return PassedOver.OTHER
        return None if rules.include_file(path) else PassedOver.EXCLUDED

    def _matching(self, pattern: str, on_passed_over: OnPassedOver) -> Iterator[Found]:
        """Find the images that match a pattern; its first parts, as far as there is a folder of that name, are the root."""
        parts = Path(pattern).parts
        fixed = next(
            index
            for index, part in enumerate(parts)
            if has_wildcard(part) and not os.path.lexists(on_disk(Path(*parts[: index + 1])))
        )
        root, found, log = on_disk(Path(*parts[:fixed])), None, PassedOverLog()

        def note(location: Location, kind: PassedOver) -> None:
            log.add(location, kind)
            on_passed_over(location, kind)

        if is_folder(root):
            for found in self._in_folder(root, note, PathPattern(parts[fixed:], self.recursive)):
                yield found
        if found is None and not self.lenient:
            others = f", but {log}" if len(log) else "; check it"
            raise UsageError(f"no image matches {pattern!r}{others}")

    def _in_folder(self, root: Path, on_passed_over: OnPassedOver, pattern: PathPattern | None) -> Iterator[Found]:
        walk = FolderWalk(root, self._rules, pattern, follow_links=self.follow_links, on_passed_over=on_passed_over)
        return (Found(path, root) for path in walk.images())


def texts(given: Iterable[str | Path] | str | Path) -> tuple[str, ...]:
    """Return several paths or patterns as texts; a single one, which is iterable too, is the only one of them."""
    return (str(given),) if isinstance(given, (str, Path)) else tuple(map(str, given))


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
    """Expand the braces in an argument, but not those in names of files and folders that are there."""
    if "{" not in argument or is_url(argument):
        return expand_braces(argument)
    start = 0  # where the part of the argument begins that is no name of a folder
    while start < len(argument):
        end = argument.find("/", start) + 1 or len(argument)
        if not os.path.lexists(argument[:end]):
            break
        start = end
    return (argument[:start] + rest for rest in expand_braces(argument[start:]))


def _absolute(location: Location) -> str:
    # links are not resolved, as that takes a system call for each part of the path
    return location.text if isinstance(location, Url) else os.path.abspath(location)  # noqa: PTH100


def _is_remote_folder(url: Url) -> bool:
    """Return whether a URL says that it is a folder whose files can be listed; the web has none."""
    return url.address.endswith("/") and not remote.is_web(url.text)


def _root_of(path: Path) -> Path:
    """Return the root of a file that was named itself: the current folder, or its own if it is not below that."""
    return path.parent if path.is_absolute() or ".." in path.parts else Path()
