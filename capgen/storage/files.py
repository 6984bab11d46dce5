"""Files and folders that appear whole or not at all, checksums and sizes of files, and locks between processes."""

import errno
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from capgen.errors import StorageError
from capgen.storage import platform

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space and run it again",
    errno.EDQUOT: "the disk quota is used up; free some space and run it again",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EACCES: "permission denied; choose another folder or change its permissions",
    errno.EPERM: "permission denied; choose another folder or change its permissions",
    errno.ENOENT: "its folder is gone",
    errno.ENOTDIR: "a part of its path is a file, not a folder",
    errno.EEXIST: "a part of its path is a file, not a folder",
    errno.EISDIR: "it is a folder",
}

_TEMPORARY_NAME = 60
"""The most characters of a file's name in the name of its temporary file, which must not become too long."""

_UNITS = ("B", "kB", "MB", "GB", "TB")


def storage_error(path: Path | str, error: OSError) -> StorageError:
    """Return the error for a file that the operating system could not write, with what to do about it."""
    reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
    return StorageError(f"cannot write {path}: {reason}")


@contextmanager
def writing(path: Path, *, make_folders: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file beside ``path`` for writing, and rename it to ``path`` at the end.

    The data is on the disk before the name appears (fsync, then rename), so a reader sees the old file or the new one.

    Args:
        path: The file to write; one that exists is replaced.
        make_folders: Create the folders above ``path`` that are missing. Without this no folder is ever created, so that a
            file which belongs beside another is not written into a new, empty folder when a disk has been unmounted.

    Yields:
        The temporary file. If an exception leaves the block, the file is removed and ``path`` is unchanged.

    Raises:
        StorageError: The file cannot be written, or its folder is missing and ``make_folders`` is false. What was there
            before is unchanged, and no temporary file is left behind.
    """
    temporary = None
    try:
        if make_folders:
            path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = _temporary(path)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            platform.set_mode(descriptor, _mode(path))
            os.fsync(descriptor)
            if platform.CAN_REPLACE_OPEN_FILES:
                Path(temporary).replace(path)  # while it is locked, nobody else takes it for a file that was left behind
        if not platform.CAN_REPLACE_OPEN_FILES:
            Path(temporary).replace(path)
        temporary = None
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                Path(temporary).unlink()


def write_with(path: Path, write: Callable[[BinaryIO], object], *, make_folders: bool = True) -> None:
    """Let ``write`` fill the temporary file that becomes ``path``; ``make_folders`` and errors as in ``writing``."""
    with writing(path, make_folders=make_folders) as file:
        write(file)


def _temporary(path: Path) -> tuple[int, str]:
    """Open a hidden file beside ``path`` for writing, and return its descriptor and its name.

    The name is always the same, so that the file which a killed write has left is used and does not lie there for good. The
    name is a random one if another process is writing to that file, and where files cannot be locked or replaced while open.
    """
    return _leftover(path) or tempfile.mkstemp(prefix=f".{path.name[:_TEMPORARY_NAME]}.", suffix=".part", dir=path.parent)


def _leftover(path: Path) -> tuple[int, str] | None:
    """Open and lock the temporary file of ``path`` that has the usual name, and empty it; ``None`` if that cannot be."""
    if not platform.CAN_REPLACE_OPEN_FILES:
        return None
    name = path.with_name(f".{path.name[:_TEMPORARY_NAME]}.part")
    try:
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | platform.NO_FOLLOW, 0o600)
    except OSError:  # another user's, or a link
        return None
    try:
        platform.lock_file(descriptor)
        if os.path.samestat(os.fstat(descriptor), name.lstat()):
            os.ftruncate(descriptor, 0)
            return descriptor, str(name)
    except OSError:  # in use, or renamed in the meantime, or the file system has no locks
        pass
    os.close(descriptor)
    return None


def write_bytes(path: Path, data: bytes, *, make_folders: bool = True) -> None:
    """Write ``data`` to ``path``, whole or not at all; ``make_folders`` and errors as in ``writing``."""
    write_with(path, lambda file: file.write(data), make_folders=make_folders)


def write_text(path: Path, text: str, *, make_folders: bool = True) -> None:
    """Write ``text`` to ``path`` as UTF-8, whole or not at all; ``make_folders`` and errors as in ``writing``."""
    write_bytes(path, text.encode(), make_folders=make_folders)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` to ``path`` as indented JSON, whole or not at all."""
    write_text(path, json_text(value, indent=1) + "\n")


def json_text(value: Any, indent: int | None = None) -> str:
    """Return ``value`` as JSON with readable letters; with escapes only if a path in it is not UTF-8 and needs them."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent)
    return text


def write_folder(path: Path, contents: dict[str, bytes]) -> None:
    """Write a folder of files, whole or not at all; a folder that is there is replaced.

    A link that is there is replaced, too, and what it leads to stays as it is.

    Args:
        path: The folder.
        contents: The bytes of each file, by its name.

    Raises:
        StorageError: It cannot be written; what was there before is unchanged.
    """
    make_folder(path.parent)
    try:
        with tempfile.TemporaryDirectory(
            prefix=f".{path.name[:_TEMPORARY_NAME]}.", suffix=".part", dir=path.parent
        ) as temporary:
            fresh, old = Path(temporary) / "new", Path(temporary) / "old"
            fresh.mkdir()
            for name, data in contents.items():
                with (fresh / name).open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            try:
                if os.path.lexists(path):
                    path.rename(old)
                fresh.rename(path)
            finally:
                if os.path.lexists(old) and not os.path.lexists(path):
                    old.rename(path)
    except OSError as error:
        raise storage_error(path, error) from error


def make_folder(path: Path) -> Path:
    """Create a folder and the folders above it, as far as they are missing, and return ``path``.

    Raises:
        StorageError: It cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(path, error) from error
    return path


def size_text(size: int) -> str:
    """Return a number of bytes for people to read, such as ``12.3 MB``."""
    number, unit = float(size), 0
    while number >= 999.95 and unit < len(_UNITS) - 1:  # noqa: PLR2004 - what would be written as 1000.0
        number, unit = number / 1000, unit + 1
    return f"{number:.1f} {_UNITS[unit]}" if unit else f"{size} B"


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
            if _is_at(file, path):
                yield
                return
        # else the file was removed between opening and locking it, and another process may hold the lock of a new one


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


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Return whether ``path`` still leads to the open ``file``."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _mode(path: Path) -> int:
    """Return the permissions of the file that is replaced, or those of a new one if there is none."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return platform.new_file_mode()
