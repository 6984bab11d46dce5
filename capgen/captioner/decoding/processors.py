"""Logits processors: each changes the scores of the next words in one way, before a strategy chooses among them.

A processor finds in the prefixes what was said, and needs no state of its own; ``Guidance`` alone has one, that of its
second pass of the decoder. Scores are (A, K, V) natural logarithms for K rows of A unfinished images; a processor may write
into them. A word with a score of -inf is not said.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from capgen.captioner.decoding.options import DecodingOptions
from capgen.captioner.decoding.prefixes import Prefixes
from capgen.captioner.vocabulary import END, PAD, START, UNKNOWN
from capgen.errors import UsageError

FEWEST_WORDS = 2
"""Words that must be left to say, so that there is always one that was not said just before."""


class LogitsProcessor(Protocol):
    """Changes the scores of the next words."""

    def process(self, scores: np.ndarray, prefixes: Prefixes) -> np.ndarray:
        """Return the changed scores.

        Args:
            scores: (A, K, V), as the decoder or the processor before left them.
            prefixes: What the rows have said so far.
        """
        ...


class SuppressedSpecialTokens:
    """Suppresses padding, the start token and the unknown word: their scores become -inf."""

    def process(self, scores: np.ndarray, prefixes: Prefixes) -> np.ndarray:
        """Return the changed scores; see ``LogitsProcessor``."""
        scores[..., [PAD, START, UNKNOWN]] = -np.inf
        return scores


class SuppressedIds:
    """Suppresses given words: their scores become -inf.

    Args:
        ids: The ids of the words. This processor stands after ``SuppressedSpecialTokens``, so that it can
            count the words that are left.
    """

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = list(ids)

    def process(self, scores: np.ndarray, prefixes: Prefixes) -> np.ndarray:
        """Return the changed scores; see ``LogitsProcessor``.

        Raises:
            UsageError: Fewer than ``FEWEST_WORDS`` words are left.
        """
        scores[..., self.ids] = -np.inf
        if (scores[..., END + 1 :] != -np.inf).sum(axis=-1).min() < FEWEST_WORDS:
            raise UsageError("nearly every word that this captioner knows is suppressed; leave it some")
        return scores


class NoImmediateRepetition:
    """No word follows itself: the score of the last word of each row becomes -inf."""

    def process(self, scores: np.ndarray, prefixes: Prefixes) -> np.ndarray:
        """Return the changed scores; see ``LogitsProcessor``."""
        np.put_along_axis(scores, prefixes.last_words[..., None].astype(np.int64), -np.inf, axis=-1)
        return scores


class MinWords:
    """No caption ends too early: the score of the end token is -inf while fewer than ``min_words`` words are said."""

    def __init__(self, min_words: int) -> None:
        self.min_words = min_words

    def process(self, scores: np.ndarray, prefixes: Prefixes) -> np.ndarray:
        """Return the changed scores; see ``LogitsProcessor``."""
        if prefixes.position < self.min_words:
            scores[..., END] = -np.inf
        return scores


class MaxWords:
    """Every caption ends: after ``max_words`` words the scores of all words are -inf, and only the end token is left."""

    def __init__(self, max_words: int) -> None:
        self.max_words = max_words

    def process(self, scores: np.ndarray, prefixes: Prefixes) -> np.ndarray:
        """Return the changed scores; see ``LogitsProcessor``."""
        if prefixes.position == self.max_words:
            scores[..., END + 1 :] = -np.inf
        return scores


class ForcedPrompt:
    """Every caption begins with the prompt: the score of its next word becomes 0, so that it costs nothing, all others -inf.

    Args:
        ids: The words of the prompt. This processor is the last, so that they may be words which the others rule out.
    """

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = tuple(ids)

    def process(self, scores: np.ndarray, prefixes: Prefixes) -> np.ndarray:
        """Return the changed scores; see ``LogitsProcessor``."""
        if prefixes.position < len(self.ids):
            scores[...] = -np.inf
            scores[..., self.ids[prefixes.position]] = 0.0
        return scores


def option_processors(options: DecodingOptions) -> list[LogitsProcessor]:
    """Return the processors that a search has in any case, and those that its options ask for, in their order."""
    return [
        SuppressedSpecialTokens(),
        *([SuppressedIds(options.suppressed_ids)] if options.suppressed_ids else []),
        NoImmediateRepetition(),
        MinWords(options.min_words),
        MaxWords(options.max_words),
        *([ForcedPrompt(options.prompt_ids)] if options.prompt_ids else []),
    ]
