"""The images, or all files, in a folder of this machine, at any depth, found one by one."""

import os
import stat
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

from capgen.images.formats import ends_like_image, is_image_file
from capgen.inputs.passed_over import PassedOver, is_hidden
from capgen.inputs.patterns import NameRules, PathPattern
from capgen.storage.files import is_folder
from capgen.storage.locations import Location

OnPassedOver = Callable[[Location, PassedOver], None]
"""Is called with each file or folder that is passed over, and its kind."""


def visible_files(
    root: Path, on_error: Callable[[OSError], None] | None = None, *, depth: int | None = None
) -> Iterator[Path]:
    """Yield the files below a folder by name, without those that are hidden; links to folders are not followed.

    Args:
        root: The folder.
        on_error: Called for each folder that cannot be listed.
        depth: How many folders deep to look, 0 for the files in ``root`` alone; at any depth by default.
    """
    for folder, folders, names in os.walk(root, onerror=on_error):
        is_deepest = depth is not None and len(Path(folder).relative_to(root).parts) >= depth
        folders[:] = [] if is_deepest else sorted(name for name in folders if not is_hidden(name))
        yield from (Path(folder, name) for name in sorted(names) if not is_hidden(name))


class FolderWalk:
    """One walk through a folder, in the order of the names; folders are read only as far as images are asked for.

    Args:
        root: The folder.
        rules: Which names are looked at.
        pattern: A pattern that the paths from ``root`` must match; any path by default.
        follow_links: Follow links to folders, to files outside ``root``, and to nothing, which fail when they are read. Each
            folder is entered once, under the first of its names, so that circles end.
        on_passed_over: Called with what is passed over of the files and folders that the pattern matches: what is not an
            image and is not named after one beside it, what ``rules`` leave out if it ends like an image or is a folder,
            folders that the pattern does not enter, and links that are not followed, unless they lead to a folder inside.
    """

    def __init__(
        self,
        root: Path,
        rules: NameRules,
        pattern: PathPattern | None,
        *,
        follow_links: bool,
        on_passed_over: OnPassedOver = lambda location, kind: None,
    ) -> None:
        self._rules, self._pattern, self._follow_links = rules, pattern, follow_links
        self._on_passed_over = on_passed_over
        self._before = "" if root == Path() else os.path.join(root, "")  # noqa: PTH118 - what comes before a path from root
        self._real_root = os.path.realpath(root)
        self._entered: set[tuple[int, int]] = set()  # devices and inodes of folders

    def images(self) -> Iterator[Path]:
        """Yield the images, and every folder that cannot be listed: reading it, like a file, says why."""
        waiting = [_Folder("", [""])]  # what is in a folder comes before the rest of the folder around it
        while waiting:
            relative = next(waiting[-1].paths, None)
            if relative is None:
                waiting.pop()
                continue
            path = self._path(relative)
            mode = self._mode_unless_passed_over(relative, path)
            if mode is None:
                continue
            if not stat.S_ISDIR(mode):
                if self._is_wanted(relative, path, mode, waiting[-1]):
                    yield Path(path)
            elif self._enters(relative, path):
                names = _list(path)
                if names is None:
                    yield Path(path)
                elif relative and not self._rules.hidden and _is_marked(path, names):
                    self._pass_over(relative, PassedOver.MARKED)
                else:
                    waiting.append(_Folder(relative, names))

    def _mode_unless_passed_over(self, relative: str, path: str) -> int | None:
        """Return the mode of what is at a path; ``None`` for what is passed over for its name, or as a link."""
        if not relative:
            return stat.S_IFDIR
        kind = self._rules.passed_over(relative)
        mode = self._mode(path) if kind is None else None
        if mode is None:
            self._pass_over(relative, kind or PassedOver.LINK)
        return mode

    def _path(self, relative: str) -> str:
        # A text, since this is asked of every file of a library, and a Path takes ten times as long.
        return self._before + relative or os.curdir

    def _is_wanted(self, relative: str, path: str, mode: int, folder: "_Folder") -> bool:
        """Tell whether a file is an image that is asked for."""
        if not self._accepts(relative):
            return False
        if not self._rules.include_file(relative):
            self._pass_over(relative, PassedOver.EXCLUDED)
            return False
        is_image = _is_image(path, mode)
        if not is_image and stat.S_ISREG(mode) and not folder.has_image_of(relative.rpartition("/")[2]):
            self._pass_over(relative, PassedOver.OTHER)
        return is_image

    def _accepts(self, relative: str) -> bool:
        return self._pattern is None or self._pattern.accepts(relative)

    def _enters(self, relative: str, path: str) -> bool:
        if relative and not self._may_accept_below(relative):
            if self._accepts(relative):
                self._pass_over(relative, PassedOver.FOLDER)
            return False
        return not self._follow_links or self._is_new(path)

    def _may_accept_below(self, relative: str) -> bool:
        return self._pattern is None or self._pattern.may_accept_below(relative)

    def _pass_over(self, relative: str, kind: PassedOver) -> None:
        """Take down what is passed over, if it could be an image that is asked for, or hold some."""
        path = self._path(relative)
        may_hold = kind not in _FILES and is_folder(path)
        if not (self._accepts(relative) or (may_hold and self._may_accept_below(relative))):
            return
        if kind is PassedOver.LINK:
            counts = not (may_hold and self._is_inside(path))
        else:
            counts = may_hold or kind in _FILES or ends_like_image(path)
        if counts:
            self._on_passed_over(Path(path), kind)

    def _is_new(self, folder: str) -> bool:
        try:
            status = os.stat(folder)  # noqa: PTH116
        except OSError:  # listing the folder will fail as well, and that is reported
            return True
        key = (status.st_dev, status.st_ino)
        is_new = key not in self._entered
        self._entered.add(key)
        return is_new

    def _mode(self, path: str) -> int | None:
        """Return the mode of what is at a path: 0 if it cannot be determined, ``None`` for a link that is not followed."""
        try:
            mode = os.lstat(path).st_mode
        except OSError:
            return 0
        return self._linked_mode(path) if stat.S_ISLNK(mode) else mode

    def _linked_mode(self, path: str) -> int | None:
        try:
            mode = os.stat(path).st_mode  # noqa: PTH116
        except OSError:  # the link leads to nothing
            return 0 if self._follow_links else None
        if self._follow_links:
            return mode
        return mode if self._is_inside(path) and not stat.S_ISDIR(mode) else None

    def _is_inside(self, link: str) -> bool:
        return Path(os.path.realpath(link)).is_relative_to(self._real_root)


