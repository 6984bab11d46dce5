"""Where lines go: stdout, or a file that is added to as captions are found and that a later run goes on with."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Protocol

from capgen.captioner.results import Result, SkipReason
from capgen.errors import Status, StorageError
from capgen.outputs import Format, policy
from capgen.outputs.manifest import Manifest, Record, key, whose
from capgen.storage import files, platform
from capgen.storage.hashing import caption_hash, hash64
from capgen.storage.locations import Location, located

Known = tuple[str, str, int]
"""Hash of a caption in a file, the caption itself if it may be added to, and the number of its records."""


class Stream(Protocol):
    """Takes the lines of results.

    Attributes:
        place: The file, if it is one.
    """

    place: Path | None

    def settled(self, path: Location) -> SkipReason | None:
        """Tell why a picture needs no line, or ``None`` if it does."""
        ...

    def write(self, result: Result) -> None:
        """Write a result's lines at once."""
        ...

    def close(self) -> None:
        """Finish."""
        ...


class Standard:
    """Standard output.

    Args:
        form: Of the lines.
        header: Whether the format's header comes first.
    """

    place: Path | None = None

    def __init__(self, form: Format, *, header: bool = True) -> None:
        """Write the header, if there is one."""
        self._form, self._out = form, sys.stdout.buffer  # while Ray is at work, sys.stdout is something else
        if form.header and header:
            self._put([form.header])

    def settled(self, path: Location) -> SkipReason | None:
        """See ``Stream``: nothing is known of earlier runs."""
        return None

    def write(self, result: Result) -> None:
        """See ``Stream``."""
        self._put(self._form.lines(result))

    def close(self) -> None:
        """See ``Stream``."""

    def _put(self, lines: list[str]) -> None:
        self._out.write(b"".join(line.encode("utf-8", "surrogateescape") + b"\n" for line in lines))
        self._out.flush()


class OutputLook:
    """What a file of captions holds, read without changing it.

    Args:
        path: The file; it may be missing.
        form: Of its lines.
        manifest: Knows which of its captions are capgen's.
        existing: What becomes of captions that are in it already.
        force: See ``policy.decide``.
        header: Whether a new file begins with the format's header.

    Raises:
        StorageError: It cannot be read, is no regular file, or its last record has no end.
    """

    def __init__(
        self, path: Path, form: Format, manifest: Manifest, existing: str, *, force: bool = False, header: bool = True
    ) -> None:
        """Read what it holds."""
        self._path, self._form, self._manifest = path, form, manifest
        self.place: Path | None = path
        self._existing, self._force, self._header = existing, force, header
        self._known: dict[int, Known] = {}
        self._replaced: dict[int, int] = {}
        try:
            if path.exists() and not (path.is_file() or path.is_dir()):  # a device may have no end
                raise StorageError(f"{path} is no file that lines can be added to; leave --output out to print captions")
            self._open()
        except OSError as error:
            raise files.storage_error(path, error) from error

    def _open(self) -> None:
        if self._path.exists():
            self._read()

    def settled(self, path: Location) -> SkipReason | None:
        """See ``Stream``."""
        known = self._known.get(hash64(path))
        current = known[0] if known else None
        return policy.decide(current or None, self._manifest.get(key(self._path, path)), self._existing, force=self._force)

    def write(self, result: Result) -> None:
        """See ``Stream``: nothing is written."""

    def close(self) -> None:
        """See ``Stream``."""

    def _read(self) -> None:
        """Learn what is in the file.

        Where a path has several records, they are alternatives, or a person's, unless the manifest says that a later one
        was written to replace those before it and a kill came before they were taken out.
        """
        for record in self._records():
            parsed = self._form.parse(record)
            if not parsed:
                continue
            short, caption = hash64(located(parsed[0])), parsed[1]
            found = caption_hash(caption) if caption else ""
            known = self._known.get(short)
            if known is None:
                self._known[short] = (found, self._kept(caption), 1)
                continue
            about = self._manifest.get(key(self._path, located(parsed[0])))
            if found != known[0] and about is not None and about.written == found:
                self._replaced[short] = self._replaced.get(short, 0) + known[2]
                self._known[short] = (found, self._kept(caption), 1)
            else:
                self._known[short] = (known[0], known[1], known[2] + 1)

    def _records(self) -> Iterator[bytes]:
        """Read whole records; a last line without its end is someone's, and gets it."""
        record = b""
        with self._path.open("rb") as lines:
            for line in lines:
                record += line if line.endswith(b"\n") else line + b"\n"
                if self._form.whole(record):
                    yield record
                    record = b""
        if record:
            raise StorageError(
                f"{self._path} ends inside a record that begins with {record[:40]!r}; mend it or choose another file"
            )

    def _kept(self, caption: str | None) -> str:
        """Keep a caption only if it may be added to: of the others the hash is enough."""
        return (caption or "") if self._existing in ("append", "prepend") else ""


