"""ROUGE-L (Lin 2004) with beta 1.2, from the best precision and the best recall over the references."""

from collections.abc import Sequence

import numpy as np

from capgen.evaluation.metrics.metric import Candidates, PerImageMetric
from capgen.evaluation.metrics.ngrams import Matches, References

BETA = 1.2

_PAIRS_AT_ONCE = 4096
"""The number of pairs whose tables are filled at once, so that their rows stay in the processor's cache."""


def rouge_l(candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> tuple[float, list[float]]:
    """Score captions by their longest common subsequence with the references.

    Args:
        candidates: The tokens of one caption an image.
        references: The tokens of the human captions of each image.

    Returns:
        The mean, and the score of each image, 0 to 1.
    """
    known = References(references)
    scores = rouge_l_scores(known, known.matches(candidates))
    return float(scores.mean()), scores.tolist()


def rouge_l_scores(references: References, matches: Matches) -> np.ndarray:
    """Score captions whose words are numbered, 0 to 1 each: (N,).

    Args:
        references: The human captions of N images.
        matches: The matches of one caption an image.
    """
    each, theirs = np.diff(references.first), references.different
    common = _common(
        _padded(matches.words, matches.lengths, -1),
        _padded(references.words, references.lengths, -2),
        np.repeat(np.arange(len(each)), each),
        theirs,
    )
    length = np.maximum(1, matches.lengths)  # an empty caption has nothing in common with a reference
    precision = np.maximum.reduceat(common, references.first[:-1]) / length
    recall = np.maximum.reduceat(common / np.maximum(1, references.lengths[theirs]), references.first[:-1])
    both = (1 + BETA**2) * precision * recall
    return np.divide(both, recall + BETA**2 * precision, out=np.zeros(len(length)), where=both > 0)


def _padded(words: np.ndarray, lengths: np.ndarray, padding: int) -> np.ndarray:
    """Return the words of captions, one after the other, as a table with a column a caption: (T, N)."""
    table = np.full((max(1, lengths.max(initial=0)), len(lengths)), padding, np.int32)
    caption = np.repeat(np.arange(len(lengths)), lengths)
    position = np.arange(len(words)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    table[position, caption] = words
    return table


def _common(first: np.ndarray, second: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Return the lengths of the longest common subsequences of P pairs of captions: (P,).

    The usual table of dynamic programming is filled for many pairs at once.

    Args:
        first: (T, N) the numbers of the words of captions, a column a caption.
        second: (U, M) those of the others.
        ours: (P,) the column of each pair in ``first``.
        theirs: (P,) its column in ``second``.
    """
    found = np.zeros(len(ours), int)
    lengths = (first >= 0).sum(axis=0)[ours], (second >= 0).sum(axis=0)[theirs]
    order = np.argsort(np.maximum(*lengths), kind="stable")
    for start in range(0, len(order), _PAIRS_AT_ONCE):
        pairs = order[start : start + _PAIRS_AT_ONCE]
        one = first[: lengths[0][pairs].max(), ours[pairs]]
        other = second[: lengths[1][pairs].max(), theirs[pairs]]
        row = np.zeros((len(one) + 1, len(pairs)), np.int16)
        for word in other:
            above = row.copy()
            for position, same in enumerate(one == word, 1):
                diagonal = above[position - 1] + same
                np.maximum(row[position - 1], np.maximum(above[position], diagonal), out=row[position])
        found[pairs] = row[-1]
    return found


class RougeL(PerImageMetric):
    """The mean over the images of the F-score of the longest common subsequence."""

    name = "ROUGE-L"
    in_model_card = True

    def per_image(self, candidates: Candidates) -> np.ndarray:
        """Return the score of each image: (N,)."""
        return rouge_l_scores(candidates.references, candidates.matches)


ROUGE_L = RougeL()
