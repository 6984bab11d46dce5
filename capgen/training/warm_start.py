"""``WarmStart``: the trained weights that a training begins with, of a captioner or of an earlier loop of the same run."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from capgen.captioner import bundle
from capgen.captioner.constraints import ConstraintConfig
from capgen.captioner.slots import VisualWords
from capgen.captioner.vocabulary import Vocabulary
from capgen.errors import TrainingError

if TYPE_CHECKING:
    import keras

    from capgen.captioner.bundle import Bundle


@dataclass(frozen=True)
class WarmStart:
    """What a training begins with.

    Attributes:
        vocabulary: The vocabulary, whose entries keep their ids.
        visual_words: The visual words that fill slots.
        constraints: The constants of what may be said, which a captioner that is continued keeps.
        weights: The weights of the decoder by the path of the Keras variable.
    """

    vocabulary: Vocabulary
    visual_words: VisualWords | None
    constraints: ConstraintConfig
    weights: Mapping[str, np.ndarray]

    @classmethod
    def from_bundle(cls, captioner: "Bundle") -> "WarmStart":
        """Read the trained weights of a captioner.

        Raises:
            BundleError: The captioner is damaged.
        """
        with np.load(io.BytesIO(captioner.read(bundle.WEIGHTS)), allow_pickle=False) as arrays:
            return cls(captioner.vocabulary, captioner.visual_words, captioner.description.constraints, dict(arrays))

    def load_into(self, model: "keras.Model", vocabulary: Vocabulary) -> None:
        """Set the weights of a model; where the vocabulary has grown, what is new keeps its random initial values.

        Args:
            model: A decoder's training model.
            vocabulary: The vocabulary of the model, which extends that of the warm start.

        Raises:
            TrainingError: The weights are those of another decoder.
        """
        grown = (len(self.vocabulary), len(vocabulary))
        for variable in model.weights:
            if "seed_generator" in variable.path:
                continue
            given = self.weights.get(variable.path)
            if given is None or not _fits(given.shape, tuple(variable.shape), grown):
                raise TrainingError(f"the captioner to go on from has no {variable.path} that fits")
            value = np.array(variable)
            value[tuple(slice(0, size) for size in given.shape)] = given
            variable.assign(value)


def _fits(before: tuple[int, ...], now: tuple[int, ...], grown: tuple[int, int]) -> bool:
    """Tell whether two shapes differ only where one has the old and the other the new size of the vocabulary."""
    return len(before) == len(now) and all(a == b or (a, b) == grown for a, b in zip(before, now, strict=True))
