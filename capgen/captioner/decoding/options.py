"""How captions are searched, what a decoder offers to a search, and what a search finds."""

import math
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np

from capgen.captioner.vocabulary import END, PAD, START, UNKNOWN
from capgen.errors import UsageError

Arrays = dict[str, np.ndarray]

ATTENTION = "attention"
"""What a decoder may give beside its states: the share of each cell in what it looked at for a word, (R, C)."""

NEVER_SAID = (PAD, START, UNKNOWN)
"""Entries of the vocabulary that are no words."""


class StepFunction(Protocol):
    """What a decoder offers to a search."""

    def begin(self, features: np.ndarray) -> Arrays:
        """Map features (N, C, D) to what stays (``context_*``, (N, ...)) and the first states (``state_*``, (N, ...))."""
        ...

    def step(self, inputs: Arrays) -> Arrays:
        """Map ``words`` (R,) int32, contexts (N, ...), states (R, ...) to ``log_probabilities`` (R, V) and next states.

        Nothing else: what a search does not need is left out.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class DecodingOptions:
    """How captions are searched.

    Attributes:
        beam: K, hypotheses kept an image; 1 is greedy. Not used when sampling.
        count: Captions returned an image, at most ``beam`` unless sampling.
        length_power: Scores are divided by the number of words to this power, so that long captions stand a chance
            (Wu et al. 2016 without the constant).
        guidance: How much more the image counts than what is said of any; 1 for no more, see ``Guided``.
        variety: What a caption loses of its score in a beam search, times the natural logarithm of the number of training
            images that it is said of; see ``search``.
        maximum_words: T, where a caption is cut.
        minimum_words: Fewest words of a caption.
        start: Ids of the words that every caption begins with; unknown ones may be among them.
        opening: The text that ``start`` is shown as.
        avoid: Ids of words that are never said.
        unsaid: Words that no name which fills a slot may contain.
        temperature: Draw each word from the probabilities to the power of one over this, instead of searching; 0 to search.
        top_p: Draw from the likeliest words that together have this probability (Holtzman et al. 2020).
        seed: Of the drawing; the same image, options and seed give the same captions, in any batch.
    """

    beam: int = 5
    count: int = 1
    length_power: float = 0.7
    guidance: float = 1.0
    variety: float = 0.0
    maximum_words: int = 20
    minimum_words: int = 1
    start: tuple[int, ...] = ()
    opening: str = ""
    avoid: tuple[int, ...] = ()
    unsaid: tuple[str, ...] = ()
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("start", "avoid", "unsaid"):  # JSON knows only lists
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.beam < 1 or self.count < 1 or self.minimum_words < 1:
            raise UsageError("beam, count and minimum_words must be at least 1")
        numbers = (self.length_power, self.variety, self.temperature, self.seed)
        if not all(0 <= number < math.inf for number in numbers):
            raise UsageError("length_power, variety, temperature and seed must be numbers that are not negative")
        if not 1 <= self.guidance < math.inf:
            raise UsageError("guidance must be a number and at least 1")
        if not 0 < self.top_p <= 1:
            raise UsageError("top_p must be more than 0 and at most 1")
        if self.maximum_words < max(self.minimum_words, len(self.start)):
            raise UsageError(
                f"a caption of at most {self.maximum_words} words cannot have {self.minimum_words} or more words"
                + (f" and begin with {len(self.start)} given ones" if self.start else "")
            )
        if self.count > self.beam and not self.sampling:
            raise UsageError(
                f"{self.count} captions cannot come from a beam of {self.beam}; use --beam {self.count} or more"
            )

    @property
    def sampling(self) -> bool:
        """Whether words are drawn instead of searched."""
        return self.temperature > 0

    def plain(self) -> dict[str, Any]:
        """Return it for JSON, without what is as usual."""
        values = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        kept = {name: value for name, (value, usual) in values.items() if value != usual or name in _ALWAYS}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in kept.items()}


_ALWAYS = ("beam", "count", "length_power", "maximum_words")


@dataclass(frozen=True)
class Hypothesis:
    """One caption found.

    Attributes:
        ids: Its words, without start and end.
        log_probability: What the step function gives to them and the end mark, after the words that were given.
        given: How many of the words the caption had to begin with.
        penalty: What it loses of its score for being common.
    """

    ids: tuple[int, ...]
    log_probability: float
    given: int = 0
    penalty: float = 0.0

    def score(self, length_power: float) -> float:
        """Return what hypotheses are ranked by: the log-probability over the number of words, end included, to a power."""
        return self.log_probability / (len(self.ids) - self.given + 1) ** length_power - self.penalty


def forbid(scores: np.ndarray, previous: np.ndarray, position: int, options: DecodingOptions) -> None:
    """Rule out, in place, what may not be said next.

    Padding, start and the unknown word never, nor a word right after itself. A given word costs nothing.

    Args:
        scores: (..., V) log-probabilities.
        previous: (...) the words before.
        position: How many words have been said.
        options: What else is asked for.

    Raises:
        UsageError: Too few words are left to say anything.
    """
    if position < len(options.start):
        scores[...] = -np.inf
        scores[..., options.start[position]] = 0.0
        return
    scores[..., [*NEVER_SAID, *options.avoid]] = -np.inf
    if options.avoid and (scores[..., END + 1 :] != -np.inf).sum(axis=-1).min() < _FEWEST:
        raise UsageError("nearly every word that this captioner knows is to be avoided; leave it some")
    np.put_along_axis(scores, previous[..., None].astype(np.int64), -np.inf, axis=-1)
    if position < options.minimum_words:
        scores[..., END] = -np.inf
    if position == options.maximum_words:
        scores[..., END + 1 :] = -np.inf


_FEWEST = 2
"""Words that must be left, so that there is one which has not just been said."""
