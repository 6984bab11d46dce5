"""Checkpoints: the complete state of a training loop in one file, which appears whole or not at all.

Keras's own ways of saving lose the seeds of dropout, so that a resumed run would differ from one that was not stopped. Here
a checkpoint has every variable of the model, the seeds among them, every variable of the optimizer, and the progress of the
loop.
"""

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from capgen.errors import TrainingError
from capgen.storage import files


def save(path: Path, model: keras.Model, progress: dict[str, Any]) -> None:
    """Write the state of a model and of its optimizer.

    Args:
        path: The file.
        model: A compiled model.
        progress: What the loop needs besides, as plain JSON values.

    Raises:
        StorageError: It cannot be written; what was there before is as it was.
    """
    arrays = {f"model/{i}": np.asarray(variable) for i, variable in enumerate(_variables(model))}
    arrays |= {f"optimizer/{i}": np.asarray(variable) for i, variable in enumerate(model.optimizer.variables)}
    arrays["progress"] = np.frombuffer(json.dumps(progress).encode(), np.uint8)
    files.write_with(path, lambda file: np.savez(file, allow_pickle=False, **arrays))


def load(path: Path, model: keras.Model, *, optimizer: bool = True) -> None:
    """Restore the state of a model.

    Args:
        path: The file.
        model: The model; with ``optimizer`` it is compiled.
        optimizer: Whether the state of the optimizer is restored, too.

    Raises:
        TrainingError: The file is damaged or of another model.
    """
    variables = {"model": _variables(model), "optimizer": model.optimizer.variables if optimizer else ()}
    with _opened(path) as arrays:
        for prefix, group in variables.items():
            for index, variable in enumerate(group):
                variable.assign(arrays[f"{prefix}/{index}"])


def progress(path: Path) -> dict[str, Any]:
    """Return the progress that was saved with a state.

    Raises:
        TrainingError: The file is damaged.
    """
    with _opened(path) as arrays:
        return json.loads(arrays["progress"].tobytes())


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            yield arrays
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise TrainingError(f"{path} does not fit this run; start anew without `resume` ({error})") from error


def _variables(model: keras.Model) -> list[keras.Variable]:
    """Return the variables of a model in a fixed order, with the seeds of dropout, which ``model.variables`` may lack."""
    seeds = [
        layer.seed_generator.state
        for layer in model._flatten_layers()  # noqa: SLF001 - the public list of layers is not recursive
        if getattr(layer, "seed_generator", None) is not None
    ]
    known = {id(variable) for variable in model.variables}
    return [*model.variables, *(seed for seed in seeds if id(seed) not in known)]
