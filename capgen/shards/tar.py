"""WebDataset tar archives: pictures are read from them as a stream, in one pass, and shards are written as such.

Nothing is ever written by the name of a member. Headers are read with ``tarfile``'s own parser of one block, but not by its
archive reader, which would take all memory for an extended header that says it is large.
"""

import io
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO

from capgen import images
from capgen.errors import ImageError
from capgen.outputs.jsonl import JsonLinesFormat
from capgen.results import Result
from capgen.shards.sources import Entry, Picture
from capgen.signatures import ending

_LARGEST_HEADER = 1 << 20
"""Bytes of an extended header, which is a name and a few numbers."""

_LARGEST_MEMBER = 1 << 40
"""Bytes of a member beyond which its size is a lie."""

_CHUNK = 1 << 20


def pictures(file: BinaryIO) -> Iterator[Entry]:
    """Yield the members whose names end like a picture's and begin with no dot, by name.

    Raises:
        ImageError: It is no tar archive, is damaged or ends early; after what comes before.
    """
    stream = _Stream(file)
    for name, size in _files(stream):
        path = PurePosixPath(name)
        if path.suffix.lower() not in images.SUFFIXES or path.name.startswith("."):
            continue
        if size > images.MAX_BYTES:
            yield name, ImageError("too-large", f"it has {size:,} bytes, more than is safe to read at once")
        else:
            yield name, stream.read(size)


class TarShard:
    """Of each captioned picture its file, its caption as ``.txt`` and its record as ``.json``, under one key.

    The records of the others are in a last member, which readers of WebDataset skip by its name.

    Args:
        file: Written to.
    """

    ending = ".tar"

    def __init__(self, file: BinaryIO) -> None:
        """Begin."""
        self._tar = tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed by ``close``
        self._form, self._keys, self._others = JsonLinesFormat(several=True), set[str](), list[str]()

    def put(self, result: Result, picture: Picture | None) -> None:
        """Add a result; the caption of a picture that has gone since is only a record."""
        [line] = self._form.lines(result)
        data = _contents(picture) if result.status == "captioned" else None
        if picture is None or data is None:
            self._others.append(line)
            return
        key = self._key(picture.key)
        self._add(key + _ending(picture.key, data), data)
        self._add(f"{key}.txt", (result.caption or "").encode())
        self._add(f"{key}.json", line.encode())

    def close(self) -> None:
        """Finish."""
        if self._others:
            self._add(_OTHERS, "".join(f"{line}\n" for line in self._others).encode())
        self._tar.close()

    @staticmethod
    def paths(file: BinaryIO) -> Iterator[str]:
        """Read the paths of the pictures in a shard."""
        stream = _Stream(file)
        for name, size in _files(stream):
            if name == _OTHERS:
                yield from (json.loads(line)["path"] for line in stream.read(size).splitlines())
            elif name.endswith(".json") and size <= _LARGEST_HEADER:
                yield json.loads(stream.read(size))["path"]

    def _key(self, name: str) -> str:
        """Make a key that no other has: WebDataset takes all up to the first dot, and who unpacks it must be safe."""
        *folders, last = [part for part in name.split("/") if part not in {"", ".", ".."}] or ["picture"]
        plain = "/".join(re.sub(r"[^\w\- ]", "_", part) for part in (*folders, PurePosixPath(last).stem))
        key, number = plain, 1
        while key in self._keys:
            number += 1
            key = f"{plain}-{number}"
        self._keys.add(key)
        return key

    def _add(self, name: str, data: bytes) -> None:
        about = tarfile.TarInfo(name)
        about.size = len(data)
        self._tar.addfile(about, io.BytesIO(data))


_OTHERS = "__others__"


def _contents(picture: Picture | None) -> bytes | None:
    """Read a picture again; ``None`` if it has gone."""
    try:
        return picture.read() if picture else None
    except ImageError:
        return None


def _ending(name: str, data: bytes) -> str:
    """Return the ending of a picture's name, or the one of what it is."""
    given = PurePosixPath(name).suffix.lower()
    return given if given in images.SUFFIXES else ending(data) or ".jpg"


class _Stream:
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
                raise ImageError("unreadable", "the archive ends early; what comes before was read")
            parts.append(part)
            size -= len(part)
            self.position += len(part)
        return b"".join(parts)

    def skip_to(self, position: int) -> None:
        while self.position < position:
            self.read(min(position - self.position, _CHUNK))


def _files(stream: _Stream) -> Iterator[tuple[str, int]]:
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
            if size > _LARGEST_HEADER:
                raise ImageError("unreadable", f"the archive is damaged (a header of {size:,} bytes); the rest is not read")
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
        raise ImageError("unreadable", what) from error
    if not 0 <= size <= _LARGEST_MEMBER:
        raise ImageError("unreadable", f"the archive is damaged (a member of {size:,} bytes); what comes before was read")
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
            raise ImageError("unreadable", "the archive is damaged (an extended header); what comes before was read")
        key, _, value = data[place + len(digits) + 1 : end - 1].partition(b"=")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        place = end
    return found
