"""How varied captions are, without references."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise


def variety(candidates: Sequence[Sequence[str]]) -> dict[str, float]:
    """Describe captions.

    Args:
        candidates: Tokens of one caption a picture.

    Returns:
        ``words used``, how many different ones; ``distinct-1`` and ``distinct-2``, different words and pairs of words as a
        share of all (Li et al. 2016); ``sharing``, the share of pictures whose caption another has too; ``length``, the mean
        number of words.
    """
    words = [word for caption in candidates for word in caption]
    pairs = [pair for caption in candidates for pair in pairwise(caption)]
    times = Counter(tuple(caption) for caption in candidates)
    return {
        "words used": len(set(words)),
        "distinct-1": len(set(words)) / max(1, len(words)),
        "distinct-2": len(set(pairs)) / max(1, len(pairs)),
        "sharing": sum(count for count in times.values() if count > 1) / len(candidates),
        "length": len(words) / len(candidates),
    }
