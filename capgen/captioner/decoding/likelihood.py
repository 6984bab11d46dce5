"""Along captions that are known already: how likely a decoder finds them, and where it looks for each word."""

from collections.abc import Iterator, Sequence

import numpy as np

from capgen.captioner.decoding.beam import expanded
from capgen.captioner.decoding.options import ATTENTION, Arrays, StepFunction
from capgen.captioner.vocabulary import END, START


def log_likelihoods(decoder: StepFunction, features: np.ndarray, captions: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """Score captions of one image.

    Args:
        decoder: The step function.
        features: (1, C, D).
        captions: The word ids of each of K captions, without start and end.

    Returns:
        For each caption the natural logarithms of the probability of each of its words and of its end, (T + 1,).
    """
    if not captions:
        return []
    found = np.stack(
        [
            outputs["log_probabilities"][np.arange(len(words)), words]
            for words, outputs in _along(decoder, features, captions)
        ],
        axis=1,
    )  # (K, longest + 1)
    return [row[: len(ids) + 1].astype(np.float64) for row, ids in zip(found, captions, strict=True)]


def attention(decoder: StepFunction, features: np.ndarray, captions: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """Say where a decoder looks when it says captions of one image.

    Args:
        decoder: A step function whose steps give ``ATTENTION``, too.
        features: (1, C, D).
        captions: The word ids of each of K captions, without start and end.

    Returns:
        For each caption the share of each cell in what the step that predicts a word looked at, (T, C).
    """
    if not captions:
        return []
    found = np.stack([outputs[ATTENTION] for _, outputs in _along(decoder, features, captions)], axis=1)
    return [row[: len(ids)] for row, ids in zip(found, captions, strict=True)]  # of (K, longest + 1, C)


def _along(
    decoder: StepFunction, features: np.ndarray, captions: Sequence[Sequence[int]]
) -> Iterator[tuple[np.ndarray, Arrays]]:
    """Lead a decoder along K captions of one image: the words (K,) that come next, and what it gave before it heard them."""
    said = np.full((len(captions), max(map(len, captions)) + 1), END, np.int32)
    for row, ids in zip(said, captions, strict=True):
        row[: len(ids)] = ids
    memory = expanded(decoder.begin(features), len(captions))
    words = np.full(len(captions), START, np.int32)
    for following in said.T:
        outputs = decoder.step({"words": words, **memory})
        yield following, outputs
        words = np.ascontiguousarray(following)
        memory.update({name: array for name, array in outputs.items() if name.startswith("state_")})
