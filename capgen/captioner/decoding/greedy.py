"""Greedy search: the best word each time."""

import numpy as np

from capgen.captioner.decoding.options import DecodingOptions, Hypothesis, StepFunction, forbid
from capgen.captioner.vocabulary import END, START


def greedy(decoder: StepFunction, features: np.ndarray, options: DecodingOptions) -> list[list[Hypothesis]]:
    """Caption images (N, C, D) with one hypothesis each."""
    count = len(features)
    memory = decoder.begin(features)
    words = np.full(count, START, np.int32)
    ids = np.full((count, options.max_words), END, np.int32)
    total = np.zeros(count)
    active = np.arange(count)
    for position in range(options.max_words + 1):
        outputs = decoder.step({"words": words, **memory})
        scores = outputs.pop("log_probabilities")  # (active, V)
        forbid(scores, words, position, options)
        best = scores.argmax(axis=1)
        total[active] += scores[np.arange(len(best)), best]
        going = best != END
        if position < options.max_words:
            ids[active, position] = best
        if not going.any():
            break
        memory.update(outputs)
        active, words = active[going], best[going].astype(np.int32)
        memory = {name: array[going] for name, array in memory.items()} if not going.all() else memory
    given = len(options.prompt_ids)
    return [[Hypothesis(until_end(row), float(score), given)] for row, score in zip(ids, total, strict=True)]


def until_end(row: np.ndarray) -> tuple[int, ...]:
    """Return the words of a row (T,) before its first end mark."""
    ids = row.tolist()
    return tuple(ids[: ids.index(END)]) if END in ids else tuple(ids)
