"""ROUGE-L (Lin 2004) with beta 1.2, from the best precision and the best recall over the references."""

from collections.abc import Sequence

import numpy as np

from capgen.evaluation.metrics.ngrams import Matches, References

BETA = 1.2

_TOGETHER = 4096
"""Pairs whose tables are filled at once: their rows stay in the processor's cache."""


def rouge_l(candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> tuple[float, list[float]]:
    """Score captions by their longest common subsequence with the references.

    Args:
        candidates: Tokens of one caption a picture.
        references: Tokens of the human captions of each.

    Returns:
        The mean, and each picture's score, 0 to 1.
    """
    known = References(references)
    scores = rouge_l_scores(known, known.matches(candidates))
    return float(scores.mean()), scores.tolist()


def rouge_l_scores(references: References, matches: Matches) -> np.ndarray:
    """Score captions whose words are numbered, 0 to 1 each: (N,).

    Args:
        references: The human captions of N pictures.
        matches: Of one caption a picture.
    """
    each, theirs = np.diff(references.first), references.different
    common = _common(
        _padded(matches.words, matches.lengths, -1),
        _padded(references.words, references.lengths, -2),
        np.repeat(np.arange(len(each)), each),
        theirs,
    )
    length = np.maximum(1, matches.lengths)  # an empty caption has nothing in common with any
    precision = np.maximum.reduceat(common, references.first[:-1]) / length
    recall = np.maximum.reduceat(common / np.maximum(1, references.lengths[theirs]), references.first[:-1])
    both = (1 + BETA**2) * precision * recall
    return np.divide(both, recall + BETA**2 * precision, out=np.zeros(len(length)), where=both > 0)


def _padded(words: np.ndarray, lengths: np.ndarray, padding: int) -> np.ndarray:
    """Return the words of captions, one after the other, as a table with a column a caption: (T, N)."""
    table = np.full((max(1, lengths.max(initial=0)), len(lengths)), padding, np.int32)
    caption = np.repeat(np.arange(len(lengths)), lengths)
    place = np.arange(len(words)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    table[place, caption] = words
    return table


def _common(first: np.ndarray, second: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Return the length of the longest common subsequence of pairs: (P,).

    By the usual table, of many pairs at once: captions (T, N), others (U, M), and the columns of each pair, (P,) twice.
    """
    found = np.zeros(len(ours), int)
    lengths = (first >= 0).sum(axis=0)[ours], (second >= 0).sum(axis=0)[theirs]
    order = np.argsort(np.maximum(*lengths), kind="stable")
    for start in range(0, len(order), _TOGETHER):
        pairs = order[start : start + _TOGETHER]
        one = first[: lengths[0][pairs].max(), ours[pairs]]
        other = second[: lengths[1][pairs].max(), theirs[pairs]]
        row = np.zeros((len(one) + 1, len(pairs)), np.int16)
        for word in other:
            above = row.copy()
            for place, same in enumerate(one == word, 1):
                np.maximum(row[place - 1], np.maximum(above[place], above[place - 1] + same), out=row[place])
        found[pairs] = row[-1]
    return found
