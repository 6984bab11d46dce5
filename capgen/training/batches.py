"""Batches for the decoder: cached features and right-padded captions, in an order that only seed and epoch decide."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import keras
import numpy as np

from capgen.captioner.vocabulary import END, PAD, START
from capgen.training.features import CachedFeatures, feature_key


@dataclass(frozen=True)
class Sample:
    """One training image.

    Attributes:
        image_hash: Key of its features.
        captions: Word ids of each of its captions, without start and end.
        weight: How often it is seen in an epoch, on average.
        start: Id that its captions start with, which tells their style.
    """

    image_hash: str
    captions: Sequence[Sequence[int]]
    weight: float = 1.0
    start: int = START


Draw: TypeAlias = tuple[str, int, list[Sequence[int]]]
"""What is seen of an image: the key of its features, what its captions start with, and some of them."""


class CaptionBatches(keras.utils.PyDataset):
    """The batches of one epoch.

    Each is ``{"features": (N, C, D) float16, "words": (N, K, T) int32, "places": (P,) int32}`` and the next words (P,)
    int32 of the P places that are no padding. Start and end are part of T. The images of a batch have equally
    many captions, K, so that no row is only padding.

    Args:
        samples: The images.
        features: Their cached features.
        views: The cached views; each image is seen in one of them, by lot.
        captions: Captions an image at most; of more, so many are drawn.
        maximum_words: Words a caption is cut to; T is one more.
        batch_size: N, at most.
        seed: Decides, with ``epoch``, order, views and draws; ``None`` for the given order and plain views.
        epoch: Number of the epoch.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        features: CachedFeatures,
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
        self.samples, self.features = samples, features
        self.captions, self.steps = captions, maximum_words + 1
        if seed is None:
            draws = [(sample.image_hash, sample.start, list(sample.captions[:captions])) for sample in samples]
            self.batches = list(_batched(draws, batch_size))
            return
        random = np.random.default_rng([seed, epoch])
        whole = np.array([sample.weight for sample in samples])
        times = np.floor(whole + random.random(len(samples))).astype(int)
        order = random.permutation(np.repeat(np.arange(len(samples)), times))
        draws = [self._draw(samples[index], views, random) for index in order.tolist()]
        batches = list(_batched(draws, batch_size))
        self.batches = _shapes_first([batches[index] for index in random.permutation(len(batches)).tolist()])

    def _draw(self, sample: Sample, views: Sequence[str], random: np.random.Generator) -> Draw:
        view = views[int(random.integers(len(views)))]
        chosen = random.permutation(len(sample.captions))[: self.captions].tolist()
        return feature_key(sample.image_hash, view), sample.start, [sample.captions[index] for index in chosen]

    def __len__(self) -> int:
        """Number of batches."""
        return len(self.batches)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return batch ``index``."""
        keys, starts, captions = zip(*self.batches[index], strict=True)
        inputs, targets = teacher_forced(captions, len(captions[0]), self.steps, starts)
        return {"features": self.features.rows(keys), **inputs}, targets


def _batched(draws: Sequence[Draw], size: int) -> Iterator[list[Draw]]:
    """Make batches of images with equally many captions, each in the order given."""
    by_count: dict[int, list[Draw]] = {}
    for draw in draws:
        by_count.setdefault(len(draw[2]), []).append(draw)
    for group in by_count.values():
        yield from (group[start : start + size] for start in range(0, len(group), size))


def _shapes_first(batches: list[list[Draw]]) -> list[list[Draw]]:
    """Bring a batch with another number of captions to the second place: of the first two Keras learns what may vary."""
    others = (index for index, batch in enumerate(batches) if len(batch[0][2]) != len(batches[0][0][2]))
    if other := next(others, 0):
        batches[1], batches[other] = batches[other], batches[1]
    return batches


def teacher_forced(
    captions: Sequence[Sequence[Sequence[int]]], count: int, steps: int, starts: Sequence[int] = ()
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Lay captions out for teacher forcing.

    Args:
        captions: For each image, the word ids of its captions.
        count: K, rows an image.
        steps: T, one more than the words a caption is cut to.
        starts: For each image, what its captions start with; the usual start by default.

    Returns:
        ``words`` (N, K, T) that begin with start, right-padded, and the ``places`` (P,) of those that are no padding,
        counted through the flattened words; and the next word (P,) of each place, at last end; int32. A caption that is cut
        does not end, so that none learns to stop in the middle.
    """
    words = np.full((len(captions), count, steps), PAD, np.int32)
    targets = np.full_like(words, PAD)
    for image, (texts, start) in enumerate(zip(captions, starts or [START] * len(captions), strict=True)):
        for row, ids in enumerate(texts[:count]):
            said = [start, *ids, END][: steps + 1]
            words[image, row, : len(said) - 1] = said[:-1]
            targets[image, row, : len(said) - 1] = said[1:]
    places = np.flatnonzero(targets != PAD)
    return {"words": words, "places": places.astype(np.int32)}, targets.reshape(-1)[places]


def filled(
    inputs: dict[str, np.ndarray], targets: np.ndarray, images: int, weights: np.ndarray | None = None
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Fill a batch up, so that JAX compiles few shapes and any number of devices that divides ``images`` divides them.

    Args:
        inputs: Of at most so many images.
        targets: The next word (P,) of each place.
        images: N of the filled batch. What is added repeats the last image; its words have no places.
        weights: Of the targets; 1 by default.

    Returns:
        Inputs, targets and weights, P a multiple of N*K. Places that are added weigh nothing and the others as much more, so
        that means over P stay what they were.
    """
    more = images - len(inputs["words"])
    rows = {name: np.concatenate([inputs[name], *[inputs[name][-1:]] * more]) for name in ("features", "words")}
    count = len(targets)
    added = (0, -count % (images * rows["words"].shape[1]))
    weights = np.ones(count, np.float32) if weights is None else weights
    weights = np.pad(weights * np.float32((count + added[1]) / count), added)
    return {**rows, "places": np.pad(inputs["places"], added)}, np.pad(targets, added), weights
