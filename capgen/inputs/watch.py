"""Files as they arrive: looked for again and again, given out once each is whole."""

import time
from collections.abc import Callable, Iterable, Iterator

from capgen.inputs.selection import Found
from capgen.storage.locations import Location, Url

INTERVAL = 1.0
"""Seconds between two looks; a file that has not changed from one look to the next is taken to be whole."""

State = tuple[int, int, int]


class Arrivals:
    """Remembers what has been given out.

    Args:
        look: Finds the pictures that are there now.
    """

    def __init__(self, look: Callable[[], Iterable[Found]]) -> None:
        """Know of nothing yet."""
        self._look = look
        self._last: dict[Location, State] = {}
        self._done: dict[Location, State] = {}

    def new(self) -> Iterator[Found]:
        """Look once; yield what is new or changed, and as it was at the last look."""
        states = {}
        for found in self._look():
            state = _state(found.path)
            if state is None:
                continue
            states[found.path] = state
            if self._done.get(found.path) != state and self._last.get(found.path) == state:
                self._done[found.path] = state
                yield found
        self._last = states
        self._done = {path: state for path, state in self._done.items() if path in states}

    def settle(self, path: Location) -> None:
        """Take a file as it is now for given out."""
        state = _state(path)
        if state is not None:
            self._done[path] = self._last[path] = state

    def for_ever(self) -> Iterator[list[Found]]:
        """Yield what each look brings, for ever; the first brings what is there already."""
        self._last = {found.path: state for found in self._look() if (state := _state(found.path)) is not None}
        time.sleep(INTERVAL)
        while True:
            yield list(self.new())
            time.sleep(INTERVAL)


def _state(path: Location) -> State | None:
    """Tell a file's state: whatever writes to it changes size or times."""
    if isinstance(path, Url):
        return None
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino
