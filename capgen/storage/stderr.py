"""Lines that native libraries write on file descriptor 2 and that no setting turns off."""

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_one_at_a_time = threading.RLock()


@contextmanager
def suppress_lines(noise: tuple[bytes, ...]) -> Iterator[None]:
    """Drop the lines that start with one of ``noise`` from file descriptor 2 meanwhile, and pass on all else.

    One thread at a time: of two, the second would put the first's stand-in back for good.
    """
    with _one_at_a_time:
        yield from _held_back(noise)


def _held_back(noise: tuple[bytes, ...]) -> Iterator[None]:
    sys.stderr.flush()
    try:
        original = os.dup(2)
    except OSError:  # the process has no standard error
        yield
        return
    try:
        held = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
    except OSError:  # nowhere to hold the lines back: let them through
        os.close(original)
        yield
        return
    with held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(original, 2)
            os.close(original)
            held.seek(0)
            for line in held.read().splitlines(keepends=True):
                if not line.startswith(noise):
                    os.write(2, line)
