"""Pairs of texts, of which one is a path, however many there are: in memory as long as they are few, then in a file."""

import tempfile
import weakref
from collections.abc import Iterator
from os import fsdecode, fsencode

_MEMORY = 1 << 22
"""Bytes of texts that are kept in memory; more are kept in a file."""

_BLOCK = 1 << 16
"""Bytes that are read from the file at once."""


class PathPairs:
    """A list of pairs of texts without zero bytes, such as paths of this machine."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_MEMORY)  # noqa: SIM115 - it lives as long as the list
        weakref.finalize(self, self._file.close)
        self._count = 0

    def add(self, first: str, second: str) -> None:
        """Append a pair."""
        self._file.write(fsencode(first) + b"\0" + fsencode(second) + b"\0")
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yield the pairs from the first on. There can be only one iteration at a time, and nothing is added during it."""
        self._file.seek(0)
        rest, texts = b"", []
        while block := self._file.read(_BLOCK):
            *complete, rest = (rest + block).split(b"\0")
            texts += complete
            for first, second in zip(texts[0::2], texts[1::2], strict=False):
                yield fsdecode(first), fsdecode(second)
            texts = texts[len(texts) // 2 * 2 :]
