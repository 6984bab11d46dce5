"""Engines: where the work of a job is done, one module each."""

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias

from capgen.errors import ImageError
from capgen.registry import Registry

ENGINES: "Registry[Callable[..., Engine]]" = Registry(
    "engine",
    {
        "local": "capgen.batch.engines.local:LocalEngine",
        "ray": "capgen.batch.engines.ray:RayEngine",
    },
)
"""Each is called with ``address`` and ``workers``, which are ``None`` unless a user gives them."""

BLOCK = 64
"""The usual number of items that a worker elsewhere is handed at once."""

Worker: TypeAlias = Callable[[Iterable[Any]], Iterable[Any]]
"""Takes items and gives one result for each, in their order. A ``Result`` among the items is given back as it is."""


class Work(Protocol):
    """What is to be done. An engine may pickle it and send it to other processes."""

    def start(self) -> Worker:
        """Load what the work needs, and return the function that does it; called once in each worker."""
        ...

    def given_up(self, item: Any, error: ImageError) -> Any:
        """Return the result of an item whose worker was lost on every attempt, with the reason."""
        ...


class Engine(Protocol):
    """Does work on items, while it is entered."""

    in_this_process: bool
    """Whether the work is done in this process. Elsewhere items can only be what can be pickled, such as paths."""

    notice: str
    """What a person should know of how the workers were reached, once they are; usually empty."""

    def __enter__(self) -> Self:
        """Connect to the workers.

        Raises:
            EngineError: They cannot be reached.
        """
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the connection."""
        ...

    def map(self, work: Work, items: Iterable[Any], block: int = BLOCK) -> Iterator[Any]:
        """Do the work on all items, which are read only as far ahead as needed.

        Work that is lost with its worker is done again by another, and given up if that is lost each time. Closing the
        iterator ends the work.

        Args:
            work: What is to be done.
            items: The items. A ``Result`` among them takes its turn among the results, and no worker sees it.
            block: How many items a worker elsewhere is handed at once, and does again if it is lost in the meantime.

        Yields:
            One result for each item, in the order of the items.

        Raises:
            EngineError: Workers cannot be started, or one failed.
            CapgenError: The work itself raised it.
        """
        ...
