"""Lists of files that people and other programs write, such as ``find -print0``, from a file or the standard input."""

import os
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from capgen.errors import UsageError, os_reason
from capgen.images import MAX_BYTES
from capgen.images.formats import HEAD_BYTES, looks_like_image
from capgen.inputs.names import on_disk
from capgen.storage.locations import is_url

_BLOCK = 65536
"""The most bytes that are read at once."""

_MARK_BEGINNINGS = (BOM_UTF8[:1], BOM_UTF8[:2], BOM_UTF16_LE[:1], BOM_UTF16_BE[:1])
"""Bytes after which more are needed to tell whether a list begins with a byte order mark."""


@dataclass(frozen=True)
class PathList:
    """What a list names.

    Attributes:
        paths: The paths, from the folder that the process runs in.
        folder: The folder of the list, if some of them were found from there alone; else ``None``.
    """

    paths: tuple[str, ...]
    folder: Path | None = None


def read_standard_input(stream: BinaryIO, *, nul: bool) -> PathList | bytes:
    """Read what ``-`` stands for: a list of paths, or a single image, which is returned as the bytes of its file.

    Args:
        stream: The standard input.
        nul: It is a list whose paths end with a zero byte.

    Raises:
        UsageError: It is neither, or the image is too large.
    """
    head = stream.read(HEAD_BYTES)
    if not _is_image(head, nul=nul):
        try:
            return _path_list(read_list(stream, nul=nul, head=head), None, nul=nul)
        except UsageError as error:
            raise UsageError(f"stdin: {error}") from error
    if nul:
        raise UsageError("stdin is an image and not a list of paths; leave out -0")
    data = head + stream.read(MAX_BYTES)
    if len(data) > MAX_BYTES:
        raise UsageError(f"the image on stdin has more than {MAX_BYTES:,} bytes, more than is safe to read at once")
    return data


def read_list_file(path: Path, *, nul: bool) -> PathList:
    """Read the paths in a file.

    Args:
        path: The file, which is read as by ``read_list``. A line that begins with ``#`` is a remark, in one that begins
            with ``~`` that is the home folder, and a path that leads to nothing from here is one from the folder of the
            list if it leads to something there. A name that a file here has is always that file's.
        nul: Each path ends with a zero byte, and is taken as it stands.

    Raises:
        UsageError: The file cannot be read, or is not a list.
    """
    try:
        with path.open("rb") as file:
            return _listed(file, path.parent, nul=nul)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    except OSError as error:
        raise UsageError(f"the list {path} cannot be read: {os_reason(error)}") from error


def _listed(file: BinaryIO, folder: Path, *, nul: bool) -> PathList:
    head = file.read(HEAD_BYTES)
    if _is_image(head, nul=nul):
        raise UsageError("it is an image and not a list of paths; leave out `from_file`")
    return _path_list(read_list(file, nul=nul, head=head), folder, nul=nul)


def _is_image(head: bytes, *, nul: bool) -> bool:
    """Tell whether what should be a list begins like an image; a path may begin with the letters of a format, too."""
    return looks_like_image(head) and re.search(rb"[\1-\x08\x0e-\x1f]" if nul else rb"[\0-\x08\x0e-\x1f]", head) is not None


def _path_list(entries: Iterable[str], folder: Path | None, *, nul: bool) -> PathList:
    """Make paths of the entries of a list, which lies in ``folder`` if that is known."""
    if nul:
        return PathList(tuple(entries))
    paths, relative = [], False
    for line in entries:
        if "\0" in line:
            raise UsageError("there are zero bytes in the list; add `nul=True` if its paths end in them")
        path, from_list = _path_of(line, folder)
        relative = relative or from_list
        if path is not None:
            paths.append(path)
    return PathList(tuple(paths), folder if relative else None)


def _path_of(line: str, folder: Path | None) -> tuple[str | None, bool]:
    """Return the path that a line means, ``None`` if it is a remark, and whether it was found from ``folder`` alone."""
    if is_url(line) or _exists(Path(line)):
        return line, False
    if folder is not None and _exists(folder / line):
        return str(folder / line), True
    if line.startswith("#"):
        return None, False
    return (os.path.expanduser(line) if "/" in line else line), False  # noqa: PTH111 - the user may be unknown


def _exists(path: Path) -> bool:
    try:
        return os.path.lexists(on_disk(path))
    except ValueError:  # a name that no file can have
        return False


def read_list(stream: BinaryIO, *, nul: bool, head: bytes = b"") -> Iterator[str]:
    """Read paths from a list, each as soon as it is complete.

    Args:
        stream: The list. Each path is on a line of its own, which ends with a line feed, or with both
            a carriage return and a line feed.
        nul: Each path ends with a zero byte instead, so that it may contain every other byte.
        head: Its beginning, if that has been read from the stream already.

    Yields:
        The paths, in the file system's encoding; empty ones are left out, and so is a byte order mark before the first line.

    Raises:
        UsageError: The list is in UTF-16.
    """
    end = b"\0" if nul else b"\n"
    read = getattr(stream, "read1", stream.read)  # ``read1`` returns what a pipe holds already; not every stream has it
    rest = b""
    first = head if nul else _without_mark(head, read)
    for block in chain([first], iter(lambda: read(_BLOCK), b"")):
        *entries, rest = (rest + block).split(end)
        yield from _decoded(entries, nul=nul)
    yield from _decoded([rest], nul=nul)


def _without_mark(head: bytes, read: Callable[[int], bytes]) -> bytes:
    """Return the first bytes of a list of lines, without its byte order mark; more are read as far as they are needed.

    Raises:
        UsageError: The mark is that of UTF-16.
    """
    while head in (b"", *_MARK_BEGINNINGS) and (block := read(len(BOM_UTF8) - len(head))):
        head += block
    if head.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise UsageError("the list of paths is in UTF-16; save it as UTF-8")
    return head.removeprefix(BOM_UTF8)


def _decoded(entries: Iterable[bytes], *, nul: bool) -> Iterator[str]:
    for entry in entries:
        name = entry if nul else entry.removesuffix(b"\r")
        if name:
            yield os.fsdecode(name)
