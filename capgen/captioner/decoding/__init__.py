"""Searching captions with a decoder, for all images of a batch at once. NumPy only.

Letters: N images, A unfinished images, K rows (beams or samples) an image, R = A*K rows image by image, T words, V entries
of the vocabulary, C cells, D channels.
"""

from capgen.captioner.decoding.decoder import (
    ATTENTION,
    Arrays,
    DecoderOutput,
    StepwiseDecoder,
    graph_memory_and_state,
)
from capgen.captioner.decoding.guidance import Guidance
from capgen.captioner.decoding.likelihood import attention_weights, log_likelihoods
from capgen.captioner.decoding.options import DecodingOptions, current_names
from capgen.captioner.decoding.prefixes import Prefixes
from capgen.captioner.decoding.processors import LogitsProcessor
from capgen.captioner.decoding.search import sample, search
from capgen.captioner.decoding.strategy import STRATEGIES, Hypothesis

__all__ = [
    "ATTENTION", "STRATEGIES", "Arrays", "DecoderOutput", "DecodingOptions", "Guidance", "Hypothesis", "LogitsProcessor",
    "Prefixes", "StepwiseDecoder", "attention_weights", "current_names", "graph_memory_and_state", "log_likelihoods",
    "sample", "search",
]  # fmt: skip
