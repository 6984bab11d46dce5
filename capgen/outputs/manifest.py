"""What capgen has written where, so that a caption that a person has changed since is known to be theirs.

The manifest is one SQLite file in the per-user data folder. A row belongs to one caption (that of a sidecar, of an image's
metadata, or of an image in an output file) and holds hashes of the caption that capgen put there and of the one that was
there before, and which image it was made of. The row is written before the caption is, so after a kill at any moment the
caption that is there is one of the two. A caption whose file has been moved is found by its image.
"""

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from capgen.captioner.results import UNKNOWN, ImageVersion
from capgen.errors import StorageError
from capgen.images.formats import ends_like_image
from capgen.storage import files, locks, paths
from capgen.storage.locations import Location, Url

NAME = "manifest.sqlite3"

NO_FIELDS: Mapping[str, str] = MappingProxyType({})
"""The fields of a caption that has none."""


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
        version: The image that the caption was made of.
        joined: Whether capgen's caption was added to words of a person, which are in it.
        field: The one field that capgen wrote, the other being a person's; empty if it wrote all. Beside a caption before it
            is the field of that one.
    """

    written: str
    before: str = ""
    before_owner: Owner = Owner.THEIRS
    line: bytes = b""
    version: ImageVersion = UNKNOWN
    joined: bool = False
    field: str = ""

    def owner(self, current: str, fields: Mapping[str, str] = NO_FIELDS) -> Owner:
        """Tell whose the caption is that is there now. Of fields of several, a changed one counts before one of others.

        Args:
            current: Its hash.
            fields: The hash of each of its fields that has a text, by name.
        """
        owners = self.owners(current, fields).values() or (self._owner_of_text(current),)
        return max(owners, key=list(Owner).index)

    def owners(self, current: str, fields: Mapping[str, str]) -> dict[str, Owner]:
        """Tell whose each field is; the arguments are those of ``owner``."""
        if not self.field or (self.before and current != self.before):
            return dict.fromkeys(fields, self._owner_of_text(current))
        whose = Owner.OURS if self.before else self._owner_of_text(fields.get(self.field, ""))
        return {name: whose if name == self.field else Owner.THEIRS for name in fields}

    def _owner_of_text(self, text: str) -> Owner:
        if text == self.written:
            return Owner.OURS
        return self.before_owner if text == self.before else Owner.CHANGED


_COLUMNS = "place, written, before, before_was, line, image, state, joined, field"
_SINCE = "COALESCE((SELECT since FROM captions WHERE place = ?), ?)"
_PUT = f"REPLACE INTO captions ({_COLUMNS}, since) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, {_SINCE})"  # noqa: S608


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
        texts = (f"{name} TEXT NOT NULL DEFAULT ''" for name in ("image", "state", "field"))
        # since: when capgen first wrote there, in nanoseconds of the system's clock
        for column in (*texts, "joined INT NOT NULL DEFAULT 0", "since INT NOT NULL DEFAULT 0"):
            with suppress(sqlite3.OperationalError):  # it is there already
                database.execute(f"ALTER TABLE captions ADD COLUMN {column}")
        database.execute("CREATE INDEX IF NOT EXISTS images ON captions (image) WHERE image != ''")
        return database

    def close(self) -> None:
        """Close the file, if it was opened."""
        if "_database" in self.__dict__:
            self._database.close()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from deciding and writing meanwhile; what is done inside should be short."""
        with locks.lock(self._folder / "manifest.lock", wait=True):
            yield

    @property
    def _exists(self) -> bool:
        return "_database" in self.__dict__ or self._path.exists()

    def get(self, key: bytes) -> Record | None:
        """Return what is known of the caption with a key; looking it up makes no manifest."""
        if not self._exists:
            return None
        rows = self._select("place = ?", key)
        return rows[0][2] if rows else None

    def moved(
        self,
        key: bytes,
        current: str,
        version: ImageVersion,
        fields: Mapping[str, str] = NO_FIELDS,
        *,
        changed_copies: bool = False,
    ) -> Iterator[Record]:
        """Yield records of captions of the same image under other keys, of which the caption at ``key`` may be a moved copy.

        Several files may have the same content. So the caption must also be as capgen wrote it, or be in the very same file,
        whose size and time stay when it is moved. For a caption in an image that is gone, the same file name is enough.

        Args:
            key: The key of a caption of which nothing is known.
            current: The caption's hash.
            version: Its image.
            fields: The hash of each of its fields that has a text, by name.
            changed_copies: Take other words, too, for a copy that was changed, if the file has the name of the other, and is
                newer than capgen's first caption in that. They may be a person's own: this is for what would replace them.
        """
        if not self._exists:
            return
        target, *image = key.split(b"\0")
        for known, since, record in self._select("image = ? AND image != ''", version.content):
            old, *of_image = known.split(b"\0")
            if known == key or len(image) != len(of_image) or _ending(old) != _ending(target):
                continue
            is_unchanged = record.version.state == version.state
            if (
                is_ours(record, current, fields)
                or (changed_copies and image == of_image and _is_copy(target, old, since))
                or _is_moved(target, old, is_unchanged=is_unchanged, may_be_link=image == of_image)
            ):
                yield record

    def _select(self, condition: str, value: bytes | str) -> list[tuple[bytes, int, Record]]:
        query = f"SELECT {_COLUMNS}, since FROM captions WHERE {condition}"  # noqa: S608
        try:
            rows = self._database.execute(query, (value,)).fetchall()
        except sqlite3.Error as error:
            raise self._fault(error) from error
        return [
            (key, since, Record(written, before, Owner(before_was), line, ImageVersion(image, state), bool(joined), field))
            for key, written, before, before_was, line, image, state, joined, field, since in rows
        ]

    def put(self, key: bytes, record: Record) -> None:
        """Remember what is about to be written, or that it has been written."""
        version = record.version
        known = (record.written, record.before, record.before_owner, record.line)
        values = (key, *known, version.content, version.state, record.joined, record.field)
        try:
            self._database.execute(_PUT, (*values, key, time.time_ns()))
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def _fault(self, error: sqlite3.Error) -> StorageError:
        advice = "it is damaged: move it away, and captions that it knew count as written by others"
        if isinstance(error, sqlite3.OperationalError):
            advice = "see that its folder can be written to and its disk is not full"
        return StorageError(f"cannot use {self._path} ({error}); {advice}")


