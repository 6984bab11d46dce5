"""``CaptionRequest``: what is wanted of a captioner, in words and numbers that every backend understands."""

import math
from dataclasses import dataclass, fields, replace
from typing import TypedDict, Unpack

from capgen.errors import UnknownNameError, UsageError


class RequestFields(TypedDict, total=False):
    """The fields of ``CaptionRequest``, as the keywords of a function that takes them too."""

    prompt: str
    suppressed_words: tuple[str, ...]
    min_words: int
    max_words: int | None
    num_captions: int
    num_beams: int | None
    temperature: float
    top_p: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class CaptionRequest:
    """What captions are wanted. A request without arguments asks for the captioner's own way.

    Attributes:
        prompt: The text that every caption begins with and goes on from.
        suppressed_words: Words that captions do not contain after the prompt.
        min_words: The fewest words of a caption.
        max_words: The most words of a caption; by default the captioner's own limit, with room for the prompt.
        num_captions: How many different captions are wanted for each image.
        num_beams: Hypotheses that a beam search keeps for each image; by default as many as the captioner's own, or
            ``num_captions`` if that is more. 1 is greedy search.
        temperature: Words are sampled from the probabilities to the power of one over this; 0 searches instead.
        top_p: Words are sampled from the likeliest that together have this probability (Holtzman et al. 2020); less than 1
            samples at temperature 1 unless another is given.
        seed: Seed of the sampling; the same image, request and seed give the same captions in any batch.

    Raises:
        UsageError: A number is out of range, or two do not fit together.
    """

    prompt: str = ""
    suppressed_words: tuple[str, ...] = ()
    min_words: int = 1
    max_words: int | None = None
    num_captions: int = 1
    num_beams: int | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.suppressed_words, str):
            raise UsageError("suppressed_words are several words: give a list of them")
        object.__setattr__(self, "suppressed_words", tuple(self.suppressed_words))
        beams = 1 if self.num_beams is None else self.num_beams
        if beams < 1 or self.num_captions < 1 or self.min_words < 1:
            raise UsageError("num_beams, num_captions and min_words must be at least 1")
        if not all(0 <= number < math.inf for number in (self.temperature, self.seed)):
            raise UsageError("temperature and seed must be numbers that are not negative")
        if not 0 < self.top_p <= 1:
            raise UsageError("top_p must be more than 0 and at most 1")
        if self.max_words is not None and self.max_words < self.min_words:
            raise UsageError(f"a caption of at most {self.max_words} words cannot have {self.min_words} or more words")

    @classmethod
    def of(cls, request: "CaptionRequest | None" = None, **changes: Unpack[RequestFields]) -> "CaptionRequest":
        """Return a request, or one without arguments, with other values of some fields.

        Raises:
            UnknownNameError: There is no such field; the message offers the nearest.
            UsageError: A number is out of range, or two do not fit together.
        """
        names = [field.name for field in fields(cls)]
        for name in changes:
            if name not in names:
                raise UnknownNameError("option of a caption", name, names)
        return replace(request or cls(), **changes)

    @property
    def sampling(self) -> bool:
        """Whether words are sampled instead of searched."""
        return self.temperature > 0 or self.top_p < 1
