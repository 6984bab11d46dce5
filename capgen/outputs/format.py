"""``LineFormat``: what the formats have in common that write a file, or the standard output, line by line."""

import codecs
import copy
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from capgen.captioner.results import Result
from capgen.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from capgen.outputs.policy import OverwriteGuard
    from capgen.outputs.sink import Sink
    from capgen.storage.locations import Location


_MAX_RECORD = 1 << 16
"""Bytes of a record; one that is longer has a quotation mark too many, and would go on to the end of the file."""


class Format(Protocol):
    """A format of files that hold the captions of many images.

    Its class is called with ``several``: whether there is more than one image, so that records need their paths.
    """

    name_of: "Callable[[Location], object] | None"
    """What the format calls an image; ``None`` if that is its whole path."""

    records_failures: bool
    """Whether a file has a record of an image that failed."""

    def open(self, path: Path, guard: "OverwriteGuard", *, read_only: bool = False) -> "Sink":
        """Return the sink that writes to a file and goes on with what the file holds.

        Args:
            path: The file; it is made if it is missing.
            guard: Knows which of its captions may be replaced.
            read_only: Only read what the file holds, for a plan of what would be written.

        Raises:
            StorageError: The file cannot be read or written.
        """
        ...

    def standard_output(self) -> "Sink":
        """Return the sink that writes to the standard output."""
        ...

    def merge(self, sources: "Sequence[Path]", target: Path) -> int:
        """Write the records of several files to one, and return of how many images there are captions in it.

        Raises:
            DataError: A source cannot be read, or holds something else than this format's records.
            StorageError: The target cannot be written.
        """
        ...


class LineFormat:
    """A format with a record of one or more lines for each image.

    Args:
        several: Whether there is more than one image, so that records need their paths.
    """

    name_of = None

    records_failures = False

    header = ""
    """The line before all others; empty for none."""

    line_end = b"\n"

    def __init__(self, *, several: bool) -> None:
        self.several = several

    def as_in(self, first_line: bytes) -> Self:
        """Return the format as a file has it that begins with a line: another program may have saved it in its own way."""
        found = copy.copy(self)
        found.line_end = b"\r\n" if first_line.endswith(b"\r\n") else b"\n"
        return found

    def as_in_file(self, path: Path) -> Self:
        """Return the format as a file has it, by ``as_in``.

        Raises:
            DataError: The file is in UTF-16. The message needs the file before it.
            OSError: It cannot be read.
        """
        with path.open("rb") as file:
            line = file.readline()
        if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise DataError("is in UTF-16; save it as UTF-8")
        return self.as_in(line.removeprefix(codecs.BOM_UTF8))

    def lines(self, result: Result) -> list[str]:
        """Return the records of a result; none if the format has no room for its status."""
        raise NotImplementedError

    def is_whole(self, record: bytes) -> bool:
        """Tell whether the lines read so far, with their ends, are a whole record."""
        return record.endswith(b"\n")

    def records(self, lines: "Iterable[bytes]") -> "Iterator[bytes]":
        """Yield the records of a file, given its lines. A byte order mark is left out, and a last line gets its end.

        Raises:
            DataError: A record has no end, or is longer than any that is written. The message needs the file before it.
        """
        record = b""
        for number, line in enumerate(lines):
            record += line if number else line.removeprefix(codecs.BOM_UTF8)
            if not line.endswith(b"\n"):
                record += b"\n"
            if self.is_whole(record):
                yield record
                record = b""
            elif len(record) > _MAX_RECORD:
                break
        if record:
            raise DataError(f"ends inside a record that begins with {record[:40]!r}")

    def parse(self, record: bytes) -> tuple[str, str | None] | None:
        """Return the path and the caption in a record, or ``None`` if it is not a record of this format."""
        raise NotImplementedError

    def encoded(self, result: Result) -> bytes:
        """Return the records of a result as they are written to a file."""
        return b"".join(line.encode("utf-8", "surrogateescape") + self.line_end for line in self.lines(result))

    def open(self, path: Path, guard: "OverwriteGuard", *, read_only: bool = False) -> "Sink":
        """Return the sink that writes to a file; see ``Format``."""
        from capgen.outputs.stream import CaptionFile, CaptionFileReader

        return (CaptionFileReader if read_only else CaptionFile)(path, self, guard)

    def standard_output(self) -> "Sink":
        """Return the sink that writes to the standard output."""
        from capgen.outputs.standard_output import StandardOutput

        return StandardOutput(self)

    def merge(self, sources: "Sequence[Path]", target: Path) -> int:
        """Write the records of several files to one; see ``Format``."""
        from capgen.outputs.merging import merge_lines

        return merge_lines(sources, target, self)
