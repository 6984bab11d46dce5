"""A decoder that answers at random, for tests of searching captions: what may follow depends on all that was said."""

from functools import lru_cache

import numpy as np

from capgen.captioner.decoding import DecoderOutput
from capgen.captioner.vocabulary import END, START

FIRST_WORD = 4
V = 8
"""The size of a vocabulary of four words beside the special ones."""


class RandomDecoder:
    """A decoder with a random distribution for every image and every prefix.

    Args:
        seed: Of the distributions.
        favoured: Added to the scores of the entries, by id.
        echo: Added to the score of the word just said.
        vocabulary_size: The number of entries.
    """

    def __init__(self, seed, favoured=(), echo=0.0, vocabulary_size=V):
        self.seed, self.favoured, self.echo, self.vocabulary_size = seed, dict(favoured), echo, vocabulary_size
        self.log_probabilities = lru_cache(None)(self._log_probabilities)

    def _log_probabilities(self, image, code):
        """What may follow: ``code`` is the prefix as digits in base ``vocabulary_size``, the start token first."""
        scores = np.random.default_rng([self.seed, image, code]).normal(scale=1.5, size=self.vocabulary_size)
        for index, more in self.favoured.items():
            scores[index] += more
        scores[code % self.vocabulary_size] += self.echo
        return scores - np.log(np.exp(scores).sum())

    def init_state(self, features):
        images = features[:, 0, 0].astype(np.int64)
        return {"image": images}, {"code": np.zeros(len(images), np.int64)}

    def step(self, words, memory, state):
        images = memory["image"]  # (N,)
        assert words.dtype == np.int32  # (R,)
        assert words.flags.c_contiguous
        codes = state["code"] * self.vocabulary_size + words
        rows = zip(np.repeat(images, len(words) // max(len(images), 1)).tolist(), codes.tolist(), strict=True)
        scores = np.array([self.log_probabilities(*row) for row in rows]).reshape(-1, self.vocabulary_size)
        return DecoderOutput(scores, {"code": codes})

    def after(self, image, ids):
        """What may follow the words ``ids``, computed from the first of them on."""
        code = START
        for word in ids:
            code = code * self.vocabulary_size + word
        return self.log_probabilities(image, code)

    def log_probability(self, image, ids):
        """The whole caption's, with its end token."""
        return sum(self.after(image, ids[:position])[word] for position, word in enumerate((*ids, END)))


def features_of(*images):
    """Features (N, 1, 1) that carry the images' numbers."""
    return np.array(images, np.float32)[:, None, None]
