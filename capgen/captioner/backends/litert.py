"""A LiteRT graph: open a ``.tflite`` file and call its signatures with NumPy arrays."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from capgen.errors import BundleError
from capgen.storage.stderr import suppress_lines

NOISE = (b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.",)
"""Lines that creating an interpreter writes on file descriptor 2 and that no setting turns off."""


class LiteRTSession:
    """One ``.tflite`` file. An interpreter is not safe to share: make one a thread.

    Args:
        source: The file, or its bytes.
        threads: How many threads one call may use.

    Raises:
        BundleError: The file is not a graph that this version of LiteRT can run.
    """

    def __init__(self, source: Path | bytes, threads: int) -> None:
        """Map the file and plan its memory."""
        from ai_edge_litert.interpreter import Interpreter

        try:
            with suppress_lines(NOISE):
                content = {"model_content": source} if isinstance(source, bytes) else {"model_path": str(source)}
                self._interpreter = Interpreter(num_threads=threads, **content)
                self._runners = {name: self._interpreter.get_signature_runner(name) for name in self.signatures}
            self._allocated: set[str] = set()
        except (ValueError, RuntimeError) as error:
            name = "it" if isinstance(source, bytes) else source
            raise BundleError(f"{name} is not a graph that LiteRT can run: {str(error).splitlines()[0]}") from error

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
            with suppress_lines(NOISE):
                return dict(self._runners[signature](**inputs))
        return dict(self._runners[signature](**inputs))
