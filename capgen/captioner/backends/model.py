"""What a captioner backend offers: ``CaptionModel``, and the capabilities that it may have or lack."""

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from capgen.captioner.decoding import DecodingOptions
from capgen.captioner.request import CaptionRequest
from capgen.captioner.results import Caption, Likelihood
from capgen.captioner.vocabulary import words
from capgen.images import Preprocessing

if TYPE_CHECKING:
    import numpy as np

    from capgen.captioner.bundle import Bundle


class Capability(StrEnum):
    """What some backends can do and others cannot. Each value completes a message, "the captioner cannot ..."."""

    PROMPT = "begin captions with a given text"
    SUPPRESSION = "leave given words out"
    LENGTHS = "keep to a number of words"
    ALTERNATIVES = "give several captions for an image"
    BEAMS = "search with a given number of beams"
    SAMPLING = "sample captions"
    SCORING = "score captions"
    ATTENTION = "return attention weights"


def needed(request: CaptionRequest) -> Iterator[Capability]:
    """Return the capabilities that a request asks for."""
    asked = {
        Capability.PROMPT: bool(request.prompt.strip()),
        Capability.SUPPRESSION: bool(request.suppressed_words),
        Capability.LENGTHS: request.min_words > 1 or request.max_words is not None,
        Capability.ALTERNATIVES: request.num_captions > 1,
        Capability.BEAMS: request.num_beams is not None,
        Capability.SAMPLING: request.sampling,
    }
    return (capability for capability, wanted in asked.items() if wanted)


class CaptionModel(Protocol):
    """Writes captions for images that are in memory. It need not be safe to share between threads: each gets its own.

    Attributes:
        preprocessing: How an image is scaled and cropped before the model gets it.
    """

    preprocessing: Preprocessing

    def __init__(self, bundle: "Bundle", threads: int) -> None:
        """Make a model of a bundle that uses so many threads of the processor for one call."""
        ...

    def why_not(self, capability: Capability) -> str | None:
        """Return why the model lacks a capability, in words, or ``None`` if it has the capability."""
        ...

    def resolve(self, request: CaptionRequest) -> DecodingOptions:
        """Return how the model decodes for a request, with its own values where the request leaves them open.

        Raises:
            UsageError: The request does not fit the model.
        """
        ...

    def generate(
        self, images: "Sequence[np.ndarray]", request: CaptionRequest, *, output_attention: bool = False
    ) -> list[list[Caption]]:
        """Write captions.

        Args:
            images: (S, S, 3) uint8 each, as ``preprocessing`` makes them.
            request: What captions are wanted; the model has all capabilities that it needs.
            output_attention: Give the attention weights of each word, too; the model has ``Capability.ATTENTION``.

        Returns:
            The captions of each image, the best first. They do not depend on the other images of the batch.
        """
        ...

    def score(self, image: "np.ndarray", captions: Sequence[str]) -> list[Likelihood]:
        """Return how likely the model finds captions of an image; it has ``Capability.SCORING``.

        Args:
            image: (S, S, 3) uint8, as ``preprocessing`` makes it.
            captions: Any text.
        """
        ...


def decoding_options(
    request: CaptionRequest,
    defaults: DecodingOptions,
    encode: Callable[[str], Sequence[int]],
    *,
    suppress_in_names: bool = False,
) -> DecodingOptions:
    """Return the decoding options of a request.

    Args:
        request: What captions are wanted.
        defaults: What the captioner does where the request leaves something open.
        encode: Returns the ids of the words of a text.
        suppress_in_names: Whether suppressed words must be kept out of what fills the slots of visual words, too.

    Raises:
        UsageError: The request does not fit the captioner.
    """
    prompt_ids = tuple(encode(request.prompt))
    max_words = request.max_words
    if max_words is None:
        max_words = max(defaults.max_words, request.min_words, len(prompt_ids) + defaults.max_words // 2)
    suppressed = request.suppressed_words
    return DecodingOptions(
        num_beams=max(defaults.num_beams, request.num_captions) if request.num_beams is None else request.num_beams,
        num_captions=request.num_captions,
        length_penalty=defaults.length_penalty,
        guidance=defaults.guidance,
        common_caption_penalty=defaults.common_caption_penalty,
        max_words=max_words,
        min_words=request.min_words,
        prompt_ids=prompt_ids,
        prompt=request.prompt.strip(),
        suppressed_ids=tuple(sorted({index for text in suppressed for index in encode(text)})),
        suppressed_words=tuple(sorted({word for text in suppressed for word in words(text)})) if suppress_in_names else (),
        temperature=request.temperature or (1.0 if request.sampling else 0.0),
        top_p=request.top_p,
        seed=request.seed,
    )
