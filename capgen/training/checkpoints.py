"""Complete states of a training run, in one file that appears whole or not at all.

Keras's own ways of saving lose the seeds of dropout, so that a resumed run is another run. Here a state is every
variable of the model, the seeds among them, every variable of the optimizer, and what the loop itself remembers.
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
    """Write the state of ``model`` and its optimizer, with ``progress`` (plain JSON) beside it."""
    arrays = {f"model/{i}": np.asarray(variable) for i, variable in enumerate(_variables(model))}
    arrays |= {f"optimizer/{i}": np.asarray(variable) for i, variable in enumerate(model.optimizer.variables)}
    arrays["progress"] = np.frombuffer(json.dumps(progress).encode(), np.uint8)
    files.write_with(path, lambda file: np.savez(file, allow_pickle=False, **arrays))


def load(path: Path, model: keras.Model, *, optimizer: bool = True) -> None:
    """Put a state back, with ``optimizer=False`` without the optimizer's part.

    Raises:
        TrainingError: The file is damaged or of another model.
    """
    variables = {"model": _variables(model), "optimizer": model.optimizer.variables if optimizer else ()}
    with _opened(path) as arrays:
        for prefix, group in variables.items():
            for index, variable in enumerate(group):
                variable.assign(arrays[f"{prefix}/{index}"])


def progress(path: Path) -> dict[str, Any]:
    """Return what was saved beside a state.

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
        raise TrainingError(f"{path} does not fit this run; start anew without --resume ({error})") from error


def _variables(model: keras.Model) -> list[keras.Variable]:
    """Return the model's variables in a fixed order, the seeds of dropout that ``model.variables`` may lack included."""
    seeds = [
        layer.seed_generator.state
        for layer in model._flatten_layers()  # noqa: SLF001 - the public list of layers is not recursive
        if getattr(layer, "seed_generator", None) is not None
    ]
    known = {id(variable) for variable in model.variables}
    return [*model.variables, *(seed for seed in seeds if id(seed) not in known)]
