"""What capgen has written where, so that a caption which a person has changed since is known for theirs.

One SQLite file in the per-user data folder. A row is a place (a sidecar, a field in a picture, a line of an output file) and
hashes of the caption that was put there and of what was there before. The row is on disk before the caption is, so after a
kill at any moment the caption in place is one of the two.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from capgen import files, paths
from capgen.errors import StorageError

NAME = "manifest.sqlite3"


@dataclass(frozen=True)
class Record:
    """What is known of a place.

    Attributes:
        written: Hash of the caption that capgen wrote, or was about to write.
        before: Until that is known to be done, hash of the caption that was there before; empty for none.
        before_ours: Whether capgen had written that one, too.
    """

    written: str
    before: str = ""
    before_ours: bool = False

    def ours(self, found: str) -> bool:
        """Tell whether the caption in place, as its hash, is as capgen left it."""
        return found == self.written or (self.before_ours and found == self.before)

    def untouched(self, found: str) -> bool:
        """Tell whether the caption in place, as its hash, is the one from before a write that a kill prevented."""
        return found == self.before


def digest(caption: str) -> str:
    """Hash a caption, blanks around it aside."""
    return hashlib.sha256(caption.strip().encode("utf-8", "surrogateescape")).hexdigest()[:32]


class Manifest:
    """The manifest, opened when first used; for one thread. Its methods raise ``StorageError`` if it cannot be used.

    Args:
        folder: Where it lies; the data folder by default.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Know where it lies."""
        self._folder = folder or paths.data_dir()
        self._path = self._folder / NAME

    @cached_property
    def _database(self) -> sqlite3.Connection:
        files.make_folder(self._folder)
        # autocommit: each row is a transaction of its own
        database = sqlite3.connect(self._path, timeout=60, isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        database.execute(
            "CREATE TABLE IF NOT EXISTS captions (place BLOB PRIMARY KEY, written TEXT, before TEXT, before_ours INTEGER)"
            " WITHOUT ROWID"
        )
        return database

    def close(self) -> None:
        """Close it, if it was used."""
        if "_database" in self.__dict__:
            self._database.close()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from deciding and writing meanwhile; what is done inside should be short."""
        with files.lock(self._folder / "manifest.lock", wait=True):
            yield

    def get(self, place: bytes) -> Record | None:
        """Return what is known of a place."""
        try:
            row = self._database.execute(
                "SELECT written, before, before_ours FROM captions WHERE place = ?", (place,)
            ).fetchone()
        except sqlite3.Error as error:
            raise self._fault(error) from error
        return Record(row[0], row[1], bool(row[2])) if row else None

    def put(self, place: bytes, record: Record) -> None:
        """Remember what is about to be written to a place."""
        try:
            self._database.execute(
                "REPLACE INTO captions VALUES (?, ?, ?, ?)", (place, record.written, record.before, record.before_ours)
            )
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def _fault(self, error: sqlite3.Error) -> StorageError:
        advice = "it is damaged: move it away, and captions that it knew count as written by others"
        if isinstance(error, sqlite3.OperationalError):
            advice = "see that its folder can be written to and its disk is not full"
        return StorageError(f"cannot use {self._path} ({error}); {advice}")


def key(place: Path, item: Path | None = None) -> bytes:
    """Name a place: a file, or the line of ``item`` in a file."""
    parts = [os.fsencode(os.path.abspath(part)) for part in (place, item) if part is not None]  # noqa: PTH100 - links stay
    return b"\0".join(parts)
