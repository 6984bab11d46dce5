"""The sinks of a file of lines, to which captions are added and with which a later run goes on."""

import codecs
import dataclasses
import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from capgen.captioner.results import ImageVersion, Result, SkipReason
from capgen.errors import DataError, Status, StorageError
from capgen.inputs.selection import Found
from capgen.outputs import policy
from capgen.outputs.choices import Existing
from capgen.outputs.format import LineFormat
from capgen.outputs.manifest import Record, key, key_in_file
from capgen.outputs.policy import OverwriteGuard
from capgen.storage import files, locks, platform
from capgen.storage.hashing import caption_hash, hash64
from capgen.storage.locations import located


@dataclasses.dataclass(frozen=True, slots=True)
class _Held:
    """What a file holds of one image: a hash of its caption, the caption if it may be added to, and how many records."""

    caption_hash: str
    caption: str
    records: int


class CaptionFileReader:
    """What a file of captions holds, read without changing it.

    Args:
        path: The file; it may be missing.
        form: The format of its lines.
        guard: Knows which of its captions may be replaced.

    Raises:
        StorageError: It cannot be read, is not a regular file, or its last record has no end.
    """

    def __init__(self, path: Path, form: LineFormat, guard: OverwriteGuard) -> None:
        self._path, self._form, self._guard = path, form, guard
        self._key = key(path)
        self._held: dict[int, _Held] = {}  # by the hash of an image's path
        self._replaced: dict[int, int] = {}  # how many records of an image, the first in the file, have been replaced
        try:
            if path.exists() and not (path.is_file() or path.is_dir()):  # a device may have no end
                raise StorageError(f"{path} is not a file that lines can be added to; leave `output` out to print captions")
            self._open()
        except OSError as error:
            raise files.storage_error(path, error) from error

    def _open(self) -> None:
        if self._path.exists():
            self._form = self._form_there()
            self._read()

    def _form_there(self) -> LineFormat:
        """Return the format as the file has it."""
        try:
            return self._form.as_in_file(self._path)
        except DataError as error:
            raise StorageError(f"{self._path} {error}, or choose another file") from error

    def target(self, item: Found) -> Path:
        """Return the file."""
        return self._path

    def skip_reason(self, item: Found) -> SkipReason | None:
        """Tell why an image needs no record; ``None`` if it needs one."""
        return self._reason(item, item.version)

    def write(self, item: Found, result: Result) -> SkipReason | None:
        """Write nothing; tell why the image would need no record."""
        return self._reason(item, result.version)

    def close(self) -> None:
        """Do nothing, since no file is open."""

    def _reason(self, item: Found, version: ImageVersion | None = None) -> SkipReason | None:
        """Tell why an image needs no record; its version is looked up if it is not given, and matters."""
        held = self._held.get(hash64(item.path))
        if held is None or not held.caption_hash:
            return None
        if self._guard.existing is Existing.SKIP:  # nothing about the image is asked then
            return SkipReason.HAS_CAPTION
        version = ImageVersion.of_file(item.path) if version is None else version
        return self._guard.skip_reason(key_in_file(self._key, item.path), held.caption_hash, version)

    def _read(self) -> None:
        """Learn what is in the file.

        Where an image has several records, they are alternatives, or a person's, unless the manifest says that a later one
        was written to replace those before it and a kill came before they were removed.
        """
        for record in self._records():
            parsed = self._form.parse(record)
            if not parsed:
                continue
            path, caption = located(parsed[0]), parsed[1]
            current = caption_hash(caption) if caption else ""
            held = self._held.get(hash64(path))
            if held is None:
                self._held[hash64(path)] = _Held(current, self._kept(caption), 1)
                continue
            known = self._guard.manifest.get(key_in_file(self._key, path)) if current != held.caption_hash else None
            if known is not None and known.written == current:
                self._replace(hash64(path), held)
                self._held[hash64(path)] = _Held(current, self._kept(caption), 1)
            else:
                self._held[hash64(path)] = dataclasses.replace(held, records=held.records + 1)

    def _records(self) -> Iterator[bytes]:
        """Read whole records; a last line without its end was written by someone else and is completed."""
        try:
            with self._path.open("rb") as lines:
                yield from self._form.records(lines)
        except DataError as error:
            raise StorageError(f"{self._path} {error}; mend it or choose another file") from error

    def _replace(self, path_hash: int, held: _Held) -> None:
        self._replaced[path_hash] = self._replaced.get(path_hash, 0) + held.records

    def _kept(self, caption: str | None) -> str:
        """Return what is kept of a caption in memory: the text if it may be added to, since else its hash is enough."""
        return (caption or "") if self._guard.existing.adds else ""


