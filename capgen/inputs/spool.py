"""Bytes of pictures between an archive, which is read in order, and the workers that caption them: a bounded memory."""

import os
import tempfile
import weakref

from capgen.errors import StorageError

MEMORY = 1 << 28
"""Bytes of pictures kept in memory; more than that wait in one unnamed file, which ends with the process."""


class Hold:
    """Keeps bytes until they are released. One thread keeps and releases; any may read.

    Args:
        memory: Bytes kept in memory at most.
    """

    def __init__(self, memory: int = MEMORY) -> None:
        """Keep nothing yet."""
        self._free = memory
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as what it holds
        weakref.finalize(self, self._file.close)
        self._end = self._spilled = 0

    def keep(self, data: bytes) -> "Held":
        """Take bytes.

        Raises:
            StorageError: They go to the disk, and it is full.
        """
        if len(data) <= self._free:
            self._free -= len(data)
            return Held(self, len(data), data=data)
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(self._file.fileno(), data[written:], self._end + written)
        except OSError as error:
            raise StorageError(
                f"cannot write to {tempfile.gettempdir()}: {error.strerror}; set TMPDIR to a folder with more space"
            ) from error
        held = Held(self, len(data), place=self._end)
        self._end += len(data)
        self._spilled += 1
        return held

    def read(self, place: int, size: int) -> bytes:
        """Return bytes from the file."""
        return os.pread(self._file.fileno(), size, place)

    def release(self, size: int, *, spilled: bool) -> None:
        """Make room."""
        if not spilled:
            self._free += size
            return
        self._spilled -= 1
        if not self._spilled:
            self._file.truncate(0)
            self._end = 0


class Held:
    """Bytes that are kept.

    Args:
        hold: Who keeps them.
        size: How many there are.
        data: They themselves, if they are in memory.
        place: Else where in the file they begin.
    """

    def __init__(self, hold: Hold, size: int, *, data: bytes | None = None, place: int = 0) -> None:
        """Know where they are."""
        self._hold, self._size, self._data, self._place = hold, size, data, place

    def read(self) -> bytes:
        """Return them."""
        return self._hold.read(self._place, self._size) if self._data is None else self._data

    def release(self) -> None:
        """Let go of them; once."""
        self._hold.release(self._size, spilled=self._data is None)
        self._data = b""
