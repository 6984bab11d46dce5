"""Searching captions with a decoder's step function, for all images of a batch at once. NumPy only.

Letters: N images, K beams or samples, R = N*K rows, image by image, T words, V vocabulary.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from capgen.captioner.decoding.beam import beam_search
from capgen.captioner.decoding.greedy import greedy
from capgen.captioner.decoding.guidance import Guided
from capgen.captioner.decoding.likelihood import attention, log_likelihoods
from capgen.captioner.decoding.options import (
    ATTENTION,
    Arrays,
    DecodingOptions,
    Hypothesis,
    StepFunction,
    current_names,
)
from capgen.captioner.decoding.sampling import sample

__all__ = [
    "ATTENTION", "Arrays", "DecodingOptions", "Guided", "Hypothesis", "StepFunction", "attention", "current_names",
    "log_likelihoods", "search",
]  # fmt: skip


def search(
    decoder: StepFunction,
    features: np.ndarray,
    options: DecodingOptions,
    keys: Sequence[int] | None = None,
    common: Mapping[tuple[int, ...], int] = MappingProxyType({}),
) -> list[list[Hypothesis]]:
    """Find captions of a batch of images.

    Args:
        decoder: The step function.
        features: (N, C, D).
        options: How to search.
        keys: A number for each image, which with the seed decides what is drawn; all alike by default.
        common: Ids of captions that the decoder says of many images, and of how many; with a common-caption penalty a beam
            search prefers what is nearly as good and said less often (the anti-language model of J. Li et al., "A
            Diversity-Promoting Objective Function for Neural Conversation Models", NAACL 2016, for whole captions).

    Returns:
        For each image up to ``options.num_captions`` different hypotheses, the best first.

    Raises:
        UsageError: Nearly all words are to be avoided.
    """
    if not len(features):
        return []
    if options.sampling:
        return sample(decoder, features, options, keys or [0] * len(features))
    return greedy(decoder, features, options) if options.num_beams == 1 else beam_search(decoder, features, options, common)
