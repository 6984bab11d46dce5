"""Lists of files that other programs write, such as ``find -print0``, read as they arrive."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from capgen.errors import UsageError

_BLOCK = 65536
"""The most bytes that are read at once."""


def read_list(stream: BinaryIO, *, nul: bool) -> Iterator[str]:
    """Read paths from a list, each as soon as it is complete.

    Args:
        stream: The list. Each path is on a line of its own, which ends with a line feed, or with both
            a carriage return and a line feed.
        nul: Each path ends with a zero byte instead, so that it may contain every other byte.

    Yields:
        The paths, in the file system's encoding; empty ones are left out.
    """
    end = b"\0" if nul else b"\n"
    read = getattr(stream, "read1", stream.read)  # ``read1`` returns what a pipe holds already; not every stream has it
    rest = b""
    while block := read(_BLOCK):
        *entries, rest = (rest + block).split(end)
        yield from _decoded(entries, nul=nul)
    yield from _decoded([rest], nul=nul)


def read_list_file(path: Path, *, nul: bool) -> list[str]:
    """Read the paths in a file, as ``read_list`` does.

    Raises:
        UsageError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return list(read_list(file, nul=nul))
    except OSError as error:
        raise UsageError(f"the list {path} cannot be read: {error.strerror}") from error


def _decoded(entries: Iterable[bytes], *, nul: bool) -> Iterator[str]:
    for entry in entries:
        name = entry if nul else entry.removesuffix(b"\r")
        if name:
            yield os.fsdecode(name)
