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

_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")


def words(caption: str) -> list[str]:
    """Split a caption into lower-case words without punctuation; accents written as marks of their own are joined."""
    return _WORD.findall(unicodedata.normalize("NFC", caption).lower().replace("’", "'"))


@dataclass(frozen=True)
class Vocabulary:
    """The words a captioner knows, in id order, the four special ones first."""

    entries: tuple[str, ...]

    @classmethod
    def build(cls, captions: Iterable[str], minimum_count: int) -> "Vocabulary":
        """Keep the words that occur at least ``minimum_count`` times, the most frequent first."""
        counts = Counter(word for caption in captions for word in words(caption))
        kept = sorted((word for word, count in counts.items() if count >= minimum_count), key=lambda w: (-counts[w], w))
        return cls((*SPECIAL, *kept))

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
        return [self._ids.get(word, UNKNOWN) for word in words(caption)]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the caption of ``ids`` up to the end mark; padding and start are left out."""
        kept = []
        for index in ids:
            if index == END:
                break
            if index not in (PAD, START):
                kept.append(self.entries[index])
        return " ".join(kept)
