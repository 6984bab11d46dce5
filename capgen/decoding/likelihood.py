"""How likely a decoder finds captions that somebody else has written."""

from collections.abc import Sequence

import numpy as np

from capgen.decoding.beam import expanded
from capgen.decoding.options import StepFunction
from capgen.vocabulary import END, START


def log_likelihoods(decoder: StepFunction, features: np.ndarray, captions: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """Score captions of one image.

    Args:
        decoder: The step function.
        features: (1, C, D).
        captions: The word ids of each of K captions, without start and end.

    Returns:
        For each caption the natural logarithms of the probability of each of its words and of its end, (T + 1,).
    """
    said = np.full((len(captions), max(map(len, captions), default=0) + 1), END, np.int32)
    for row, ids in zip(said, captions, strict=True):
        row[: len(ids)] = ids
    memory = expanded(decoder.begin(features), len(captions))
    words = np.full(len(captions), START, np.int32)
    found = np.zeros(said.shape)
    for position in range(said.shape[1]):
        outputs = decoder.step({"words": words, **memory})
        scores = outputs.pop("log_probabilities")  # (K, V)
        words = said[:, position]
        found[:, position] = scores[np.arange(len(words)), words]
        memory.update(outputs)
    return [row[: len(ids) + 1] for row, ids in zip(found, captions, strict=True)]
