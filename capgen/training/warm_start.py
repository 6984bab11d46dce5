"""What a run goes on from: a captioner that was trained before."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from capgen.captioner.slots import VisualWords
from capgen.captioner.vocabulary import Vocabulary
from capgen.errors import TrainingError

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Begun:
    """A captioner that training goes on from.

    Attributes:
        vocabulary: Its words, which keep their ids.
        visual_words: What fills its slots.
        weights: Arrays of its decoder by the path of the variable.
    """

    vocabulary: Vocabulary
    visual_words: VisualWords | None
    weights: Mapping[str, np.ndarray]


def take(model: "keras.Model", weights: Mapping[str, np.ndarray], grown: tuple[int, int]) -> None:
    """Set the variables of a model; where the vocabulary has grown, what is new stays as it was drawn.

    Args:
        model: Whose variables are set.
        weights: By the path of the variable.
        grown: Entries of the vocabulary, before and now.

    Raises:
        TrainingError: They are of another model.
    """
    for variable in model.weights:
        if "seed_generator" in variable.path:
            continue
        given = weights.get(variable.path)
        if given is None or not _fits(given.shape, tuple(variable.shape), grown):
            raise TrainingError(f"the captioner to go on from has no {variable.path} that fits")
        value = np.array(variable)
        value[tuple(slice(0, size) for size in given.shape)] = given
        variable.assign(value)


def _fits(before: tuple[int, ...], now: tuple[int, ...], grown: tuple[int, int]) -> bool:
    return len(before) == len(now) and all(a == b or (a, b) == grown for a, b in zip(before, now, strict=True))
