"""What is said on stderr of the images of a job."""

import os
import time
from collections import Counter

from capgen.captioner.results import Result, SkipReason
from capgen.cli.console import complain, printable, say
from capgen.errors import Status
from capgen.inputs.passed_over import PassedOverLog


class Reporter:
    """Counts results, and says on stderr which images failed and, if there are several, how many came to what.

    Args:
        several: Whether the job is over several images; of a single one it is also said why it was skipped.
        quiet: Say nothing but failures.
    """

    def __init__(self, *, several: bool, quiet: bool) -> None:
        self._several, self._quiet = several, quiet
        self._counts: Counter[Status] = Counter()
        self._started = time.monotonic()
        self._changed_by_hand = 0

    @property
    def done(self) -> int:
        """How many images have been reported."""
        return self._counts.total()

    @property
    def failed(self) -> int:
        """How many of them failed."""
        return sum(count for status, count in self._counts.items() if status.failed)

    @property
    def note(self) -> str:
        """How many images were not captioned, for the progress bar."""
        low = self._counts[Status.LOW_CONFIDENCE]
        parts = ((self.failed, "failed"), (self._counts[Status.SKIPPED], "skipped"), (low, Status.LOW_CONFIDENCE))
        return ", ".join(f"{count:,} {what}" for count, what in parts if count)

    def info(self, text: str) -> None:
        """Say something that is not a failure."""
        if not self._quiet:
            say(text)

    def add(self, result: Result) -> None:
        """Count a result, and name the image if something is wrong with it."""
        self._counts[result.status] += 1
        self._changed_by_hand += result.skip_reason is SkipReason.CHANGED_BY_HAND
        path = printable(os.fsencode(str(result.path)).decode("utf-8", "replace"))
        if result.failed:
            complain(f"{path}: {printable(result.reason or result.status)}")
        elif result.reason and not self._several:
            say(f"capgen: {path}: {result.status}: {printable(result.reason)}")

    def add_skipped(self, count: int) -> None:
        """Count images that an earlier run has captioned."""
        self._counts[Status.SKIPPED] += count

    def summarise(self, passed_over: PassedOverLog | None = None) -> None:
        """Say how many images came to what, and what was passed over in the folders in which they were found."""
        if not self._several or self._quiet:
            return
        seconds = time.monotonic() - self._started
        counts = ", ".join(f"{self._counts[status]:,} {self._named(status)}" for status in Status if self._counts[status])
        others = f"; passed over: {passed_over}" if passed_over else ""
        say(printable(f"{counts or 'no photographs found'} in {seconds:,.1f} s{others}"))

    def _named(self, status: Status) -> str:
        changed = self._changed_by_hand if status is Status.SKIPPED else 0
        return f"{status} ({changed:,} changed by hand)" if changed else status
