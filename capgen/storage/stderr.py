"""What other libraries write to standard error and is of no use to people who caption images."""

import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_one_at_a_time = threading.RLock()


def ignore_pillow_warnings() -> None:
    """Ignore Pillow's warnings about image files from now on; what is wrong with a file is said by the status of its result.

    This changes the filters of the whole process. It is for processes that are capgen's own, the command and the workers of
    Ray; no function of the library calls it.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")


def open_if_closed() -> None:
    """Let standard streams that are closed lead to nowhere, as services and programs with windows are started.

    The next file that is opened would else get the number of one of them, and native libraries would write their lines into
    it. From the standard input nothing comes. ``sys.stdout`` stays ``None``, so that it is known that nobody reads it. It is
    for processes that are capgen's own.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:  # a lower number is free, too
                os.dup2(opened, number)
                os.close(opened)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115


@contextmanager
def suppress_lines(prefixes: tuple[bytes, ...]) -> Iterator[None]:
    """Drop the lines that begin with one of ``prefixes`` from file descriptor 2, and pass on all others when the block ends.

    Native libraries write such lines and no setting of theirs turns them off. Only one thread can be in such a block: if two
    overlapped, the second would take the temporary file of the first for the original descriptor and put it back for good.
    """
    with _one_at_a_time:
        yield from _suppressed(prefixes)


def _suppressed(prefixes: tuple[bytes, ...]) -> Iterator[None]:
    if sys.stderr is not None:  # as in a process that was started without one
        sys.stderr.flush()
    try:
        original = os.dup(2)
    except OSError:  # the process has no standard error
        yield
        return
    try:
        captured = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
    except OSError:  # there is nowhere to keep the lines, so all of them pass
        os.close(original)
        yield
        return
    with captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(original, 2)
            os.close(original)
            captured.seek(0)
            for line in captured.read().splitlines(keepends=True):
                if not line.startswith(prefixes):
                    os.write(2, line)
