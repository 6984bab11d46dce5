"""ROUGE-L (Lin 2004) with beta 1.2, from the best precision and the best recall over the references."""

from collections.abc import Sequence

BETA = 1.2


def rouge_l(candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> tuple[float, list[float]]:
    """Score captions by their longest common subsequence with the references.

    Args:
        candidates: Tokens of one caption a picture.
        references: Tokens of the human captions of each.

    Returns:
        The mean, and each picture's score, 0 to 1.
    """
    scores = []
    for candidate, truths in zip(candidates, references, strict=True):
        common = [longest_common_subsequence(candidate, truth) for truth in truths]
        precision = max(c / len(candidate) for c in common) if candidate else 0.0
        recall = max(c / len(t) if t else 0.0 for c, t in zip(common, truths, strict=True))
        both = (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision) if precision and recall else 0.0
        scores.append(both)
    return sum(scores) / len(scores), scores


def longest_common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Return its length; the words need not be adjacent.

    A column of the table in one whole number, whose bit i is off where the length grows with word i (Hyyrö 2004).
    """
    places: dict[str, int] = {}
    for place, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << place
    whole = row = (1 << len(first)) - 1
    for word in second:
        same = row & places.get(word, 0)
        row = row + same | row - same
    return len(first) - (row & whole).bit_count()
