"""Batches for the decoder: cached features and right-padded captions, in an order that only seed and epoch decide.

Letters: N images, K captions an image, T words of the longest caption with its start, P words that are not padding, C cells,
D channels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import keras
import numpy as np

from capgen.captioner.vocabulary import END, PAD, START
from capgen.training.features import MIRROR, PLAIN, CachedFeatures, feature_key


@dataclass(frozen=True)
class Sample:
    """One image with its captions.

    Attributes:
        image_hash: The key of its features.
        captions: The word ids of each of its captions, without start and end.
        weight: How often it is used in an epoch, on average.
        start: The id that its captions start with: the usual start, or the token of their domain.
        mirrored_captions: The word ids of the same captions for the mirror image; empty if that is not used.
    """

    image_hash: str
    captions: Sequence[Sequence[int]]
    weight: float = 1.0
    start: int = START
    mirrored_captions: Sequence[Sequence[int]] = ()


class BatchImage(NamedTuple):
    """What a batch has of one image.

    Attributes:
        key: The key of the features of one augmentation.
        start: The id that its captions start with.
        captions: The word ids of some of its captions.
    """

    key: str
    start: int
    captions: list[Sequence[int]]


class CaptionBatches(keras.utils.PyDataset):
    """The batches of one epoch.

    A batch is ``{"features": (N, C, D) float16, "words": (N, K, T) int32, "positions": (P,) int32}`` with the next word at
    each of the P positions, (P,) int32. T includes the start. The images of a batch have equally many captions, K, so that
    no row is only padding.

    Args:
        samples: The images.
        features: Their cached features.
        augmentations: The cached augmentations, of which each image is used with one at random. An image without captions
            for its mirror image is used as it is instead.
        captions_per_image: K at most; of an image with more captions, so many are chosen at random.
        max_words: The number of words that a caption is cut to; T is one more.
        batch_size: N at most.
        seed: Decides, with ``epoch``, everything that is random; ``None`` for the given order without augmentations.
        epoch: The number of the epoch.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        features: CachedFeatures,
        *,
        augmentations: Sequence[str] = (PLAIN,),
        captions_per_image: int,
        max_words: int,
        batch_size: int,
        seed: int | None = None,
        epoch: int = 0,
    ) -> None:
        super().__init__(workers=1)
        self.samples, self.features = samples, features
        self.captions_per_image, self.steps = captions_per_image, max_words + 1
        if seed is None:
            images = [BatchImage(s.image_hash, s.start, list(s.captions[:captions_per_image])) for s in samples]
            self.batches = list(_batched(images, batch_size))
            return
        random = np.random.default_rng([seed, epoch])
        weights = np.array([sample.weight for sample in samples])
        times = np.floor(weights + random.random(len(samples))).astype(int)
        order = random.permutation(np.repeat(np.arange(len(samples)), times))
        images = [self._choose(samples[index], augmentations, random) for index in order.tolist()]
        batches = list(_batched(images, batch_size))
        self.batches = _different_counts_first([batches[index] for index in random.permutation(len(batches)).tolist()])

    def _choose(self, sample: Sample, augmentations: Sequence[str], random: np.random.Generator) -> BatchImage:
        """Choose an augmentation and captions of an image at random."""
        augmentation = augmentations[int(random.integers(len(augmentations)))]
        if augmentation == MIRROR and not sample.mirrored_captions:
            augmentation = PLAIN
        every = sample.mirrored_captions if augmentation == MIRROR else sample.captions
        chosen = random.permutation(len(every))[: self.captions_per_image].tolist()
        captions = [every[index] for index in chosen]
        return BatchImage(feature_key(sample.image_hash, augmentation), sample.start, captions)

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self.batches)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return the inputs and the targets of batch ``index``."""
        keys, starts, captions = zip(*self.batches[index], strict=True)
        inputs, targets = teacher_forced(captions, len(captions[0]), self.steps, starts)
        return {"features": self.features.rows(keys), **inputs}, targets


def _batched(images: Sequence[BatchImage], size: int) -> Iterator[list[BatchImage]]:
    """Make batches of images with equally many captions, each in the order given."""
    by_count: dict[int, list[BatchImage]] = {}
    for image in images:
        by_count.setdefault(len(image.captions), []).append(image)
    for same_count in by_count.values():
        yield from (same_count[start : start + size] for start in range(0, len(same_count), size))


def _different_counts_first(batches: list[list[BatchImage]]) -> list[list[BatchImage]]:
    """Move a batch with another number of captions to the second position.

    From the first two batches Keras learns which dimensions vary.
    """
    first = len(batches[0][0].captions) if batches else 0
    other = next((index for index, batch in enumerate(batches) if len(batch[0].captions) != first), 0)
    if other:
        batches[1], batches[other] = batches[other], batches[1]
    return batches


def teacher_forced(
    captions: Sequence[Sequence[Sequence[int]]], count: int, steps: int, starts: Sequence[int] = ()
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Lay captions out for teacher forcing.

    Args:
        captions: The word ids of each caption of each image.
        count: K, rows an image.
        steps: T, one more than the number of words that a caption is cut to.
        starts: The id that the captions of each image start with; the usual start by default.

    Returns:
        ``words`` (N, K, T), which begin with the start and are right-padded; ``positions`` (P,) of the words that are not
        padding, counted through the flattened words; and the next word at each position (P,), of which the last of a caption
        is the end. All are int32. A caption that is cut has no end, so that the decoder does not learn to stop within one.
    """
    words = np.full((len(captions), count, steps), PAD, np.int32)  # (N, K, T)
    targets = np.full_like(words, PAD)  # (N, K, T)
    for image, (texts, start) in enumerate(zip(captions, starts or [START] * len(captions), strict=True)):
        for row, ids in enumerate(texts[:count]):
            sequence = [start, *ids, END][: steps + 1]
            words[image, row, : len(sequence) - 1] = sequence[:-1]
            targets[image, row, : len(sequence) - 1] = sequence[1:]
    positions = np.flatnonzero(targets != PAD)  # (P,)
    return {"words": words, "positions": positions.astype(np.int32)}, targets.reshape(-1)[positions]


def padded_batch(
    inputs: dict[str, np.ndarray], targets: np.ndarray, images: int, weights: np.ndarray | None = None
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Pad a batch, so that JAX compiles few shapes and any number of devices that divides ``images`` divides the batch.

    Args:
        inputs: The inputs of at most so many images.
        targets: The next word at each position, (P,).
        images: N of the padded batch. The last image is repeated; its words have no positions.
        weights: The weights of the targets; 1 by default.

    Returns:
        Inputs, targets and weights, with P a multiple of N*K. The positions that are added have the weight 0, and the
        weights of the others grow by as much, so that means over P stay what they were.
    """
    added_images = images - len(inputs["words"])
    rows = {name: np.concatenate([inputs[name], *[inputs[name][-1:]] * added_images]) for name in ("features", "words")}
    count = len(targets)
    padding = (0, -count % (images * rows["words"].shape[1]))
    weights = np.ones(count, np.float32) if weights is None else weights
    weights = np.pad(weights * np.float32((count + padding[1]) / count), padding)
    return {**rows, "positions": np.pad(inputs["positions"], padding)}, np.pad(targets, padding), weights
