"""Batches for the decoder: cached features and right-padded captions, in an order that only seed and epoch decide."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from capgen.training.features import FeatureStore, view_key
from capgen.vocabulary import END, PAD, START


@dataclass(frozen=True)
class Sample:
    """One training image.

    Attributes:
        image_hash: Key of its features.
        captions: Word ids of each of its captions, without start and end.
        weight: How often it is seen in an epoch, on average.
    """

    image_hash: str
    captions: Sequence[Sequence[int]]
    weight: float = 1.0


class CaptionBatches(keras.utils.PyDataset):
    """The batches of one epoch.

    Each is ``{"features": (N, C, D) float16, "words": (N, K, T) int32, "places": (P,) int32}`` and the next words (P,)
    int32 of the P places that are no padding. Start and end are part of T; an image with fewer captions than K has rows of
    padding.

    Args:
        samples: The images.
        store: Their cached features.
        output: Which output of the encoder.
        views: The cached views; each image is seen in one of them, by lot.
        captions: K, captions an image; of more, K are drawn.
        maximum_words: Words a caption is cut to; T is one more.
        batch_size: N.
        seed: Decides, with ``epoch``, order, views and draws; ``None`` for the given order and plain views.
        epoch: Number of the epoch.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        store: FeatureStore,
        output: str,
        *,
        views: Sequence[str] = ("plain",),
        captions: int,
        maximum_words: int,
        batch_size: int,
        seed: int | None = None,
        epoch: int = 0,
    ) -> None:
        """Draw the epoch: which images, in which order and view."""
        super().__init__(workers=1)
        self.samples, self.store, self.output = samples, store, output
        self.captions, self.steps, self.batch_size = captions, maximum_words + 1, batch_size
        if seed is None:
            self.draws = [(sample.image_hash, sample.captions[:captions]) for sample in samples]
            return
        random = np.random.default_rng([seed, epoch])
        whole = np.array([sample.weight for sample in samples])
        times = np.floor(whole + random.random(len(samples))).astype(int)
        order = random.permutation(np.repeat(np.arange(len(samples)), times))
        self.draws = [self._draw(samples[index], views, random) for index in order.tolist()]

    def _draw(self, sample: Sample, views: Sequence[str], random: np.random.Generator):
        view = views[int(random.integers(len(views)))]
        chosen = random.permutation(len(sample.captions))[: self.captions].tolist()
        return view_key(sample.image_hash, view), [sample.captions[index] for index in chosen]

    def __len__(self) -> int:
        """Number of batches."""
        return math.ceil(len(self.draws) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return batch ``index``."""
        drawn = self.draws[index * self.batch_size : (index + 1) * self.batch_size]
        inputs, targets = teacher_forced([captions for _, captions in drawn], self.captions, self.steps)
        return {"features": self.store.rows([key for key, _ in drawn], self.output), **inputs}, targets


def teacher_forced(
    captions: Sequence[Sequence[Sequence[int]]], count: int, steps: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Lay captions out for teacher forcing.

    Args:
        captions: For each image, the word ids of its captions.
        count: K, rows an image.
        steps: T, one more than the words a caption is cut to.

    Returns:
        ``words`` (N, K, T) that begin with start, right-padded, and the ``places`` (P,) of those that are no padding,
        counted through the flattened words; and the next word (P,) of each place, at last end; int32. A caption that is cut
        does not end, so that none learns to stop in the middle.
    """
    words = np.full((len(captions), count, steps), PAD, np.int32)
    targets = np.full_like(words, PAD)
    for image, texts in enumerate(captions):
        for row, ids in enumerate(texts[:count]):
            said = [START, *ids, END][: steps + 1]
            words[image, row, : len(said) - 1] = said[:-1]
            targets[image, row, : len(said) - 1] = said[1:]
    places = np.flatnonzero(targets != PAD)
    return {"words": words, "places": places.astype(np.int32)}, targets.reshape(-1)[places]
