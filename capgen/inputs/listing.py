"""The files of a run, found once, so that their number is known before the work begins."""

from collections.abc import Iterable, Iterator

from capgen.inputs.archives import is_archive
from capgen.inputs.path_pairs import PathPairs
from capgen.inputs.selection import Found
from capgen.storage.locations import located


class Listing:
    """The files of a run, in order, however many there are.

    Args:
        found: Images and archives of them; all are found at once.

    Attributes:
        archives: Whether there are archives among them.
    """

    def __init__(self, found: Iterable[Found]) -> None:
        self._pairs, self.archives = PathPairs(), False
        for entry in found:
            self.archives = self.archives or is_archive(entry.path)
            self._pairs.add(str(entry.path), str(entry.root))

    def __len__(self) -> int:
        return len(self._pairs)

    def __iter__(self) -> Iterator[Found]:
        """Yield the files from the first on. There can be only one iteration at a time."""
        return (Found(located(path), located(root)) for path, root in self._pairs)
