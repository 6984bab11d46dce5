"""Beam search: the best few hypotheses are kept after each word."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from capgen.captioner.decoding.options import Arrays, DecodingOptions, Hypothesis, StepFunction, forbid
from capgen.captioner.vocabulary import END, START


def beam_search(
    decoder: StepFunction, features: np.ndarray, options: DecodingOptions, common: Mapping[tuple[int, ...], int]
) -> list[list[Hypothesis]]:
    """Keep the best ``beam`` hypotheses an image, apart from those that have ended; arguments as of ``search``."""
    beam, longest = options.num_beams, options.max_words
    memory = expanded(decoder.begin(features), beam)
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
        forbid(scores, words, position, options)
        for image, hypothesis in _endings(totals + scores[..., END], ids, options, common):
            ended[active[image]].append((hypothesis.score(options.length_penalty), hypothesis))
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
    return [_ranked(found, options.num_captions) for found in ended]


def expanded(begun: Arrays, beam: int) -> Arrays:
    """Give every beam the first states: ``state_*`` (N, ...) to (N*K, ...)."""
    return {name: np.repeat(array, beam, axis=0) if name.startswith("state_") else array for name, array in begun.items()}


def _endings(
    totals: np.ndarray, ids: np.ndarray, options: DecodingOptions, common: Mapping[tuple[int, ...], int]
) -> list[tuple[int, Hypothesis]]:
    """List the hypotheses that can end here: totals (N, K) with the end mark, ids (N, K, T)."""
    found = []
    for image, beam in zip(*map(np.ndarray.tolist, np.nonzero(np.isfinite(totals))), strict=True):
        said = tuple(ids[image, beam].tolist())
        penalty = options.common_caption_penalty * math.log(common.get(said, 1))
        found.append((image, Hypothesis(said, float(totals[image, beam]), len(options.prompt_ids), penalty)))
    return found


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
    reachable = best / (options.max_words + 1) ** options.length_penalty
    enough = [sorted((score for score, _ in found), reverse=True)[: options.num_captions] for found in ended]
    return np.array(
        [len(top) < options.num_captions or value > top[-1] for value, top in zip(reachable, enough, strict=True)]
    )


def _reordered(state: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """Let every beam go on from its parent's state: (N*K, ...), (N, K) to (N*K, ...)."""
    images, beam = parents.shape
    return state[(np.arange(images)[:, None] * beam + parents).reshape(-1)]


def _ranked(found: list[tuple[float, Hypothesis]], count: int) -> list[Hypothesis]:
    return [hypothesis for _, hypothesis in sorted(found, key=lambda pair: -pair[0])[:count]]
