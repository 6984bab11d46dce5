"""What capgen has written in a folder, in a file of that folder, so that it is known wherever the folder goes.

The file ``.capgen`` lies beside the captions. It has a line of JSON for each caption that was written: the file's name, a
hash of the caption and the image that it was made of. Lines are only added, the last for a name counts, and a damaged one
is passed over, so that a kill or a second process can never make more than one of them useless. It is a text file and not a
database because folders lie on shares whose locks a database cannot trust.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from capgen.captioner.results import ImageVersion
from capgen.errors import StorageError, os_reason
from capgen.inputs.names import composed
from capgen.outputs.manifest import NO_FIELDS, Record, is_ours
from capgen.storage import files, platform

NAME = ".capgen"
"""The name of the file in each folder of captions."""

_ABOUT = "what capgen has written in this folder: with it, captions that a person has changed are known and kept"
_FOLDERS = 16
"""Folders that are kept in memory: a run goes through one after the other."""

_SLACK = 1000
"""Lines without use that a file may have before it is written anew."""


class FolderStates:
    """Reads and writes the files of all folders that a run comes to."""

    def __init__(self) -> None:
        self._folders: dict[Path, _FolderState] = {}

    def get(self, target: Path) -> Record | None:
        """Return what is known of the caption in the file ``target``."""
        return self._of(target).get(target.name)

    def moved(self, target: Path, content: str, current: str, fields: Mapping[str, str] = NO_FIELDS) -> Iterator[Record]:
        """Yield what is known of captions of the same image that were renamed in the folder, or copied as they are.

        Args:
            target: The file that holds a caption of which nothing is known.
            content: The ``content_hash`` of its image.
            current: The caption's hash.
            fields: The hash of each of its fields that has a text, by name.
        """
        for name, record in self._of(target).of_content(content):
            same_kind = os.path.splitext(name)[1].lower() == target.suffix.lower()  # noqa: PTH122 - a name, not a path
            has_gone = not os.path.lexists(target.with_name(name))
            if same_kind and (has_gone or is_ours(record, current, fields)):
                yield record

    def put(self, target: Path, record: Record) -> None:
        """Remember what has been written to ``target``. Where that cannot be, it is said once, and the caption stays."""
        try:
            self._of(target).put(target.name, record)
        except (OSError, StorageError) as error:
            reason = os_reason(error) if isinstance(error, OSError) else error
            where = target.with_name(NAME)
            platform.note_lack("state", f"{where} cannot be written ({reason}): what capgen writes there is known here only")

    def _of(self, target: Path) -> "_FolderState":
        folder = target.parent
        state = self._folders.pop(folder, None) or _FolderState(folder / NAME)
        self._folders[folder] = state  # the last used comes last
        if len(self._folders) > _FOLDERS:
            del self._folders[next(iter(self._folders))]
        state.refresh()
        return state


class _FolderState:
    """The file of one folder, read as far as it goes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._forget()

    def _forget(self) -> None:
        self._records: dict[str, Record] = {}
        self._by_content: dict[str, set[str]] = {}
        self._end = self._lines = 0

    def refresh(self) -> None:
        """Read the lines that were added since the file was last read, by this process or another."""
        try:
            size = self._path.stat().st_size
            if size == self._end:
                return
            if size < self._end:  # it was written anew
                self._forget()
            with self._path.open("rb") as file:
                file.seek(self._end)
                data = file.read()
        except OSError:
            return
        whole = data.rpartition(b"\n")[0]
        for line in whole.split(b"\n"):
            self._lines += 1
            if (parsed := _parsed(line)) is not None:
                self._keep(*parsed)
        self._end += len(whole) + (b"\n" in data)

    def get(self, name: str) -> Record | None:
        return self._records.get(composed(name))  # a Mac takes accents apart that others keep together

    def of_content(self, content: str) -> Iterator[tuple[str, Record]]:
        for name in self._by_content.get(content, ()):
            record = self._records[composed(name)]
            if record.version.content == content:  # else a later caption under the name is of another image
                yield name, record

    def put(self, name: str, record: Record) -> None:
        self._keep(name, record)
        if self._lines > 2 * len(self._records) + _SLACK:
            lines = [_line(name, kept) for name, kept in self._records.items()]
            files.write_bytes(self._path, b"".join([_header(), *lines]), make_folders=False)
            self._end, self._lines = self._path.stat().st_size, len(lines) + 1
            return
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | platform.NO_FOLLOW, 0o666)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            size = os.fstat(descriptor).st_size
            file.seek(max(0, size - 1))
            start = b"" if file.read(1) == b"\n" else b"\n" if size else _header()  # a last line may have been cut off
            file.write(start + _line(name, record))

    def _keep(self, name: str, record: Record) -> None:
        self._records[composed(name)] = record
        if record.version.content:
            self._by_content.setdefault(record.version.content, set()).add(name)


def _header() -> bytes:
    return json.dumps({"capgen": 1, "about": _ABOUT}).encode() + b"\n"


def _line(name: str, record: Record) -> bytes:
    version = record.version
    entry = {"file": name, "caption": record.written, "image": version.content, "state": version.state}
    joined = {"joined": True} if record.joined else {}
    field = {"field": record.field} if record.field else {}
    return json.dumps({**entry, **joined, **field}).encode() + b"\n"


def _parsed(line: bytes) -> tuple[str, Record] | None:
    try:
        entry = json.loads(line)
        texts = [*(entry[name] for name in ("file", "caption", "image", "state")), entry.get("field", "")]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not all(isinstance(text, str) for text in texts):
        return None
    name, caption, content, state, field = texts
    return name, Record(caption, version=ImageVersion(content, state), joined=entry.get("joined") is True, field=field)
