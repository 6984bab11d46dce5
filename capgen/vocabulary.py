"""Captions to word ids and back.

The text rules are the field's: lower case, words of letters and digits (an apostrophe or hyphen inside stays), no
punctuation. Ids 0 to 3 are padding, start, end and the unknown word.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

PAD, START, END, UNKNOWN = range(4)
SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")

_VOWEL = re.compile(r"[aeio]|u(?!ni)|hour")
_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")


def words(caption: str) -> list[str]:
    """Split a caption into lower-case words without punctuation; accents written as marks of their own are joined."""
    return _WORD.findall(unicodedata.normalize("NFC", caption).lower().replace("’", "'"))


def article(name: str) -> str:
    """Return what stands before a name: ``"a"`` or, where it begins with the sound of a vowel, ``"an"``."""
    return "an" if _VOWEL.match(name.lower()) else "a"


@dataclass(frozen=True)
class Vocabulary:
    """The words a captioner knows, in id order, the four special ones first.

    After those may come marks, entries in angle brackets that are no words: slots of names, and starts of other styles.
    """

    entries: tuple[str, ...]

    @classmethod
    def build(cls, captions: Iterable[Sequence[str]], minimum_count: int, marks: Sequence[str] = ()) -> "Vocabulary":
        """Keep the words that occur at least ``minimum_count`` times, the most frequent first, and all marks.

        Args:
            captions: The words of each.
            minimum_count: Fewest occurrences.
            marks: Entries in angle brackets; those in captions are not counted.
        """
        counts = Counter(word for caption in captions for word in caption if word not in marks)
        kept = sorted((word for word, count in counts.items() if count >= minimum_count), key=lambda w: (-counts[w], w))
        return cls((*SPECIAL, *marks, *kept))

    def extended(self, other: "Vocabulary") -> "Vocabulary":
        """Return this one and after it what only ``other`` has, so that every id stays."""
        return Vocabulary((*self.entries, *(entry for entry in other.entries if entry not in self)))

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
        return self.ids(words(caption))

    def ids(self, entries: Iterable[str]) -> list[int]:
        """Return the ids of words and marks."""
        return [self._ids.get(entry, UNKNOWN) for entry in entries]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the caption of ``ids`` up to the end mark; padding and start are left out."""
        kept = []
        for index in ids:
            if index == END:
                break
            if index not in (PAD, START):
                kept.append(self.entries[index])
        return " ".join(kept)
