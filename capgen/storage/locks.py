"""Locks between processes, which are files and end with the process that holds them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from capgen.errors import StorageError
from capgen.storage import platform
from capgen.storage.files import make_folder, storage_error


@contextmanager
def lock(path: Path, *, shared: bool = False, wait: bool = False) -> Iterator[None]:
    """Hold a lock between processes for the time of a block. It ends with the process, even if that is killed.

    Where the file system has no locks, a shared lock is granted: as nobody gets an exclusive one there, it is never broken.

    Args:
        path: The lock file, which is created if it is missing. Only who holds the exclusive lock may remove it.
        shared: Hold the lock together with others who share it, and not alone.
        wait: Wait until the lock can be had.

    Raises:
        StorageError: Another process holds the lock and ``wait`` is false, or the lock file cannot be created.
    """
    while True:
        with _lock_file(path, writable=not shared) as file:
            try:
                platform.lock_file(file.fileno(), shared=shared, wait=wait)
            except BlockingIOError as error:
                raise StorageError(f"{path.parent} is in use by another capgen; wait for it to end, or stop it") from error
            except OSError as error:
                if not shared:
                    raise storage_error(path, error) from error
            if is_at(file, path):
                yield
                return
        # else the file was removed between opening and locking it, and another process may hold the lock of a new one


def is_at(file: BinaryIO, path: Path) -> bool:
    """Return whether a path still leads to an open file, which another process may have removed or replaced."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _lock_file(path: Path, *, writable: bool) -> BinaryIO:
    """Open a lock file, and create it if it is missing. If it exists, it need not be writable for a shared lock."""
    while True:
        make_folder(path.parent)
        try:
            return os.fdopen(os.open(path, os.O_CREAT | (os.O_RDWR if writable else os.O_RDONLY), 0o666), "rb")
        except OSError as error:
            if path.parent.exists():
                raise storage_error(path, error) from error
        # else the folder was removed just after it was created, so it is created again
