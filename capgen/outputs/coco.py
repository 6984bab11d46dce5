"""``coco``: COCO's result format, one JSON list of ``{"image_id", "caption"}``, which ``capgen evaluate`` reads and writes.

An image is called by its file name, or by the number that its file name is. The file is written whole when it is closed,
since a list cannot be added to line by line; what it holds is merged with what was found. It has no room for a failed image.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from capgen.captioner.results import ImageVersion, Result, SkipReason
from capgen.errors import DataError, Status, StorageError, json_fault, os_reason
from capgen.inputs.selection import Found
from capgen.outputs import policy
from capgen.outputs.choices import Existing
from capgen.outputs.manifest import key
from capgen.outputs.policy import OverwriteGuard
from capgen.outputs.standard_output import print_at_once
from capgen.storage import files
from capgen.storage.files import json_text
from capgen.storage.hashing import caption_hash
from capgen.storage.locations import Location

ImageId = int | str


def image_id(path: Location) -> ImageId:
    """Return what the format calls an image: 42 for ``42.jpg``, and the file name for any other, such as ``007.jpg``."""
    number = number_or_text(PurePosixPath(path.name).stem)
    return number if isinstance(number, int) else path.name


def number_or_text(text: str) -> ImageId:
    """Return the number that a text writes without leading zeros, such as 42 for ``"42"``, and any other text as it is."""
    return int(text) if text.isascii() and text.isdecimal() and str(int(text)) == text else text


def entry(name: ImageId, caption: str) -> dict[str, Any]:
    """Return the entry of the list for the image that is called ``name``."""
    return {"image_id": name, "caption": caption}


def is_entry(value: object) -> bool:
    """Return whether a value of JSON is an entry of the list; it may hold more than an image's name and a caption."""
    return isinstance(value, dict) and type(value.get("image_id")) in (int, str) and isinstance(value.get("caption"), str)


def write(path: Path, entries: Iterable[dict[str, Any]]) -> None:
    """Write a list, an entry a line, whole or not at all.

    Raises:
        StorageError: It cannot be written; what was there before is unchanged.
    """
    files.write_text(path, "[" + ",".join(f"\n{json_text(one)}" for one in entries) + "\n]\n")


class CocoFormat:
    """COCO's result format.

    Args:
        several: It makes no difference: every entry names its image.
    """

    name_of = staticmethod(image_id)
    records_failures = False

    def __init__(self, *, several: bool) -> None: ...

    def open(self, path: Path, guard: OverwriteGuard, *, read_only: bool = False) -> "CocoFile":
        """Return the sink that writes to a file; see ``Format``."""
        return CocoFile(path, guard, read_only=read_only)

    def standard_output(self) -> "CocoStandardOutput":
        """Return the sink that prints one list."""
        return CocoStandardOutput()

    def merge(self, sources: Sequence[Path], target: Path) -> int:
        """Write the entries of several files to one; of an image that is in several, the last caption counts."""
        merged: dict[ImageId, dict[str, Any]] = {}
        for source in sources:
            try:
                rows = _read(source)
            except OSError as error:
                raise DataError(f"{source} cannot be read: {os_reason(error)}") from error
            except ValueError as error:
                raise DataError(f"{source} {error}; name its format with `format`") from error
            for one in rows:
                merged.pop(one["image_id"], None)
                merged[one["image_id"]] = one
        write(target, merged.values())
        return len(merged)


