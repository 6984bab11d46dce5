"""What differs between operating systems: locks on open files, permissions, replacing an open file, the size of the memory.

Calls that only some systems have are made here and nowhere else, so that the rest of the package runs on all of them.

The locks are our own because no package has all that is needed. On Windows neither ``filelock`` nor ``portalocker`` (without
pywin32) can share a lock, and both lock the first bytes of the file, which nobody could read then: but a file of captions is
read while it is locked.
"""

import errno
import os
import stat
import sys
import tempfile
import unicodedata
from contextlib import nullcontext, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
"""Flag of ``os.open`` that refuses a symbolic link, where there is one."""

CAN_REPLACE_OPEN_FILES = sys.platform != "win32"
"""Whether a file can be renamed, or another put in its place, while it is open."""


def takes_for_one(one: Path, other: Path) -> bool:
    """Tell whether a file system takes two names for one, which differ in the case of letters or in composed accents.

    It is tried with a file that is there for a moment, in the folder or, where that is missing, in the nearest above it.
    """
    folder = next((parent for parent in one.absolute().parents if parent.is_dir()), None)
    composed = unicodedata.normalize("NFC", str(one)) == unicodedata.normalize("NFC", str(other))
    try:
        with tempfile.NamedTemporaryFile(prefix=".capgen-\u00e9A-", dir=folder) as probe:
            variant = unicodedata.normalize("NFD", probe.name) if composed else probe.name.replace("\u00e9A", "\u00e9a")
            return os.path.lexists(variant)
    except (OSError, UnicodeError):
        return False


def processors() -> int:
    """Return the number of processors that this process may use; in a container or on a cluster it is not that of all."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


_lacks: dict[str, str] = {}


def note_lack(kind: str, text: str) -> None:
    """Remember that a file system cannot do something that a caption can do without; only the first of a kind is kept."""
    _lacks.setdefault(kind, text)


def noted_lacks() -> list[str]:
    """Return what has been noted since the last call, to be said once."""
    noted = list(_lacks.values())
    _lacks.clear()
    return noted


def lock_file(descriptor: int, *, shared: bool = False, wait: bool = False) -> None:
    """Lock an open file between processes; the lock ends when the file is closed, or with the process.

    Args:
        descriptor: The open file.
        shared: Let others lock it as well if they share it, too.
        wait: Wait until it can be had.

    Raises:
        BlockingIOError: Another process holds it, and ``wait`` is false.
        OSError: The file system or the operating system has no such locks.
    """
    if sys.platform == "win32":
        _lock_file_ex(descriptor, shared=shared, wait=wait)
    elif fcntl is None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
    else:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))


def copy_attributes(path: Path, status: os.stat_result, descriptor: int) -> bool:
    """Give an open file owner, group, permissions, access-control list and extended attributes of another.

    Args:
        path: The other file.
        status: What the system says of it.
        descriptor: The open file, to which nobody but its owner has access yet.

    Returns:
        Whether it has all of them. Windows has none of them, and lets files inherit those of their folder.
    """
    if not hasattr(os, "fchown"):
        return True
    made = os.fstat(descriptor)
    try:
        if (made.st_uid, made.st_gid) != (status.st_uid, status.st_gid):
            os.fchown(descriptor, status.st_uid, status.st_gid)
        _copy_extended(path, descriptor)
        mode = stat.S_IMODE(status.st_mode)
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
            os.fchmod(descriptor, mode)
    except OSError:
        return False
    return True


_SECURITY = "security."
"""The prefix of the names of attributes that the system sets itself, and lets few programs change."""


def _copy_extended(path: Path, descriptor: int) -> None:
    """Copy extended attributes, of which the access-control list is one.

    Raises:
        OSError: They cannot be copied, as on systems other than Linux, where Python does not know them.
    """
    if sys.platform != "linux":
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
    try:
        names = set(os.listxattr(path))
        inherited = set(os.listxattr(descriptor)) - names
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.ENOSYS):
            return
        raise
    for name in inherited:
        if not name.startswith(_SECURITY):
            os.removexattr(descriptor, name)
    for name in names:
        value = os.getxattr(path, name)
        with suppress(OSError) if name.startswith(_SECURITY) else nullcontext():
            os.setxattr(descriptor, name, value)


def memory_bytes() -> int | None:
    """Return how many bytes of memory the machine has; ``None`` where the system does not say."""
    sysconf = getattr(os, "sysconf", None)
    try:
        return sysconf("SC_PAGE_SIZE") * sysconf("SC_PHYS_PAGES") if sysconf else None
    except (ValueError, OSError):  # a name that this system does not know
        return None


if sys.platform == "win32":
    import ctypes
    import msvcrt
    from ctypes import wintypes

    class _Overlapped(ctypes.Structure):
        """Where in the file a lock begins (``OVERLAPPED`` of the Windows API)."""

        _fields_ = (
            ("Internal", ctypes.c_void_p),
            ("InternalHigh", ctypes.c_void_p),
            ("Offset", wintypes.DWORD),
            ("OffsetHigh", wintypes.DWORD),
            ("hEvent", wintypes.HANDLE),
        )

    _FAIL_IMMEDIATELY, _EXCLUSIVE = 1, 2
    _LOCK_VIOLATION, _IO_PENDING = 33, 997

    def _lock_file_ex(descriptor: int, *, shared: bool, wait: bool) -> None:
        """Lock one byte far beyond the end of a file: Windows lets nobody read or write what another has locked."""
        kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
        handle = wintypes.HANDLE(msvcrt.get_osfhandle(descriptor))
        flags = (0 if shared else _EXCLUSIVE) | (0 if wait else _FAIL_IMMEDIATELY)
        if not kernel32.LockFileEx(handle, flags, 0, 1, 0, ctypes.byref(_Overlapped(OffsetHigh=0x7FFFFFFF))):
            code = ctypes.get_last_error()
            if code in (_LOCK_VIOLATION, _IO_PENDING):
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            raise ctypes.WinError(code)
