"""Files that appear whole or not at all, their hashes, and locks between processes."""

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from capgen.errors import StorageError

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space and run it again",
    errno.EDQUOT: "the disk quota is used up; free some space and run it again",
    errno.EROFS: "the file system is read-only; choose another place",
    errno.EACCES: "permission denied; choose another place or change its permissions",
    errno.EPERM: "permission denied; choose another place or change its permissions",
    errno.ENOTDIR: "a part of its path is a file, not a folder",
    errno.EEXIST: "a part of its path is a file, not a folder",
    errno.EISDIR: "it is a folder",
}


def storage_error(path: Path | str, error: OSError) -> StorageError:
    """Turn an operating-system error about ``path`` into one that says what to do."""
    reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
    return StorageError(f"cannot write {path}: {reason}")


def write_with(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then put it in place in one step.

    The data is on the disk before the name appears (fsync, then rename), so a reader sees the old file or the new one.

    Raises:
        StorageError: The file cannot be written; nothing is left behind.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name[:60]}.", suffix=".part", dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fchmod(descriptor, 0o666 & ~_umask())
            os.fsync(descriptor)
        Path(temporary).replace(path)
        temporary = None
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``, whole or not at all."""
    write_with(path, lambda file: file.write(data))


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` to ``path`` as indented JSON, whole or not at all."""
    write_text(path, json_text(value, indent=1) + "\n")


def json_text(value: Any, indent: int | None = None) -> str:
    """Return ``value`` as JSON, readable unless a path in it is no UTF-8: its bytes can only be carried escaped."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent)
    return text


def write_folder(path: Path, contents: dict[str, bytes]) -> None:
    """Write a folder of files, whole or not at all; an older folder at ``path`` is replaced.

    Raises:
        StorageError: It cannot be written; what was there before is as it was.
    """
    make_folder(path.parent)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name[:60]}.", suffix=".part", dir=path.parent) as temporary:
            fresh, old = Path(temporary) / "new", Path(temporary) / "old"
            fresh.mkdir()
            for name, data in contents.items():
                with (fresh / name).open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            try:
                if path.exists():
                    path.rename(old)
                fresh.rename(path)
            finally:
                if old.exists() and not path.exists():
                    old.rename(path)
    except OSError as error:
        raise storage_error(path, error) from error


def make_folder(path: Path) -> Path:
    """Create the folder ``path`` and its parents if need be, and return it.

    Raises:
        StorageError: It cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(path, error) from error
    return path


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on ``path`` between processes; it ends with the process, even a killed one.

    Raises:
        StorageError: Another process holds it, or the lock file cannot be made.
    """
    import fcntl

    make_folder(path.parent)
    try:
        file = path.open("a")
    except OSError as error:
        raise storage_error(path, error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StorageError(f"{path.parent} is in use by another capgen; wait for it to end, or stop it") from error
        yield


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
