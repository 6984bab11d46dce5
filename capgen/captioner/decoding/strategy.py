"""What every search strategy has, and the registry of the strategies."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from capgen.captioner.decoding.options import DecodingOptions
from capgen.captioner.decoding.prefixes import Choice, Prefixes
from capgen.registry import Registry

STRATEGIES: "Registry[type[SearchStrategy]]" = Registry(
    "search strategy",
    {
        "greedy": "capgen.captioner.decoding.greedy:GreedySearch",
        "beam": "capgen.captioner.decoding.beam:BeamSearch",
        "sample": "capgen.captioner.decoding.sampling:Sampling",
    },
)


@dataclass(frozen=True)
class Hypothesis:
    """One caption found.

    Attributes:
        ids: The ids of its words, without the start and the end token.
        log_probability: The log-probability of the words after the prompt and of the end token.
        prompt_length: The number of words of the prompt.
        penalty: The number that is subtracted from its score because it is a common caption.
    """

    ids: tuple[int, ...]
    log_probability: float
    prompt_length: int = 0
    penalty: float = 0.0

    def score(self, length_penalty: float) -> float:
        """Return what hypotheses are ranked by: the log-probability over the number of words, end included, to a power."""
        return self.log_probability / (len(self.ids) - self.prompt_length + 1) ** length_penalty - self.penalty


class SearchStrategy(ABC):
    """Chooses the next words from scores, and keeps the captions that are found.

    Args:
        options: How to search.
        seeds: For each image a number that decides with ``options.seed`` what is sampled; 0 for all by default.
        common_captions: Captions that the captioner generates for several training images: word ids to the number of images.
    """

    example: ClassVar[DecodingOptions]
    """Options that select the strategy, as an example."""

    def __init__(
        self,
        options: DecodingOptions,
        seeds: Sequence[int] | None = None,
        common_captions: Mapping[tuple[int, ...], int] = MappingProxyType({}),
    ) -> None:
        self.options, self.seeds, self.common_captions = options, seeds, common_captions

    @property
    @abstractmethod
    def rows(self) -> int:
        """K, how many hypotheses are searched for an image at once."""

    @abstractmethod
    def reset(self, images: int) -> None:
        """Begin a search for N images."""

    @abstractmethod
    def advance(self, scores: np.ndarray, prefixes: Prefixes) -> Choice:
        """Choose the next word of each row.

        Args:
            scores: (A, K, V), log-probabilities of the next words as the processors left them; may be written into.
            prefixes: What the rows have said so far.
        """

    @abstractmethod
    def finalize(self) -> list[list[Hypothesis]]:
        """Return for each image up to ``num_captions`` different hypotheses, the best first."""