class OutputFile(OutputLook):
    """A file of captions. Lines are appended whole and flushed; those that they replace are taken out at the end.

    Takes the arguments of ``OutputLook``; the file is made if it is missing, and mended if its last line was cut off.

    Raises:
        StorageError: It cannot be written, or another capgen is writing it.
    """

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as opened:
            self._file = opened.enter_context(locked(self._path))
            self._mend()
            self._read()
            if self._form.header and self._header and not os.fstat(self._file.fileno()).st_size:
                self._append(self._form.header.encode() + b"\n")
            opened.pop_all()  # it stays open, as nothing went wrong

    def write(self, result: Result) -> None:
        """See ``Stream``.

        Raises:
            StorageError: It cannot be written; the file ends with the line before.
        """
        assert result.path is not None
        short = hash64(result.path)
        known = self._known.get(short)
        if result.captions and known and known[1]:
            result = _joined(result, known[1], self._existing)
        lines = self._form.lines(result)
        if not lines or (known and known[0] and result.status is not Status.CAPTIONED):
            return  # a failure takes no caption away
        place, text = key(self._path, result.path), result.caption
        if text is not None:
            before = known[0] if known else ""
            self._manifest.put(place, Record(caption_hash(text), before, whose(self._manifest.get(place), before)))
        try:
            self._append(b"".join(line.encode("utf-8", "surrogateescape") + b"\n" for line in lines))
        except OSError as error:
            raise files.storage_error(self._path, error) from error
        if text is not None:
            self._manifest.put(place, Record(caption_hash(text)))
        if known:
            self._replaced[short] = self._replaced.get(short, 0) + known[2]
        self._known[short] = (caption_hash(text) if text else "", self._kept(text), len(lines))

    def close(self) -> None:
        """Take out what has been replaced, and let go of the file.

        Raises:
            StorageError: That failed; nothing is lost.
        """
        with self._file:
            if self._replaced:
                if not platform.CAN_REPLACE_OPEN_FILES:
                    self._file.close()
                files.write_with(self._path.resolve(), self._copy)  # a link to the file stays one
            self._manifest.put(key(self._path), Record(""))  # it ended well: a last line without its end is a person's

    def _copy(self, file: BinaryIO) -> None:
        for record in self._records():
            parsed = self._form.parse(record)
            short = hash64(located(parsed[0])) if parsed else None
            if short is not None and self._replaced.get(short):
                self._replaced[short] -= 1
            else:
                file.write(record)

    def _mend(self) -> None:
        """Take away what a lost disk has left of the last lines written, and give a last line of someone's its end."""
        header = self._form.header.encode() + b"\n"
        about = self._manifest.get(key(self._path))
        size = os.fstat(self._file.fileno()).st_size
        for written in (about.line if about else b"", header):
            self._file.seek(max(0, size - len(written) - 1))
            end = b"\n" + self._file.read() if size <= len(written) else self._file.read()
            for length in range(len(written) - 2, 0, -1):  # some editors leave the last line end out
                if end.endswith(b"\n" + written[:length]) and not self._form.whole(written[:length]):
                    self._file.truncate(size - length)
                    return
        if size and not end.endswith(b"\n"):
            self._append(b"\n")

    def _append(self, data: bytes) -> None:
        """Write at the end, all or nothing; the manifest knows what, so that a part of it can be told from other lines."""
        self._manifest.put(key(self._path), Record("", line=data))
        end = os.fstat(self._file.fileno()).st_size
        try:
            written = os.write(self._file.fileno(), data)
        except OSError:
            self._file.truncate(end)
            raise
        if written != len(data):  # the disk was full in the middle of a line
            self._file.truncate(end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _joined(result: Result, old: str, existing: str) -> Result:
    """Add to the caption that is there."""
    import dataclasses

    first, *others = result.captions
    text = policy.combined(old, first.text, existing)
    return dataclasses.replace(result, captions=(dataclasses.replace(first, text=text), *others))


def locked(path: Path) -> BinaryIO:
    """Open a file to read and append, and lock it; a run that has just ended may have put another in its place."""
    while True:
        file = path.open("a+b", buffering=0)
        try:
            platform.lock_file(file.fileno())
        except BlockingIOError as error:
            file.close()
            raise StorageError(f"{path} is being written by another capgen; wait for it to end, or stop it") from error
        if os.path.samestat(os.fstat(file.fileno()), path.stat()):
            return file
        file.close()