class CaptionFile(CaptionFileReader):
    """A file of captions. Records are appended whole and flushed; those that they replace are removed when it is closed.

    It takes the arguments of ``CaptionFileReader``. The file is made if it is missing, and mended if its last line was cut
    off.

    Raises:
        StorageError: It cannot be written, or another capgen is writing it.
    """

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as opened:
            self._file = opened.enter_context(locked(self._path))
            self._form = self._form_there()
            self._mend()
            self._read()
            if self._form.header and not os.fstat(self._file.fileno()).st_size:
                self._append(self._form.header.encode() + b"\n")
            opened.pop_all()  # the file stays open, since nothing went wrong

    def write(self, item: Found, result: Result) -> SkipReason | None:
        """Append the records of a result.

        Raises:
            StorageError: They cannot be written; the file ends with the record before.
        """
        reason = self._reason(item, result.version)
        if reason is not None:
            return reason
        held = self._held.get(hash64(item.path))
        if result.captions and held and held.caption:
            result = _joined(result, held.caption, self._guard.existing)
        records = self._form.lines(result)
        is_failure_over_caption = held is not None and held.caption_hash and result.status is not Status.CAPTIONED
        if records and not is_failure_over_caption:
            self._write_records(item, result, held)
            text = result.caption
            self._held[hash64(item.path)] = _Held(caption_hash(text) if text else "", self._kept(text), len(records))
        return None

    def _write_records(self, item: Found, result: Result, held: _Held | None) -> None:
        image_key, text = key_in_file(self._key, item.path), result.caption
        if text is not None:
            self._guard.before_writing(image_key, held.caption_hash if held else None, text, result.version)
        try:
            self._append(self._form.encoded(result))
        except OSError as error:
            raise files.storage_error(self._path, error) from error
        if text is not None:
            self._guard.after_writing(image_key, text, result.version)
        if held:
            self._replace(hash64(item.path), held)

    def close(self) -> None:
        """Remove what has been replaced, and close the file.

        Raises:
            StorageError: That failed; the file holds the old records and the new ones.
        """
        if self._file.closed:
            return
        with self._file:
            if self._replaced:
                if not platform.CAN_REPLACE_OPEN_FILES:
                    self._file.close()
                files.write_with(self._path.resolve(), self._copy)  # a link to the file stays one
            # The row without a line says that this run ended well: a last line without its end is a person's from now on.
            self._guard.manifest.put(self._key, Record(""))

    def _copy(self, file: BinaryIO) -> None:
        with self._path.open("rb") as before:
            if before.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8:
                file.write(codecs.BOM_UTF8)
        for record in self._records():
            parsed = self._form.parse(record)
            path_hash = hash64(located(parsed[0])) if parsed else None
            if path_hash is not None and self._replaced.get(path_hash):
                self._replaced[path_hash] -= 1
            else:
                file.write(record)

    def _mend(self) -> None:
        """Remove what a lost disk has left of the last lines written, and complete a last line of someone else."""
        header = self._form.header.encode() + b"\n"
        known = self._guard.manifest.get(self._key)
        size = os.fstat(self._file.fileno()).st_size
        for written in (known.line if known else b"", header):
            self._file.seek(max(0, size - len(written) - 1))
            end = b"\n" + self._file.read() if size <= len(written) else self._file.read()
            # A line that lacks only its end may have been saved by an editor.
            for length in range(len(written.rstrip(b"\r\n")) - 1, 0, -1):
                if end.endswith(b"\n" + written[:length]) and not self._form.is_whole(written[:length]):
                    self._file.truncate(size - length)
                    return
        if size and not end.endswith(b"\n"):
            self._append(b"\n" if end.endswith(b"\r") else self._form.line_end)

    def _append(self, data: bytes) -> None:
        """Write all bytes at the end of the file, or none.

        The manifest remembers them, so that a part of them that is left can be told from other lines.
        """
        self._guard.manifest.put(self._key, Record("", line=data))
        end = os.fstat(self._file.fileno()).st_size
        try:
            written = os.write(self._file.fileno(), data)
        except OSError:
            self._file.truncate(end)
            raise
        if written != len(data):  # the disk was full in the middle of a line
            self._file.truncate(end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _joined(result: Result, current: str, existing: Existing) -> Result:
    """Add the best caption of a result to the one that is there."""
    first, *others = result.captions
    text = policy.combined(current, first.text, existing)
    return dataclasses.replace(result, captions=(dataclasses.replace(first, text=text), *others))


def locked(path: Path) -> BinaryIO:
    """Open a file for reading and appending, and lock it.

    Another file may have been put in its place in the meantime, which is then opened instead; one that is gone is made anew.

    Raises:
        StorageError: Another capgen is writing the file.
    """
    while True:
        file = path.open("a+b", buffering=0)
        try:
            platform.lock_file(file.fileno())
        except BlockingIOError as error:
            file.close()
            raise StorageError(f"{path} is being written by another capgen; wait for it to end, or stop it") from error
        except OSError:
            platform.note_lack("locks", f"the file system of {path} has no locks; let only one capgen write to it at a time")
        if locks.is_at(file, path):
            return file
        file.close()
