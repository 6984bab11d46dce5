"""What becomes of an image: its captions, or the reason why it has none."""

import os
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from capgen.captioner.language import ENGLISH
from capgen.captioner.vocabulary import words
from capgen.errors import Status
from capgen.storage.locations import Location

if TYPE_CHECKING:
    import numpy as np


class SkipReason(StrEnum):
    """Why an image that has a caption keeps it."""

    HAS_CAPTION = "has-caption"
    CHANGED_BY_HAND = "changed-by-hand"
    OURS_ALREADY = "ours-already"
    SHARED = "shared"

    @property
    def sentence(self) -> str:
        """The reason as people read it."""
        return _SENTENCES[self]


_SENTENCES = {
    SkipReason.HAS_CAPTION: "it has a caption",
    SkipReason.CHANGED_BY_HAND: "its caption was changed by hand since capgen wrote it (`force=True` replaces it)",
    SkipReason.OURS_ALREADY: "it has capgen's caption already",
    SkipReason.SHARED: "it has the same file for its caption as another image, whose caption is in it",
}


@dataclass(frozen=True)
class Attention:
    """The attention weights of a caption, word by word.

    Attributes:
        words: The T words of the caption, as people read them.
        maps: (T, S, S) float32. For each word the weight of each cell of a grid that lies over the upright image; the
            weights of a word sum to 1.
    """

    words: tuple[str, ...]
    maps: "np.ndarray"

    def brightness(self) -> "np.ndarray":
        """Return the maps as they are shown: (T, S, S), each relative to the mean of the caption's maps, 1 at its greatest.

        All words of a caption attend to much the same cells, often to those with little in them. What distinguishes a word
        is where its weights are greater than those of the other words.
        """
        import numpy as np

        mean = self.maps.mean(axis=0, keepdims=True) if len(self.words) > 1 else np.ones_like(self.maps)
        relative = self.maps / np.maximum(mean, np.finfo(np.float32).tiny)
        return relative / np.maximum(relative.max(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Caption:
    """A caption of an image.

    Attributes:
        text: Words in lower case, with spaces between them where the language has spaces.
        confidence: How often a caption with this score is close to a human one, 0 to 1; see ``captioner.calibration``.
        log_probability: The natural logarithm of the probability that the captioner gives to its words and slots.
        attention: The attention weights of each word, if they were asked for.
    """

    text: str
    confidence: float
    log_probability: float
    attention: Attention | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        """Return the text."""
        return self.text


@dataclass(frozen=True)
class Likelihood:
    """How likely a given caption of an image is to a captioner.

    Attributes:
        caption: The caption as it was given.
        words: The entries of the vocabulary that the captioner read, the end of the caption last. A word that it does not
            know is the entry for unknown words; a slot may stand for several words of the caption.
        log_probabilities: The natural logarithm of the probability of each entry.
        language: The tag of the captioner's language.
    """

    caption: str
    words: tuple[str, ...]
    log_probabilities: tuple[float, ...]
    language: str = ENGLISH

    @property
    def total(self) -> float:
        """The logarithm of the caption's probability."""
        return sum(self.log_probabilities)

    @property
    def per_word(self) -> float:
        """``total`` over the number of words and the end: captions of different lengths are compared by it."""
        return self.total / (len(words(self.caption, self.language)) + 1)


@dataclass(frozen=True)
class ImageVersion:
    """Tells the image that a caption was made of from what its file holds at another time.

    Attributes:
        content: The ``content_hash`` of the pixels as the captioner saw them, upright and scaled: it stays the same when
            metadata or the file's name change. Empty if it is not known.
        state: Size and time of the last change of the file when it was read, which tell of most files that they are
            unchanged without reading them. Empty if it is not known.
    """

    content: str = ""
    state: str = ""

    @classmethod
    def of_file(cls, path: object) -> "ImageVersion":
        """Return what is known of an image without reading it: nothing but a state, if it is a file."""
        if not isinstance(path, str | os.PathLike):
            return cls()
        try:
            status = os.stat(path)  # noqa: PTH116 - it may be a name that is too long for a Path
        except (OSError, ValueError):
            return cls()
        return cls(state=f"{status.st_size}:{status.st_mtime_ns}")

    def is_that_of(self, other: "ImageVersion") -> bool:
        """Tell whether a caption of this version fits another; where the content of one is unknown, the state decides."""
        if self.content and other.content:
            return self.content == other.content
        return not self.content or self.state == other.state


UNKNOWN = ImageVersion()
"""The version of an image of which nothing is known."""


@dataclass(frozen=True)
class Result:
    """What became of one image.

    Attributes:
        path: As it was given or found; ``None`` if the image was not a file.
        status: What became of it; the stored name of a status is taken as well.
        captions: The best first. A captioned image has some, one that was skipped or could not be read has none.
        reason: In words, why there is no caption or none was written; empty where the status says all.
        written: The files that its caption was written to.
        skip_reason: Why an image was skipped, if that is one of the reasons that captioning knows.
        version: The image that the captions were made of.

    Raises:
        ValueError: The status and the rest contradict each other.
    """

    path: Location | None
    status: Status
    captions: tuple[Caption, ...] = ()
    reason: str = ""
    written: tuple[Path, ...] = ()
    skip_reason: SkipReason | None = None
    version: ImageVersion = field(default=UNKNOWN, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", Status(self.status))
        if self.status is Status.CAPTIONED and not self.captions:
            raise ValueError("an image that is captioned has a caption")
        if self.captions and self.status not in _WITH_CAPTIONS:
            raise ValueError(f"an image that is {self.status} has no captions")
        if self.written and self.status not in (Status.CAPTIONED, Status.WRITE_FAILED):
            raise ValueError(f"nothing was written for an image that is {self.status}")
        if self.skip_reason is not None and self.status is not Status.SKIPPED:
            raise ValueError(f"an image that is {self.status} was not skipped")

    @property
    def failed(self) -> bool:
        """Whether something is wrong with it."""
        return self.status.failed

    @property
    def caption(self) -> str | None:
        """The text of the best caption, if there is one."""
        return self.captions[0].text if self.captions else None

    @property
    def confidence(self) -> float | None:
        """The confidence of the best caption, 0 to 1."""
        return self.captions[0].confidence if self.captions else None


_WITH_CAPTIONS = (Status.CAPTIONED, Status.LOW_CONFIDENCE, Status.WRITE_FAILED)
"""Statuses of images for which captions were found."""
