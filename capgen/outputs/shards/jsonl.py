"""Shards of JSON lines, the same as those of ``--output FILE.jsonl``."""

from collections.abc import Iterator
from typing import BinaryIO

from capgen.captioner.results import Result
from capgen.inputs.archives import LazyImage
from capgen.outputs.jsonl import JsonLinesFormat


class JsonLinesShard:
    """A line a picture, failed ones included.

    Args:
        file: Written to.
    """

    ending = ".jsonl"

    def __init__(self, file: BinaryIO) -> None:
        """Begin."""
        self._file, self._form = file, JsonLinesFormat(several=True)

    def put(self, result: Result, picture: LazyImage | None) -> None:
        """Add a result."""
        for line in self._form.lines(result):
            self._file.write(line.encode() + b"\n")

    def close(self) -> None:
        """Finish."""

    @staticmethod
    def paths(file: BinaryIO) -> Iterator[str]:
        """Read the paths of the pictures in a shard."""
        form = JsonLinesFormat(several=True)
        for line in file:
            if parsed := form.parse(line):
                yield parsed[0]
