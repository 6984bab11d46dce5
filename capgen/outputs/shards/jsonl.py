"""Shards of JSON lines, the same as those of ``--output FILE.jsonl``."""

from collections.abc import Iterator
from typing import BinaryIO

from capgen.captioner.results import Result, SkipReason
from capgen.inputs.archives import LazyImage
from capgen.inputs.selection import Found
from capgen.outputs.jsonl import JsonLinesFormat
from capgen.outputs.shards import Shard


class JsonLinesShard(Shard):
    """A line for each image, failed ones included."""

    ending = ".jsonl"

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self._form = JsonLinesFormat(several=True)

    def write(self, item: Found, result: Result, image: LazyImage | None = None) -> SkipReason | None:
        """Add the line of an image; see ``Shard``."""
        self._file.write(self._form.encoded(result))
        return None

    @staticmethod
    def paths(file: BinaryIO) -> Iterator[str]:
        """Read the paths of the images in a shard."""
        form = JsonLinesFormat(several=True)
        for line in file:
            if parsed := form.parse(line):
                yield parsed[0]
