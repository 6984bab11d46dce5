"""What becomes of a picture: its captions, or the reason why there are none."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Caption:
    """A caption found for a picture.

    Attributes:
        text: Lower-case words.
        probability: What the decoder gives to exactly this caption, 0 to 1: the product over its words.
    """

    text: str
    probability: float


@dataclass(frozen=True)
class Result:
    """What became of one file.

    Attributes:
        path: As it was given or found.
        status: ``captioned``, or why not: ``unreadable``, ``unsupported``, ``too-large``, ``denied``, ``vanished``.
        captions: The best first; none unless captioned.
        reason: In words, unless captioned.
    """

    path: Path
    status: str
    captions: tuple[Caption, ...] = ()
    reason: str = ""

    @property
    def failed(self) -> bool:
        """Whether there is no caption."""
        return self.status != "captioned"
