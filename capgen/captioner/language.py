"""The language of captions: its tag, how it is recognised, and what of a caption is a word.

A tag is of BCP 47: ``en``, ``pt-BR``, ``zh-Hant``. What is known of captions whose language is not known is their script, as
in ``und-Latn``. English has the rule that the captioners of all versions have, ``captioner.vocabulary.words``; captions in
any other language are split by Unicode's rules, ``captioner.segmentation``.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

ENGLISH = "en"
UNKNOWN_LANGUAGE = "und"
UNKNOWN_LATIN = "und-Latn"
"""The tag of captions in Latin letters, all with a code of their own, whose language is not recognised."""

MAX_CAPTIONS = 5000
"""The greatest number of captions that a language is recognised by; of more, so many are chosen evenly."""

_TAG = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z]{3}){0,3}(?:-[A-Za-z]{4})?(?:-(?:[A-Za-z]{2}|[0-9]{3}))?(?:-[A-Za-z0-9]{1,8})*")

_SCRIPTS = {
    "LATIN": UNKNOWN_LATIN, "CYRILLIC": "und-Cyrl", "GREEK": "el", "ARMENIAN": "hy", "GEORGIAN": "ka", "HEBREW": "und-Hebr",
    "ARABIC": "und-Arab", "ETHIOPIC": "und-Ethi", "DEVANAGARI": "und-Deva", "BENGALI": "und-Beng", "GURMUKHI": "pa",
    "GUJARATI": "gu", "ORIYA": "or", "TAMIL": "ta", "TELUGU": "te", "KANNADA": "kn", "MALAYALAM": "ml", "SINHALA": "si",
    "THAI": "th", "LAO": "lo", "KHMER": "km", "MYANMAR": "my", "TIBETAN": "bo", "HANGUL": "ko", "CJK": "zh",
    "HIRAGANA": "ja", "KATAKANA": "ja",
}  # fmt: skip
"""By the first word of the names of its letters: the only language that is commonly written in a script, or the script."""

_SPACELESS = frozenset({"zh", "yue", "wuu", "nan", "hak", "ja", "th", "lo", "km", "my"})
_SPACELESS_SCRIPTS = frozenset({"hani", "hans", "hant", "jpan", "hira", "kana", "bopo", "thai", "laoo", "khmr", "mymr"})

_JAPANESE_SHARE = 0.1
"""Text in Chinese characters of whose letters at least this share is Hiragana or Katakana is Japanese."""

_SCRIPT_SHARE, _LATIN_SHARE = 0.5, 0.95
"""The share of the letters from which captions are in a script. Other letters among Latin ones need Unicode's rules."""

_MARK_SHARE = 0.01
"""Latin text with more combining marks a letter than this is not covered by the rule for English."""

_COMMON_WORDS = {
    ENGLISH: "the a an and of in on is are with at to two his her their while by for there from that it as",
    "de": "ein eine einen einem einer der die das den dem und in auf mit im ist sind von vor am an zwei neben zu",
    "fr": "un une le la les des de du dans sur avec et est sont en à au aux deux qui d'un d'une il elle",
    "es": "un una el la los las de del en con y es está están sobre dos al se su que por",
    "it": "un una il la lo i gli le di del della in con e su è sono che sul sulla nel due al",
    "pt": "um uma o a os as de do da em no na com e é está estão que dois duas sobre ao à",
    "nl": "een de het in op met en van is aan naast voor twee zijn die er te",
    "hu": "egy a az és van két áll ül mellett egyik rajta sok",
    "tr": "bir ve bu ile için iki üzerinde önünde yanında içinde var olan de da",
}
"""The commonest words of the languages that are told apart in Latin letters."""

_ENGLISH_SHARE, _OTHER_SHARE, _RIVAL = 0.15, 0.25, 0.8
"""The least share of the words of captions that are common words of English, or of another language; and how large, relative
to that of another language, the share of the next may be."""


def checked_tag(tag: str) -> str:
    """Return a tag as it is written by custom: ``pt-BR``, ``zh-Hant``.

    Raises:
        ValueError: It is not a tag of BCP 47 that begins with two or three letters.
    """
    if not _TAG.fullmatch(tag):
        raise ValueError(f"{tag[:40]!r} is not the tag of a language, such as en, de, pt-BR, hi or zh-Hant")
    return "-".join([primary(tag), *map(_subtag, tag.split("-")[1:])])


