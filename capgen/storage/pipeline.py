"""Work on threads that runs a little ahead of whoever uses the results, which come in order and in bounded memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 4
"""The number of items for each thread that are begun before their results are asked for."""


def map_ahead(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[tuple[Item, Result]]:
    """Apply ``function`` to ``items`` on several threads.

    Args:
        function: Called once with each item. What it raises is raised when the result of that item is asked for.
        items: The items; they are read only as far ahead as there is work for the threads.
        workers: The number of threads.

    Yields:
        Pairs of an item and its result, in the order of ``items``.
    """
    iterator = iter(items)
    pool = ThreadPoolExecutor(workers)
    try:
        pending = deque((item, pool.submit(function, item)) for item in islice(iterator, AHEAD * workers))
        while pending:
            item, future = pending.popleft()
            yield item, future.result()
            pending.extend((item, pool.submit(function, item)) for item in islice(iterator, 1))
    finally:
        pool.shutdown(cancel_futures=True)
