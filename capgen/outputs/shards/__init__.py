"""Captions of very many images in shards: one file for each archive or list of images. One module a format of shards."""

from typing import BinaryIO

from capgen.captioner.results import Result, SkipReason
from capgen.inputs.archives import LazyImage
from capgen.inputs.selection import Found


class Shard:
    """The sink that writes one shard, from its first byte to its last.

    Args:
        file: The binary file that is written.
    """

    ending = ""
    """The ending of the names of such files."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._is_closed = False

    def target(self, item: Found) -> None:
        """Return ``None``, since the file appears under its name only when it is whole."""

    def skip_reason(self, item: Found) -> SkipReason | None:
        """Return ``None``, since a shard is written anew as a whole or not at all."""
        return None

    def write(self, item: Found, result: Result, image: LazyImage | None = None) -> SkipReason | None:
        """Add what became of an image.

        Args:
            item: The image.
            result: What became of it.
            image: Its bytes, for the formats that hold them; ``None`` if it could not be read.

        Raises:
            OSError: The file cannot be written.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Write the end of the shard; a second call does nothing."""
        if not self._is_closed:
            self._is_closed = True
            self._finish()

    def _finish(self) -> None:
        """Write the end of the shard."""