class CocoFile:
    """A file in COCO's result format. It is read when it is opened, and written whole when it is closed.

    Args:
        path: The file; it may be missing.
        guard: Knows which of its captions may be replaced.
        read_only: Never write it.

    Raises:
        StorageError: It cannot be read, or holds something else.
    """

    def __init__(self, path: Path, guard: OverwriteGuard, *, read_only: bool = False) -> None:
        self._path, self._guard, self._read_only = path, guard, read_only
        self._owners: dict[ImageId, Location] = {}
        self._found: dict[ImageId, tuple[Location, str, ImageVersion]] = {}
        self._rows = {one["image_id"]: one for one in self._held()}
        if not read_only:
            files.make_folder(path.absolute().parent)

    def target(self, item: Found) -> Path:
        """Return the file."""
        return self._path

    def skip_reason(self, item: Found) -> SkipReason | None:
        """Tell why an image needs no entry; ``None`` if it needs one.

        Raises:
            StorageError: Another image of this run has the same name, so only one of them can be in the list.
        """
        name = image_id(item.path)
        owner = self._owners.setdefault(name, item.path)
        if owner != item.path:
            raise StorageError(f"{owner} is called {name!r} in {self._path}, too; use a .jsonl file")
        now = item.version
        if name in self._found and self._found[name][2].state == now.state:  # with --watch it may have come whole since then
            return SkipReason.OURS_ALREADY if self._guard.existing.adds else SkipReason.HAS_CAPTION
        return self._reason(self._rows, item.path, now)

    def write(self, item: Found, result: Result) -> SkipReason | None:
        """Keep the caption of a captioned image until the file is closed; there is no room for others.

        Raises:
            StorageError: It is captioned, and another image of this run has the same name.
        """
        if result.status is not Status.CAPTIONED:
            return None
        reason = self.skip_reason(item) or self._reason(self._rows, item.path, result.version)
        if reason is None and not self._read_only:
            self._found[image_id(item.path)] = (item.path, result.caption or "", result.version)
        return reason

    def close(self) -> None:
        """Write the file: what it holds by now, and what was found.

        Raises:
            StorageError: It cannot be written; it is as it was before.
        """
        if not self._found and (self._read_only or self._path.exists()):
            return
        with self._guard.manifest.locked():
            rows = {one["image_id"]: one for one in self._held()}
            written = []
            for name, (path, caption, version) in self._found.items():
                if self._reason(rows, path, version) is not None:  # another run has captioned it in the meantime
                    continue
                current = rows[name]["caption"] if name in rows else None
                text = policy.combined(current, caption, self._guard.existing)
                image_key = key(self._path, path)
                self._guard.before_writing(image_key, caption_hash(current) if current else None, text, version)
                rows[name] = entry(name, text)
                written.append((image_key, text, version))
            write(self._path.resolve(), rows.values())  # a link to the file stays one
            for image_key, text, version in written:
                self._guard.after_writing(image_key, text, version)
        self._found.clear()

    def _reason(self, rows: dict[ImageId, dict[str, Any]], path: Location, version: ImageVersion) -> SkipReason | None:
        held = rows.get(image_id(path))
        if held is None or not held["caption"].strip():
            return None
        if self._guard.existing is Existing.SKIP:  # nothing about the image is asked then
            return SkipReason.HAS_CAPTION
        current = caption_hash(held["caption"])
        return self._guard.skip_reason(key(self._path, path), current, version)

    def _held(self) -> list[dict[str, Any]]:
        try:
            if self._path.exists() and not self._path.is_file():  # a device may have no end
                raise StorageError(f"{self._path} is not a file; leave `output` out to print captions")
            return _read(self._path) if self._path.exists() else []
        except OSError as error:
            raise files.storage_error(self._path, error) from error
        except ValueError as error:
            raise StorageError(f"{self._path} {error}; left as it is, so move it away or choose another file") from error


class CocoStandardOutput:
    """The sink that prints one list, an entry a line."""

    def __init__(self) -> None:
        self._out, self._count, self._is_closed = sys.stdout.buffer, 0, False

    def target(self, item: Found) -> None:
        """Return ``None``, since no file is written."""

    def skip_reason(self, item: Found) -> SkipReason | None:
        """Return ``None``, since what earlier runs have printed is not known."""
        return None

    def write(self, item: Found, result: Result) -> SkipReason | None:
        """Print the entry of a captioned image; there is no room for others."""
        if result.status is Status.CAPTIONED:
            one = entry(image_id(item.path), result.caption or "")
            self._print(f"{',' if self._count else '['}\n{json_text(one)}")
            self._count += 1
        return None

    def close(self) -> None:
        """Print the end of the list; a second call does nothing."""
        if not self._is_closed:
            self._print("\n]\n" if self._count else "[]\n")
            self._is_closed = True

    def _print(self, text: str) -> None:
        print_at_once(self._out, text.encode("utf-8", "surrogateescape"))


def _read(path: Path) -> list[dict[str, Any]]:
    """Return the entries of a file; none if it is empty.

    Raises:
        OSError: It cannot be read.
        ValueError: It holds something else than a list of entries. The message says so.
    """
    data = path.read_bytes()
    try:
        rows = json.loads(data) if data.strip() else []
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON: {json_fault(error)}") from error
    if not isinstance(rows, list) or not all(map(is_entry, rows)):
        raise ValueError('is not a list of {"image_id", "caption"}')
    return rows
