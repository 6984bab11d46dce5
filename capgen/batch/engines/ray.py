"""``ray``: the work is done on the processors of one machine or of a cluster, handed out by Ray Data.

Ray Data gives blocks of a list to workers that keep what they have loaded, and does the work of a lost worker or machine
again. Results come back in the order of the list, so that they can be written as if all work had been done in this process.
"""

import importlib.util
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from capgen.batch.engines import BLOCK, Work
from capgen.captioner.results import Result
from capgen.errors import CapgenError, EngineError, UsageError
from capgen.storage.stderr import ignore_pillow_warnings, suppress_lines

WINDOW = 1_500
"""The number of blocks that are handed to Ray at once, so that any number of items takes the same memory."""

_CONNECT_SECONDS = 10
"""How long an address may take to answer."""

_STORE_BYTES = 512 << 20
"""The size of the object store, through which blocks travel, of a Ray that is started here."""


class RayEngine:
    """A connection to Ray, while it is entered. Without an address Ray is started on this machine, and ends with it.

    Args:
        address: ``auto`` for the cluster that this machine belongs to, or its ``HOST:PORT``.
        workers: The most workers, of one processor each; by default as many as there are processors.

    Raises:
        UsageError: Ray is not installed.
    """

    in_this_process = False

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        if importlib.util.find_spec("ray") is None:
            raise UsageError("--engine ray needs Ray: pip install 'capgen[ray]'")
        self._address, self._workers = address, workers
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Connect to Ray, or start it.

        Raises:
            EngineError: There is no cluster at the address, or Ray does not start.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # whatever goes wrong also raises an exception
        _check_address(self._address)
        import ray

        here: dict[str, Any] = {} if self._address else {"num_cpus": self._workers, "object_store_memory": _STORE_BYTES}
        try:
            with _kept_handler(), suppress_lines((b"[",)):  # Ray reports the setting above in such a line
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
        self._stack.callback(ray.shutdown)
        nowhere = self._stack.enter_context(Path(os.devnull).open("w"))
        self._stack.enter_context(redirect_stdout(nowhere))  # on which Ray prints the workers that it lost, among captions
        if self._workers is None:
            self._workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the connection, and the Ray that was started here."""
        self._stack.close()

    def map(self, work: Work, items: Iterable[Any], block: int = BLOCK) -> Iterator[Any]:
        """Let workers do the work; see ``Engine.map``. The work is sent once to each machine, with the first item to do."""
        import ray
        import ray.data

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        context.execution_options.preserve_order = True
        for name in ("ray", "ray.data"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        sent_work, iterator = None, iter(items)
        while window := list(islice(iterator, WINDOW * block)):
            to_do = [item for item in window if not isinstance(item, Result)]
            if to_do and sent_work is None:  # with --watch there is often nothing to do
                sent_work = ray.put(work)
            results = self._map(sent_work, to_do, block) if to_do else iter(())
            for item in window:
                yield item if isinstance(item, Result) else next(results)

    def _map(self, sent_work: Any, items: Sequence[Any], block: int) -> Iterator[Any]:
        import ray
        import ray.data

        # Workers are handed positions in the list of items: Arrow, in which Ray hands things out, knows no paths.
        found = ray.data.range(len(items), override_num_blocks=-(-len(items) // block)).map_batches(
            _RayWorker,
            # in a list they stay references, which a worker that is started in place of a lost one can follow
            fn_constructor_args=([sent_work, ray.put(items)],),
            batch_size=None,
            batch_format="numpy",
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=self._workers, initial_size=self._workers),
            num_cpus=1,
        )
        try:
            for batch in found.iter_batches(batch_size=None, batch_format="numpy"):
                for result in batch["item"]:
                    if isinstance(result, _Raised):
                        raise result.error
                    yield result
        except ray.exceptions.RayError as error:
            cause = _capgen_error(error)
            raise cause or EngineError(f"Ray could not go on ({_last_line(error)}); run it again, it goes on") from error


@dataclass(frozen=True)
class _Raised:
    """An error that the work raised, in the place of its result."""

    error: CapgenError


class _RayWorker:
    """Starts the work in a process of Ray, and does it on one block after another."""

    def __init__(self, sent: list[Any]) -> None:
        import ray

        ignore_pillow_warnings()
        work, self._items = ray.get(sent)
        self._worker = work.start()

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        import numpy as np

        items = [self._items[position] for position in batch["id"]]
        results: list[Any] = []
        try:
            results.extend(self._worker(items))
        except CapgenError as error:  # as a value: of an exception, Ray would bring back the text alone
            results.append(_Raised(error))
        column = np.empty(len(results), object)
        column[:] = results
        return {"item": column}


@contextmanager
def _kept_handler() -> Iterator[None]:
    """Put back the handler of SIGTERM, which Ray replaces by its own in the main thread; no other thread can set one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


def _check_address(address: str | None) -> None:
    """Make sure that something answers at ``HOST:PORT``, since Ray itself would wait many minutes for it."""
    host, colon, port = (address or "").rpartition(":")
    if not (colon and port.isdigit()) or "://" in host:
        return
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise EngineError(_unreachable(f"nothing answers at {address} ({error})")) from error


def _unreachable(what: str) -> str:
    return f"{what}; start Ray with ray start --head, or leave --address out to start it on this machine"


def _capgen_error(error: BaseException | None) -> CapgenError | None:
    """Return the error that capgen raised in a worker, which Ray has put into others; ``None`` if there is none."""
    while error is not None and not isinstance(error, CapgenError):
        error = getattr(error, "cause", None) or error.__cause__
    return error


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
