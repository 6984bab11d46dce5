"""The field's scores of captions, as the coco-caption tools define them, without Java.

Every metric takes tokenized ``candidates`` (one a picture) and ``references`` (several a picture) in the same order.
"""

from collections.abc import Sequence

import numpy as np

from capgen.metrics.bleu import bleu, bleu_counts, bleu_of
from capgen.metrics.cider import Cider, cider, cider_d
from capgen.metrics.java import java_scores
from capgen.metrics.ngrams import References
from capgen.metrics.rouge import rouge_l
from capgen.metrics.scored import Difference, Scored
from capgen.metrics.tokenizer import tokenize
from capgen.metrics.variety import variety

__all__ = [
    "Cider", "Difference", "References", "Scored", "bleu", "bleu_counts", "bleu_of", "cider", "cider_d", "compare",
    "java_scores", "rouge_l", "score", "tokenize", "variety",
]  # fmt: skip


def compare(candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> Scored:
    """Compare captions with human ones.

    Args:
        candidates: Tokens of one caption a picture.
        references: Tokens of the human captions of each picture, in the same order.
    """
    known = References(references)
    matches, scorer = known.matches(candidates), Cider(known)
    with_d, without = scorer.scores(matches), scorer.scores(matches, plain=True)
    return Scored(bleu_counts(known, matches), np.array(rouge_l(candidates, references)[1]), with_d, without)


def score(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """Tokenize captions and score them with all metrics.

    Args:
        candidates: One caption a picture, as text.
        references: The human captions of each picture, in the same order.
    """
    tokens = [tokenize(caption) for caption in candidates]
    return compare(tokens, [[tokenize(caption) for caption in captions] for captions in references]).scores()
