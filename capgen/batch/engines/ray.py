"""Ray: the same work on the processors of one machine or of a cluster, handed out by Ray Data.

Ray Data gives blocks of a list to workers that keep what they have loaded, and does again what a lost worker or machine had.
Results come back in the order of the list, so that whoever asked can write them as if all had been done here.
"""

import importlib.util
import logging
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from capgen.errors import CapgenError, EngineError, UsageError
from capgen.storage.stderr import ignore_pillow_warnings, suppress_lines

BLOCK = 64
"""Pictures are handed out in such numbers."""

_PATIENCE = 10
"""Seconds."""

_STORE_BYTES = 512 << 20
"""Of a Ray that is started here, for blocks on their way."""


class Work(Protocol):
    """What a worker does; made once in each."""

    def __call__(self, items: Sequence[Any]) -> Sequence[Any]:
        """Return a result for each item."""
        ...


class Cluster:
    """A connection to Ray, while it is entered; without an address Ray is started on this machine, and ends with it.

    Args:
        address: ``auto`` for the cluster that this machine is part of, or its ``HOST:PORT``.
        workers: Most workers, of one processor each; by default as many as there are processors.

    Raises:
        UsageError: Ray is not installed.
        EngineError: There is no cluster at the address.
    """

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        """Keep them."""
        if importlib.util.find_spec("ray") is None:
            raise UsageError("--engine ray needs Ray: pip install 'capgen[ray]'")
        self._address, self._workers = address, workers
        self._stack = ExitStack()

    def __enter__(self) -> "Cluster":
        """Connect."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what goes wrong is told by an exception, too
        _reach(self._address)
        import ray

        handler = signal.getsignal(signal.SIGTERM)
        here: dict[str, Any] = {} if self._address else {"num_cpus": self._workers, "object_store_memory": _STORE_BYTES}
        try:
            with suppress_lines((b"[",)):  # which tells of the setting above
                ray.init(
                    address=self._address or "local",  # without it Ray would join the cluster of RAY_ADDRESS
                    include_dashboard=False if here else None,
                    log_to_driver=False,
                    logging_level=logging.CRITICAL,
                    **here,
                )
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            where = f"there is no Ray at {self._address}" if self._address else "Ray does not start"
            raise EngineError(_unreachable(f"{where} ({_last_line(error)})")) from error
        finally:
            signal.signal(signal.SIGTERM, handler)  # Ray sets its own
        self._stack.callback(ray.shutdown)
        nowhere = self._stack.enter_context(Path(os.devnull).open("w"))
        self._stack.enter_context(redirect_stdout(nowhere))  # where Ray prints which workers it lost, among the captions
        if self._workers is None:
            self._workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the connection, and the Ray that was started here."""
        self._stack.close()

    def map(self, work: type[Work], arguments: tuple[Any, ...], items: Sequence[Any], block: int = BLOCK) -> Iterator[Any]:
        """Let workers do something with every item.

        Args:
            work: Made once in each worker.
            arguments: For making it; sent once to each machine.
            items: Anything that Ray can send.
            block: Items that a worker does between two answers, and does again if it is lost meanwhile.

        Yields:
            The results, in the order of the items.

        Raises:
            EngineError: Workers were lost again and again, or one failed.
        """
        import ray
        import ray.data

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        context.execution_options.preserve_order = True
        for name in ("ray", "ray.data"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        held = ray.put((work, arguments))
        found = ray.data.from_items(list(items), override_num_blocks=max(1, -(-len(items) // block))).map_batches(
            _Worker,
            fn_constructor_args=([held],),  # in a list it stays a reference, which a worker that is made anew can follow
            batch_size=None,
            batch_format="numpy",
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=self._workers, initial_size=self._workers),
            num_cpus=1,
        )
        try:
            for batch in found.iter_batches(batch_size=None, batch_format="numpy"):
                yield from batch["item"]
        except ray.exceptions.RayError as error:
            cause = _own(error)
            raise cause or EngineError(f"Ray could not go on ({_last_line(error)}); run it again, it goes on") from error


class _Worker:
    """Makes the work where it is done."""

    def __init__(self, held: list[Any]) -> None:
        import ray

        ignore_pillow_warnings()
        work, arguments = ray.get(held[0])
        self._work = work(*arguments)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        import numpy as np

        results = self._work(batch["item"])
        column = np.empty(len(results), object)
        column[:] = results
        return {"item": column}


def _reach(address: str | None) -> None:
    """Make sure that something answers at ``HOST:PORT``, for which Ray itself waits many minutes."""
    host, colon, port = (address or "").rpartition(":")
    if not (colon and port.isdigit()) or "://" in host:
        return
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise EngineError(_unreachable(f"nothing answers at {address} ({error})")) from error


def _unreachable(what: str) -> str:
    return f"{what}; start Ray with ray start --head, or leave --address out to start it on this machine"


def _own(error: BaseException | None) -> CapgenError | None:
    """Find what capgen raised in a worker, in the errors that Ray puts around it."""
    while error is not None and not isinstance(error, CapgenError):
        error = getattr(error, "cause", None) or error.__cause__
    return error


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
