"""The field's scores of captions, as the coco-caption tools define them, without Java.

Every metric takes tokenized ``candidates`` (one a picture) and ``references`` (several a picture) in the same order.
"""

from collections.abc import Sequence

from capgen.metrics.bleu import bleu, bleu_counts, bleu_of
from capgen.metrics.bootstrap import interval, resampled
from capgen.metrics.cider import CiderD, cider, cider_d
from capgen.metrics.rouge import rouge_l
from capgen.metrics.tokenizer import tokenize
from capgen.metrics.variety import variety

__all__ = [
    "CiderD",
    "bleu",
    "bleu_counts",
    "bleu_of",
    "cider",
    "cider_d",
    "intervals",
    "rouge_l",
    "score",
    "tokenize",
    "variety",
]


def intervals(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, tuple[float, float]]:
    """Return the 95 % interval of each score of ``score``, by bootstrap over the pictures; arguments as there."""
    draws = resampled(
        [tokenize(caption) for caption in candidates], [[tokenize(caption) for caption in human] for human in references]
    )
    return {name: interval(values) for name, values in draws.items()}


def score(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """Score captions with all metrics.

    Args:
        candidates: One caption a picture, as text.
        references: The human captions of each picture, in the same order.

    Returns:
        ``BLEU-1`` to ``BLEU-4``, ``ROUGE-L`` and ``CIDEr-D``, as fractions, and ``images``, how many were scored.
    """
    tokens = [tokenize(caption) for caption in candidates]
    truths = [[tokenize(caption) for caption in captions] for captions in references]
    scores = {f"BLEU-{n}": value for n, value in enumerate(bleu(tokens, truths), 1)}
    rouge, _ = rouge_l(tokens, truths)
    cider, _ = cider_d(tokens, truths)
    return {**scores, "ROUGE-L": rouge, "CIDEr-D": cider, "images": len(tokens)}
