"""The images, or all files, in a folder of this machine, at any depth, found one by one."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from capgen.images.formats import ends_like_image, is_image_file
from capgen.inputs.patterns import NameRules, PathPattern, is_hidden


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
        on_link: Called with each link that is not followed, and that is named like an image or leads to a folder outside.
    """

    def __init__(
        self,
        root: Path,
        rules: NameRules,
        pattern: PathPattern | None,
        *,
        follow_links: bool,
        on_link: Callable[[Path], None] = lambda path: None,
    ) -> None:
        self._root, self._rules, self._pattern, self._follow_links = root, rules, pattern, follow_links
        self._on_link = on_link
        self._real_root = os.path.realpath(root)
        self._entered: set[tuple[int, int]] = set()  # devices and inodes of folders

    def images(self) -> Iterator[Path]:
        """Yield the images, and every folder that cannot be listed: reading it, like a file, says why."""
        waiting = [iter([""])]  # paths from the root; what is in a folder comes before the rest of the folder around it
        while waiting:
            relative = next(waiting[-1], None)
            if relative is None:
                waiting.pop()
                continue
            path = self._root / relative
            mode = self._mode(path) if relative else stat.S_IFDIR
            if mode is None:
                if self._leads_to_images(relative, path):
                    self._on_link(path)
                continue
            if not stat.S_ISDIR(mode):
                if self._accepts(relative) and _is_image(path, mode):
                    yield path
            elif self._enters(relative, path):
                names = _list(path)
                if names is None:
                    yield path
                else:
                    waiting.append(self._allowed(relative, names))

    def _allowed(self, folder: str, names: list[str]) -> Iterator[str]:
        paths = (f"{folder}/{name}" if folder else name for name in names)
        return filter(self._rules.allow, paths)

    def _accepts(self, relative: str) -> bool:
        return self._rules.include_file(relative) and (self._pattern is None or self._pattern.accepts(relative))

    def _enters(self, relative: str, path: Path) -> bool:
        if relative and self._pattern is not None and not self._pattern.may_accept_below(relative):
            return False
        return not self._follow_links or self._is_new(path)

    def _is_new(self, folder: Path) -> bool:
        try:
            status = folder.stat()
        except OSError:  # listing the folder will fail as well, and that is reported
            return True
        key = (status.st_dev, status.st_ino)
        is_new = key not in self._entered
        self._entered.add(key)
        return is_new

    def _mode(self, path: Path) -> int | None:
        """Return the mode of what is at a path: 0 if it cannot be determined, ``None`` for a link that is not followed."""
        try:
            mode = path.lstat().st_mode
        except OSError:
            return 0
        return self._linked_mode(path) if stat.S_ISLNK(mode) else mode

    def _linked_mode(self, path: Path) -> int | None:
        try:
            mode = path.stat().st_mode
        except OSError:  # the link leads to nothing
            return 0 if self._follow_links else None
        if self._follow_links:
            return mode
        return mode if self._is_inside(path) and not stat.S_ISDIR(mode) else None

    def _leads_to_images(self, relative: str, link: Path) -> bool:
        """Tell whether a link that is not followed may lead to images that are found in no other way."""
        if ends_like_image(link):
            return self._accepts(relative)
        is_wanted = self._pattern is None or self._pattern.may_accept_below(relative)
        return is_wanted and os.path.isdir(link) and not self._is_inside(link)  # noqa: PTH112 - Path.is_dir raises

    def _is_inside(self, link: Path) -> bool:
        return Path(os.path.realpath(link)).is_relative_to(self._real_root)


def _list(folder: Path) -> list[str] | None:
    """Return the names in a folder, sorted; ``None`` if it cannot be listed."""
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names alone, as a folder may hold millions
    except OSError:
        return None


def _is_image(path: Path, mode: int) -> bool:
    """Return whether a file is an image by its name or, if it is a regular file, by its first bytes."""
    return ends_like_image(path) or (stat.S_ISREG(mode) and is_image_file(path))
