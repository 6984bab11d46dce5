"""Devices and processes that train one run together: JAX, with a copy of the model on each device.

Every process runs the same program on the same batches and gives its own devices their rows of them; what only one may do,
or what must not differ, process 0 does, and the others are told. Keras has no such way with TensorFlow
(github.com/keras-team/keras/issues/20585), so that a captioner is exported afterwards, by a process with TensorFlow.
"""

import atexit
import ctypes
import importlib.util
import io
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from capgen.errors import CapgenError, ConfigError, UsageError
from capgen.training.backend import load_tensorflow

if TYPE_CHECKING:
    import keras

    from capgen.training.config import TrainingConfig

HEARTBEAT = 10
"""Seconds after which a process that is not heard of has ended."""

MEETING = 300
"""Seconds in which all processes are to start."""

LOST = "another process of the run has ended; go on with any number of processes, all of them with --resume"

_BROKEN = b"JAX distributed service detected fatal errors"
"""What JAX writes before it aborts a process whose group is broken."""

T = TypeVar("T")


@dataclass(frozen=True)
class Group:
    """Who trains a run.

    Attributes:
        devices: Devices of each process; of a machine without accelerators, so many parts of its processor.
        coordinator: ``HOST:PORT`` where process 0 can be reached; empty for a single process.
        processes: Their number.
        process: The number of this one, from 0.
    """

    devices: int = 1
    coordinator: str = ""
    processes: int = 1
    process: int = 0

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.process == 0

    def check(self, config: "TrainingConfig") -> None:
        """Check that a run can be trained so.

        Raises:
            ConfigError: It cannot.
        """
        count = self.devices * self.processes
        if config.batch_size % count:
            raise ConfigError(f"batch_size = {config.batch_size} cannot be divided among {count} devices; set a multiple")
        if config.encoder_epochs:
            raise ConfigError("an encoder is trained along on one device only; set encoder_epochs=0, or leave --devices out")

    def shared(self, make: Callable[[], T]) -> T:
        """Let process 0 make something, and return it in every process; all of them must call this.

        It is made of what JSON knows and of arrays; a tuple may come as a list.
        """
        if self.processes == 1:
            return make()
        from jax.experimental.multihost_utils import broadcast_one_to_all

        data = np.frombuffer(_packed(make() if self.first else None), np.uint8)
        size = int(broadcast_one_to_all(np.int32(len(data))))
        told = broadcast_one_to_all(data if self.first else np.zeros(size, np.uint8))
        return _unpacked(told.tobytes())

    def train(self, model: "keras.Model", inputs: dict[str, np.ndarray], targets: np.ndarray, weights: np.ndarray) -> float:
        """Take one step of training, and return its loss.

        Args:
            model: Compiled under this group.
            inputs: Of the whole batch; the length of each is a multiple of the number of devices.
            targets: Likewise.
            weights: Of the targets.
        """
        own = {name: self._own(array) for name, array in inputs.items()}
        return float(model.train_on_batch(own, self._own(targets), sample_weight=self._own(weights)))

    def _own(self, array: np.ndarray) -> np.ndarray:
        """Return the rows of this process's devices."""
        size = len(array) // self.processes
        return array[self.process * size : (self.process + 1) * size]


def _packed(value: Any) -> bytes:
    """Write a value as an ``.npz``: its JSON, in which an array is only a number, and the arrays."""
    arrays: list[np.ndarray] = []

    def numbered(array: np.ndarray) -> dict[str, int]:
        arrays.append(array)
        return {_ARRAY: len(arrays) - 1}

    text = json.dumps(value, default=numbered)
    buffer = io.BytesIO()
    np.savez(buffer, np.frombuffer(text.encode(), np.uint8), *arrays, allow_pickle=False)
    return buffer.getvalue()


def _unpacked(data: bytes) -> Any:
    with np.load(io.BytesIO(data), allow_pickle=False) as found:
        arrays = [found[name] for name in found.files[1:]]
        text = found[found.files[0]].tobytes()
    return json.loads(text, object_hook=lambda plain: arrays[plain[_ARRAY]] if _ARRAY in plain else plain)


_ARRAY = "<array>"


