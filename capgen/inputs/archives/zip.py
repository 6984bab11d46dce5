"""Zip archives. Their directory is at their end, so they are read only where any part of a file can be."""

import io
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, BinaryIO

from capgen.errors import ImageError, Status
from capgen.inputs.archives.members import DamagedMemberError, Member, check_ratio

_BROKEN = (
    OSError, ValueError, ArithmeticError, LookupError, EOFError, RuntimeError, struct.error, zlib.error,
    lzma.LZMAError, zipfile.BadZipFile,
)  # fmt: skip
"""What ``zipfile`` raises on broken files."""

_ENCRYPTED, _UTF8 = 0x1, 0x800
"""Flags of a member: it needs a password; its name is in UTF-8."""


def read_members(file: BinaryIO) -> Iterator[Member]:
    """Yield the regular files in an archive, of which each is read before the next one.

    Raises:
        ImageError: The file is not a zip archive, or too much is in it; after the members that come before.
    """
    size = file.seek(0, io.SEEK_END)
    try:
        archive = zipfile.ZipFile(file)
        found = archive.infolist()
    except _BROKEN as error:
        raise ImageError(Status.UNREADABLE, "it is not a zip archive, or its end is missing; get it anew") from error
    unpacked = 0
    for info in found:
        if info.is_dir() or not _is_regular(info):
            continue
        with _MemberReader(archive, info) as reader:
            yield Member(_name(info), info.file_size, reader.read)
            unpacked += reader.position
        check_ratio(unpacked, size)


class _MemberReader:
    """Reads one file in an archive, from its beginning.

    Args:
        archive: The archive.
        info: Its entry in the directory.

    Attributes:
        position: The number of bytes that have been read.
    """

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        self._archive, self._info, self.position = archive, info, 0
        self._file: IO[bytes] | None = None

    def __enter__(self) -> "_MemberReader":
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            self._file.close()

    def read(self, size: int) -> bytes:
        """Return exactly the next ``size`` bytes.

        Raises:
            DamagedMemberError: They cannot be read.
        """
        if self._info.flag_bits & _ENCRYPTED:
            raise DamagedMemberError(Status.UNREADABLE, "it is encrypted; unpack the archive with its password")
        try:
            if self._file is None:
                self._file = self._archive.open(self._info)
            data = self._file.read(size)
        except _BROKEN as error:
            raise DamagedMemberError(Status.UNREADABLE, "it is damaged in the archive") from error
        self.position += len(data)
        if len(data) < size:
            raise DamagedMemberError(Status.UNREADABLE, "it is damaged in the archive: it ends early")
        return data


def _name(info: zipfile.ZipInfo) -> str:
    """Return the name of a member. Macs write UTF-8 without saying so, which ``zipfile`` takes for code page 437."""
    if info.flag_bits & _UTF8:
        return info.filename
    try:
        return info.filename.encode("cp437").decode()
    except UnicodeError:
        return info.filename


def _is_regular(info: zipfile.ZipInfo) -> bool:
    """Return whether a member is a regular file, as far as it says; a link's content would be the name of another file."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    return kind in {0, stat.S_IFREG}
