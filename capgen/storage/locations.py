"""Pictures and results that are elsewhere: URLs as paths, read and written through fsspec, which is loaded only for them.

What goes wrong on the way is an ``ImageError`` of a picture and a ``StorageError`` of a place to write to, in one line.
"""

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TypeAlias, cast

from capgen.errors import CapgenError, ImageError, Status, StorageError, UsageError
from capgen.storage import files

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_WEB = ("http", "https")


@dataclass(frozen=True, slots=True)
class Url:
    """The address of a file or a folder elsewhere, such as ``s3://bucket/a.jpg``.

    A URL is not a ``Path``, and deliberately not an ``os.PathLike`` either: ``Path(url)`` would merge its slashes and
    ``open(url)`` would look for a file of that name here. ``str(url)`` is the text exactly as it was given.

    Attributes:
        text: The URL, unchanged; two URLs are equal if their texts are.
    """

    text: str

    def __str__(self) -> str:
        return self.text

    def __truediv__(self, name: str) -> "Url":
        """Return the URL of ``name``, a relative path with ``/`` between its parts, below this one."""
        return Url(f"{self.address.rstrip('/')}/{name.lstrip('/')}")

    @property
    def name(self) -> str:
        """The last part of the path; the query and the fragment of a web address do not belong to it."""
        return self.address.rstrip("/").rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The ending of the name with its dot, or an empty text if there is none."""
        return PurePosixPath(self.name).suffix

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return PurePosixPath(self.name).stem

    @property
    def parent(self) -> "Url":
        """The URL without its last part and without the slash before that."""
        return Url(self.address.rstrip("/").rpartition("/")[0])

    def relative_to(self, root: "Url") -> str:
        """Return the path from ``root`` to this URL; the whole text if it does not lie below ``root``."""
        return self.text.removeprefix(root.address).lstrip("/")

    @property
    def address(self) -> str:
        """The text up to the query; only web addresses have one, as a key of an object store may contain ``?``."""
        return re.split("[?#]", self.text, maxsplit=1)[0] if _protocol(self.text) in _WEB else self.text


Location: TypeAlias = Path | Url
"""Where an image or a result is: a path of this machine's file system, or a URL."""


def is_url(text: str) -> bool:
    """Return whether a text is a URL, and not a path."""
    return _URL.match(text) is not None


def located(source: str | os.PathLike[str] | Url) -> Location:
    """Return the location that a text names: a ``Url`` if it is one, else a ``Path``. A ``Url`` is returned as it is."""
    if isinstance(source, Url):
        return source
    text = os.fspath(source)
    return Url(text) if is_url(text) else Path(text)


def join(folder: str, name: str) -> str:
    """Return the path or the URL of the file called ``name`` in a folder, which is given as a path or as a URL."""
    return str(Url(folder) / name) if is_url(folder) else str(Path(folder) / name)


@contextmanager
def opened(url: str) -> Iterator[BinaryIO]:
    """Open a file elsewhere, to read it from its beginning to its end, as it arrives.

    Raises:
        ImageError: It cannot be read, on opening or later, with its status.
    """
    with _told(), _opened(url) as file:
        yield file


@contextmanager
def seekable(url: str) -> Iterator[BinaryIO]:
    """Open a file elsewhere of which only some places are read; a web server has to serve parts of files for that.

    Raises:
        ImageError: It cannot be read, on opening or later, with its status.
    """
    with _told():
        system, path = _system(url)
        with system.open(path, "rb") as file:
            yield file


def contents(url: str, most: int) -> bytes:
    """Fetch a whole file.

    Args:
        url: Where it is.
        most: Bytes beyond which it is not taken.

    Raises:
        ImageError: It cannot be fetched, or is larger.
    """
    if url.endswith("/"):
        with _told():
            system, path = _system(url)
            system.ls(path)  # says if it is not there
        raise ImageError(Status.UNSUPPORTED, "it is a folder; --recursive captions what is in it")
    with opened(url) as file:
        parts, left = [], most + 1
        while left > 0 and (part := file.read(min(left, _BLOCK))):  # a stream may give less than it is asked for
            parts.append(part)
            left -= len(part)
    if left <= 0:
        raise ImageError(Status.TOO_LARGE, f"it has more than {most:,} bytes, more than is safe to read at once")
    return b"".join(parts)


_BLOCK = 1 << 24


def listing(folder: str) -> Iterator[str]:
    """List the files below a folder elsewhere, at any depth.

    Yields:
        Their places in it, by name.

    Raises:
        ImageError: It cannot be listed, with its status.
    """
    with _told():
        system, path = _system(folder)
        found = system.find(path)
    if not found:
        raise ImageError(Status.VANISHED, "there is nothing in it")
    root = path.rstrip("/") + "/"
    yield from sorted(str(place).removeprefix(root) for place in found)


def names(folder: str) -> set[str]:
    """Return the names of what is in a folder, local or elsewhere; none if there is no such folder yet.

    Raises:
        StorageError: It cannot be listed.
    """
    try:
        if not is_url(folder):
            return {entry.name for entry in Path(folder).iterdir()}
        with _told():
            system, path = _system(folder)
            system.invalidate_cache(path)
            return {str(place).rstrip("/").rpartition("/")[2] for place in system.ls(path, detail=False)}
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except ImageError as error:
        if error.status == Status.VANISHED:  # so is an empty folder of an object store, which knows no folders
            return set()
        raise StorageError(f"cannot list {folder}: {error}") from error
    except OSError as error:
        raise StorageError(f"cannot list {folder}: {error.strerror}") from error


