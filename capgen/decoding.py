"""Greedy and beam search over a step function, for all beams of all images of a batch at once. NumPy only.

Letters: N images, K beams, R = N*K rows, image by image, T words, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from capgen.errors import UsageError
from capgen.vocabulary import END, PAD, START, UNKNOWN

Arrays = dict[str, np.ndarray]


class StepFunction(Protocol):
    """What a decoder offers to a search."""

    def begin(self, features: np.ndarray) -> Arrays:
        """Map features (N, C, D) to what stays (``context_*``, (N, ...)) and the first states (``state_*``, (N, ...))."""
        ...

    def step(self, inputs: Arrays) -> Arrays:
        """Map ``words`` (R,) int32, contexts (N, ...), states (R, ...) to ``log_probabilities`` (R, V) and next states."""
        ...


@dataclass(frozen=True)
class DecodingOptions:
    """How captions are searched.

    Attributes:
        beam: K, hypotheses kept an image; 1 is greedy.
        count: Captions returned an image, at most ``beam``.
        length_power: Scores are divided by the number of words to this power, so that long captions stand a chance
            (Wu et al. 2016 without the constant).
        maximum_words: T, where a caption is cut.
    """

    beam: int = 5
    count: int = 1
    length_power: float = 0.7
    maximum_words: int = 20

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.beam < 1 or self.maximum_words < 1:
            raise UsageError("beam and maximum_words must be at least 1")
        if self.length_power < 0:
            raise UsageError("length_power must not be negative")
        if not 1 <= self.count <= self.beam:
            raise UsageError(
                f"{self.count} captions cannot come from a beam of {self.beam}; use --beam {self.count} or more"
            )


@dataclass(frozen=True)
class Hypothesis:
    """One caption found: its word ids without start and end, and its log-probability with the end mark."""

    ids: tuple[int, ...]
    log_probability: float

    def score(self, length_power: float) -> float:
        """Return what hypotheses are ranked by: the log-probability over the number of words, end included, to a power."""
        return self.log_probability / (len(self.ids) + 1) ** length_power


def search(decoder: StepFunction, features: np.ndarray, options: DecodingOptions) -> list[list[Hypothesis]]:
    """Find the best captions of a batch of images.

    No word follows itself at once, and padding, start and the unknown word are never said.

    Args:
        decoder: The step function.
        features: (N, C, D).
        options: How to search.

    Returns:
        For each image up to ``options.count`` hypotheses, the best first.
    """
    if not len(features):
        return []
    return (_greedy if options.beam == 1 else _beam)(decoder, features, options)


def _greedy(decoder: StepFunction, features: np.ndarray, options: DecodingOptions) -> list[list[Hypothesis]]:
    """Take the best word each time."""
    count = len(features)
    memory = decoder.begin(features)
    words = np.full(count, START, np.int32)
    ids = np.full((count, options.maximum_words), END, np.int32)
    total = np.zeros(count)
    active = np.arange(count)
    for position in range(options.maximum_words + 1):
        outputs = decoder.step({"words": words, **memory})
        scores = outputs.pop("log_probabilities")  # (active, V)
        _forbid(scores, words, first=position == 0, last=position == options.maximum_words)
        best = scores.argmax(axis=1)
        total[active] += scores[np.arange(len(best)), best]
        going = best != END
        if position < options.maximum_words:
            ids[active, position] = best
        if not going.any():
            break
        memory.update(outputs)
        active, words = active[going], best[going].astype(np.int32)
        memory = {name: array[going] for name, array in memory.items()} if not going.all() else memory
    return [[Hypothesis(_until_end(row), float(score))] for row, score in zip(ids, total, strict=True)]


def _beam(decoder: StepFunction, features: np.ndarray, options: DecodingOptions) -> list[list[Hypothesis]]:
    """Keep the best ``beam`` hypotheses an image, apart from those that have ended."""
    beam, longest = options.beam, options.maximum_words
    memory = _expanded(decoder.begin(features), beam)
    ended: list[list[tuple[float, Hypothesis]]] = [[] for _ in features]
    active = np.arange(len(features))
    words = np.full((len(features), beam), START, np.int32)
    ids = np.zeros((len(features), beam, 0), np.int32)
    totals = np.full((len(features), beam), -np.inf)
    totals[:, 0] = 0.0  # all beams start alike: let one speak
    for position in range(longest + 1):
        outputs = decoder.step({"words": words.reshape(-1), **memory})
        scores = outputs.pop("log_probabilities")
        scores = scores.reshape(*words.shape, scores.shape[-1])  # (active, K, V)
        _forbid(scores, words, first=position == 0, last=position == longest)
        for image, hypothesis in _endings(totals + scores[..., END], ids):
            ended[active[image]].append((hypothesis.score(options.length_power), hypothesis))
        if position == longest:
            break
        scores[..., END] = -np.inf
        totals, parents, words = _best(totals, scores, beam)
        ids = np.concatenate([np.take_along_axis(ids, parents[..., None], axis=1), words[..., None]], axis=2)
        going = _undecided(totals[:, 0], [ended[image] for image in active], options)
        if not going.any():
            break
        memory.update({name: _reordered(state, parents) for name, state in outputs.items()})
        if not going.all():
            active, words, ids, totals = active[going], words[going], ids[going], totals[going]
            memory = {
                name: array[going if name.startswith("context_") else np.repeat(going, beam)]
                for name, array in memory.items()
            }
    return [_ranked(found, options.count) for found in ended]


def _expanded(begun: Arrays, beam: int) -> Arrays:
    """Give every beam the first states: ``state_*`` (N, ...) to (N*K, ...)."""
    return {name: np.repeat(array, beam, axis=0) if name.startswith("state_") else array for name, array in begun.items()}


def _forbid(scores: np.ndarray, previous: np.ndarray, *, first: bool, last: bool) -> None:
    """Rule out, in place, what may not be said next: scores (..., V), previous words (...)."""
    scores[..., [PAD, START, UNKNOWN]] = -np.inf
    np.put_along_axis(scores, previous[..., None].astype(np.int64), -np.inf, axis=-1)
    if first:
        scores[..., END] = -np.inf
    if last:
        scores[..., END + 1 :] = -np.inf


def _endings(totals: np.ndarray, ids: np.ndarray) -> list[tuple[int, Hypothesis]]:
    """List the hypotheses that can end here: totals (N, K) with the end mark, ids (N, K, T)."""
    images, beams = np.nonzero(np.isfinite(totals))
    return [
        (image, Hypothesis(tuple(ids[image, beam].tolist()), float(totals[image, beam])))
        for image, beam in zip(images.tolist(), beams.tolist(), strict=True)
    ]


def _best(totals: np.ndarray, scores: np.ndarray, beam: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose the next beams: totals (N, K), scores (N, K, V) to totals, parents and words, each (N, K), best first."""
    images, _, vocabulary = scores.shape
    width = min(beam, vocabulary)
    # The best of all continuations are among the best of each beam, and those are cheaper to find.
    near = np.argpartition(scores, vocabulary - width, axis=2)[..., vocabulary - width :]  # (N, K, width)
    candidates = (totals[..., None] + np.take_along_axis(scores, near, axis=2)).reshape(images, -1)
    order = np.argsort(-candidates, axis=1, kind="stable")[:, :beam]
    words = np.take_along_axis(near.reshape(images, -1), order, axis=1).astype(np.int32)
    return np.take_along_axis(candidates, order, axis=1), order // width, words


def _undecided(best: np.ndarray, ended: Sequence[list[tuple[float, Hypothesis]]], options: DecodingOptions) -> np.ndarray:
    """Tell which images could still find something better: best running total (N,) to (N,) bool.

    A running total only falls; divided by the greatest length it is the best that its continuations can score.
    """
    reachable = best / (options.maximum_words + 1) ** options.length_power
    enough = [sorted((score for score, _ in found), reverse=True)[: options.count] for found in ended]
    return np.array([len(top) < options.count or value > top[-1] for value, top in zip(reachable, enough, strict=True)])


def _reordered(state: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """Let every beam go on from its parent's state: (N*K, ...), (N, K) to (N*K, ...)."""
    images, beam = parents.shape
    return state[(np.arange(images)[:, None] * beam + parents).reshape(-1)]


def _ranked(found: list[tuple[float, Hypothesis]], count: int) -> list[Hypothesis]:
    return [hypothesis for _, hypothesis in sorted(found, key=lambda pair: -pair[0])[:count]]


def _until_end(row: np.ndarray) -> tuple[int, ...]:
    ids = row.tolist()
    return tuple(ids[: ids.index(END)]) if END in ids else tuple(ids)
