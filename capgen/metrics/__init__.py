"""The field's scores of captions, as the coco-caption tools define them, without Java.

Every metric takes tokenized ``candidates`` (one a picture) and ``references`` (several a picture) in the same order.
"""

from collections.abc import Sequence

import numpy as np

from capgen.metrics.bleu import bleu, bleu_counts, bleu_of
from capgen.metrics.cider import CiderD, cider_d
from capgen.metrics.rouge import rouge_l
from capgen.metrics.scored import Scored
from capgen.metrics.tokenizer import tokenize
from capgen.metrics.variety import variety

__all__ = [
    "CiderD", "Scored", "bleu", "bleu_counts", "bleu_of", "cider_d", "compare", "rouge_l", "score", "tokenize", "variety",
]  # fmt: skip


def compare(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> Scored:
    """Compare captions with human ones.

    Args:
        candidates: One caption a picture, as text.
        references: The human captions of each picture, in the same order.
    """
    tokens = [tokenize(caption) for caption in candidates]
    truths = [[tokenize(caption) for caption in captions] for captions in references]
    return Scored(bleu_counts(tokens, truths), np.array(rouge_l(tokens, truths)[1]), np.array(cider_d(tokens, truths)[1]))


def score(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """Score captions with all metrics; see ``compare`` and ``Scored.scores``."""
    return compare(candidates, references).scores()
