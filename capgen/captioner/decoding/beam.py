"""Beam search: the best few hypotheses are kept after each word."""

import math

import numpy as np

from capgen.captioner.decoding.options import DecodingOptions
from capgen.captioner.decoding.prefixes import Choice, Prefixes
from capgen.captioner.decoding.strategy import Hypothesis, SearchStrategy
from capgen.captioner.vocabulary import END


class BeamSearch(SearchStrategy):
    """Keeps the best ``num_beams`` unfinished hypotheses an image, and all hypotheses that could end.

    An image is finished when none of its unfinished hypotheses can score better than the worst that would be returned.
    """

    example = DecodingOptions(num_beams=4, num_captions=3)

    @property
    def rows(self) -> int:
        """K, the number of beams."""
        return self.options.num_beams

    def reset(self, images: int) -> None:
        """Begin a search for N images."""
        self._finished: list[list[tuple[float, Hypothesis]]] = [[] for _ in range(images)]
        self._totals = np.full((images, self.rows), -np.inf)  # (A, K), log-probabilities of the prefixes
        self._totals[:, 0] = 0.0  # all beams begin alike: one of them is enough

    def advance(self, scores: np.ndarray, prefixes: Prefixes) -> Choice:
        """Note which hypotheses end here, and choose the best continuations of each image."""
        self._note_endings(self._totals + scores[..., END], prefixes)
        if prefixes.position == self.options.max_words:
            return Choice(prefixes.last_words, np.ones(len(prefixes.images), bool))
        scores[..., END] = -np.inf
        totals, parents, words = _best_continuations(self._totals, scores)
        finished = ~self._improvable(totals[:, 0], prefixes.images)
        self._totals = totals[~finished]
        return Choice(words, finished, parents)

    def finalize(self) -> list[list[Hypothesis]]:
        """Return the best hypotheses that ended; none for an image of which all scores were not finite."""
        return [
            [hypothesis for _, hypothesis in sorted(finished, key=lambda pair: -pair[0])[: self.options.num_captions]]
            for finished in self._finished
        ]

    def _note_endings(self, totals: np.ndarray, prefixes: Prefixes) -> None:
        """Keep what can end here: totals (A, K) include the end token."""
        options = self.options
        for row, beam in zip(*map(np.ndarray.tolist, np.nonzero(np.isfinite(totals))), strict=True):
            ids = tuple(prefixes.ids[row, beam, 1:].tolist())
            penalty = options.common_caption_penalty * math.log(self.common_captions.get(ids, 1))
            hypothesis = Hypothesis(ids, float(totals[row, beam]), len(options.prompt_ids), penalty)
            self._finished[prefixes.images[row]].append((hypothesis.score(options.length_penalty), hypothesis))

    def _improvable(self, best: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Return which images could still find something better: best running totals (A,) to (A,) bool.

        A running total only falls. Divided by the greatest length it is the best that its continuations can score.
        """
        options = self.options
        reachable = best / (options.max_words + 1) ** options.length_penalty
        kept = [sorted((score for score, _ in self._finished[n]), reverse=True)[: options.num_captions] for n in images]
        return np.array(
            [len(top) < options.num_captions or value > top[-1] for value, top in zip(reachable, kept, strict=True)]
        )


def _best_continuations(totals: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose the next beams: totals (A, K), scores (A, K, V) to totals, parents and words, each (A, K), best first."""
    images, beams, vocabulary = scores.shape
    width = min(beams, vocabulary)
    # The best of all continuations are among the best of each beam, and those are cheaper to find.
    near = np.argpartition(scores, vocabulary - width, axis=2)[..., vocabulary - width :]  # (A, K, width)
    candidates = (totals[..., None] + np.take_along_axis(scores, near, axis=2)).reshape(images, -1)  # (A, K * width)
    order = np.argsort(-candidates, axis=1, kind="stable")[:, :beams]  # (A, K)
    words = np.take_along_axis(near.reshape(images, -1), order, axis=1).astype(np.int32)
    return np.take_along_axis(candidates, order, axis=1), order // width, words
