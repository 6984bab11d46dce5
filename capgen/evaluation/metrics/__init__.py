"""The field's scores of captions, as the coco-caption tools define them, without Java.

Every metric takes tokenized ``candidates`` (one a picture) and ``references`` (several a picture) in the same order.
"""

from collections.abc import Sequence
from itertools import chain

from capgen.evaluation.metrics.bleu import bleu, bleu_counts, bleu_of
from capgen.evaluation.metrics.cider import Cider, cider, cider_d
from capgen.evaluation.metrics.java import java_scores
from capgen.evaluation.metrics.ngrams import References
from capgen.evaluation.metrics.rouge import rouge_l, rouge_l_scores
from capgen.evaluation.metrics.scored import Difference, Scored
from capgen.evaluation.metrics.tokenizer import tokenize
from capgen.evaluation.metrics.variety import variety

__all__ = [
    "Cider", "Difference", "References", "Scored", "bleu", "bleu_counts", "bleu_of", "cider", "cider_d", "compare",
    "java_scores", "rouge_l", "score", "tokenize", "variety",
]  # fmt: skip


def compare(candidates: Sequence[Sequence[str]], references: References) -> Scored:
    """Compare captions with human ones.

    Args:
        candidates: Tokens of one caption a picture.
        references: The human captions of each picture, in the same order.
    """
    matches, scorer = references.matches(candidates), Cider(references)
    with_d, without = scorer.scores(matches), scorer.scores(matches, plain=True)
    return Scored(bleu_counts(references, matches), rouge_l_scores(references, matches), with_d, without)


def score(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """Tokenize captions and score them with all metrics.

    Args:
        candidates: One caption a picture, as text.
        references: The human captions of each picture, in the same order.
    """
    tokens = {caption: tuple(tokenize(caption)) for caption in {*candidates, *chain.from_iterable(references)}}
    known = References([[tokens[caption] for caption in captions] for captions in references])
    return compare([tokens[caption] for caption in candidates], known).scores()