class _Folder:
    """A folder that is being walked through.

    Args:
        relative: Its path from the root.
        names: The names in it.

    Attributes:
        paths: Yields the paths from the root to what is in it.
    """

    def __init__(self, relative: str, names: list[str]) -> None:
        self._names = names
        self.paths = (f"{relative}/{name}" for name in names) if relative else iter(names)

    def has_image_of(self, name: str) -> bool:
        """Tell whether a file is named after an image beside it, like sidecars: ``a.txt``, ``a.jpg.xmp``."""
        return name.rpartition(".")[0] in self._image_names

    @cached_property
    def _image_names(self) -> frozenset[str]:
        images = list(filter(ends_like_image, self._names))
        return frozenset((*images, *(name.rpartition(".")[0] for name in images)))


_FILES = frozenset({PassedOver.OTHER, PassedOver.BACKUP, PassedOver.UNFINISHED, PassedOver.THUMBNAIL})
"""Kinds of files of any name."""


def _is_marked(folder: str, names: list[str]) -> bool:
    """Tell whether a file says of its folder that it has no photographs: ``.nomedia`` (Android), ``.ppignore`` (PhotoPrism).

    ``.ppignore`` has patterns, of which only ``*``, which is everything, is looked for.
    """
    if ".nomedia" in names:
        return True
    if ".ppignore" not in names:
        return False
    try:
        return b"*" in Path(folder, ".ppignore").read_bytes().split()
    except OSError:
        return False


def _list(folder: str) -> list[str] | None:
    """Return the names in a folder, sorted; ``None`` if it cannot be listed."""
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names alone, as a folder may hold millions
    except OSError:
        return None


def _is_image(path: str, mode: int) -> bool:
    """Return whether a file is an image by its name or, if it is a regular file, by its first bytes."""
    return ends_like_image(path) or (stat.S_ISREG(mode) and is_image_file(path))
