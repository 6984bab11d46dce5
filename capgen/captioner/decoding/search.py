"""The loop of every search: the decoder scores, the processors change the scores, the strategy chooses."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from capgen.captioner.decoding.decoder import StepwiseDecoder, repeated, selected
from capgen.captioner.decoding.options import DecodingOptions
from capgen.captioner.decoding.prefixes import Prefixes
from capgen.captioner.decoding.processors import LogitsProcessor, option_processors
from capgen.captioner.decoding.sampling import Sampling
from capgen.captioner.decoding.strategy import STRATEGIES, Hypothesis, SearchStrategy


def search(
    decoder: StepwiseDecoder,
    features: np.ndarray,
    options: DecodingOptions,
    processors: Sequence[LogitsProcessor] = (),
    seeds: Sequence[int] | None = None,
    common_captions: Mapping[tuple[int, ...], int] = MappingProxyType({}),
) -> list[list[Hypothesis]]:
    """Find captions of a batch of images.

    Args:
        decoder: The decoder.
        features: (N, C, D).
        options: How to search.
        processors: What changes the scores before the processors of the options do.
        seeds: For each image a number that decides with ``options.seed`` what is sampled; 0 for all by default.
        common_captions: Captions that the captioner generates for several training images: word ids to the number of
            images. With a common-caption penalty a beam search prefers what is nearly as good and said less often (the
            anti-language model of J. Li et al., "A Diversity-Promoting Objective Function for Neural Conversation Models",
            NAACL 2016, for whole captions).

    Returns:
        For each image up to ``options.num_captions`` different hypotheses, the best first.

    Raises:
        UsageError: Nearly all words are suppressed.
    """
    strategy: SearchStrategy = STRATEGIES[options.strategy](options, seeds, common_captions)
    _run(strategy, decoder, features, processors)
    return strategy.finalize()


def sample(
    decoder: StepwiseDecoder,
    features: np.ndarray,
    options: DecodingOptions,
    processors: Sequence[LogitsProcessor] = (),
    seeds: Sequence[int] | None = None,
) -> list[list[tuple[int, ...]]]:
    """Sample captions of a batch of images, and keep equal ones; arguments as for ``search``.

    Returns:
        For each image the ids of ``options.num_captions`` captions, in the order in which they were sampled.
    """
    strategy = Sampling(options, seeds)
    _run(strategy, decoder, features, processors)
    return strategy.samples


def _run(
    strategy: SearchStrategy, decoder: StepwiseDecoder, features: np.ndarray, processors: Sequence[LogitsProcessor]
) -> None:
    """Search until every image is finished, or has captions of the greatest length."""
    options = strategy.options
    strategy.reset(len(features))
    if not len(features):
        return
    memory, state = decoder.init_state(features)
    state = repeated(state, strategy.rows)
    prefixes = Prefixes.first(len(features), strategy.rows)
    processors = [*processors, *option_processors(options)]
    for _ in range(options.max_words + 1):
        output = decoder.step(prefixes.last_words.reshape(-1), memory, state)
        scores = output.log_probabilities.reshape(*prefixes.last_words.shape, -1)  # (R, V) to (A, K, V)
        for processor in processors:
            scores = processor.process(scores, prefixes)
        choice = strategy.advance(scores, prefixes)
        if choice.finished.all():
            return
        prefixes = prefixes.extended(choice)
        state = output.state if prefixes.source_rows is None else selected(output.state, prefixes.source_rows)
        if choice.finished.any():
            memory = selected(memory, ~choice.finished)
