"""WebDataset tar archives, read as a stream, in one pass.

Headers are read with ``tarfile``'s own parser of one block, but not by its archive reader, which would take all memory
for an extended header that says it is large.
"""

import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO

from capgen import images
from capgen.errors import ImageError, Status
from capgen.images.formats import SUFFIXES
from capgen.inputs.archives import Entry

LARGEST_HEADER = 1 << 20
"""Bytes of an extended header, which is a name and a few numbers."""

_LARGEST_MEMBER = 1 << 40
"""Bytes of a member beyond which its size is a lie."""

_CHUNK = 1 << 20


def pictures(file: BinaryIO) -> Iterator[Entry]:
    """Yield the members whose names end like a picture's and begin with no dot, by name.

    Raises:
        ImageError: It is no tar archive, is damaged or ends early; after what comes before.
    """
    stream = Stream(file)
    for name, size in files(stream):
        path = PurePosixPath(name)
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue
        if size > images.MAX_BYTES:
            yield name, ImageError(Status.TOO_LARGE, f"it has {size:,} bytes, more than is safe to read at once")
        else:
            yield name, stream.read(size)


class Stream:
    """A file read from its beginning to its end, none of it twice."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.position = file, 0

    def read(self, size: int) -> bytes:
        """Read as many bytes as are asked for.

        Raises:
            ImageError: There are fewer.
        """
        parts = []
        while size > 0:
            part = self._file.read(min(size, _CHUNK))
            if not part:
                raise ImageError(Status.UNREADABLE, "the archive ends early; what comes before was read")
            parts.append(part)
            size -= len(part)
            self.position += len(part)
        return b"".join(parts)

    def skip_to(self, position: int) -> None:
        """Read on to a position, in bytes from the beginning."""
        while self.position < position:
            self.read(min(position - self.position, _CHUNK))


def files(stream: Stream) -> Iterator[tuple[str, int]]:
    """Yield name and size of each regular file, with the stream at its first byte.

    Raises:
        ImageError: It is no tar archive, is damaged or ends early.
    """
    extended: dict[str, str] = {}
    while True:
        block = stream.read(tarfile.BLOCKSIZE)
        if not any(block):
            return  # the mark of the end
        about, size = _header(block, extended, first=stream.position == tarfile.BLOCKSIZE)
        if about.type == tarfile.GNUTYPE_SPARSE:
            while block[482 if block[257:262] == b"ustar" else 504]:  # whether a further block of its map follows
                block = stream.read(tarfile.BLOCKSIZE)
        start = stream.position
        has_data = about.isreg() or about.type not in tarfile.SUPPORTED_TYPES or about.type in _EXTENDED
        if about.type in _EXTENDED:
            if size > LARGEST_HEADER:
                raise ImageError(
                    Status.UNREADABLE, f"the archive is damaged (a header of {size:,} bytes); the rest is not read"
                )
            extended |= _extension(about.type, stream.read(size))
        else:
            if about.isreg() and about.type != tarfile.GNUTYPE_SPARSE:
                yield extended.get("path", about.name), size
            extended = {}
        if has_data:
            stream.skip_to(start + -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)


_EXTENDED = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)


def _header(block: bytes, extended: dict[str, str], *, first: bool) -> tuple[tarfile.TarInfo, int]:
    try:
        about = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        size = about.size if about.type in _EXTENDED else int(extended.get("size", about.size))
    except (tarfile.TarError, ValueError) as error:
        what = "it is no tar archive" if first else f"the archive is damaged ({error}); what comes before was read"
        raise ImageError(Status.UNREADABLE, what) from error
    if not 0 <= size <= _LARGEST_MEMBER:
        raise ImageError(
            Status.UNREADABLE, f"the archive is damaged (a member of {size:,} bytes); what comes before was read"
        )
    return about, size


def _extension(kind: bytes, data: bytes) -> dict[str, str]:
    """Read an extended header; one for all members says nothing that matters here."""
    if kind == tarfile.GNUTYPE_LONGNAME:
        return {"path": data.rstrip(b"\0").decode("utf-8", "surrogateescape")}
    found, place = {}, 0
    while kind in {tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE} and place < len(data) and data[place]:
        # "LENGTH KEY=VALUE\n", the length of all of it (POSIX.1-2001)
        digits, space, _ = data[place : place + 20].partition(b" ")
        end = place + int(digits) if digits.isdigit() and space else 0
        if not place + len(digits) < end <= len(data):
            raise ImageError(Status.UNREADABLE, "the archive is damaged (an extended header); what comes before was read")
        key, _, value = data[place + len(digits) + 1 : end - 1].partition(b"=")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        place = end
    return found
