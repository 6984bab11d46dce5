"""What became of files: a report of each, and what is said of them on stderr."""

import errno
import os
import time
from collections import Counter
from pathlib import Path
from typing import BinaryIO

from capgen.captioner.results import Result, SkipReason
from capgen.cli.console import printable, say
from capgen.errors import Status
from capgen.outputs.jsonl import JsonLinesFormat
from capgen.storage import files


class Report:
    """What became of each file, as JSON lines, each written at once.

    Args:
        path: The file; an older one is replaced.
    """

    def __init__(self, path: Path) -> None:
        """Know where it is to be."""
        self._path, self._form = path, JsonLinesFormat(several=True)

    def __enter__(self) -> "Report":
        try:
            files.make_folder(self._path.absolute().parent)
            self._file: BinaryIO = self._path.open("wb", buffering=0)
        except OSError as error:
            raise files.storage_error(self._path, error) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def put(self, result: Result) -> None:
        """Write a line.

        Raises:
            StorageError: It cannot be written.
        """
        try:
            for line in self._form.lines(result):
                data = line.encode("utf-8", "surrogateescape") + b"\n"
                if self._file.write(data) != len(data):
                    raise files.storage_error(self._path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        except OSError as error:
            raise files.storage_error(self._path, error) from error


class Teller:
    """Counts what became of files, and says on stderr what failed and, of several, what it comes to."""

    def __init__(self, *, several: bool, quiet: bool, report: Report | None) -> None:
        """Begin the clock."""
        self._several, self._quiet, self._report = several, quiet, report
        self._counts: Counter[str] = Counter()
        self._started = time.monotonic()
        self.failed = 0
        self._changed = 0  # skipped files whose caption a person has edited

    @property
    def done(self) -> int:
        """How many files have been dealt with."""
        return self._counts.total()

    @property
    def note(self) -> str:
        """What did not go as usual, for the progress bar."""
        counted = [(self._counts[status], status) for status in (Status.SKIPPED, Status.LOW_CONFIDENCE)]
        return ", ".join(f"{count:,} {what}" for count, what in ((self.failed, "failed"), *counted) if count)

    def mention(self, what: str) -> None:
        """Say something that is no failure."""
        if not self._quiet:
            say(what)

    def take(self, result: Result) -> None:
        """Count a result, report it, and name it if something is wrong."""
        self._counts[result.status] += 1
        self.failed += result.failed
        self._changed += result.skip_reason is SkipReason.CHANGED_BY_HAND
        if self._report is not None:
            self._report.put(result)
        if result.failed or (result.reason and not self._several):
            path = printable(os.fsencode(str(result.path)).decode("utf-8", "replace"))
            say(f"capgen: {path}: {result.status}: {result.reason}")

    def skip(self, count: int) -> None:
        """Count pictures that an earlier run has captioned."""
        self._counts[Status.SKIPPED] += count

    def summarise(self) -> None:
        """Say how many files came to what."""
        if not self._several or self._quiet:
            return
        seconds = time.monotonic() - self._started
        counts = ", ".join(f"{self._counts[status]:,} {self._named(status)}" for status in Status if self._counts[status])
        say(f"{counts or 'no photographs found'} in {seconds:,.1f} s")

    def _named(self, status: Status) -> str:
        return f"{status} ({self._changed:,} changed by hand)" if status is Status.SKIPPED and self._changed else status