@contextmanager
def joined(group: Group) -> Iterator[Group]:
    """Load Keras on JAX, wait for the other processes, and train together until the block ends.

    A process whose group is broken ends here and now, with a line that says so.

    Raises:
        UsageError: JAX is not installed, Keras is loaded already, or there are fewer devices.
    """
    if importlib.util.find_spec("jax") is None:
        raise UsageError("training on several devices needs JAX, which is not installed: pip install 'capgen[jax]'")
    if "keras" in sys.modules:
        raise UsageError("Keras is already loaded in this process; several devices need a new one")
    os.environ["KERAS_BACKEND"] = "jax"
    load_tensorflow(gpus=False)  # TensorBoard's events are written with it
    import jax

    jax.config.update("jax_num_cpu_devices", group.devices)
    with ExitStack() as held:
        if group.processes > 1:
            held.enter_context(_connected(group))
        import keras

        own = [jax.local_devices(process)[: group.devices] for process in range(group.processes)]
        devices = [device for each in own for device in each]
        if len(devices) < group.devices * group.processes:
            raise UsageError(f"there are {len(devices)} devices in all, not {group.devices} for each process; set --devices")
        names = [f"{device.platform}:{device.id}" for device in devices]
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=names, auto_shard_dataset=False))
        yield group


@contextmanager
def _connected(group: Group) -> Iterator[None]:
    """Connect the processes; they part together, or not at all."""
    import jax

    jax.config.update("jax_enable_preemption_service", False)  # it would keep SIGTERM from ending the process
    with _ending_cleanly() as meanings:
        try:
            if group.first:
                _check_port(group.coordinator)
            meanings.append(
                f"not all of {group.processes} processes met at {group.coordinator}; start them within {MEETING} s"
            )
            try:
                jax.distributed.initialize(
                    group.coordinator,
                    group.processes,
                    group.process,
                    initialization_timeout=MEETING,
                    heartbeat_timeout_seconds=HEARTBEAT,
                )
            except RuntimeError as error:
                raise UsageError(f"the processes cannot meet at {group.coordinator}: {error}") from error
            meanings.append(LOST)
            yield
            jax.distributed.shutdown()
        except BaseException as error:
            # else JAX, at the end of Python, waits for the others to end as well
            atexit.register(os._exit, 130 if isinstance(error, KeyboardInterrupt) else getattr(error, "exit_code", 1))
            if not isinstance(error, CapgenError | KeyboardInterrupt):
                time.sleep(2 * HEARTBEAT)  # what breaks a step is a process that has ended, as JAX finds out by then
            raise


def _check_port(coordinator: str) -> None:
    """Check that process 0 can listen: where something else does, JAX ends with a segmentation fault.

    Raises:
        UsageError: It cannot.
    """
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        socket.create_server(("", int(coordinator.rpartition(":")[2])), family=family, dualstack_ipv6=both).close()
    except (OSError, OverflowError) as error:
        raise UsageError(f"cannot listen at {coordinator} ({error}); choose another port") from error


@contextmanager
def _ending_cleanly() -> Iterator[list[str]]:
    """Keep what JAX's C++ says off standard output and error, and turn its abort of a broken group into a line.

    That abort is JAX's only way: its callback for Python cannot be called (jaxlib 0.10 ends with ``std::bad_cast``). After
    an error all stays so until the process ends, for the abort may come late.

    Yields:
        A list that the caller puts in what an abort means from then on.
    """
    meanings: list[str] = []
    before, originals = (sys.stdout, sys.stderr), [os.dup(number) for number in (1, 2)]
    noise = tempfile.TemporaryFile()  # noqa: SIM115 - open until the end
    sys.stdout, sys.stderr = (
        os.fdopen(number, "w", buffering=1, encoding=shown.encoding, errors=shown.errors, closefd=False)
        for number, shown in zip(originals, before, strict=True)
    )
    for number in (1, 2):
        os.dup2(noise.fileno(), number)

    def aborted(_: int) -> None:
        noise.seek(0)
        said = noise.read()
        if _BROKEN in said:
            os.write(originals[1], f"capgen: {meanings[-1]}\n".encode())
            os._exit(1)
        os.write(originals[1], said)  # and the abort goes on

    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(aborted)
    _kept.append(handler)
    set_handler: Any = ctypes.CDLL(None).signal  # Python's own would be called when C++ returns, which it does not
    set_handler(signal.SIGABRT, handler)
    yield meanings
    set_handler(signal.SIGABRT, None)
    for number, original in zip((1, 2), originals, strict=True):
        os.dup2(original, number)
        os.close(original)
    sys.stdout, sys.stderr = before


_kept: list[Any] = []
"""What C++ may call."""
