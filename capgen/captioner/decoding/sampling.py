"""Sampling: words chosen at random by their probabilities, for captions that differ."""

import numpy as np

from capgen.captioner.decoding.options import DecodingOptions
from capgen.captioner.decoding.prefixes import Choice, Prefixes
from capgen.captioner.decoding.strategy import Hypothesis, SearchStrategy
from capgen.captioner.vocabulary import END


class Sampling(SearchStrategy):
    """Samples ``num_captions`` captions an image, with temperature and top-p; equal ones count once.

    What is sampled for an image depends on ``options.seed`` and the image's own seed, and not on its batch.
    """

    example = DecodingOptions(num_beams=1, num_captions=4, temperature=1.0)

    @property
    def rows(self) -> int:
        """K, the number of samples."""
        return self.options.num_captions

    def reset(self, images: int) -> None:
        """Begin a search for N images."""
        seeds = self.seeds or [0] * images
        self._generators = [np.random.default_rng([self.options.seed, seed]) for seed in seeds]
        self._ids = np.full((images, self.rows, self.options.max_words), END, np.int32)  # (N, K, T)
        self._totals = np.zeros((images, self.rows))  # (N, K), log-probabilities

    def advance(self, scores: np.ndarray, prefixes: Prefixes) -> Choice:
        """Sample the next word of each row that has not ended; rows that have ended go on with end tokens."""
        images, position = prefixes.images, prefixes.position
        unfinished = prefixes.last_words != END  # (A, K)
        scores[~unfinished] = 0.0  # any word will do: what is sampled for them is not used
        uniform = np.stack([self._generators[image].random(self.rows) for image in images])  # (A, K)
        sampled = sample_words(scores, uniform, self.options)
        log_probabilities = np.take_along_axis(scores, sampled[..., None], axis=-1)[..., 0]
        self._totals[images] += np.where(unfinished, log_probabilities, 0.0)
        words = np.where(unfinished, sampled, END).astype(np.int32)
        if position == self.options.max_words:
            return Choice(words, np.ones(len(images), bool))
        self._ids[images, :, position] = words
        return Choice(words, (words == END).all(axis=1))

    @property
    def samples(self) -> list[list[tuple[int, ...]]]:
        """The ids of all samples, K an image, equal ones included, in the order in which they were sampled."""
        return [[_until_end(ids) for ids in rows.tolist()] for rows in self._ids]

    def finalize(self) -> list[list[Hypothesis]]:
        """Return the different samples, the best first."""
        return [self._ranked(samples, totals) for samples, totals in zip(self.samples, self._totals.tolist(), strict=True)]

    def _ranked(self, samples: list[tuple[int, ...]], totals: list[float]) -> list[Hypothesis]:
        prompt_length = len(self.options.prompt_ids)
        found = {ids: Hypothesis(ids, total, prompt_length) for ids, total in zip(samples, totals, strict=True)}
        return sorted(found.values(), key=lambda hypothesis: -hypothesis.score(self.options.length_penalty))


def sample_words(scores: np.ndarray, uniform: np.ndarray, options: DecodingOptions) -> np.ndarray:
    """Sample a word a row by inverting the cumulative distribution.

    Args:
        scores: (A, K, V), log-probabilities.
        uniform: (A, K), uniform samples in [0, 1).
        options: Temperature and top_p.

    Returns:
        (A, K), ids of words.
    """
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        # as float64: a temperature may be too small for float32
        weights = np.exp((scores - scores.max(axis=-1, keepdims=True)).astype(np.float64) / options.temperature)
    if options.top_p == 1:
        sums = np.cumsum(weights, axis=-1)
        return (sums <= uniform[..., None] * sums[..., -1:]).sum(axis=-1).clip(max=scores.shape[-1] - 1)
    order = np.argsort(-weights, axis=-1, kind="stable")
    sums = np.cumsum(np.take_along_axis(weights, order, axis=-1), axis=-1)  # (A, K, V), rising
    # The nucleus ends with the word that brings it to top_p; a sample below that sum falls on one of its words.
    last = (sums < options.top_p * sums[..., -1:]).sum(axis=-1, keepdims=True)  # (A, K, 1)
    nucleus = np.take_along_axis(sums, last, axis=-1)
    rank = (sums <= uniform[..., None] * nucleus).sum(axis=-1, keepdims=True)
    return np.take_along_axis(order, np.minimum(rank, last), axis=-1)[..., 0]


def _until_end(ids: list[int]) -> tuple[int, ...]:
    """Return the words before the first end token."""
    return tuple(ids[: ids.index(END)]) if END in ids else tuple(ids)
