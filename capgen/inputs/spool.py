"""The bytes of images between an archive, which is read in order, and the workers that caption them, in bounded memory."""

import tempfile
import threading
import weakref

from capgen.errors import StorageError, os_reason

MEMORY = 1 << 28
"""Bytes of images kept in memory; what is beyond that waits in one unnamed file, which disappears with the process."""


class Spool:
    """Keeps bytes until they are released. One thread keeps and releases; any thread may read.

    Args:
        memory: The most bytes that are kept in memory.
    """

    def __init__(self, memory: int = MEMORY) -> None:
        self._free = memory
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - it lives as long as the spool
        weakref.finalize(self, self._file.close)
        self._position = threading.Lock()  # held while the position in the file is moved and used
        self._end = self._spilled = 0  # bytes that the file holds, and the number of entries that they belong to

    def keep(self, data: bytes) -> "SpooledBytes":
        """Take bytes, to memory if there is room and else to the disk.

        Raises:
            StorageError: The disk is full.
        """
        if len(data) <= self._free:
            self._free -= len(data)
            return SpooledBytes(self, len(data), data=data)
        try:
            self._spill(data)
        except OSError as error:
            raise StorageError(
                f"cannot write to {tempfile.gettempdir()}: {os_reason(error)}; set TMPDIR to a folder with more space"
            ) from error
        spooled = SpooledBytes(self, len(data), offset=self._end)
        self._end += len(data)
        self._spilled += 1
        return spooled

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes of the file from ``offset`` on."""
        with self._position:
            self._file.seek(offset)
            return self._file.read(size)

    def release(self, size: int, *, spilled: bool) -> None:
        """Make room for ``size`` bytes; the file is emptied when nothing in it is needed any more."""
        if not spilled:
            self._free += size
            return
        self._spilled -= 1
        if not self._spilled:
            self._file.truncate(0)
            self._end = 0

    def _spill(self, data: bytes) -> None:
        with self._position:
            self._file.seek(self._end)
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]


class SpooledBytes:
    """The bytes of one image in a spool.

    Args:
        spool: The spool that keeps them.
        size: Their number.
        data: The bytes, if they are in memory.
        offset: Else where they begin in the spool's file.
    """

    def __init__(self, spool: Spool, size: int, *, data: bytes | None = None, offset: int = 0) -> None:
        self._spool, self._size, self._data, self._offset = spool, size, data, offset

    def read(self) -> bytes:
        """Return the bytes."""
        return self._spool.read(self._offset, self._size) if self._data is None else self._data

    def release(self) -> None:
        """Give their room back to the spool; to be called once, and nothing is read after it."""
        self._spool.release(self._size, spilled=self._data is None)
        self._data = b""
