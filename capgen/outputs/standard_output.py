"""The standard output: captions that are printed, each as soon as it is known."""

import sys
from typing import BinaryIO

from capgen.captioner.results import Result, SkipReason
from capgen.errors import StorageError, os_reason
from capgen.inputs.selection import Found
from capgen.outputs.format import LineFormat


def print_at_once(out: BinaryIO, data: bytes) -> None:
    """Write to the standard output, so that who reads it has it at once.

    Raises:
        BrokenPipeError: Nobody reads it any more.
        StorageError: It cannot be written.
    """
    try:
        out.write(data)
        out.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = os_reason(error)
        raise StorageError(f"cannot write the standard output: {reason}; name a file elsewhere with `output`") from error


class StandardOutput:
    """The sink that prints lines.

    Args:
        form: The format of the lines.
    """

    def __init__(self, form: LineFormat) -> None:
        self._form, self._out = form, sys.stdout.buffer
        if form.header:
            self._print(form.header.encode() + b"\n")

    def target(self, item: Found) -> None:
        """Return ``None``, since no file is written."""

    def skip_reason(self, item: Found) -> SkipReason | None:
        """Return ``None``, since what earlier runs have printed is not known."""
        return None

    def write(self, item: Found, result: Result) -> SkipReason | None:
        """Print the lines of a result at once."""
        self._print(self._form.encoded(result))
        return None

    def close(self) -> None:
        """Do nothing, since everything has been printed."""

    def _print(self, data: bytes) -> None:
        print_at_once(self._out, data)
