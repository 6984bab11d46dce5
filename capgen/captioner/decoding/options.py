"""How captions are searched."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from capgen.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class DecodingOptions:
    """How captions are searched, in the ids of one captioner's vocabulary.

    Attributes:
        num_beams: K, hypotheses kept an image; 1 is greedy search. Sampling does not use it.
        num_captions: Captions returned an image, at most ``num_beams`` unless they are sampled.
        length_penalty: A hypothesis is ranked by its log-probability divided by its number of words to this power, so that
            long captions stand a chance (Wu et al. 2016 without the constant).
        guidance: Scale of classifier-free guidance, at least 1; 1 is without guidance. See ``Guidance``.
        common_caption_penalty: Subtracted from the score of a finished hypothesis of a beam search, times the natural
            logarithm of the number of training images for which the captioner generates that caption. See ``search``.
        max_words: T, the number of words after which a caption is cut.
        min_words: Fewest words of a caption.
        prompt_ids: Ids of the words that every caption begins with (forced prefix); the unknown word may be among them.
        prompt: The text that ``prompt_ids`` is shown as.
        suppressed_ids: Ids of words that are never said after the prompt.
        suppressed_words: Words that no name which fills a slot may contain.
        temperature: Each word is sampled from the probabilities to the power of one over this; 0 searches instead.
        top_p: Words are sampled from the likeliest that together have this probability (Holtzman et al. 2020).
        seed: Seed of the sampling; the same image, options and seed give the same captions in any batch.

    Raises:
        UsageError: A number is out of range, or two do not fit together.
    """

    num_beams: int = 5
    num_captions: int = 1
    length_penalty: float = 0.7
    guidance: float = 1.0
    common_caption_penalty: float = 0.0
    max_words: int = 20
    min_words: int = 1
    prompt_ids: tuple[int, ...] = ()
    prompt: str = ""
    suppressed_ids: tuple[int, ...] = ()
    suppressed_words: tuple[str, ...] = ()
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("prompt_ids", "suppressed_ids", "suppressed_words"):  # JSON knows only lists
            object.__setattr__(self, name, tuple(getattr(self, name)))
        self._check_ranges()
        self._check_combinations()

    def _check_ranges(self) -> None:
        """Check each number on its own.

        Raises:
            UsageError: One is out of range.
        """
        if self.num_beams < 1 or self.num_captions < 1 or self.min_words < 1:
            raise UsageError("num_beams, num_captions and min_words must be at least 1")
        numbers = (self.length_penalty, self.common_caption_penalty, self.temperature, self.seed)
        if not all(0 <= number < math.inf for number in numbers):
            raise UsageError(
                "length_penalty, common_caption_penalty, temperature and seed must be numbers that are not negative"
            )
        if not 1 <= self.guidance < math.inf:
            raise UsageError("guidance must be a number and at least 1")
        if not 0 < self.top_p <= 1:
            raise UsageError("top_p must be more than 0 and at most 1")

    def _check_combinations(self) -> None:
        """Check the numbers that limit each other.

        Raises:
            UsageError: Two do not fit together.
        """
        if self.max_words < max(self.min_words, len(self.prompt_ids)):
            raise UsageError(
                f"a caption of at most {self.max_words} words cannot have {self.min_words} or more words"
                + (f" and begin with a prompt of {len(self.prompt_ids)} words" if self.prompt_ids else "")
            )
        if self.num_captions > self.num_beams and not self.sampling:
            raise UsageError(
                f"{self.num_captions} captions cannot come from a beam of {self.num_beams};"
                f" use `num_beams={self.num_captions}` or more"
            )

    @property
    def sampling(self) -> bool:
        """Whether words are sampled instead of searched."""
        return self.temperature > 0

    @property
    def strategy(self) -> str:
        """The name of the search strategy."""
        if self.sampling:
            return "sample"
        return "greedy" if self.num_beams == 1 else "beam"

    def plain(self) -> dict[str, Any]:
        """Return the options for JSON: those that differ from the defaults, and ``_ALWAYS_STORED``."""
        values = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        kept = {name: value for name, (value, default) in values.items() if value != default or name in _ALWAYS_STORED}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in kept.items()}

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> "DecodingOptions":
        """Make options from what ``plain`` returned, in the names of today or of earlier versions.

        Raises:
            TypeError: There is an unknown name, or a name is there in both spellings.
            UsageError: The values make no sense.
        """
        return cls(**current_names(values))


def current_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored options under the names that they have today.

    Args:
        values: Options as a bundle of schema 1 or the statistics of a shard have them, or as ``DecodingOptions.plain``
            returns them; other names stay as they are.

    Raises:
        TypeError: They are not an object, or an option is there under both of its names.
    """
    if not isinstance(values, Mapping):
        raise TypeError("options are not an object")
    renamed = {_EARLIER_NAMES.get(name, name): value for name, value in values.items()}
    if len(renamed) < len(values):
        raise TypeError("an option is there under two names")
    return renamed


_ALWAYS_STORED = ("num_beams", "num_captions", "length_penalty", "max_words")

_EARLIER_NAMES = {
    "beam": "num_beams",
    "count": "num_captions",
    "length_power": "length_penalty",
    "variety": "common_caption_penalty",
    "maximum_words": "max_words",
    "minimum_words": "min_words",
    "start": "prompt_ids",
    "opening": "prompt",
    "avoid": "suppressed_ids",
    "unsaid": "suppressed_words",
}
"""Names of options in bundles of schema 1 and in the statistics of shards that were written with them."""
