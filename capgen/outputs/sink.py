"""``Sink``: the protocol of everything that receives captions."""

from pathlib import Path
from typing import Protocol

from capgen.captioner.results import Result, SkipReason
from capgen.inputs.selection import Found


class Sink(Protocol):
    """Receives the results of a job, in order, from one thread.

    There are two kinds. Some write a file for each image (``PerImageSink``); the others write one file, or the standard
    output, for all images.
    """

    def target(self, item: Found) -> Path | None:
        """Return the file that is written for an image; ``None`` if it is not a file."""
        ...

    def skip_reason(self, item: Found) -> SkipReason | None:
        """Tell why an image needs no caption; ``None`` if it is to be captioned. Nothing is written.

        Raises:
            StorageError: The caption that the image has cannot be read, or this sink cannot hold its caption.
        """
        ...

    def write(self, item: Found, result: Result) -> SkipReason | None:
        """Write what became of an image. A format that has no room for a failed image leaves it out.

        Returns:
            Why the caption was not written after all; ``None`` if it was.

        Raises:
            StorageError: The result cannot be written; what was there before is there still, and nothing is half-written.
        """
        ...

    def close(self) -> None:
        """Finish the file, and end helper processes; a second call does nothing.

        Raises:
            StorageError: The file cannot be finished; nothing of what was there before is lost.
        """
        ...
