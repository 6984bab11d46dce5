"""Images in archives: a tar or zip archive or a Parquet table is read once, in order, and gives its images one by one."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO

from capgen import images
from capgen.captioner.results import Result
from capgen.errors import ImageError
from capgen.inputs.archive_endings import ARCHIVE_ENDINGS, TAR_ENDINGS
from capgen.inputs.archives.members import Entry, Member, read_images
from capgen.inputs.selection import Found
from capgen.inputs.spool import Spool
from capgen.storage import remote
from capgen.storage.hashing import HashSet, hash64
from capgen.storage.locations import Location, Url, located


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class LazyImage:
    """An image whose bytes are read when a worker comes to it.

    Attributes:
        path: Its path in results.
        key: Its name in the archive, or the name of its file.
        read: Returns its bytes, or raises ``ImageError``.
        release: Is called when the bytes are not needed any more.
    """

    path: Location
    key: str
    read: Callable[[], bytes]
    release: Callable[[], None] = _nothing


def is_archive(path: Location) -> bool:
    """Return whether a file holds images, by its ending."""
    return path.name.lower().endswith(ARCHIVE_ENDINGS)


def archive_stem(archive: Location) -> str:
    """Return the name of an archive without the ending that says that it is one."""
    ending = next((ending for ending in ARCHIVE_ENDINGS if archive.name.lower().endswith(ending)), "")
    return archive.name[: len(archive.name) - len(ending)]


def expand_archives(found: Iterable[Found]) -> Iterator[tuple[Found, LazyImage | Result | Location | bytes]]:
    """Yield each file with its path or its data, but in the place of an archive its images, as ``images_in`` yields them."""
    for entry in found:
        if entry.data is not None:
            yield entry, entry.data
        elif not is_archive(entry.path):
            yield entry, entry.path
        else:
            yield from ((Found(path, entry.root), item) for path, item in _read(entry.path))


def images_in(archive: Location) -> Iterator[LazyImage | Result]:
    """Read the images of an archive or a table, once and in order.

    Yields:
        The images, with the paths ``ARCHIVE/NAME``; a name that has been there before gets its number. In the place of an
        image that cannot be read there is a result. If the archive cannot be read, or only in part, the last one is a result
        with the archive's own path.
    """
    return (item for _, item in _read(archive))


def _read(archive: Location) -> Iterator[tuple[Location, LazyImage | Result]]:
    """Yield what ``images_in`` does, each with its path."""
    spool, seen = Spool(), HashSet()
    try:
        opened, read_images = _opened(archive)
        with opened as file:
            for index, (name, data) in enumerate(read_images(file)):
                unique = name if seen.add(hash64(name)) else f"{name}#{index}"
                path = located(f"{archive}/{unique.lstrip('/')}")
                if isinstance(data, ImageError):
                    yield path, Result(path, data.status, reason=str(data))
                else:
                    spooled = spool.keep(data)
                    yield path, LazyImage(path, name, spooled.read, spooled.release)
    except ImageError as error:
        yield archive, Result(archive, error.status, reason=str(error))


def _opened(archive: Location) -> tuple[AbstractContextManager[BinaryIO], Callable[[BinaryIO], Iterator[Entry]]]:
    """Return the opened archive, and the function that reads its images."""
    if archive.name.lower().endswith(".parquet"):
        from capgen.inputs.archives import parquet

        return _opened_seekable(archive), parquet.read_images
    opened, read_members = open_members(archive)
    return opened, lambda file: read_images(read_members(file))


def open_members(archive: Location) -> tuple[AbstractContextManager[BinaryIO], Callable[[BinaryIO], Iterator[Member]]]:
    """Return an opened tar or zip archive, and the function that reads the files in it."""
    if archive.name.lower().endswith(TAR_ENDINGS):
        from capgen.inputs.archives import tar

        stream = remote.open_stream(archive.text) if isinstance(archive, Url) else images.open_file(archive)
        return stream, tar.read_members
    from capgen.inputs.archives import zip as zip_archive

    return _opened_seekable(archive), zip_archive.read_members


def _opened_seekable(archive: Location) -> AbstractContextManager[BinaryIO]:
    return remote.open_seekable(archive.text) if isinstance(archive, Url) else images.open_file(archive)
