"""Which tokens the scores count: those of coco-caption's tools for English, those of a captioner for any other language."""

from functools import partial

from capgen.captioner.language import is_english, is_spaceless
from capgen.captioner.vocabulary import words
from capgen.evaluation.metrics.tokenizer import COCO_CAPTION, Tokenizer


def tokenizer(language: str) -> Tokenizer:
    """Return the rule by which captions in a language, given by its tag, are split into tokens."""
    if is_english(language):
        return COCO_CAPTION
    what = "characters" if is_spaceless(language) else "words"
    return Tokenizer(f"unicode-{what} ({language})", partial(words, language=language), language)
