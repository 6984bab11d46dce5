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
from typing import Any

PAD, START, END, UNKNOWN = range(4)
SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")

OFTEN = 0.05
"""People repeat a word if so many of the captions that have it have it more than once: "a", "in", "dog", but not "bed"."""

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

    Attributes:
        entries: By id.
        repeated: Those that people say again in one caption; ``None`` if that is not known.
    """

    entries: tuple[str, ...]
    repeated: frozenset[str] | None = None

    @classmethod
    def build(cls, captions: Iterable[Sequence[str]], minimum_count: int, marks: Sequence[str] = ()) -> "Vocabulary":
        """Keep the words that occur at least ``minimum_count`` times, the most frequent first, and all marks.

        Args:
            captions: The words of each.
            minimum_count: Fewest occurrences.
            marks: Entries in angle brackets; they are kept however often captions have them.
        """
        counts: Counter[str] = Counter()
        having: Counter[str] = Counter()
        again: Counter[str] = Counter()
        for caption in captions:
            times = Counter(caption)
            counts.update(times)
            having.update(times.keys())
            again.update(word for word, count in times.items() if count > 1)
        words = (word for word, count in counts.items() if count >= minimum_count and word not in marks)
        entries = (*SPECIAL, *marks, *sorted(words, key=lambda word: (-counts[word], word)))
        return cls(entries, frozenset(word for word in entries if again[word] and again[word] >= OFTEN * having[word]))

    def extended(self, other: "Vocabulary") -> "Vocabulary":
        """Return this one and after it what only ``other`` has, so that every id stays."""
        entries = (*self.entries, *(entry for entry in other.entries if entry not in self))
        return Vocabulary(entries, None if self.repeated is None else self.repeated | (other.repeated or frozenset()))

    @classmethod
    def from_plain(cls, values: Any) -> "Vocabulary":
        """Undo ``plain``.

        Raises:
            TypeError, KeyError: It is not what ``plain`` makes.
        """
        entries, repeated = values["words"], values.get("repeated")
        for texts in (entries, [] if repeated is None else repeated):
            if not isinstance(texts, list) or not all(isinstance(text, str) and text.isprintable() for text in texts):
                raise TypeError("a word is no printable text")
        return cls(tuple(entries), None if repeated is None else frozenset(repeated))

    def plain(self) -> dict[str, list[str]]:
        """Return it for JSON."""
        return {"words": list(self.entries)} | ({} if self.repeated is None else {"repeated": sorted(self.repeated)})

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