def is_ours(record: Record, current: str, fields: Mapping[str, str]) -> bool:
    """Tell whether capgen wrote a caption or one of its fields; the arguments are those of ``Record.owner``."""
    return Owner.OURS in (record.owner(current, fields), *record.owners(current, fields).values())


def _is_moved(path: bytes, old: bytes, *, is_unchanged: bool, may_be_link: bool) -> bool:
    """Tell whether a file was moved from another path, or can be reached by both.

    Args:
        path: The file.
        old: The other path.
        is_unchanged: Whether the image has the size and the time that it had at the other path.
        may_be_link: Whether the two paths may lead to one file.
    """
    if os.path.lexists(old):
        return may_be_link and _is_link(path, old)
    return is_unchanged or _is_image_moved_from(old, path)


def _is_copy(path: bytes, other: bytes, since: int) -> bool:
    """Tell whether a file has the name of another, and was made or changed after a time, in nanoseconds."""
    return _name(other) == _name(path) and _changed(path) > since


def _is_image_moved_from(old: bytes, path: bytes) -> bool:
    """Tell whether a file is an image that was moved: it has its name still, but a person's words in it change its size."""
    return ends_like_image(Path(os.fsdecode(path))) and _name(old) == _name(path)


def _is_link(path: bytes, other: bytes) -> bool:
    """Tell whether two names are those of one file."""
    try:
        return os.path.samefile(path, other)  # noqa: PTH121 - bytes, which need not be text
    except OSError:
        return False


def _changed(path: bytes) -> int:
    """Return when a file was changed or copied, in nanoseconds; 0 if there is none."""
    try:
        return os.stat(path).st_ctime_ns  # noqa: PTH116 - bytes, which need not be text
    except OSError:
        return 0


def _name(path: bytes) -> bytes:
    return os.path.basename(path)  # noqa: PTH119 - bytes, which need not be text


def _ending(path: bytes) -> bytes:
    return os.path.splitext(path)[1].lower()  # noqa: PTH122 - bytes, which need not be text


def key(target: Location, image: Location | None = None) -> bytes:
    """Return the manifest's key of a caption: that of a file, by whatever link it is reached, or of an image in a file.

    Args:
        target: The file that holds the caption.
        image: The image, if the file holds captions of many.
    """
    file = os.fsencode(target.text if isinstance(target, Url) else os.path.realpath(target))
    return file if image is None else key_in_file(file, image)


def key_in_file(file: bytes, image: Location) -> bytes:
    """Return the key of the caption of an image, given that of the file that holds the captions of many."""
    return file + b"\0" + key(image)
