"""Where the pictures of a shard come from: a tar archive, a table, or a list of files, each as a small task."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

from capgen import images
from capgen.captioner.results import Result
from capgen.errors import ImageError
from capgen.inputs.selection import ARCHIVES, Found
from capgen.inputs.spool import Spool
from capgen.storage import locations
from capgen.storage.hashing import HashSet, hash64
from capgen.storage.locations import Location, Url, located

Entry: TypeAlias = "tuple[str, bytes | ImageError]"
"""What a reader of archives gives: a picture's name, and its bytes or why there are none."""


class Picture:
    """A picture that is read when a worker comes to it.

    Args:
        path: What results call it.
        key: Its name within the archive, or the file's.
        read: Gives its bytes; raises ``ImageError``.
        release: Called when they are no longer needed.
    """

    def __init__(
        self, path: Location, key: str, read: Callable[[], bytes], release: Callable[[], None] = lambda: None
    ) -> None:
        """Read nothing yet."""
        self.path, self.key, self.read, self.release = path, key, read, release


@dataclass(frozen=True)
class Task:
    """What goes into one shard; small, and the same on any machine that sees the same files.

    Attributes:
        shard: The shard's name, without an ending.
        archive: A tar archive or a table, as a path or a URL; empty for none.
        files: Else paths or URLs of pictures.
    """

    shard: str
    archive: str = ""
    files: tuple[str, ...] = ()

    def items(self) -> Iterator[Picture | Result]:
        """Yield the pictures, and in their places those that cannot be read; an archive's own fault comes last."""
        if self.archive:
            yield from pictures_in(located(self.archive))
        for file in self.files:
            path = located(file)
            yield Picture(path, path.name, lambda path=path: images.read_bytes(path))  # type: ignore[misc]


def is_archive(path: Location) -> bool:
    """Tell a file that holds pictures by its ending."""
    return path.suffix.lower() in ARCHIVES


def pictures(found: Iterable[Found]) -> Iterator[tuple[Found, "Picture | Result | Location"]]:
    """Put the pictures that are in archives in the archives' places."""
    for one in found:
        if not is_archive(one.path):
            yield one, one.path
            continue
        for item in pictures_in(one.path):
            assert item.path is not None
            yield Found(item.path, one.root), item


def pictures_in(archive: Location) -> Iterator[Picture | Result]:
    """Read the pictures of a tar archive or a table in one pass.

    Yields:
        Each with the path ``ARCHIVE/NAME``; a name that has been there before gets its number. If the archive cannot be
        read, or only in part, the last is a result of the archive's own path with its status.
    """
    spool, seen = Spool(), HashSet()
    try:
        opened, read = _reader(archive)
        with opened as file:
            for index, (name, found) in enumerate(read(file)):
                unique = name if seen.add(hash64(name)) else f"{name}#{index}"
                path = located(f"{archive}/{unique.lstrip('/')}")
                if isinstance(found, ImageError):
                    yield Result(path, found.status, reason=str(found))
                    continue
                spooled = spool.keep(found)
                yield Picture(path, name, spooled.read, spooled.release)
    except ImageError as error:
        yield Result(archive, error.status, reason=str(error))


def _reader(archive: Location) -> tuple[AbstractContextManager[BinaryIO], Callable[[BinaryIO], Iterator[Entry]]]:
    if archive.suffix.lower() == ".tar":
        from capgen.inputs.archives import tar

        return locations.opened(archive.text) if isinstance(archive, Url) else images.open_file(archive), tar.pictures
    from capgen.inputs.archives import parquet

    return locations.seekable(archive.text) if isinstance(archive, Url) else images.open_file(archive), parquet.pictures
