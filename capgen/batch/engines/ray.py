"""``ray``: the work is done on the processors of one machine or of a cluster, handed out by Ray Data.

Ray Data gives blocks of a list to workers that keep what they have loaded, and does the work of a lost worker or machine
again. It would do so without end, so begun work is counted here, and an item that ends its worker each time is given up.
Results come back in the order of the list, so that they can be written as if all work had been done in this process.
"""

import importlib.util
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO, cast

from capgen.batch.engines import BLOCK, Work
from capgen.captioner.results import Result
from capgen.errors import CapgenError, EngineError, ImageError, Status, UsageError
from capgen.storage.stderr import ignore_pillow_warnings, suppress_lines

WINDOW = 1_500
"""The number of blocks that are handed to Ray at once, so that any number of items takes the same memory."""

_ATTEMPTS = 3
"""How often an item is started, at first among the others of its block and then alone, before it is given up."""

_CONNECT_SECONDS = 10
"""How long an address may take to answer."""

_MODE, _TOKEN = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"
"""The variables in which Ray is told whether clusters ask for a token, and which."""

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
            raise UsageError("the engine ray needs Ray: pip install 'capgen[ray]'")
        self._address, self._workers = address, workers
        self._stack = ExitStack()
        self.notice = ""

    def __enter__(self) -> Self:
        """Connect to Ray, or start it.

        Raises:
            EngineError: There is no cluster at the address, or Ray does not start.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # whatever goes wrong also raises an exception
        _check_address(self._address)
        self._stack.enter_context(_environment(self._authentication()))  # which Ray reads when it is imported
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
            self._stack.close()
            where = f"there is no Ray at {self._address}" if self._address else "Ray does not start"
            raise EngineError(_unreachable(f"{where} ({_last_line(error)})")) from error
        if sys.stdout is not None:
            self._stack.enter_context(redirect_stdout(cast(TextIO, _WithoutRay(sys.stdout))))
        self._stack.callback(ray.shutdown)  # which ends before its threads could print on the standard output again
        if self._workers is None:
            self._workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the connection, and the Ray that was started here."""
        self._stack.close()

    def _authentication(self) -> dict[str, str]:
        """Return the settings of Ray's tokens, if there are none yet.

        A Ray that is started here gets a token for this run alone: Ray would leave one in the home folder, for which every
        cluster that is started later would ask. To an address Ray sends no token by itself.
        """
        if _MODE in os.environ:
            return {}
        if not self._address:
            return {_TOKEN: os.environ.get(_TOKEN) or _own_token()}
        if self._address == "auto" or not _asks_for_token(self._address):
            return {}
        self.notice = f"Ray's token was sent to {self._address}, which asks for one"
        return {_MODE: "token"}

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

        attempts = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Attempts).remote()
        # Workers are handed positions in the list of items: Arrow, in which Ray hands things out, knows no paths.
        found = ray.data.range(len(items), override_num_blocks=-(-len(items) // block)).map_batches(
            _RayWorker,
            # in a list they stay references, which a worker that is started in place of a lost one can follow
            fn_constructor_args=([sent_work, ray.put(items)], attempts),
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


class _WithoutRay:
    """A standard output without the lines about lost workers that Ray prints on it, among captions, from its own threads."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text, unless a thread of Ray does; those of its C++ part have no name of their own."""
        is_of_ray = threading.current_thread().name.startswith(("ray_", "Dummy-"))
        return len(text) if is_of_ray else self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        """Return everything else of the stream."""
        return getattr(self._stream, name)


@dataclass(frozen=True)
class _Raised:
    """An error that the work raised, in the place of its result."""

    error: CapgenError


class _Attempts:
    """Counts how often unfinished items were started, in a process of Ray of its own, which is not lost with a worker."""

    def __init__(self) -> None:
        self._counts = Counter[Hashable]()

    def begin(self, what: Hashable) -> int:
        """Count once more, and return how often it was started by now."""
        self._counts[what] += 1
        return self._counts[what]

    def finish(self, what: Hashable) -> None:
        """Forget what is finished."""
        del self._counts[what]


class _RayWorker:
    """Starts the work in a process of Ray, and does it on one block after another.

    Args:
        sent: References to the work and to the list of items.
        attempts: The process that counts with ``_Attempts``.
    """

    def __init__(self, sent: list[Any], attempts: Any) -> None:
        import ray

        ignore_pillow_warnings()
        self._work, self._items = ray.get(sent)
        self._attempts, self._worker = attempts, self._work.start()

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        import numpy as np

        positions = batch["id"].tolist()
        results: list[Any] = []
        try:
            if self._begin(tuple(positions)) == 1:
                results.extend(self._worker([self._items[position] for position in positions]))
            else:  # the worker was lost: one at a time, to find the item that kills it
                for position in positions:
                    results.extend(self._alone(position))
        except CapgenError as error:  # as a value: of an exception, Ray would bring back the text alone
            results.append(_Raised(error))
        column = np.empty(len(results), object)
        column[:] = results
        return {"item": column}

    def _alone(self, position: int) -> Iterable[Any]:
        """Do the work on one item, or give it up if its worker was lost each time."""
        item = self._items[position]
        if self._begin(position) < _ATTEMPTS:
            results = list(self._worker([item]))
            self._attempts.finish.remote(position)
            return results
        reason = f"the worker that had it was lost {_ATTEMPTS} times; it may take more memory than there is"
        return [self._work.given_up(item, ImageError(Status.CRASHED, reason))]

    def _begin(self, what: Hashable) -> int:
        import ray

        return int(ray.get(self._attempts.begin.remote(what)))


@cache
def _own_token() -> str:
    """Return a token, always the same, as Ray reads it once in a process."""
    return secrets.token_hex(32)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set variables of the environment for a while, in which Ray may set its mode of tokens itself."""
    before = {name: os.environ.get(name) for name in (*values, _MODE)}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _asks_for_token(address: str) -> bool:
    """Tell whether a cluster does not answer without a token, and there is one on this machine."""
    if not (_TOKEN in os.environ or f"{_TOKEN}_PATH" in os.environ or (Path.home() / ".ray/auth_token").is_file()):
        return False
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    without = {**os.environ, _MODE: "disabled"}
    done = subprocess.run(command, env=without, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603
    return done.returncode != 0


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
    remedy = "start Ray with ray start --head, or leave `address` out to start it on this machine"
    return f"{what}; {remedy}; a cluster that asks for a token needs it in RAY_AUTH_TOKEN"


def _capgen_error(error: BaseException | None) -> CapgenError | None:
    """Return the error that capgen raised in a worker, which Ray has put into others; ``None`` if there is none."""
    while error is not None and not isinstance(error, CapgenError):
        error = getattr(error, "cause", None) or error.__cause__
    return error


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
