"""The field's scores of captions, as the coco-caption tools define them, without Java.

Every metric takes tokenized ``candidates`` (one a picture) and ``references`` (several a picture) in the same order.
"""

from collections.abc import Sequence

from capgen.metrics.bleu import bleu
from capgen.metrics.cider import CiderD, cider_d
from capgen.metrics.rouge import rouge_l
from capgen.metrics.tokenizer import tokenize

__all__ = ["CiderD", "bleu", "cider_d", "rouge_l", "score", "tokenize"]


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
