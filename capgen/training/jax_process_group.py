"""``JaxProcessGroup``: several devices, of one or several processes, that train a run with JAX.

Each device has a copy of the model: every process runs the same program on the same batches and gives its own devices
their rows of them; what must be done once or must not differ is done by process 0, which broadcasts the result. Keras has no
such way with TensorFlow (github.com/keras-team/keras/issues/20585), so a captioner is exported afterwards, by a process with
TensorFlow. JAX is imported only when such a group is joined.
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
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from capgen.errors import CapgenError, ConfigError, UsageError
from capgen.training.backend import load_tensorflow
from capgen.training.process_group import Batch, ProcessGroup, T

if TYPE_CHECKING:
    import keras

    from capgen.training.batches import CaptionBatches
    from capgen.training.config import TrainingConfig

HEARTBEAT_TIMEOUT = 10
"""Seconds after which a process that sends no heartbeat counts as lost."""

INITIALISATION_TIMEOUT = 300
"""Seconds within which all processes must have started."""

LOST = "another process of the run has ended; resume it with any number of processes"

_BROKEN = b"JAX distributed service detected fatal errors"
"""What JAX writes before it aborts a process whose group is broken."""


@dataclass(frozen=True)
class JaxProcessGroup(ProcessGroup):
    """Several devices, of one or several processes, that train a run with JAX.

    Attributes:
        devices: The number of devices of each process; on a machine without accelerators, of parts of its processor.
        coordinator: ``HOST:PORT`` where process 0 can be reached; empty for a single process.
        processes: The number of processes.
        process: The number of this process, from 0.
    """

    devices: int = 1
    coordinator: str = ""
    processes: int = 1
    process: int = 0

    jit_compile: ClassVar[bool] = True

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that validates, writes and reports."""
        return self.process == 0

    def check(self, config: "TrainingConfig") -> None:
        """Check that this group can train a run.

        Raises:
            ConfigError: It cannot.
        """
        count = self.devices * self.processes
        if config.batch_size % count:
            raise ConfigError(f"batch_size = {config.batch_size} cannot be divided among {count} devices; set a multiple")
        if config.encoder_epochs:
            raise ConfigError("an encoder is fine-tuned on one device only; set encoder_epochs=0, or leave `devices` out")

    def broadcast(self, make: Callable[[], T]) -> T:
        """Let process 0 make a value and return it in every process; all of them must call this."""
        if self.processes == 1:
            return make()
        from jax.experimental.multihost_utils import broadcast_one_to_all

        data = np.frombuffer(_packed(make() if self.is_first else None), np.uint8)
        size = int(broadcast_one_to_all(np.int32(len(data))))
        received = broadcast_one_to_all(data if self.is_first else np.zeros(size, np.uint8))
        return _unpacked(received.tobytes())

    def train_epoch(
        self, model: "keras.Model", batches: "CaptionBatches", batch_size: int, on_step: Callable[[int, float], None]
    ) -> float:
        """Train on all batches, each of them divided among the devices."""
        total, images = 0.0, 0
        for index in range(len(batches)):
            inputs, targets = batches[index]
            count = len(inputs["words"])
            total += self.train_step(model, inputs, targets, batch_size) * count
            images += count
            on_step(index + 1, total / images)
        return total / images

    def train_step(
        self, model: "keras.Model", inputs: Batch, targets: np.ndarray, batch_size: int, weights: np.ndarray | None = None
    ) -> float:
        """Take one step of training on a batch that is divided among the devices."""
        from capgen.training.batches import padded_batch

        inputs, targets, weights = padded_batch(inputs, targets, batch_size, weights)
        own = {name: self._own_rows(array) for name, array in inputs.items()}
        return float(model.train_on_batch(own, self._own_rows(targets), sample_weight=self._own_rows(weights)))

    def predictor(self, model: "keras.Model", batch_size: int) -> Callable[[Batch], Any]:
        """Return a function from the inputs of a batch to what a model predicts for them, in this process alone."""
        from capgen.training.batches import padded_batch
        from capgen.training.keras_decoder import runner

        run = runner(model)

        def predict(inputs: Batch) -> np.ndarray:
            count = len(inputs["positions"])
            padded, *_ = padded_batch(inputs, inputs["positions"], batch_size)
            return np.asarray(run(padded))[:count]

        return predict

    def _own_rows(self, array: np.ndarray) -> np.ndarray:
        """Return the rows of this process's devices."""
        size = len(array) // self.processes
        return array[self.process * size : (self.process + 1) * size]


