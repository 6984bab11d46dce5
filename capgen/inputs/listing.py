"""The images of a run, found once, so that their number is known."""

import tempfile
import weakref
from collections.abc import Iterable, Iterator
from os import fsdecode, fsencode

from capgen.inputs.archives import is_archive
from capgen.inputs.selection import Found
from capgen.storage.locations import located


class Listing:
    """The pictures of a run, found once and kept on disk if there are many, so that their number is known.

    Args:
        found: Pictures and archives of them, in order.

    Attributes:
        archives: Whether there are any of these.
    """

    def __init__(self, found: Iterable[Found]) -> None:
        """Go through all of them."""
        self._file = tempfile.SpooledTemporaryFile(max_size=1 << 22)  # noqa: SIM115 - lives as long as the listing
        weakref.finalize(self, self._file.close)
        self._count, self.archives = 0, False
        for one in found:
            self.archives = self.archives or is_archive(one.path)
            self._file.write(fsencode(str(one.path)) + b"\0" + fsencode(str(one.root)) + b"\0")
            self._count += 1

    def __len__(self) -> int:
        """How many there are."""
        return self._count

    def __iter__(self) -> Iterator[Found]:
        """Give them out again, from the first; one iteration at a time."""
        self._file.seek(0)
        rest, names = b"", []
        while block := self._file.read(1 << 16):
            *whole, rest = (rest + block).split(b"\0")
            names += whole
            for path, root in zip(names[0::2], names[1::2], strict=False):
                yield Found(located(fsdecode(path)), located(fsdecode(root)))
            names = names[len(names) // 2 * 2 :]
