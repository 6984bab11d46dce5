"""The files of a run, found once, so that their number is known before the work begins."""

import tempfile
import weakref
from collections.abc import Iterable, Iterator
from os import fsdecode, fsencode

from capgen.inputs.archives import is_archive
from capgen.inputs.selection import Found
from capgen.storage.locations import located

_MEMORY = 1 << 22
"""Bytes of paths that are kept in memory; more are kept in a file."""

_BLOCK = 1 << 16
"""Bytes that are read from the file at once."""


class Listing:
    """The files of a run, in order, however many there are.

    Args:
        found: Images and archives of them; all are found at once.

    Attributes:
        archives: Whether there are archives among them.
    """

    def __init__(self, found: Iterable[Found]) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_MEMORY)  # noqa: SIM115 - it lives as long as the listing
        weakref.finalize(self, self._file.close)
        self._count, self.archives = 0, False
        for entry in found:
            self.archives = self.archives or is_archive(entry.path)
            self._file.write(fsencode(str(entry.path)) + b"\0" + fsencode(str(entry.root)) + b"\0")
            self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Found]:
        """Yield the files from the first on. There can be only one iteration at a time."""
        self._file.seek(0)
        rest, names = b"", []
        while block := self._file.read(_BLOCK):
            *complete, rest = (rest + block).split(b"\0")
            names += complete
            for path, root in zip(names[0::2], names[1::2], strict=False):
                yield Found(located(fsdecode(path)), located(fsdecode(root)))
            names = names[len(names) // 2 * 2 :]
