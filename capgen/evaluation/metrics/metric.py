"""What a metric is: what it is given, what it gives back, and how tables and reports show it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

import numpy as np

from capgen.captioner.language import ENGLISH
from capgen.evaluation.metrics.ngrams import Matches, References

Shared = TypeVar("Shared")

OnProgress = Callable[[str, int, int], None]
"""Receives the name of a metric, how many captions it has scored, and how many it will; 0 and 0 where that is not known."""


def unreported(name: str, done: int, total: int) -> None:
    """Receive the progress of a metric, and do nothing."""


class Need(StrEnum):
    """What a metric needs besides the captions that it scores."""

    REFERENCES = "human captions"
    IMAGES = "the files of the images"
    TRAINING_CAPTIONS = "the captions that the captioner was trained on"
    LOG_PROBABILITIES = "the log-probabilities of the captions"
    JAVA = "a program in Java"


@dataclass(frozen=True)
class Candidates:
    """The captions of one system, one for each of N images, and all that metrics compare them with.

    Attributes:
        texts: (N,) the captions as the system wrote them.
        tokens: (N,) the tokens of each caption, see ``metrics.tokenizer``.
        references: The human captions of the same images in the same order.
        images: (N,) the files of the images, None for a file that was not found. Empty if there are no files at all.
        training_captions: The tokens of the captions of the train split. Empty if they are unknown.
        log_probabilities: (N,) the log-probability of each whole caption in nats. Empty if they are unknown.
        language: The tag of the language of the captions.
    """

    texts: Sequence[str]
    tokens: Sequence[Sequence[str]]
    references: References
    images: Sequence[Path | None] = ()
    training_captions: frozenset[tuple[str, ...]] = frozenset()
    log_probabilities: Sequence[float] = ()
    language: str = ENGLISH
    _shared: dict[Callable[..., Any], Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def matches(self) -> Matches:
        """The n-grams of the captions, looked up in the references of their images."""
        return self.references.matches(self.tokens)

    def once(self, compute: Callable[["Candidates"], Shared]) -> Shared:
        """Return ``compute(self)``, which is computed once for all metrics that ask for it."""
        if compute not in self._shared:
            self._shared[compute] = compute(self)
        return cast("Shared", self._shared[compute])

    @property
    def missing_images(self) -> str:
        """Says how many files of images were not found; empty if all were, or if there are no files at all."""
        count = sum(path is None for path in self.images)
        return f"the files of {count:,} of {len(self.images):,} images were not found" if count else ""

    def knows(self, need: Need) -> bool:
        """Return whether the candidates have what a metric needs; for Java, the metric itself checks."""
        known: Mapping[Need, Sequence[Any] | frozenset[Any]] = {
            Need.IMAGES: () if None in self.images else self.images,
            Need.TRAINING_CAPTIONS: self.training_captions,
            Need.LOG_PROBABILITIES: self.log_probabilities,
        }
        return need not in known or len(known[need]) > 0


@dataclass(frozen=True)
class Score:
    """What one metric says of the captions of one system.

    Attributes:
        value: The score of all captions together.
        per_image: (N, ...) what each image adds to it; of most metrics the score of the image itself, (N,).
    """

    value: float
    per_image: np.ndarray


class UnavailableError(Exception):
    """A score that cannot be computed here; the message is the reason."""


class Metric(ABC):
    """Says how good or how varied captions are.

    A metric whose score can be computed from a number of each image derives from ``PerImageMetric``.
    """

    name: str
    """What the command, the JSON file and the model card call the score."""

    label: ClassVar[str] = ""
    """What the report page calls the score, if not by its name."""

    needs: ClassVar[frozenset[Need]] = frozenset({Need.REFERENCES})
    """What must be known of the captions. Where something of it is unknown, the score is left out; where the files of some
    images were not found, it is unavailable for that reason."""

    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    """The least and the greatest value that the score can have."""

    is_quality: ClassVar[bool] = True
    """Whether more is better. Such scores come first in tables; the others describe the captions."""

    is_corpus_dependent: ClassVar[bool] = False
    """Whether the value of an image depends on the other images, as through the document frequencies of CIDEr."""

    bootstrapped: ClassVar[bool] = False
    """Whether the score has an interval, and differences between systems have a p-value."""

    in_model_card: ClassVar[bool] = False
    """Whether the model card of a captioner shows the score, if ``score`` computes it."""

    in_validation: bool = False
    """Whether the score of the captions for dev is computed after each epoch of training, and recorded in its history. Such
    a metric needs human captions alone."""

    format: ClassVar[str] = ".4f"
    """How a value is written, as Python's format specification."""

    @property
    def scale(self) -> str:
        """The range of the score in words, such as ``from 0 to 1``."""
        low, high = self.range
        return f"from {low:g} to {high:g}"

    def text(self, value: float) -> str:
        """Return a value as tables show it."""
        return f"{value:{self.format}}"

    def why_undefined(self, candidates: Candidates) -> str:
        """Say why the score of these captions would be a number without a meaning; empty if it is defined."""
        return ""

    def caveat(self, candidates: Candidates) -> str:
        """Say what a reader should know of the score of these captions; empty if there is nothing."""
        return ""

    @abstractmethod
    def compute(self, systems: Sequence[Candidates], on_progress: OnProgress = unreported) -> list[Score]:
        """Score the captions of systems, each on its own; a program that takes time to start is started once for all.

        Args:
            systems: The captions of each system.
            on_progress: Called while a computation goes on that takes long, if it is known how far it is.

        Raises:
            UnavailableError: The score cannot be computed here.
        """


class PerImageMetric(Metric):
    """A metric whose score is computed from values of the images, by default as their mean."""

    bootstrapped = True

    @abstractmethod
    def per_image(self, candidates: Candidates) -> np.ndarray:
        """Return what each of the N images adds to the score: (N,), or (N, ...) with another ``aggregate``."""

    def aggregate(self, per_image: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the scores of D samples of the N images: (D,).

        Args:
            per_image: (N, ...), what ``per_image`` returned.
            weights: (D, N) float64, how often each image is in each sample.
        """
        return weights @ per_image / weights.sum(axis=1)

    def compute(self, systems: Sequence[Candidates], on_progress: OnProgress = unreported) -> list[Score]:
        """Score the captions of each system."""
        found = []
        for candidates in systems:
            per_image = self.per_image(candidates)
            found.append(Score(self.aggregate(per_image, np.ones((1, len(per_image))))[0].item(), per_image))
        return found
