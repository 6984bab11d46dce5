"""A program that gives a file what another file holds, or what it held before if that fails: ``write_into.py FILE OTHER``.

It is run where a file has to stay the one that it is, as a process that outlives a kill of the one that began it. The system
ends a killed process also within a call that writes, after any page of the data, so that a long file would be half of the
one and half of the other. It imports nothing that takes time.
"""

import errno
import io
import os
import sys

ERRORS = 100
"""What is added to the number of the system's error in the exit code; a smaller code is Python's own."""

NOT_KNOWN_THERE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
"""Errors of file systems that have no such call."""


def write_into(path: str, source: str) -> None:
    """Give a file that exists what another file holds.

    Raises:
        OSError: It cannot be written; it is as it was before.
    """
    with open(source, "rb") as file:  # noqa: PTH123 - pathlib takes longer to import than all else here
        data = file.read()
    with open(path, "r+b", buffering=0) as file:  # noqa: PTH123
        before = file.read()
        try:
            _fill(file, data)
        except OSError:
            _fill(file, before)
            raise


def _fill(file: io.FileIO, data: bytes) -> None:
    file.seek(0)
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
    file.truncate(len(data))
    try:
        os.fsync(file.fileno())
    except OSError as error:  # the file system has no such call, which has been said of the other file
        if error.errno not in NOT_KNOWN_THERE:
            raise


if __name__ == "__main__":
    try:
        write_into(*sys.argv[1:])
    except OSError as error:
        sys.exit(ERRORS + (error.errno or errno.EIO))
