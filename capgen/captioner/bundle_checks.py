"""Checks of what the files of a bundle say; their checksums only show that they are unchanged.

What does not fit is a ``TypeError`` or a ``ValueError``; ``Bundle`` names the file and says what to do.
"""

import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from capgen.captioner import container
from capgen.captioner.backends import BACKENDS
from capgen.errors import UnknownNameError
from capgen.images import MAX_INPUT_SIZE, RESAMPLING_FILTERS

if TYPE_CHECKING:
    from capgen.captioner.bundle import Description

_LEVELS = 10
"""How deep lists and objects may lie in each other in a description; far deeper would be too deep for Python."""


def checked_hashes(values: Any, description: str) -> dict[str, str]:
    """Return the hashes of a description by file name, if the names are those of other files right beside it.

    Args:
        values: The hashes as the description has them.
        description: The name of the file of the description itself, which is not among them.

    Raises:
        TypeError, ValueError: They are not, or there are too many of them.
    """
    hashes = dict(values)
    plain = len(hashes) < container.MAX_FILES and all(map(container.is_plain, hashes))
    if not plain or len({name.lower() for name in (description, *hashes)}) <= len(hashes):  # some systems ignore case
        raise ValueError("its list of files is not one")
    return hashes


def check_values(description: "Description") -> None:
    """Check the kinds of what is shown and computed with.

    Raises:
        TypeError, ValueError: A value is not what it should be.
        UnknownNameError: There is no such backend.
    """
    if description.backend not in BACKENDS:
        raise UnknownNameError("captioner backend", str(description.backend), BACKENDS)
    calibration = description.calibration
    objects = (
        description.encoder, description.decoder, description.training, description.scores, calibration.reliability,
    )  # fmt: skip
    numbers = all(abs(value) < math.inf for value in (calibration.slope, calibration.offset))
    if not (numbers and isinstance(description.name, str) and all(isinstance(value, dict) for value in objects)):
        raise TypeError("a value is of another kind")
    if not _is_shallow(objects, _LEVELS):
        raise ValueError("it goes too deep")
    preprocessing = description.preprocessing
    if type(preprocessing.size) is not int or not 1 <= preprocessing.size <= MAX_INPUT_SIZE:
        raise ValueError(f"the size of its images is not a whole number from 1 to {MAX_INPUT_SIZE}")
    if preprocessing.resample not in RESAMPLING_FILTERS:
        raise ValueError(f"its resampling filter is not one of {', '.join(RESAMPLING_FILTERS)}")


def _is_shallow(values: Any, levels: int) -> bool:
    inner = values.values() if isinstance(values, dict) else values if isinstance(values, (list, tuple)) else ()
    return levels > 0 and all(_is_shallow(value, levels - 1) for value in inner)


def table(data: bytes) -> np.ndarray:
    """Read an ``.npy`` file of finite numbers in rows and columns, as float32.

    Raises:
        TypeError, ValueError, EOFError: It is not such a file.
    """
    found = np.load(io.BytesIO(data), allow_pickle=False)
    if not (isinstance(found, np.ndarray) and found.shape[1:] and np.isfinite(found).all()):
        raise ValueError("it is not a table of numbers")
    return found.astype(np.float32)


def is_caption(row: Any, entries: int) -> bool:
    """Whether a row is a number of times and the ids of a caption."""
    numbers = isinstance(row, list) and len(row) > 1 and all(type(number) is int for number in row)
    return numbers and row[0] > 0 and all(0 <= index < entries for index in row[1:])
