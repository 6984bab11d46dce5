"""How likely a captioner finds its own captions."""

import numpy as np

from capgen.captioner.vocabulary import words
from capgen.evaluation.metrics.metric import Candidates, Need, PerImageMetric


class LogLikelihood(PerImageMetric):
    """The mean log-probability of a word of the captions in nats, where the end of a caption counts as a word."""

    name = "log-likelihood"
    label = "log-likelihood of a word"
    needs = frozenset({Need.LOG_PROBABILITIES})
    range = (float("-inf"), 0.0)
    is_quality = False
    bootstrapped = False
    format = ".3f"

    def per_image(self, candidates: Candidates) -> np.ndarray:
        """Return the log-probability of each caption and the number of its words with the end: (N, 2)."""
        lengths = [len(words(text, candidates.language)) + 1 for text in candidates.texts]
        return np.array([candidates.log_probabilities, lengths], np.float64).T

    def aggregate(self, per_image: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Divide the sum of the log-probabilities of each sample by the number of its words: (D,)."""
        sums = weights @ per_image
        return sums[:, 0] / sums[:, 1]


LOG_LIKELIHOOD = LogLikelihood()
