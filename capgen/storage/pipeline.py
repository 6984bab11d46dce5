"""Work done on threads, a little ahead of whoever uses the results, in order and with bounded memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 4
"""Results kept waiting for each worker."""


def map_ahead(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[tuple[Item, Result]]:
    """Apply ``function`` to ``items`` on ``workers`` threads.

    Yields:
        Pairs of item and result, in the order of ``items``, which is read only as far ahead as needed.
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
