"""What a decoder offers to a search: encoder memory, its state after some words, and the scores of the next word."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

Arrays = dict[str, np.ndarray]

ATTENTION = "attention"
"""Name of the output of a decoder graph that has the attention weights of a step, (R, C); not every graph has it."""

LOG_PROBABILITIES = "log_probabilities"
"""Name of the output of a decoder graph that scores the next word, (R, V)."""

MEMORY_PREFIX, STATE_PREFIX = "context_", "state_"
"""How the names of a graph's encoder memory and of its decoder state begin. The graphs inside bundles have these names."""


@dataclass(frozen=True)
class DecoderOutput:
    """What a decoder returns for one step.

    Attributes:
        log_probabilities: (R, V), of each entry of the vocabulary as the next word; a search may write into it.
        state: The next decoder state by tensor name, each (R, ...).
        attention: (R, C), weights over the cells that the step attended to, if the decoder has them.
    """

    log_probabilities: np.ndarray
    state: Arrays
    attention: np.ndarray | None = None

    @classmethod
    def from_graph(cls, outputs: Mapping[str, np.ndarray]) -> "DecoderOutput":
        """Sort the outputs of a graph's step by what they are."""
        state = {name: array for name, array in outputs.items() if name.startswith(STATE_PREFIX)}
        return cls(outputs[LOG_PROBABILITIES], state, outputs.get(ATTENTION))


class StepwiseDecoder(Protocol):
    """A decoder that goes on by one word at a time, for R = N*K rows that lie image by image."""

    def init_state(self, features: np.ndarray) -> tuple[Arrays, Arrays]:
        """Return the encoder memory and the first decoder state of images.

        Args:
            features: (N, C, D).

        Returns:
            Two dictionaries by tensor name, each array (N, ...). The memory stays the same in every step.
        """
        ...

    def step(self, words: np.ndarray, memory: Arrays, state: Arrays) -> DecoderOutput:
        """Score what may follow.

        Args:
            words: (R,) int32, the last word of each row.
            memory: From ``init_state``, (N, ...).
            state: From ``init_state`` or the step before, (R, ...).
        """
        ...


def graph_memory_and_state(outputs: Mapping[str, np.ndarray]) -> tuple[Arrays, Arrays]:
    """Sort the first outputs of a graph into encoder memory and decoder state."""
    memory = {name: array for name, array in outputs.items() if name.startswith(MEMORY_PREFIX)}
    state = {name: array for name, array in outputs.items() if name.startswith(STATE_PREFIX)}
    return memory, state


def repeated(state: Arrays, times: int) -> Arrays:
    """Give each image several rows: (N, ...) to (N*K, ...)."""
    return {name: np.repeat(array, times, axis=0) for name, array in state.items()} if times > 1 else state


def selected(arrays: Arrays, rows: np.ndarray) -> Arrays:
    """Return some rows of each array; ``rows`` are indices or a mask."""
    return {name: array[rows] for name, array in arrays.items()}