def _packed(value: Any) -> bytes:
    """Write a value as an ``.npz`` of its JSON, in which an array is replaced by its number, and of the arrays."""
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
"""The key under which the JSON of a packed value has the number of an array."""


@contextmanager
def joined(group: JaxProcessGroup) -> Iterator[JaxProcessGroup]:
    """Load Keras on JAX, wait for the other processes, and train together until the block ends.

    A process whose group is broken ends at once, with one line that says so.

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
    with ExitStack() as stack:
        if group.processes > 1:
            stack.enter_context(_connected(group))
        import keras

        own = [jax.local_devices(process)[: group.devices] for process in range(group.processes)]
        devices = [device for each in own for device in each]
        if len(devices) < group.devices * group.processes:
            raise UsageError(f"there are {len(devices)} devices in all, not {group.devices} for each process; set `devices`")
        names = [f"{device.platform}:{device.id}" for device in devices]
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=names, auto_shard_dataset=False))
        yield group


@contextmanager
def _connected(group: JaxProcessGroup) -> Iterator[None]:
    """Connect the processes. At the end they disconnect together; after an error this one ends on its own."""
    import jax

    jax.config.update("jax_enable_preemption_service", False)  # else SIGTERM would not end the process
    with _abort_messages() as messages:
        try:
            if group.is_first:
                _check_port(group.coordinator)
            messages.append(
                f"not all of {group.processes} processes met at {group.coordinator}; "
                f"start them within {INITIALISATION_TIMEOUT} s"
            )
            try:
                jax.distributed.initialize(
                    group.coordinator,
                    group.processes,
                    group.process,
                    initialization_timeout=INITIALISATION_TIMEOUT,
                    heartbeat_timeout_seconds=HEARTBEAT_TIMEOUT,
                )
            except RuntimeError as error:
                raise UsageError(f"the processes cannot meet at {group.coordinator}: {error}") from error
            messages.append(LOST)
            yield
            jax.distributed.shutdown()
        except BaseException as error:
            # Otherwise JAX would wait at the end of Python for the other processes to end as well.
            atexit.register(os._exit, 130 if isinstance(error, KeyboardInterrupt) else getattr(error, "exit_code", 1))
            if not isinstance(error, CapgenError | KeyboardInterrupt):
                time.sleep(2 * HEARTBEAT_TIMEOUT)  # by then JAX knows whether another process has ended, and aborts
            raise


def _check_port(coordinator: str) -> None:
    """Check that process 0 can listen: where another program listens, JAX ends with a segmentation fault.

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
def _abort_messages() -> Iterator[list[str]]:
    """Keep what JAX's C++ writes off standard output and error, and replace its abort of a broken group by one line.

    The abort is JAX's only way to report a broken group: its callback for Python cannot be called (jaxlib 0.10 ends with
    ``std::bad_cast``). After an error everything stays as it is until the process ends, because the abort may come late.

    Yields:
        A list of messages, of which the last is written if JAX aborts; the caller appends the one that holds from then on.
    """
    messages: list[str] = []
    before, originals = (sys.stdout, sys.stderr), [os.dup(number) for number in (1, 2)]
    noise = tempfile.TemporaryFile()  # noqa: SIM115 - open until the end
    sys.stdout, sys.stderr = (
        os.fdopen(number, "w", buffering=1, encoding=stream.encoding, errors=stream.errors, closefd=False)
        for number, stream in zip(originals, before, strict=True)
    )
    for number in (1, 2):
        os.dup2(noise.fileno(), number)

    def aborted(_: int) -> None:
        noise.seek(0)
        written = noise.read()
        if _BROKEN in written:
            os.write(originals[1], f"capgen: {messages[-1]}\n".encode())
            os._exit(1)
        os.write(originals[1], written)  # and the abort goes on

    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(aborted)
    _handlers.append(handler)
    set_handler: Any = ctypes.CDLL(None).signal  # Python's own handlers run when C++ returns, which an abort does not
    set_handler(signal.SIGABRT, handler)
    yield messages
    set_handler(signal.SIGABRT, None)
    for number, original in zip((1, 2), originals, strict=True):
        os.dup2(original, number)
        os.close(original)
    sys.stdout, sys.stderr = before


_handlers: list[Any] = []
"""The handlers that C++ may call, which must not be collected as garbage."""
