"""Lists of files that other programs write, such as ``find -print0``, read as they arrive."""

import os
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from capgen.errors import UsageError

_BLOCK = 65536
"""The most bytes that are read at once."""

_MARK_BEGINNINGS = (BOM_UTF8[:1], BOM_UTF8[:2], BOM_UTF16_LE[:1], BOM_UTF16_BE[:1])
"""Bytes after which more are needed to tell whether a list begins with a byte order mark."""


def read_list(stream: BinaryIO, *, nul: bool) -> Iterator[str]:
    """Read paths from a list, each as soon as it is complete.

    Args:
        stream: The list. Each path is on a line of its own, which ends with a line feed, or with both
            a carriage return and a line feed.
        nul: Each path ends with a zero byte instead, so that it may contain every other byte.

    Yields:
        The paths, in the file system's encoding; empty ones are left out, and so is a byte order mark before the first line.

    Raises:
        UsageError: The list is in UTF-16.
    """
    end = b"\0" if nul else b"\n"
    read = getattr(stream, "read1", stream.read)  # ``read1`` returns what a pipe holds already; not every stream has it
    rest = b""
    first = b"" if nul else _without_mark(read)
    for block in chain([first], iter(lambda: read(_BLOCK), b"")):
        *entries, rest = (rest + block).split(end)
        yield from _decoded(entries, nul=nul)
    yield from _decoded([rest], nul=nul)


def _without_mark(read: Callable[[int], bytes]) -> bytes:
    """Read the first bytes of a list of lines, and return those behind its byte order mark.

    Raises:
        UsageError: The mark is that of UTF-16.
    """
    head = b""
    while head in (b"", *_MARK_BEGINNINGS) and (block := read(len(BOM_UTF8) - len(head))):
        head += block
    if head.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise UsageError("the list of paths is in UTF-16; save it as UTF-8")
    return head.removeprefix(BOM_UTF8)


def read_list_file(path: Path, *, nul: bool) -> list[str]:
    """Read the paths in a file, as ``read_list`` does.

    Raises:
        UsageError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return list(read_list(file, nul=nul))
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    except OSError as error:
        raise UsageError(f"the list {path} cannot be read: {error.strerror}") from error


def _decoded(entries: Iterable[bytes], *, nul: bool) -> Iterator[str]:
    for entry in entries:
        name = entry if nul else entry.removesuffix(b"\r")
        if name:
            yield os.fsdecode(name)
