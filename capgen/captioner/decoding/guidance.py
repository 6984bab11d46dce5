"""Classifier-free guidance: raises the scores of words that the image makes likelier, and lowers those of usual words."""

import numpy as np

from capgen.captioner.decoding.decoder import Arrays, StepwiseDecoder, repeated, selected
from capgen.captioner.decoding.prefixes import Prefixes


class Guidance:
    """A logits processor that moves scores away from those that the decoder gives without the image.

    With p(w | x) the probability of a word after image x, x̄ an average image and s the scale, the scores become
    log softmax(s log p(w | x) - (s - 1) log p(w | x̄)). After S. Kornblith et al., "Guiding Image Captioning Models Toward
    More Specific Captions", ICCV 2023, who train the decoder without images, too.

    The processor runs the decoder a second time in each step, and keeps the state of that pass from step to step. It must
    come first, and serves one search at a time.

    Args:
        decoder: The decoder that is searched.
        average_features: (C, D), the features of an average image.
        scale: s, at least 1; 1 changes nothing.
    """

    def __init__(self, decoder: StepwiseDecoder, average_features: np.ndarray, scale: float) -> None:
        self._decoder, self._average_features, self._scale = decoder, average_features, scale
        self._memory: Arrays = {}
        self._state: Arrays = {}

    def process(self, scores: np.ndarray, prefixes: Prefixes) -> np.ndarray:
        """Return the changed scores; see ``LogitsProcessor``."""
        words = prefixes.last_words.reshape(-1)  # (R,)
        if prefixes.position == 0:
            self._memory, state = self._decoder.init_state(self._average_features[None])
            self._state = repeated(state, len(words))
        elif prefixes.source_rows is not None:
            self._state = selected(self._state, prefixes.source_rows)
        output = self._decoder.step(words, self._memory, self._state)
        self._state = output.state
        guided = self._scale * scores - (self._scale - 1) * output.log_probabilities.reshape(scores.shape)  # (A, K, V)
        guided -= guided.max(axis=-1, keepdims=True)
        guided -= np.log(np.exp(guided).sum(axis=-1, keepdims=True))
        return guided
