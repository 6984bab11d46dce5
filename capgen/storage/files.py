"""Files and folders that appear whole or not at all, and checksums and sizes of files."""

import errno
import hashlib
import json
import os
import secrets
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from capgen.errors import StorageError, os_reason
from capgen.storage import platform, write_into

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
    errno.EIO: "the disk cannot be written to; choose another one",
}

_TEMPORARY_NAME = 60
"""The most characters of a file's name in the name of its temporary file, which must not become too long."""

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
"""Flags of ``os.open`` for a file that is not there yet."""

_UNITS = ("B", "kB", "MB", "GB", "TB")


def is_file(path: str | os.PathLike[str]) -> bool:
    """Tell whether there is a file; ``Path.is_file`` raises where one may not look, or for a name that is too long."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Tell whether there is a folder; ``Path.is_dir`` raises where one may not look, or for a name that is too long."""
    return os.path.isdir(path)  # noqa: PTH112


def storage_error(path: Path | str, error: OSError) -> StorageError:
    """Return the error for a file that the operating system could not write, with what to do about it."""
    reason = _REASONS.get(error.errno or 0) or os_reason(error)
    if error.errno in (errno.ENOENT, errno.EINVAL) and Path(path).parent.is_dir():
        reason = "the file system there cannot hold this name; choose another folder, or rename the image"
    return StorageError(f"cannot write {path}: {reason}")


@contextmanager
def writing(path: Path, *, make_folders: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file beside ``path`` for writing, and rename it to ``path`` at the end.

    The data is on the disk before the name appears (fsync, then rename), so a reader sees the old file or the new one.

    A file that is replaced keeps its owner, group, permissions, access-control list and extended attributes. Where it has
    other names (hard links), or these cannot be given to another file, the data is written into the file itself instead.

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
        replaced = _replaced(path)
        descriptor, temporary = _temporary(path, replaced)
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            _sync(descriptor)
            in_its_place = replaced is None or (
                temporary.parent == path.parent
                and replaced.st_nlink == 1
                and platform.copy_attributes(path, replaced, descriptor)
            )
            if not in_its_place:
                _write_into(path, temporary)
            elif platform.CAN_REPLACE_OPEN_FILES:
                temporary.replace(path)  # while it is locked, no other process takes it for a file that was left behind
        if in_its_place and not platform.CAN_REPLACE_OPEN_FILES:
            temporary.replace(path)
        temporary = None if in_its_place else temporary
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


def _replaced(path: Path) -> os.stat_result | None:
    """Return the status of the file that is replaced; ``None`` if there is none, or it is not a regular file.

    Raises:
        PermissionError: It may not be written, though its folder would let it be replaced.
    """
    try:
        status = path.lstat()
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return status


def _sync(descriptor: int) -> None:
    """Bring a file to the disk, if its file system can."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in write_into.NOT_KNOWN_THERE:
            raise
        platform.note_lack("fsync", "the file system cannot say when data is on the disk; it was written all the same")


def _write_into(path: Path, source: Path) -> None:
    """Overwrite an existing file with the content of another.

    A child process does it, so that killing this process does not leave the file half-written; this one if none can start.

    Raises:
        OSError: It cannot be written; it is as it was before.
    """
    import subprocess  # rarely needed

    program = [sys.executable, "-I", "-S", write_into.__file__, str(path), str(source)]
    nowhere = subprocess.DEVNULL
    try:
        # Not subprocess.run, which would end it after Ctrl-C.
        with subprocess.Popen(program, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True) as process:  # noqa: S603 - paths only
            code = process.wait()
    except OSError:
        code = None
    if code is None or 0 < code < write_into.ERRORS:
        write_into.write_into(str(path), str(source))
    elif code:
        number = code - write_into.ERRORS
        raise OSError(number, os.strerror(number), str(path))


def _temporary(path: Path, replaced: os.stat_result | None) -> tuple[int, Path]:
    """Open a hidden file beside ``path`` for writing, and return its descriptor and its path.

    The name is always the same, so that the file which a killed write has left is used and does not lie there for good. The
    name is a random one if another process is writing to that file, and where files cannot be locked or replaced while open.
    A new file gets the permissions that its folder's defaults give; one that replaces another has none but the owner's yet.
    Where only the folder may not be written, the file lies in the folder for temporary files.
    """
    usual = path.with_name(f".{path.name[:_TEMPORARY_NAME]}.part")
    mode = 0o666 if replaced is None else 0o600
    try:
        if platform.CAN_REPLACE_OPEN_FILES and (descriptor := _created(usual, mode)) is not None:
            return descriptor, usual
        unused = usual.with_suffix(f".{secrets.token_hex(4)}.part")
        return os.open(unused, _NEW, mode), unused
    except PermissionError:
        if replaced is None:
            raise
        descriptor, name = tempfile.mkstemp()
        return descriptor, Path(name)


def _created(path: Path, mode: int) -> int | None:
    """Make and lock a file, in the place of one that a killed write has left; ``None`` if another process uses it."""
    for _ in range(2):
        try:
            descriptor = os.open(path, _NEW, mode)
        except FileExistsError:
            if not _remove_abandoned(path):
                return None
            continue
        try:
            platform.lock_file(descriptor)
        except BlockingIOError:  # another process takes it for one that was left behind
            os.close(descriptor)
            return None
        except OSError:  # without locks nobody can take it for one that was left behind
            return descriptor
        with suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), path.lstat()):
                return descriptor
        os.close(descriptor)
    return None


def _remove_abandoned(path: Path) -> bool:
    """Remove a temporary file that no process has locked, and return whether it was one."""
    try:
        descriptor = os.open(path, os.O_WRONLY | platform.NO_FOLLOW)
    except OSError:  # another user's, or a link
        return False
    try:
        platform.lock_file(descriptor)
        if not os.path.samestat(os.fstat(descriptor), path.lstat()):
            return False
        path.unlink()
    except OSError:  # in use, or renamed in the meantime, or the file system has no locks
        return False
    finally:
        os.close(descriptor)
    return True


def write_with(path: Path, write: Callable[[BinaryIO], object], *, make_folders: bool = True) -> None:
    """Let ``write`` fill the temporary file that becomes ``path``; ``make_folders`` and errors as in ``writing``."""
    with writing(path, make_folders=make_folders) as file:
        write(file)


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
                    _sync(file.fileno())
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
