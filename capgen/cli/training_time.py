"""How fast a training goes on, and how long it will take: rates and times left that can be believed."""

import time
from collections.abc import Callable
from datetime import timedelta

from capgen.training.history import EpochStart

MIN_SECONDS = 1.0
"""Seconds that an activity must have taken before its rate and the time left are shown."""


RECENT = 5
"""The epochs from whose mean the time left is estimated."""


class Pace:
    """The rate of one activity and the time that it has left, measured from its first report on.

    The first report counts as zero, because the time that it took, compilation included, is not known.

    Args:
        done: The count of the first report.
        clock: Returns seconds.
    """

    def __init__(self, done: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._first, self._started = clock, done, clock()

    def rate(self, done: int) -> float | None:
        """Return how many are done in a second; ``None`` while too little time has passed to tell."""
        elapsed = self._clock() - self._started
        return (done - self._first) / elapsed if elapsed >= MIN_SECONDS and done > self._first else None

    def text(self, done: int, total: int) -> str:
        """Say the rate and the time left, such as ``"12.0/s, 0:01:30 left"``; an empty text while they are not known."""
        rate = self.rate(done)
        return f"{rate:,.1f}/s, {timedelta(seconds=round((total - done) / rate))} left" if rate else ""


class TimeLeft:
    """The time that a run has left, estimated from the epochs of the same kind that are done.

    Args:
        clock: Returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.start = EpochStart(0, 0)
        self._clock, self._began, self._is_done = clock, clock(), True
        self._seconds: list[float] = []
        self._pace: Pace | None = None
        self._progress = (0, 0)

    def begin(self, start: EpochStart) -> bool:
        """Begin an epoch; return whether it is the first of its kind that is seen."""
        is_other = (start.last, start.following) != (self.start.last, self.start.following) or not self.start.number
        if is_other:
            self._seconds = []
        self.start, self._began, self._is_done, self._pace = start, self._clock(), False, None
        return is_other

    def step(self, step: int, steps: int) -> None:
        """Take up the progress of the epoch."""
        self._pace = self._pace or Pace(step, self._clock)
        self._progress = step, steps

    def end(self, seconds: float) -> None:
        """End the epoch, which took a number of seconds."""
        self._is_done = True
        self._seconds.append(seconds)

    def left(self) -> float | None:
        """Return the seconds up to the end of the last epoch of this kind; ``None`` while they cannot be known."""
        ahead = self.start.last - self.start.number
        if self._seconds:
            # The first epoch also takes the time of compilation.
            recent = self._seconds[1:][-RECENT:] or self._seconds
            epoch = sum(recent) / len(recent)
            return epoch * ahead + (0 if self._is_done else max(0.0, epoch - (self._clock() - self._began)))
        step, steps = self._progress
        rate = self._pace.rate(step) if self._pace else None
        return (steps * (ahead + 1) - step) / rate if rate else None

    def text(self) -> str:
        """Say the time left; an empty text while it is not known, and once it is over."""
        seconds = self.left() if self.start.number else None
        if seconds is None or round(seconds) == 0:
            return ""
        following = f", then {self.start.following}" if self.start.following else ""
        return f"about {timedelta(seconds=round(seconds))} left for all {self.start.last} epochs{following}"