def primary(tag: str) -> str:
    """Return the primary subtag of a tag, the language itself: ``pt`` of ``pt-BR``."""
    return tag.split("-", 1)[0].lower()


def is_unknown(tag: str) -> bool:
    """Tell whether a tag leaves the language open, though it may name the script."""
    return primary(tag) == UNKNOWN_LANGUAGE


def is_english(tag: str) -> bool:
    """Tell whether a tag is that of English, of any country."""
    return primary(tag) == ENGLISH


def is_spaceless(tag: str) -> bool:
    """Tell whether a language is written without spaces between words, so that its captions are split into characters."""
    scripts = {part.lower() for part in tag.split("-")[1:] if len(part) == len("Latn")}
    return bool(scripts & _SPACELESS_SCRIPTS) or (primary(tag) in _SPACELESS and not scripts & {"latn", "cyrl", "hang"})


def can_continue(captioner: str, captions: str) -> bool:
    """Tell whether a captioner that writes in a language can be trained further on captions in a language."""
    unknown_latin = captions == UNKNOWN_LATIN and not is_spaceless(captioner)
    return unknown_latin or primary(captioner) == primary(captions)


def lower_case(text: str, tag: str) -> str:
    """Return text in lower case as a language has it: Turkish and Azerbaijani have an I with and one without a dot."""
    if primary(tag) in ("tr", "az"):
        text = text.replace("İ", "i").replace("I", "ı")
    return text.lower()


def recognise(captions: Sequence[str]) -> str:
    """Return the tag of the language that captions are in.

    The script is that of the letters. Of Latin letters, the commonest words decide; where they are not clear, the language
    stays unknown.

    Args:
        captions: All captions of a data set.
    """
    chosen = captions[:: max(1, -(-len(captions) // MAX_CAPTIONS))]
    text = unicodedata.normalize("NFC", "\n".join(chosen))
    scripts = Counter(name for name in map(_script, text) if name)
    letters = sum(scripts.values())
    japanese = scripts["HIRAGANA"] + scripts["KATAKANA"]
    chinese = scripts["CJK"] + japanese
    if letters and chinese >= _SCRIPT_SHARE * letters:
        return "ja" if japanese >= _JAPANESE_SHARE * chinese else "zh"
    script, count = scripts.most_common(1)[0] if scripts else ("", 0)
    if script == "LATIN" and count >= _LATIN_SHARE * letters:
        return _latin_language(text, letters)
    if script != "LATIN" and count >= _SCRIPT_SHARE * letters:
        return _SCRIPTS.get(script, UNKNOWN_LANGUAGE)
    return UNKNOWN_LANGUAGE


def _latin_language(text: str, letters: int) -> str:
    """Return the language of text in Latin letters by its commonest words."""
    if sum(map(unicodedata.combining, text)) and sum(map(_is_mark, text)) > _MARK_SHARE * letters:
        return UNKNOWN_LANGUAGE
    found = re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)*", text.replace("İ", "i").lower().replace("’", "'"))
    shares = {tag: _share(found, common.split()) for tag, common in _COMMON_WORDS.items()}
    english, best = shares[ENGLISH], max(shares.values())
    if english >= max(best, _ENGLISH_SHARE):
        return ENGLISH
    tag = max(shares, key=lambda tag: shares[tag])
    rival = max(share for other, share in shares.items() if other != tag)
    return tag if best >= _OTHER_SHARE and rival <= _RIVAL * best else UNKNOWN_LATIN


def _share(found: Sequence[str], common: Iterable[str]) -> float:
    words = frozenset(common)
    return sum(word in words for word in found) / max(1, len(found))


def _script(character: str) -> str:
    """Return the first word of a letter's name in Unicode, which names its script; empty for what is not a letter."""
    return unicodedata.name(character, "").split(" ", 1)[0] if character.isalpha() else ""


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


def _subtag(part: str) -> str:
    return part.upper() if len(part) == len("BR") else part.title() if len(part) == len("Latn") else part.lower()