@contextmanager
def reading(place: str) -> Iterator[BinaryIO]:
    """Open a file to read any part of it, local or elsewhere.

    Raises:
        StorageError: It cannot be read.
    """
    try:
        with seekable(place) if is_url(place) else Path(place).open("rb") as file:
            yield file
    except (ImageError, OSError) as error:
        raise StorageError(f"cannot read {place}: {error}") from error


def write_with(place: str, write: Callable[[BinaryIO], object]) -> None:
    """Let ``write`` fill a file, local or elsewhere, that appears whole or not at all.

    Raises:
        StorageError: It cannot be written.
    """
    if not is_url(place):
        files.write_with(Path(place), write)
        return
    system, path = _system(place)
    with tempfile.NamedTemporaryFile(prefix="capgen.", suffix=".part") as file:
        try:
            write(cast(BinaryIO, file.file))
            file.flush()
        except OSError as error:
            raise files.storage_error(file.name, error) from error
        try:
            with _told():
                system.put_file(file.name, path)
        except ImageError as error:
            raise StorageError(f"cannot write {place}: {error}") from error


def remove(place: str) -> None:
    """Remove a file, local or elsewhere, if it is there.

    Raises:
        StorageError: It cannot be removed.
    """
    try:
        if not is_url(place):
            Path(place).unlink(missing_ok=True)
            return
        with _told():
            system, path = _system(place)
            system.rm_file(path)
    except OSError as error:
        raise StorageError(f"cannot remove {place}: {error.strerror}") from error
    except ImageError as error:
        if error.status != Status.VANISHED:
            raise StorageError(f"cannot remove {place}: {error}") from error


def check_writable(folder: str) -> None:
    """Make sure that files can be put into a folder, as far as its name tells.

    Raises:
        UsageError: It is on the web, or a package is missing.
    """
    if is_url(folder):
        if _protocol(folder) in _WEB:
            raise UsageError(f"{folder} can only be read; write to s3://, gs:// or a folder")
        _system(folder)


@contextmanager
def _opened(url: str) -> Iterator[BinaryIO]:
    system, path = _system(url)
    # of the web, a block size of 0 takes one request and no more of the server than that it answers
    more = {"block_size": 0} if _protocol(url) in _WEB else {"cache_type": "readahead"}
    with system.open(path, "rb", **more) as file:
        yield file


def _protocol(url: str) -> str:
    return url.partition("://")[0].lower()


def _system(url: str) -> tuple[Any, str]:
    """Return fsspec's file system for a URL, and the place in it.

    Raises:
        UsageError: There is none, or its package is missing.
    """
    try:
        from fsspec.core import url_to_fs

        system, path = url_to_fs(url, **(_patient() if _protocol(url) in _WEB else {}))
    except ImportError as error:
        raise UsageError(f"{url} takes more packages ({_line(error)}): pip install 'capgen[remote]'") from error
    except ValueError as error:
        raise UsageError(f"{url} cannot be used: {_line(error)}") from error
    return system, path


def _patient() -> dict[str, Any]:
    """Return options for the web: time for a whole archive, of which aiohttp gives five minutes, but not for silence."""
    from aiohttp import ClientTimeout

    return {"client_kwargs": {"timeout": ClientTimeout(total=None, sock_connect=_SILENCE, sock_read=_SILENCE)}}


_SILENCE = 60
"""Seconds without an answer after which a server is given up."""


@contextmanager
def _told() -> Iterator[None]:
    """Turn what fsspec and the packages below it raise into an error with a status."""
    try:
        yield
    except (CapgenError, GeneratorExit):
        raise
    except PermissionError as error:
        raise ImageError(Status.DENIED, "permission denied") from error
    except Exception as error:  # these packages share no base class
        if not isinstance(error, (OSError, ValueError)) and _package(error) not in _PACKAGES:
            raise
        raise _fault(error) from error


def _fault(error: Exception) -> ImageError:
    hidden = error.__cause__  # fsspec says of any fault on the web that there is no such file
    if isinstance(error, FileNotFoundError) and isinstance(hidden, Exception) and _package(hidden) == "aiohttp":
        error = hidden
    status = getattr(error, "status", 0)
    if isinstance(error, FileNotFoundError) or status in _MISSING:
        return ImageError(Status.VANISHED, "there is no such file or bucket")
    if "Credentials" in type(error).__name__ or status in _REFUSED:
        return ImageError(Status.DENIED, f"access is denied ({_line(error)})")
    return ImageError(Status.UNREADABLE, f"it cannot be fetched ({_line(error)})")


def _package(error: Exception) -> str:
    return type(error).__module__.partition(".")[0]


_PACKAGES = {"fsspec", "s3fs", "botocore", "aiobotocore", "aiohttp", "gcsfs", "google", "requests", "urllib3"}
_MISSING, _REFUSED = (404, 410), (401, 403)
"""Answers of web servers."""


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
