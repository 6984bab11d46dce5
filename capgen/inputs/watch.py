"""Files as they arrive: folders are looked through again and again, and each file is returned once it is complete."""

import time
from collections.abc import Callable, Iterable, Iterator

from capgen.inputs.selection import Found
from capgen.storage.locations import Location, Url

INTERVAL = 1.0
"""Seconds between two polls. A file that has not changed from one poll to the next is taken to be complete."""

State = tuple[int, int, int]
"""Size in bytes, time of the last change in nanoseconds, and inode of a file: whatever writes to it changes one of them."""


class Arrivals:
    """Finds files that are new or have changed.

    Args:
        find: Returns the files that are there now.
    """

    def __init__(self, find: Callable[[], Iterable[Found]]) -> None:
        self._find = find
        self._last: dict[Location, State] = {}  # at the last poll
        self._returned: dict[Location, State] = {}  # when each file was returned

    def new(self) -> Iterator[Found]:
        """Look once, and yield the files that are new or changed and are as they were when they were last looked at."""
        states = {}
        for found in self._find():
            state = _state(found.path)
            if state is None:
                continue
            states[found.path] = state
            if self._returned.get(found.path) != state and self._last.get(found.path) == state:
                self._returned[found.path] = state
                yield found
        self._last = states
        self._returned = {path: state for path, state in self._returned.items() if path in states}

    def settle(self, path: Location) -> None:
        """Take a file, as it is now, for one that has been returned: it was changed by ourselves."""
        state = _state(path)
        if state is not None:
            self._returned[path] = self._last[path] = state

    def for_ever(self) -> Iterator[list[Found]]:
        """Yield the files that each poll returns, without an end; the first returns those that are there already."""
        self._last = {found.path: state for found in self._find() if (state := _state(found.path)) is not None}
        time.sleep(INTERVAL)
        while True:
            yield list(self.new())
            time.sleep(INTERVAL)


def _state(path: Location) -> State | None:
    """Return the state of a file, ``None`` if it is gone or at a URL."""
    if isinstance(path, Url):
        return None
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino
