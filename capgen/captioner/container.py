"""Where a captioner's files are read from: a folder, or a ``.capgen`` file, which is the zip of one.

A stranger may have sent either, so nothing in them is trusted. Only plain file names are read, from plain files of bounded
sizes. All of a zip's directory is checked before an entry is opened, entries are unpacked a chunk at a time and never beyond
the size that is declared, and nothing is ever extracted: files are written by the names that the captioner's description
lists. Whether the bytes are the right ones is decided by the hashes in it.
"""

import io
import stat
import struct
import weakref
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, TypeAlias

from capgen.errors import BundleError
from capgen.storage import paths

DESCRIPTION = "bundle.json"
"""The file of a captioner that describes it and lists all others."""

SUFFIX = ".capgen"
"""The ending of captioners that are one file."""

MAX_BYTES = 1 << 30
"""The most that all files of a captioner may have together, unpacked."""

MAX_JSON_BYTES = 16 << 20
"""The largest JSON file; parsed, it takes many times that."""

MAX_FILES = 64
"""The most files of a captioner."""

MAX_RATIO = 100
"""How many times larger than its packed size an entry may be; trained numbers hardly shrink at all."""

CHUNK = 1 << 20
"""The most that is read at once, and so the largest directory a zip may have, too."""

_BROKEN = (
    OSError, ValueError, ArithmeticError, LookupError, EOFError, RuntimeError, struct.error, zlib.error, zipfile.BadZipFile,
)  # fmt: skip
"""What ``zipfile`` raises on broken files."""

_ENCRYPTED = 0x41
"""The flags of an entry that needs a password."""

_LOCAL_HEADER = 30
"""Bytes before the name and the content of an entry."""

_PLAIN_FILE = (stat.S_IFREG | 0o644) << 16
_EPOCH = (1980, 1, 1, 0, 0, 0)


def is_plain(name: object) -> bool:
    """Tell whether ``name`` names a file right inside a folder, on every system: no separator, drive, dots or blanks."""
    return isinstance(name, str) and paths.NAME.fullmatch(name) is not None


class Folder:
    """The files in a folder.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def size(self, name: str) -> int:
        """Return the bytes of a file.

        Raises:
            BundleError: There is no such file, or it is not one to read.
        """
        try:
            found = (self.path / name).stat()
        except (OSError, ValueError) as error:
            raise _unreadable(self.path, name) from error
        if not stat.S_ISREG(found.st_mode):
            raise BundleError(f"{self.path} is not a captioner: {name} is not a plain file")
        if found.st_size > _limit(name):
            raise BundleError(f"{self.path} is refused: {name} is too large for a captioner's file")
        return found.st_size

    def read(self, name: str) -> bytes:
        """Return the content of a file.

        Raises:
            BundleError: It cannot be read.
        """
        self.size(name)
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise _unreadable(self.path, name) from error


class Archive:
    """The files in a ``.capgen`` file. Safe to read from several threads.

    Args:
        path: The file.

    Raises:
        BundleError: It is not a zip, or one that capgen would not have written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            file = _BoundedReader(path)
            weakref.finalize(self, file.close)
            self._zip = zipfile.ZipFile(file)
            self._entries = self._checked()
        except _BROKEN as error:
            raise BundleError(f"{path} is not a captioner: it is neither a folder nor a .capgen file") from error

    def size(self, name: str) -> int:
        """Return the bytes of a file, unpacked, as the directory declares them."""
        if name not in self._entries:
            raise _unreadable(self.path, name)
        return self._entries[name].file_size

    def read(self, name: str) -> bytes:
        """Return the content of a file; no more than is declared is ever unpacked.

        Raises:
            BundleError: It cannot be read.
        """
        size, content = self.size(name), io.BytesIO()
        try:
            with self._zip.open(self._entries[name]) as file:
                while piece := file.read(CHUNK):  # not all at once: that unpacks to the end, whatever is declared
                    content.write(piece)
        except _BROKEN as error:
            raise _unreadable(self.path, name) from error
        if content.tell() != size:
            raise _unreadable(self.path, name)
        return content.getvalue()

    def _checked(self) -> dict[str, zipfile.ZipInfo]:
        """Return the entries by name, if there is nothing wrong with any of them."""
        entries = self._zip.infolist()
        if len(entries) > MAX_FILES:
            raise BundleError(
                f"{self.path} is refused: it has {len(entries):,} entries, and a captioner at most {MAX_FILES}"
            )
        if sum(entry.file_size for entry in entries) > MAX_BYTES:
            raise BundleError(f"{self.path} is refused: unpacked it would be too large for a captioner")
        seen: set[str] = set()
        for entry in entries:
            for fault in _faults(entry):
                name = ascii(entry.orig_filename[:60])
                raise BundleError(f"{self.path} is refused: its entry {name} {fault}; get the captioner anew")
            if entry.filename.lower() in seen:  # some file systems do not tell them apart
                raise BundleError(
                    f"{self.path} is refused: it has two entries named {entry.filename}; get the captioner anew"
                )
            seen.add(entry.filename.lower())
        end = 0
        for entry in sorted(entries, key=lambda entry: entry.header_offset):
            if entry.header_offset < end:
                raise BundleError(f"{self.path} is refused: its entries overlap; get the captioner anew")
            end = entry.header_offset + _LOCAL_HEADER + len(entry.filename) + entry.compress_size
        if end > self.path.stat().st_size:
            raise BundleError(f"{self.path} is damaged: its end is missing; get the captioner anew")
        return {entry.filename: entry for entry in entries}


Files: TypeAlias = "Folder | Archive"
"""Where the files of a captioner are read from."""


def open_files(path: Path) -> Files:
    """Open a folder or a ``.capgen`` file, by what it is and not by its name.

    Raises:
        BundleError: It is a file that is not a zip, or one that capgen would not have written.
    """
    return Archive(path) if path.is_file() else Folder(path)


def pack(file: BinaryIO, contents: Mapping[str, bytes]) -> None:
    """Write the zip of some files, uncompressed; the same files give the same bytes at any time."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as packed:
        for name, data in contents.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = _PLAIN_FILE
            packed.writestr(entry, data)


def _faults(entry: zipfile.ZipInfo) -> Iterator[str]:
    """Yield what is wrong with an entry of a zip's directory."""
    if not is_plain(entry.orig_filename):  # filename is what zipfile made of it
        yield "does not have a plain file name"
    if stat.S_IFMT(entry.external_attr >> 16) not in {0, stat.S_IFREG}:
        yield "is not a plain file"
    if entry.flag_bits & _ENCRYPTED:
        yield "is encrypted"
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:  # others take memory as they please
        yield "is compressed in a way that is not read"
    if entry.file_size > _limit(entry.filename):
        yield "is too large for a captioner's file"
    if entry.file_size > MAX_RATIO * entry.compress_size + CHUNK:
        yield "would become too large when it is unpacked"


class _BoundedReader(io.BufferedReader):
    """A file of which at most a chunk is read at a time, even where ``zipfile`` asks for a directory of any size at once."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to ``size`` bytes, or up to a chunk if it is negative."""
        if size is not None and size > CHUNK:
            raise zipfile.BadZipFile("its directory is too large")
        return super().read(CHUNK if size is None or size < 0 else size)


def _limit(name: str) -> int:
    return MAX_JSON_BYTES if name.lower().endswith(".json") else MAX_BYTES


def _unreadable(path: Path, name: str) -> BundleError:
    return BundleError(f"{path} is not a captioner, or an incomplete one: {name} cannot be read")
