"""Where images and results are: paths of this machine and URLs, and reading and writing files at either.

What goes wrong with a file that is written or read back is a ``StorageError`` of one line.
"""

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TypeAlias

from capgen.errors import ImageError, Status, StorageError, os_reason
from capgen.storage import files, remote

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


@dataclass(frozen=True, slots=True)
class Url:
    """The address of a file or a folder elsewhere, such as ``s3://bucket/a.jpg``.

    A URL is not a ``Path``, and deliberately not an ``os.PathLike`` either: ``Path(url)`` would merge its slashes and
    ``open(url)`` would look for a file of that name here. ``str(url)`` is the text exactly as it was given.

    A file in an archive has the URL of the archive behind its own, as fsspec writes it: ``zip://a.jpg::s3://bucket/a.zip``.

    Attributes:
        text: The URL, unchanged; two URLs are equal if their texts are.
    """

    text: str

    def __str__(self) -> str:
        return self.text

    def __truediv__(self, name: str) -> "Url":
        """Return the URL of ``name``, a relative path with ``/`` between its parts, below this one."""
        folder = self.address if self.address.endswith("://") else self.address.rstrip("/") + "/"
        return Url(folder + name + self._archive)

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
        """The URL without its last part and the slash before that; a bucket, a server or an archive is its own parent."""
        folder = self.address.rstrip("/").rpartition("/")[0]
        if self._archive and not is_url(folder):
            return Url(self.address.partition("://")[0] + "://" + self._archive)
        return Url(folder + self._archive) if is_url(folder) else self

    def relative_to(self, root: "Url") -> str:
        """Return the path from ``root`` to this URL, with its query; the whole text if it does not lie below ``root``."""
        return self.text.removesuffix(self._archive).removeprefix(root.address).lstrip("/")

    @property
    def address(self) -> str:
        """The text up to the query or the archive; only web addresses have a query: a key of a store may contain ``?``."""
        if remote.is_web(self.text):
            return re.split("[?#]", self.text, maxsplit=1)[0]
        return self.text.removesuffix(self._archive)

    @property
    def _archive(self) -> str:
        """Two colons and the URL of the archive that the file is in; empty if it is in none."""
        return remote.split_archive(self.text)[1]


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


def names(folder: str) -> set[str]:
    """Return the names of what is in a folder, which is given as a path or as a URL; none if there is no such folder yet.

    Raises:
        StorageError: It cannot be listed.
    """
    try:
        return remote.list_names(folder) if is_url(folder) else {entry.name for entry in Path(folder).iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except ImageError as error:
        if error.status == Status.MISSING:  # an object store has no empty folders, so those that are empty do not exist
            return set()
        raise StorageError(f"cannot list {folder}: {error}") from error
    except OSError as error:
        raise StorageError(f"cannot list {folder}: {os_reason(error)}") from error


@contextmanager
def reading(location: str) -> Iterator[BinaryIO]:
    """Open a file, given as a path or as a URL, to read any part of it.

    Raises:
        StorageError: It cannot be opened, or be read later within the block.
    """
    try:
        with remote.open_seekable(location) if is_url(location) else Path(location).open("rb") as file:
            yield file
    except (ImageError, OSError) as error:
        reason = os_reason(error) if isinstance(error, OSError) else error
        raise StorageError(f"cannot read {location}: {reason}") from error


@contextmanager
def writing(location: str) -> Iterator[BinaryIO]:
    """Open a file, given as a path or as a URL, for writing. It appears whole at the end of the block, or not at all.

    Raises:
        StorageError: It cannot be written.
    """
    if not is_url(location):
        with files.writing(Path(location)) as file:
            yield file
        return
    with tempfile.TemporaryDirectory(prefix="capgen.") as folder:
        temporary = Path(folder) / "part"
        try:
            with temporary.open("wb") as file:
                yield file
        except OSError as error:
            raise files.storage_error(temporary, error) from error
        try:
            remote.upload(temporary, location)
        except ImageError as error:
            raise StorageError(f"cannot write {location}: {error}") from error


def write_with(location: str, write: Callable[[BinaryIO], object]) -> None:
    """Let ``write`` fill a file, given as a path or as a URL, that appears whole or not at all; errors as in ``writing``."""
    with writing(location) as file:
        write(file)


def remove(location: str) -> None:
    """Remove a file, given as a path or as a URL, if it is there.

    Raises:
        StorageError: It cannot be removed.
    """
    try:
        if is_url(location):
            remote.remove(location)
        else:
            Path(location).unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"cannot remove {location}: {os_reason(error)}") from error
    except ImageError as error:
        if error.status != Status.MISSING:
            raise StorageError(f"cannot remove {location}: {error}") from error


def check_writable(folder: str) -> None:
    """Check from the path or URL of a folder alone that files can be written to it.

    Raises:
        UsageError: It is on the web, or a package is missing.
    """
    if is_url(folder):
        remote.check_writable(folder)
