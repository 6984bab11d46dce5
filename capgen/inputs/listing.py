"""The files of a run, found once, so that their number is known before the work begins."""

import os
from collections.abc import Iterable, Iterator

from capgen.inputs.archives import is_archive
from capgen.inputs.path_pairs import PathPairs
from capgen.inputs.selection import Found
from capgen.storage.locations import Location, Url, located


class Listing:
    """The files of a run, in order, however many there are.

    Args:
        found: Images and archives of them; all are found at once.

    Attributes:
        archives: Whether there are archives among them.
        elsewhere: The first of them that is an archive or at a URL, so that nothing can be put beside its images.
    """

    def __init__(self, found: Iterable[Found]) -> None:
        self._pairs, self.archives = PathPairs(), False
        self.elsewhere: Location | None = None
        for entry in found:
            holds_images = is_archive(entry.path)
            self.archives = self.archives or holds_images
            if self.elsewhere is None and (holds_images or isinstance(entry.path, Url)):
                self.elsewhere = entry.path
            self._pairs.add(str(entry.path), str(entry.root))

    def __len__(self) -> int:
        return len(self._pairs)

    def __iter__(self) -> Iterator[Found]:
        """Yield the files from the first on. There can be only one iteration at a time."""
        return (Found(located(path), root) for path, root in self._rooted())

    def one_of_each_folder(self) -> Iterator[Found]:
        """Yield the first file of each folder and root. There can be only one iteration at a time."""
        seen = set[tuple[str, Location]]()
        for path, root in self._rooted():
            folder = (path.rpartition(os.sep)[0], root)
            if folder not in seen:
                seen.add(folder)
                yield Found(located(path), root)

    def _rooted(self) -> Iterator[tuple[str, Location]]:
        """Yield the text of each path with its root, which is made once for all files below it."""
        text, root = "", located("")
        for path, rooted in self._pairs:
            if rooted != text:
                text, root = rooted, located(rooted)
            yield path, root
