"""What capgen has written where, so that a caption that a person has changed since is known to be theirs.

The manifest is one SQLite file in the per-user data folder. A row belongs to one caption (that of a sidecar, of an image's
metadata, or of an image in an output file) and holds hashes of the caption that capgen put there and of the one that was
there before. The row is written before the caption is, so after a kill at any moment the caption that is there is one of
the two.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from capgen.errors import StorageError
from capgen.storage import files, paths
from capgen.storage.locations import Location, Url

NAME = "manifest.sqlite3"


class Owner(StrEnum):
    """Whose a caption is. The values are stored in the manifest."""

    OURS = "ours"
    """capgen wrote it."""

    THEIRS = "theirs"
    """A person or another program wrote it, and capgen has never written there."""

    CHANGED = "changed"
    """capgen wrote a caption, and a person or another program has changed it since."""


@dataclass(frozen=True)
class Record:
    """What is known of a caption.

    Attributes:
        written: Hash of the caption that capgen wrote, or was about to write.
        before: Hash of the caption that was there before, until the writing is known to be done; empty if there was none.
        before_owner: Whose the caption before was.
        line: The bytes last written to an output file, in the row of the file itself.
    """

    written: str
    before: str = ""
    before_owner: Owner = Owner.THEIRS
    line: bytes = b""

    def owner(self, current: str) -> Owner:
        """Tell whose the caption is that is there now, by its hash."""
        if current == self.written:
            return Owner.OURS
        return self.before_owner if current == self.before else Owner.CHANGED


def owner(record: Record | None, current: str) -> Owner:
    """Tell whose a caption is, by its hash and what is known of it."""
    return record.owner(current) if record else Owner.THEIRS


class Manifest:
    """The manifest, opened when it is first used, by one thread.

    Its methods raise ``StorageError`` if the file cannot be used.

    Args:
        folder: The folder that holds it; the data folder by default.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or paths.data_dir()
        self._path = self._folder / NAME

    @cached_property
    def _database(self) -> sqlite3.Connection:
        files.make_folder(self._folder)
        # With isolation_level=None each row is a transaction of its own.
        database = sqlite3.connect(self._path, timeout=60, isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        # The columns keep the names that they have had from the first version on, so that old manifests are read.
        database.execute(
            "CREATE TABLE IF NOT EXISTS captions"
            " (place BLOB PRIMARY KEY, written TEXT, before TEXT, before_was TEXT, line BLOB) WITHOUT ROWID"
        )
        return database

    def close(self) -> None:
        """Close the file, if it was opened."""
        if "_database" in self.__dict__:
            self._database.close()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from deciding and writing meanwhile; what is done inside should be short."""
        with files.lock(self._folder / "manifest.lock", wait=True):
            yield

    def get(self, key: bytes) -> Record | None:
        """Return what is known of the caption with a key; looking it up makes no manifest."""
        if "_database" not in self.__dict__ and not self._path.exists():
            return None
        try:
            row = self._database.execute(
                "SELECT written, before, before_was, line FROM captions WHERE place = ?", (key,)
            ).fetchone()
        except sqlite3.Error as error:
            raise self._fault(error) from error
        return Record(row[0], row[1], Owner(row[2]), row[3]) if row else None

    def put(self, key: bytes, record: Record) -> None:
        """Remember what is about to be written, or that it has been written."""
        values = (key, record.written, record.before, record.before_owner, record.line)
        try:
            self._database.execute("REPLACE INTO captions VALUES (?, ?, ?, ?, ?)", values)
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def _fault(self, error: sqlite3.Error) -> StorageError:
        advice = "it is damaged: move it away, and captions that it knew count as written by others"
        if isinstance(error, sqlite3.OperationalError):
            advice = "see that its folder can be written to and its disk is not full"
        return StorageError(f"cannot use {self._path} ({error}); {advice}")


def key(target: Location, image: Location | None = None) -> bytes:
    """Return the manifest's key of a caption: that of a file, by whatever link it is reached, or of an image in a file.

    Args:
        target: The file that holds the caption.
        image: The image, if the file holds captions of many.
    """
    parts = [
        os.fsencode(part.text if isinstance(part, Url) else os.path.realpath(part))
        for part in (target, image)
        if part is not None
    ]
    return b"\0".join(parts)
