"""Captions to word ids and back.

The text rules are the field's: lower case, words of letters and digits (an apostrophe or hyphen inside stays), no
punctuation. They are for English; other languages have those of ``captioner.segmentation``. Ids 0 to 3 are padding, start,
end and the unknown word.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from capgen.captioner import segmentation
from capgen.captioner.language import ENGLISH, checked_tag, is_english, is_spaceless

PAD, START, END, UNKNOWN = range(4)
SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")

MIN_REPEAT_SHARE = 0.05
"""A word may be repeated if at least this share of the captions with it have it more than once: "a", "dog", not "bed"."""

_OLD_DOMAIN = "<style "
_VOWEL = re.compile(r"[aeio]|u(?!ni)|hour")
_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")


def words(caption: str, language: str = ENGLISH) -> list[str]:
    """Split a caption into lower-case words without punctuation; combining accents are joined with their letters (NFC).

    Args:
        caption: A caption.
        language: The tag of its language. In a language without spaces between words, characters are what words are here.
    """
    if not is_english(language):
        return segmentation.split(caption, language)
    return _WORD.findall(unicodedata.normalize("NFC", caption).lower().replace("’", "'"))


def article(name: str) -> str:
    """Return what stands before a name: ``"a"`` or, where it begins with the sound of a vowel, ``"an"``."""
    return "an" if _VOWEL.match(name.lower()) else "a"


def domain_token(domain: str) -> str:
    """Return the vocabulary entry that captions of another domain start with in place of the usual start."""
    return f"<domain {domain}>"


@dataclass(frozen=True)
class Vocabulary:
    """The words a captioner knows, in id order, the four special ones first.

    After those may come tokens in angle brackets: the slots of visual words, and domain tokens, which captions of another
    domain begin with.

    Attributes:
        entries: The text of each entry; an entry's id is its position.
        repeated: The entries that people say more than once in a caption; ``None`` if that is not known.
        language: The tag of the language of the captions, which decides how they are split into words and joined again.
    """

    entries: tuple[str, ...]
    repeated: frozenset[str] | None = None
    language: str = ENGLISH

    @classmethod
    def build(
        cls,
        captions: Iterable[Sequence[str]],
        min_count: int,
        tokens: Sequence[str] = (),
        language: str = ENGLISH,
    ) -> "Vocabulary":
        """Keep the words that occur at least ``min_count`` times, the most frequent first, and all tokens.

        Args:
            captions: The words of each caption.
            min_count: Fewest occurrences of a word.
            tokens: Slots and domain tokens; they are kept however often captions have them.
            language: The tag of the language of the captions.
        """
        counts: Counter[str] = Counter()
        captions_with: Counter[str] = Counter()
        captions_repeating: Counter[str] = Counter()
        for caption in captions:
            times = Counter(caption)
            counts.update(times)
            captions_with.update(times.keys())
            captions_repeating.update(word for word, count in times.items() if count > 1)
        kept = (word for word, count in counts.items() if count >= min_count and word not in tokens)
        entries = (*SPECIAL, *tokens, *sorted(kept, key=lambda word: (-counts[word], word)))
        repeated = (
            word
            for word in entries
            if captions_repeating[word] and captions_repeating[word] >= MIN_REPEAT_SHARE * captions_with[word]
        )
        # That a character comes twice in a caption does not mean that a word does.
        return cls(entries, None if is_spaceless(language) else frozenset(repeated), language)

    def extended(self, other: "Vocabulary") -> "Vocabulary":
        """Return a vocabulary with the entries of this one and after them those that only ``other`` has; every id stays."""
        entries = (*self.entries, *(entry for entry in other.entries if entry not in self))
        repeated = None if self.repeated is None else self.repeated | (other.repeated or frozenset())
        return Vocabulary(entries, repeated, self.language)

    @classmethod
    def from_plain(cls, values: Any) -> "Vocabulary":
        """Undo ``plain``, of this version or of one before.

        Raises:
            TypeError, KeyError, ValueError: It is not what ``plain`` makes.
        """
        entries, repeated, language = values["words"], values.get("repeated"), values.get("language", ENGLISH)
        for texts in (entries, [] if repeated is None else repeated):
            if not isinstance(texts, list) or not all(map(_is_printable, texts)):
                raise TypeError("a word is not printable text")
        if not isinstance(language, str):
            raise TypeError("the language is not text")
        current = None if repeated is None else frozenset(map(_current, repeated))
        return cls(tuple(map(_current, entries)), current, checked_tag(language))

    def plain(self) -> dict[str, Any]:
        """Return the vocabulary for JSON; the language is there if it is not English."""
        repeated = {} if self.repeated is None else {"repeated": sorted(self.repeated)}
        language = {} if self.language == ENGLISH else {"language": self.language}
        return {"words": list(self.entries), **repeated, **language}

    @cached_property
    def is_token(self) -> tuple[bool, ...]:
        """By id whether an entry is a slot or a domain token."""
        return tuple(entry.startswith("<") and entry not in SPECIAL for entry in self.entries)

    @cached_property
    def is_repeatable(self) -> tuple[bool, ...]:
        """By id whether a caption may have an entry more than once; all may if it is not known what people repeat."""
        if self.repeated is None:
            return (True,) * len(self)
        return tuple(entry in self.repeated or entry in SPECIAL for entry in self.entries)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: index for index, word in enumerate(self.entries)}

    def __len__(self) -> int:
        """Number of entries V, the special ones included."""
        return len(self.entries)

    def __contains__(self, word: str) -> bool:
        """Whether ``word`` has an id of its own."""
        return word in self._ids

    def encode(self, caption: str) -> list[int]:
        """Return the ids of a caption's words, without start and end."""
        return self.ids(self.words(caption))

    def words(self, caption: str) -> list[str]:
        """Split a caption into words in the language of the vocabulary."""
        return words(caption, self.language)

    def join(self, caption: Sequence[str]) -> str:
        """Return the words of a caption as text, with spaces between them where the language has spaces."""
        return " ".join(caption) if is_english(self.language) else segmentation.join(caption)

    def ids(self, entries: Iterable[str]) -> list[int]:
        """Return the ids of entries: words, slots and domain tokens."""
        return [self._ids.get(entry, UNKNOWN) for entry in entries]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the caption of ``ids`` up to the end token; padding and start are left out."""
        return self.join(self.words_of(ids))

    def words_of(self, ids: Sequence[int]) -> list[str]:
        """Return the entries of ``ids`` up to the end token; padding and start are left out."""
        kept = []
        for index in ids:
            if index == END:
                break
            if index not in (PAD, START):
                kept.append(self.entries[index])
        return kept


def _is_printable(text: Any) -> bool:
    return isinstance(text, str) and segmentation.is_printable(text)


def _current(entry: str) -> str:
    """Return a stored entry as it is written today; domain tokens used to be ``<style NAME>``."""
    return domain_token(entry[len(_OLD_DOMAIN) : -1]) if entry.startswith(_OLD_DOMAIN) else entry
