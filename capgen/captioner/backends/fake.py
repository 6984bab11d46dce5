"""The ``fake`` backend: words that an image's checksum chooses, at once and always the same, for tests."""

import random
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from capgen.captioner.backends.model import Capability, decoding_options
from capgen.captioner.decoding import DecodingOptions
from capgen.captioner.request import CaptionRequest
from capgen.captioner.results import Caption, Likelihood
from capgen.captioner.vocabulary import UNKNOWN, words
from capgen.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from capgen.captioner.bundle import Bundle

_WORDS = tuple(
    "a ball box boy blue chair cup dog door girl grass green hat in kite lamp man near of on orange red sea shelf shell"  # noqa: SIM905
    " snow star table the tree two under wall water white with woman yellow".split()
)

_USUAL_WORDS = 6
"""The number of words of a caption, where the request leaves it open."""


class FakeCaptionModel:
    """Writes words without sense, in a time that tests do not notice. It needs no file but the description.

    Args:
        bundle: Only its preprocessing and its decoding options are used.
        threads: Makes no difference.
    """

    def __init__(self, bundle: "Bundle", threads: int) -> None:
        self.preprocessing = bundle.description.preprocessing
        self._options = bundle.description.decoding

    def why_not(self, capability: Capability) -> str | None:
        """Return why it lacks a capability; it has neither probabilities nor attention weights."""
        return "it makes its captions up" if capability in (Capability.SCORING, Capability.ATTENTION) else None

    def resolve(self, request: CaptionRequest) -> DecodingOptions:
        """Return the options of a request, in which every word of the prompt is unknown."""
        return decoding_options(request, self._options, lambda text: [UNKNOWN] * len(words(text)))

    def generate(
        self, images: "Sequence[np.ndarray]", request: CaptionRequest, *, output_attention: bool = False
    ) -> list[list[Caption]]:
        """Make captions up; each is less certain than the one before."""
        suppressed = {word for text in request.suppressed_words for word in words(text)}
        allowed = [word for word in _WORDS if word not in suppressed]
        if not allowed:
            raise UsageError("every word that this captioner knows is suppressed; leave it some")
        options = self.resolve(request)
        return [_made_up(zlib.crc32(image.tobytes()), options, allowed) for image in images]

    def score(self, image: "np.ndarray", captions: Sequence[str]) -> list[Likelihood]:
        """Refuse: it has no probabilities."""
        raise UsageError("a captioner that makes its captions up cannot score others")


def _made_up(checksum: int, options: DecodingOptions, allowed: Sequence[str]) -> list[Caption]:
    generator = random.Random(f"{checksum} {options.seed if options.sampling else ''}")  # noqa: S311 - no secret
    prompted = len(options.prompt_ids)
    count = min(max(_USUAL_WORDS, options.min_words, prompted + 1), options.max_words) - prompted
    texts = (f"{options.prompt} {' '.join(generator.choices(allowed, k=count))}" for _ in range(options.num_captions))
    certainty = 0.5 + checksum % 50 / 100
    return [
        Caption(text, certainty / (rank + 1), -3.0 - rank) for rank, text in enumerate(dict.fromkeys(map(str.strip, texts)))
    ]
