"""Words of captions in any language but English: the word boundaries of Unicode (UAX 29), and how words are joined again.

Marks and joiners belong to the letters before them. Two things are otherwise than Unicode's default, as its annex lets them
be: a hyphen or an apostrophe inside a word stays, also beside a digit; and a full stop or colon between letters ends a word,
because many captions lack the space behind a sentence. Scripts that put no spaces between words are split into what a reader
takes for one character (grapheme clusters), because their words can only be told apart with a dictionary.
"""

import unicodedata
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from capgen.captioner.language import lower_case

if TYPE_CHECKING:
    import regex

_SPACELESS = "".join(
    rf"\p{{scx={script}}}" for script in ("Han", "Hiragana", "Katakana", "Bopomofo", "Thai", "Lao", "Khmer", "Myanmar")
)
_JOINERS = "\u200c\u200d"
"""Zero-width non-joiner and joiner: Persian, Bengali or Sinhala words differ by them."""


def split(caption: str, language: str) -> list[str]:
    """Split a caption into lower-case words without punctuation, composed (NFC).

    Args:
        caption: A caption in any language.
        language: Its tag, which decides what lower case is.
    """
    text = unicodedata.normalize("NFC", lower_case(unicodedata.normalize("NFC", caption), language))
    text = _invisible().sub("", text.replace("\u200b", " ").replace("’", "'"))
    found = _word().findall(_glue().sub(" ", text))
    return [word for word in found if is_printable(word)]


def join(words: Sequence[str]) -> str:
    """Return words as a text, with spaces between those of scripts that have spaces."""
    if not words:
        return ""
    spaceless = _spaceless()
    parts = [words[0]]
    for before, after in pairwise(words):
        parts += ["" if spaceless.match(before[-1]) or spaceless.match(after[0]) else " ", after]
    return "".join(parts)


def is_printable(text: str) -> bool:
    """Tell whether a text has nothing that cannot be shown; joiners inside words are part of how they are written."""
    return text.isprintable() or text.translate(_WITHOUT_JOINERS).isprintable()


_WITHOUT_JOINERS: dict[int, None] = dict.fromkeys(map(ord, _JOINERS))


@cache
def _word() -> "regex.Pattern[str]":
    """A character of a script without spaces; or what is between two boundaries and begins with a letter or a digit."""
    segment = r"\b(?=[\p{L}\p{N}]).+?\b"
    return _compiled(rf"(?=[\p{{L}}\p{{N}}])(?=[{_SPACELESS}])\X\p{{M}}*|{segment}(?:[-‐‑'](?![{_SPACELESS}]){segment})*")


@cache
def _spaceless() -> "regex.Pattern[str]":
    return _compiled(f"[{_SPACELESS}]")


@cache
def _glue() -> "regex.Pattern[str]":
    """What ends a word here, and by Unicode's default does not: stops between letters, low lines and narrow spaces."""
    return _compiled(r"(?<=[\p{L}\p{M}])[.:․．﹒：﹕]+(?=\p{L})|[\p{Pc}\p{Z}]+")


@cache
def _invisible() -> "regex.Pattern[str]":
    """Marks of direction, soft hyphens and other characters that are not seen; they would make two words of one."""
    return _compiled(rf"[\p{{Cf}}--[{_JOINERS}]]")


def _compiled(pattern: str) -> Any:
    import regex

    return regex.compile(pattern, regex.VERSION1 | regex.WORD)
