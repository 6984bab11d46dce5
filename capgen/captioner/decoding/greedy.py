"""Greedy search: the best word each time."""

import numpy as np

from capgen.captioner.decoding.options import DecodingOptions
from capgen.captioner.decoding.prefixes import Choice, Prefixes
from capgen.captioner.decoding.strategy import Hypothesis, SearchStrategy
from capgen.captioner.vocabulary import END


class GreedySearch(SearchStrategy):
    """Takes the likeliest word in each step, and finds one caption an image."""

    example = DecodingOptions(num_beams=1)

    @property
    def rows(self) -> int:
        """Hypotheses of an image: always 1."""
        return 1

    def reset(self, images: int) -> None:
        """Begin a search for N images."""
        self._ids: list[tuple[int, ...]] = [()] * images
        self._totals = np.zeros(images)  # (N,)

    def advance(self, scores: np.ndarray, prefixes: Prefixes) -> Choice:
        """Choose the best word of each row, and note the captions that end with it."""
        words = scores[:, 0].argmax(axis=1)  # (A,)
        self._totals[prefixes.images] += scores[np.arange(len(words)), 0, words]
        finished = (words == END) | (prefixes.position == self.options.max_words)
        for row in np.flatnonzero(finished):
            self._ids[prefixes.images[row]] = tuple(prefixes.ids[row, 0, 1:].tolist())
        return Choice(words[:, None].astype(np.int32), finished)

    def finalize(self) -> list[list[Hypothesis]]:
        """Return one hypothesis an image."""
        prompt_length = len(self.options.prompt_ids)
        found = zip(self._ids, self._totals.tolist(), strict=True)
        return [[Hypothesis(ids, total, prompt_length)] for ids, total in found]
