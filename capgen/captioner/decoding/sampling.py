"""Sampling: words drawn by their probability, for captions that vary."""

from collections.abc import Sequence

import numpy as np

from capgen.captioner.decoding.beam import expanded
from capgen.captioner.decoding.greedy import until_end
from capgen.captioner.decoding.options import DecodingOptions, Hypothesis, StepFunction, forbid
from capgen.captioner.vocabulary import END, START


def sample(
    decoder: StepFunction, features: np.ndarray, options: DecodingOptions, keys: Sequence[int]
) -> list[list[Hypothesis]]:
    """Draw ``options.num_captions`` captions an image and return the different ones, the best first.

    Args:
        decoder: The step function.
        features: (N, C, D).
        options: Temperature, top_p, seed and what else is asked for.
        keys: (N,) whatever tells the images apart, so that what is drawn for one does not depend on its batch.
    """
    ids, totals = draw(decoder, features, options, keys)
    return [_ranked(rows, scores, options) for rows, scores in zip(ids, totals, strict=True)]


def draw(
    decoder: StepFunction, features: np.ndarray, options: DecodingOptions, keys: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Draw ``options.num_captions`` captions an image, as ``sample`` does.

    Returns:
        Word ids (N, K, T), the end mark after each caption, and log-probabilities (N, K).
    """
    images, count = len(features), options.num_captions
    memory = expanded(decoder.begin(features), count)
    lots = [np.random.default_rng([options.seed, key]) for key in keys]
    words = np.full((images, count), START, np.int32)
    ids = np.full((images, count, options.max_words), END, np.int32)
    totals = np.zeros((images, count))
    active = np.arange(images)
    for position in range(options.max_words + 1):
        outputs = decoder.step({"words": words.reshape(-1), **memory})
        scores = outputs.pop("log_probabilities").reshape(*words.shape, -1)  # (active, K, V)
        forbid(scores, words, position, options)
        speaking = words != END
        scores[~speaking] = 0.0  # what is drawn for those that have ended is not heard
        drawn = _drawn(scores, np.stack([lots[image].random(count) for image in active]), options)
        said = np.take_along_axis(scores, drawn[..., None], axis=-1)[..., 0]
        totals[active] += np.where(speaking, said, 0.0)
        words = np.where(speaking, drawn, END).astype(np.int32)
        if position < options.max_words:
            ids[active, :, position] = words
        going = (words != END).any(axis=1)
        if not going.any():
            break
        memory.update(outputs)
        if not going.all():
            active, words = active[going], words[going]
            memory = {
                name: array[going if name.startswith("context_") else np.repeat(going, count)]
                for name, array in memory.items()
            }
    return ids, totals


def _drawn(scores: np.ndarray, chances: np.ndarray, options: DecodingOptions) -> np.ndarray:
    """Draw a word a row: log-probabilities (N, K, V) and numbers in [0, 1) (N, K) to words (N, K)."""
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        # as float64: a temperature may be too small for float32
        weights = np.exp((scores - scores.max(axis=-1, keepdims=True)).astype(np.float64) / options.temperature)
    if options.top_p == 1:
        sums = np.cumsum(weights, axis=-1)
        return (sums <= chances[..., None] * sums[..., -1:]).sum(axis=-1).clip(max=scores.shape[-1] - 1)
    order = np.argsort(-weights, axis=-1, kind="stable")
    sums = np.cumsum(np.take_along_axis(weights, order, axis=-1), axis=-1)  # (N, K, V), rising
    # The nucleus ends with the word that brings it to top_p; a draw below that share falls on one of its words.
    kept = (sums < options.top_p * sums[..., -1:]).sum(axis=-1, keepdims=True)
    whole = np.take_along_axis(sums, kept, axis=-1)  # (N, K, 1)
    place = (sums <= chances[..., None] * whole).sum(axis=-1, keepdims=True)
    return np.take_along_axis(order, np.minimum(place, kept), axis=-1)[..., 0]


def _ranked(rows: np.ndarray, totals: np.ndarray, options: DecodingOptions) -> list[Hypothesis]:
    """Drop repeated captions of an image, (K, T) and (K,), and sort the others."""
    found = {
        until_end(row): Hypothesis(until_end(row), float(total), len(options.prompt_ids))
        for row, total in zip(rows, totals, strict=True)
    }
    return sorted(found.values(), key=lambda hypothesis: -hypothesis.score(options.length_penalty))
