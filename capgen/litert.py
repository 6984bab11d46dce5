"""A LiteRT graph: open a ``.tflite`` file and call its signatures with NumPy arrays."""

import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from capgen.errors import BundleError

NOISE = (b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.",)
"""Lines that creating an interpreter writes on file descriptor 2 and that no setting turns off."""


class Graph:
    """One ``.tflite`` file. An interpreter is not safe to share: make one a thread.

    Args:
        source: The file, or its bytes.
        threads: How many threads one call may use.

    Raises:
        BundleError: The file is no graph that this version of LiteRT can run.
    """

    def __init__(self, source: Path | bytes, threads: int) -> None:
        """Map the file and plan its memory."""
        from ai_edge_litert.interpreter import Interpreter

        try:
            with without_lines(NOISE):
                content = {"model_content": source} if isinstance(source, bytes) else {"model_path": str(source)}
                self._interpreter = Interpreter(num_threads=threads, **content)
                self._runners = {name: self._interpreter.get_signature_runner(name) for name in self.signatures}
            self._allocated: set[str] = set()
        except (ValueError, RuntimeError) as error:
            name = "it" if isinstance(source, bytes) else source
            raise BundleError(f"{name} is no graph that LiteRT can run: {str(error).splitlines()[0]}") from error

    @property
    def signatures(self) -> tuple[str, ...]:
        """The names that ``run`` takes."""
        return tuple(self._interpreter.get_signature_list())

    def outputs(self, signature: str) -> dict[str, tuple[int, ...]]:
        """The names of what ``run`` returns, and the shape of each without its batch dimension."""
        return {
            name: tuple(int(size) for size in details["shape"][1:])
            for name, details in self._runners[signature].get_output_details().items()
        }

    def run(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Call one signature; the size of every batch dimension is free from call to call."""
        if signature not in self._allocated:
            self._allocated.add(signature)
            with without_lines(NOISE):
                return dict(self._runners[signature](**inputs))
        return dict(self._runners[signature](**inputs))


_one_at_a_time = threading.RLock()


@contextmanager
def without_lines(noise: tuple[bytes, ...]) -> Iterator[None]:
    """Drop the lines that start with one of ``noise`` from file descriptor 2 meanwhile, and pass on all else.

    One thread at a time: of two, the second would put the first's stand-in back for good.
    """
    with _one_at_a_time:
        yield from _held_back(noise)


def _held_back(noise: tuple[bytes, ...]) -> Iterator[None]:
    sys.stderr.flush()
    try:
        original = os.dup(2)
    except OSError:  # the process has no standard error
        yield
        return
    try:
        held = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
    except OSError:  # nowhere to hold the lines back: let them through
        os.close(original)
        yield
        return
    with held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(original, 2)
            os.close(original)
            held.seek(0)
            for line in held.read().splitlines(keepends=True):
                if not line.startswith(noise):
                    os.write(2, line)
