"""Shards as WebDataset tar archives. Nothing is ever written by the name of a member."""

import io
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO

from capgen.captioner.results import Result
from capgen.errors import ImageError, Status
from capgen.images.formats import SUFFIXES, suffix_for
from capgen.inputs.archives import LazyImage
from capgen.inputs.archives.tar import LARGEST_HEADER, Stream, members
from capgen.outputs.jsonl import JsonLinesFormat


class TarShard:
    """Of each captioned picture its file, its caption as ``.txt`` and its record as ``.json``, under one key.

    The records of the others are in a last member, which readers of WebDataset skip by its name.

    Args:
        file: Written to.
    """

    ending = ".tar"

    def __init__(self, file: BinaryIO) -> None:
        """Begin."""
        self._tar = tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed by ``close``
        self._form, self._keys, self._others = JsonLinesFormat(several=True), set[str](), list[str]()

    def put(self, result: Result, picture: LazyImage | None) -> None:
        """Add a result; the caption of a picture that has gone since is only a record."""
        [line] = self._form.lines(result)
        data = _contents(picture) if result.status is Status.CAPTIONED else None
        if picture is None or data is None:
            self._others.append(line)
            return
        key = self._key(picture.key)
        self._add(key + _ending(picture.key, data), data)
        self._add(f"{key}.txt", (result.caption or "").encode())
        self._add(f"{key}.json", line.encode())

    def close(self) -> None:
        """Finish."""
        if self._others:
            self._add(_OTHERS, "".join(f"{line}\n" for line in self._others).encode())
        self._tar.close()

    @staticmethod
    def paths(file: BinaryIO) -> Iterator[str]:
        """Read the paths of the pictures in a shard."""
        stream = Stream(file)
        for name, size in members(stream):
            if name == _OTHERS:
                yield from (json.loads(line)["path"] for line in stream.read(size).splitlines())
            elif name.endswith(".json") and size <= LARGEST_HEADER:
                yield json.loads(stream.read(size))["path"]

    def _key(self, name: str) -> str:
        """Make a key that no other has: WebDataset takes all up to the first dot, and who unpacks it must be safe."""
        *folders, last = [part for part in name.split("/") if part not in {"", ".", ".."}] or ["picture"]
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


def _contents(picture: LazyImage | None) -> bytes | None:
    """Read a picture again; ``None`` if it has gone."""
    try:
        return picture.read() if picture else None
    except ImageError:
        return None


def _ending(name: str, data: bytes) -> str:
    """Return the ending of a picture's name, or the one of what it is."""
    given = PurePosixPath(name).suffix.lower()
    return given if given in SUFFIXES else suffix_for(data) or ".jpg"
