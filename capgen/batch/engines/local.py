"""``local``: the work is done in this process, on as many threads as the work itself starts."""

from collections.abc import Generator, Iterable, Iterator
from types import TracebackType
from typing import Any, Self

from capgen.batch.engines import BLOCK, Work
from capgen.errors import UsageError


class LocalEngine:
    """Does work in this process.

    Args:
        address: Must be ``None``: there is no cluster.
        workers: Must be ``None``: the work itself knows how many threads it starts.

    Raises:
        UsageError: One of them is given.
    """

    in_this_process = True
    notice = ""

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        given = [name for name, value in (("`address`", address), ("`workers`", workers)) if value is not None]
        if given:
            raise UsageError(f"{' and '.join(given)} {'are' if given[1:] else 'is'} about `engine=ray`; add it")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def map(self, work: Work, items: Iterable[Any], block: int = BLOCK) -> Iterator[Any]:
        """Do the work on all items in order; see ``Engine.map``. The items are not put into blocks."""
        results = iter(work.start()(items))
        try:
            yield from results
        finally:
            if isinstance(results, Generator):
                results.close()
