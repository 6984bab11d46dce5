"""Tar archives, such as the shards of WebDataset, plain or compressed by gzip, read once from beginning to end.

The headers are parsed by ``tarfile``, one block at a time. Its reader of whole archives is not used, as it allocates as much
memory as an extended header says that it is long, and a damaged one may say anything.
"""

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Protocol

from capgen.errors import ImageError, Status
from capgen.inputs.archives.members import Member, check_ratio

LARGEST_HEADER = 1 << 20
"""The most bytes of an extended header, which holds a name and a few numbers."""

_LARGEST_MEMBER = 1 << 40
"""The most bytes of a member; a header that says more is damaged."""

_BLOCK = 1 << 20
"""The most bytes that are read at once."""

_EXTENDED = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
"""Types of headers that only say something about the member which follows."""


_GZIP = b"\x1f\x8b"
"""The first bytes of what gzip has compressed. They decide, as servers unpack files and leave their names as they are."""


class Readable(Protocol):
    """What a stream reads from: an open file, or what unpacks one."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, none at the end."""


def read_members(file: BinaryIO) -> Iterator[Member]:
    """Yield the regular files in an archive, of which each is read before the next one.

    Raises:
        ImageError: The file is not a tar archive, is damaged or ends early; after the members that come before.
    """
    stream = Stream(_unpacked(file))
    for name, size in members(stream):
        yield Member(name, size, stream.read)


class Stream:
    """A file that is read from its beginning to its end, none of it twice.

    Args:
        file: The file, at its beginning.

    Attributes:
        position: The number of bytes that have been read.
    """

    def __init__(self, file: Readable) -> None:
        self._file, self.position = file, 0

    def read(self, size: int) -> bytes:
        """Read exactly ``size`` bytes.

        Raises:
            ImageError: There are fewer.
        """
        parts = []
        while size > 0:
            part = self._file.read(min(size, _BLOCK))
            if not part:
                raise ImageError(Status.UNREADABLE, "the archive ends early; what comes before was read")
            parts.append(part)
            size -= len(part)
            self.position += len(part)
        return b"".join(parts)

    def skip_to(self, position: int) -> None:
        """Read on to a position, in bytes from the beginning."""
        while self.position < position:
            self.read(min(position - self.position, _BLOCK))


def _unpacked(file: BinaryIO) -> Readable:
    """Return what unpacks a file, if gzip has compressed it, or what reads it as it is."""
    head = b""
    while len(head) < len(_GZIP) and (part := file.read(len(_GZIP) - len(head))):
        head += part
    rest = _Rest(head, file)
    return _Gunzip(rest) if head == _GZIP else rest


class _Rest:
    """A file whose first bytes have been read.

    Args:
        head: The first bytes.
        file: The file after them.

    Attributes:
        position: The number of bytes that have been read here.
    """

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self._head, self._file, self.position = head, file, 0

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes, none at the end."""
        data, self._head = self._head[:size], self._head[size:]
        data = data or self._file.read(size)
        self.position += len(data)
        return data


class _Gunzip:
    """Unpacks a file, and no more of it than can be images.

    Args:
        packed: The file.
    """

    def __init__(self, packed: _Rest) -> None:
        self._packed, self._file, self._size = packed, gzip.GzipFile(fileobj=packed), 0  # type: ignore[call-overload]

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes, none at the end, however early that comes.

        Raises:
            ImageError: It is damaged, or too much is in it.
        """
        try:
            data = self._file.read(size)
        except EOFError:
            return b""
        except (zlib.error, gzip.BadGzipFile) as error:
            raise _damaged("its compression") from error
        self._size += len(data)
        check_ratio(self._size, self._packed.position)
        return data


def members(stream: Stream) -> Iterator[tuple[str, int]]:
    """Yield the name and the size of each regular file, while the stream is at its first byte.

    Raises:
        ImageError: The file is not a tar archive, is damaged or ends early.
    """
    extended: dict[str, str] = {}  # what extended headers have said about the next member
    while True:
        block = stream.read(tarfile.BLOCKSIZE)
        if not any(block):
            return  # a block of zeros marks the end
        header, size = _header(block, extended, first=stream.position == tarfile.BLOCKSIZE)
        if header.type == tarfile.GNUTYPE_SPARSE:
            _skip_sparse_map(stream, block)
        start = stream.position
        if header.type in _EXTENDED:
            extended |= _extension(header.type, stream, size)
        else:
            if header.isreg() and header.type != tarfile.GNUTYPE_SPARSE:
                yield extended.get("path", header.name), size
            extended = {}
        if header.isreg() or header.type in _EXTENDED or header.type not in tarfile.SUPPORTED_TYPES:  # data follows
            stream.skip_to(start + -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)


def _skip_sparse_map(stream: Stream, block: bytes) -> None:
    """Skip the blocks with the map of a sparse file; a byte of each block says whether another follows."""
    while block[482 if block[257:262] == b"ustar" else 504]:
        block = stream.read(tarfile.BLOCKSIZE)


def _header(block: bytes, extended: dict[str, str], *, first: bool) -> tuple[tarfile.TarInfo, int]:
    """Parse a header, and return it with the size of the data after it, in bytes.

    Args:
        block: The block that the header is in.
        extended: What extended headers have said about this member.
        first: Whether it is the first header of the archive.
    """
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        size = header.size if header.type in _EXTENDED else int(extended.get("size", header.size))
    except (tarfile.TarError, ValueError) as error:
        if first:
            raise ImageError(Status.UNREADABLE, "it is not a tar archive") from error
        raise _damaged("the header of a member") from error
    if not 0 <= size <= _LARGEST_MEMBER:
        raise _damaged(f"a member of {size:,} bytes")
    return header, size


def _extension(kind: bytes, stream: Stream, size: int) -> dict[str, str]:
    """Read an extended header of ``size`` bytes; what one says about all members does not matter here."""
    if size > LARGEST_HEADER:
        raise ImageError(Status.UNREADABLE, f"the archive is damaged (a header of {size:,} bytes); the rest is not read")
    data = stream.read(size)
    if kind == tarfile.GNUTYPE_LONGNAME:
        return {"path": data.rstrip(b"\0").decode("utf-8", "surrogateescape")}
    return _pax_records(data) if kind in {tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE} else {}


def _pax_records(data: bytes) -> dict[str, str]:
    """Parse an extended header: records ``LENGTH KEY=VALUE``, each with a line feed, of which LENGTH counts every byte.

    The format is that of POSIX.1-2001.
    """
    records, offset = {}, 0
    while offset < len(data) and data[offset]:
        digits, space, _ = data[offset : offset + 20].partition(b" ")
        end = offset + int(digits) if digits.isdigit() and space else 0
        if not offset + len(digits) < end <= len(data):
            raise _damaged("an extended header")
        key, _, value = data[offset + len(digits) + 1 : end - 1].partition(b"=")
        records[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        offset = end
    return records


def _damaged(what: str) -> ImageError:
    return ImageError(Status.UNREADABLE, f"the archive is damaged ({what}); what comes before was read")
