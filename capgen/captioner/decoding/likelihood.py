"""Along captions that are known already: how likely a decoder finds them, and what it attends to for each word."""

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np

from capgen.captioner.decoding.decoder import DecoderOutput, StepwiseDecoder, repeated
from capgen.captioner.decoding.prefixes import Choice, Prefixes
from capgen.captioner.decoding.processors import LogitsProcessor
from capgen.captioner.vocabulary import END


def log_likelihoods(
    decoder: StepwiseDecoder,
    features: np.ndarray,
    captions: Sequence[Sequence[int]],
    processors: Sequence[LogitsProcessor] = (),
) -> list[np.ndarray]:
    """Score captions of one image.

    Args:
        decoder: The decoder.
        features: (1, C, D).
        captions: The word ids of each of K captions, without start and end.
        processors: What changes the scores.

    Returns:
        For each caption the natural logarithms of the probability of each of its words and of its end, (T + 1,).
    """
    if not captions:
        return []
    found = []
    for prefixes, following, output in _along(decoder, features, captions):
        scores = output.log_probabilities[None]  # (1, K, V)
        for processor in processors:
            scores = processor.process(scores, prefixes)
        found.append(scores[0, np.arange(len(following)), following])
    return [row[: len(ids) + 1].astype(np.float64) for row, ids in zip(np.stack(found, axis=1), captions, strict=True)]


def attention_weights(decoder: StepwiseDecoder, features: np.ndarray, captions: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """Return what a decoder attends to when it says captions of one image.

    Args:
        decoder: A decoder that has attention weights.
        features: (1, C, D).
        captions: The word ids of each of K captions, without start and end.

    Returns:
        For each caption the attention weights of the steps that predict its words, (T, C).
    """
    if not captions:
        return []
    weights = np.stack([cast(np.ndarray, output.attention) for _, _, output in _along(decoder, features, captions)], axis=1)
    return [row[: len(ids)] for row, ids in zip(weights, captions, strict=True)]  # of (K, longest + 1, C)


def _along(
    decoder: StepwiseDecoder, features: np.ndarray, captions: Sequence[Sequence[int]]
) -> Iterator[tuple[Prefixes, np.ndarray, DecoderOutput]]:
    """Step along K captions of one image, and yield the prefixes, the words (K,) that follow, and the output for these."""
    ids = np.full((len(captions), max(map(len, captions)) + 1), END, np.int32)  # (K, longest + 1)
    for row, caption in zip(ids, captions, strict=True):
        row[: len(caption)] = caption
    memory, state = decoder.init_state(features)
    state = repeated(state, len(captions))
    prefixes, unfinished = Prefixes.first(1, len(captions)), np.zeros(1, bool)
    for following in ids.T:
        output = decoder.step(prefixes.last_words.reshape(-1), memory, state)
        yield prefixes, following, output
        prefixes, state = prefixes.extended(Choice(following[None], unfinished)), output.state
