"""What capgen has written where, so that a caption which a person has changed since is known for theirs.

One SQLite file in the per-user data folder. A row is a place (a sidecar, a field in a picture, a line of an output file) and
hashes of the caption that was put there and of what was there before. The row is written before the caption is, so after a
kill at any moment the caption in place is one of the two.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from capgen.errors import StorageError
from capgen.storage import files, paths
from capgen.storage.locations import Location, Url

NAME = "manifest.sqlite3"


@dataclass(frozen=True)
class Record:
    """What is known of a place.

    Attributes:
        written: Hash of the caption that capgen wrote, or was about to write.
        before: Until that is known to be done, hash of the caption that was there before; empty for none.
        before_was: Whose that was: ``ours``, ``theirs``, or ``changed`` by a person after capgen had written it.
        line: Of a file of lines, what was last written to it.
    """

    written: str
    before: str = ""
    before_was: str = "theirs"
    line: bytes = b""

    def whose(self, found: str) -> str:
        """Tell whose the caption in place is, by its hash: ``ours``, ``theirs`` or ``changed``."""
        if found == self.written:
            return "ours"
        return self.before_was if found == self.before else "changed"


def whose(record: Record | None, found: str) -> str:
    """Tell whose a caption is, by its hash and what is known of its place."""
    return record.whose(found) if record else "theirs"


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
            "CREATE TABLE IF NOT EXISTS captions"
            " (place BLOB PRIMARY KEY, written TEXT, before TEXT, before_was TEXT, line BLOB) WITHOUT ROWID"
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
        """Return what is known of a place; looking makes no manifest."""
        if "_database" not in self.__dict__ and not self._path.exists():
            return None
        try:
            row = self._database.execute(
                "SELECT written, before, before_was, line FROM captions WHERE place = ?", (place,)
            ).fetchone()
        except sqlite3.Error as error:
            raise self._fault(error) from error
        return Record(*row) if row else None

    def put(self, place: bytes, record: Record) -> None:
        """Remember what is about to be written to a place, or that it is there."""
        values = (place, record.written, record.before, record.before_was, record.line)
        try:
            self._database.execute("REPLACE INTO captions VALUES (?, ?, ?, ?, ?)", values)
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def _fault(self, error: sqlite3.Error) -> StorageError:
        advice = "it is damaged: move it away, and captions that it knew count as written by others"
        if isinstance(error, sqlite3.OperationalError):
            advice = "see that its folder can be written to and its disk is not full"
        return StorageError(f"cannot use {self._path} ({error}); {advice}")


def key(place: Location, item: Location | None = None) -> bytes:
    """Name a place: a file, by whatever link it is reached, or the line of ``item`` in a file."""
    parts = [
        os.fsencode(part.text if isinstance(part, Url) else os.path.realpath(part))
        for part in (place, item)
        if part is not None
    ]
    return b"\0".join(parts)
