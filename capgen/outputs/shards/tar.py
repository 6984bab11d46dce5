"""Shards as WebDataset tar archives. Nothing is ever written by the name of a member."""

import io
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from capgen.captioner.results import Result, SkipReason
from capgen.errors import ImageError, Status
from capgen.images.formats import SUFFIXES, suffix_for
from capgen.inputs.archives import LazyImage
from capgen.inputs.archives.tar import LARGEST_HEADER, Stream, members
from capgen.inputs.selection import Found
from capgen.outputs.jsonl import JsonLinesFormat
from capgen.outputs.shards import Shard


class TarShard(Shard):
    """For each captioned image its file, its caption as ``.txt`` and its record as ``.json``, under one key.

    The records of the others are in a last member, which readers of WebDataset skip by its name.
    """

    ending = ".tar"

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self._tar = tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed by ``close``
        self._form, self._keys, self._others = JsonLinesFormat(several=True), set[str](), list[str]()

    def write(self, item: Found, result: Result, image: LazyImage | None = None) -> SkipReason | None:
        """Add an image; only a record is added of one that has vanished since it was captioned. See ``Shard``."""
        [line] = self._form.lines(result)
        data = _contents(image) if result.status is Status.CAPTIONED else None
        if image is None or data is None:
            self._others.append(line)
            return None
        key = self._key(image.key)
        self._add(key + _ending(image.key, data), data)
        self._add(f"{key}.txt", (result.caption or "").encode())
        self._add(f"{key}.json", line.encode())
        return None

    def _finish(self) -> None:
        if self._others:
            self._add(_OTHERS, "".join(f"{line}\n" for line in self._others).encode())
        self._tar.close()

    @staticmethod
    def paths(file: BinaryIO) -> Iterator[str]:
        """Read the paths of the images in a shard."""
        return (record["path"] for record in TarShard.records(file))

    @staticmethod
    def records(file: BinaryIO) -> Iterator[Any]:
        """Read the records of the images in a shard, as JSON lines have them.

        Raises:
            ImageError: The shard is not a tar archive, is damaged or ends early.
            ValueError: A record is not JSON.
        """
        stream = Stream(file)
        for name, size in members(stream):
            if name == _OTHERS:
                yield from map(json.loads, stream.read(size).splitlines())
            elif name.endswith(".json") and size <= LARGEST_HEADER:
                yield json.loads(stream.read(size))

    def _key(self, name: str) -> str:
        """Return a key that no other image has.

        A key has no dots, since WebDataset takes the name up to the first one, and never leads out of a folder.
        """
        *folders, last = [part for part in name.split("/") if part not in {"", ".", ".."}] or ["image"]
        plain = "/".join(re.sub(r"[^\w\- ]", "_", part) for part in (*folders, PurePosixPath(last).stem))
        key, number = plain, 1
        while key in self._keys:
            number += 1
            key = f"{plain}-{number}"
        self._keys.add(key)
        return key

    def _add(self, name: str, data: bytes) -> None:
        about = tarfile.TarInfo(name)
        about.size = len(data)
        self._tar.addfile(about, io.BytesIO(data))


_OTHERS = "__others__"


def _contents(image: LazyImage | None) -> bytes | None:
    """Read an image again; ``None`` if it has vanished."""
    try:
        return image.read() if image else None
    except ImageError:
        return None


def _ending(name: str, data: bytes) -> str:
    """Return the ending of an image's name, or the one that its format should have."""
    given = PurePosixPath(name).suffix.lower()
    return given if given in SUFFIXES else suffix_for(data) or ".jpg"
