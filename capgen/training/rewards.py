"""``SelfCriticalSampler``: captions that a decoder samples, and their advantages, for self-critical training.

Source: S. Rennie et al., "Self-critical Sequence Training for Image Captioning", CVPR 2017, with CIDEr-D as the reward and
the mean reward of the other samples as the baseline (R. Luo, "A Better Variant of Self-Critical Sequence Training", 2020). A
caption that would be as true of similar images can have a smaller reward (J. Wang et al., "Compare and Reweight: Distinctive
Image Captioning Using Similar Images Sets", ECCV 2020). The policy has a temperature below 1, in sampling and in the loss
alike: at a temperature of 1 the samples are so far from the captions of a search that beam search gets worse while greedy
search gets better.

Letters: N images, K samples an image, T words, P words that are not padding, B similar images.
"""

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from capgen.captioner.constraints import Constraints
from capgen.captioner.decoding import DecodingOptions, StepwiseDecoder, sample
from capgen.captioner.slots import ClassScores
from capgen.captioner.text import CaptionText
from capgen.datasets.prepared import PreparedImage
from capgen.evaluation import metrics
from capgen.training.batches import teacher_forced
from capgen.training.features import CachedFeatures

SIMILAR_IMAGES = 5
"""B, the number of similar images that a distinctive caption is compared with."""

_ROWS = 64
"""Images whose features are in memory at once."""

END_TOKEN = "<end>"  # noqa: S105 - a token of text
"""A word at the end of every caption that is not cut, in the reward, so that captions which break off have a smaller one."""


class SampledBatch(NamedTuple):
    """Sampled captions as a batch of training.

    Attributes:
        inputs: The inputs of the training model.
        targets: The next word at each position, (P,).
        advantages: The advantage of the caption of each position, (P,) float32.
        reward: The mean reward of a caption.
    """

    inputs: dict[str, np.ndarray]
    targets: np.ndarray
    advantages: np.ndarray
    reward: float


class SelfCriticalSampler:
    """Samples captions and computes their rewards and advantages, a batch at a time.

    Args:
        images: The images that captions are sampled for; the reward's document frequencies come from all of them.
        features: Their cached features.
        text: Maps ids to the text of captions.
        constraints: Constrains what is sampled; their slot bonus is left out.
        decoder: The decoder that is trained, with its present weights.
        options: The temperature, the number of samples an image, and the greatest length.
        distinctiveness: The reward is lowered by this times the mean CIDEr-D with the human captions of similar images.
    """

    def __init__(
        self,
        images: Sequence[PreparedImage],
        features: CachedFeatures,
        text: CaptionText,
        constraints: Constraints,
        decoder: StepwiseDecoder,
        options: DecodingOptions,
        distinctiveness: float = 0.0,
    ) -> None:
        self.images, self._distinctiveness = images, distinctiveness
        self._features, self._text, self._decoder, self._options = features, text, decoder, options
        # A slot has no bonus here, because the policy would learn to make up for it.
        config = dataclasses.replace(constraints.config, slot_bonus=0.0)
        self._constraints = Constraints(constraints.vocabulary, constraints.visual_words, config)
        self._tokenize = metrics.tokenizer(text.vocabulary.language).split
        self._references = metrics.References(
            [[[*self._tokenize(caption), END_TOKEN] for caption in image.captions] for image in images]
        )
        self._scorer = metrics.Cider(self._references)

    def batch(self, chosen: Sequence[int], seed: Sequence[int]) -> SampledBatch:
        """Sample captions of some images and compute their advantages.

        Args:
            chosen: The indices of the N images.
            seed: Decides what is sampled.
        """
        keys = [self.images[index].image_hash for index in chosen]
        features = self._features.rows(keys)  # (N, C, D)
        class_scores = [self._features.class_scores(key) for key in keys]
        captions = self._sample(features, class_scores, seed)
        count, longest = self._options.num_captions, self._options.max_words
        tokens = [
            self._tokens(caption, scores, finished=len(caption) < longest)
            for texts, scores in zip(captions, class_scores, strict=True)
            for caption in texts
        ]
        rewards = self._rewards(tokens, chosen)  # (N, K)
        advantages = (rewards - rewards.mean(axis=1, keepdims=True)) * count / (count - 1)  # (N, K)
        inputs, targets = teacher_forced(captions, count, longest + 1)
        rows, steps = np.divmod(inputs["positions"], longest + 1)
        weights = advantages.reshape(-1)[rows]  # (P,)
        weights[steps == longest] = 0.0  # that a caption of the greatest length ends is not a choice of the policy
        return SampledBatch({"features": features, **inputs}, targets, weights.astype(np.float32), float(rewards.mean()))

    def _sample(
        self, features: np.ndarray, class_scores: Sequence[ClassScores | None], seed: Sequence[int]
    ) -> Sequence[Sequence[Sequence[int]]]:
        """Return the word ids of K sampled captions of each image."""
        seeds = np.random.default_rng(seed).integers(2**63, size=len(features)).tolist()
        processors = self._constraints.processors(list(class_scores))
        return sample(self._decoder, features.astype(np.float32), self._options, processors, seeds)

    def _rewards(self, tokens: list[list[str]], chosen: Sequence[int]) -> np.ndarray:
        """Return the rewards of sampled captions, (N, K)."""
        rewards = self._cider(tokens, chosen)
        if self._distinctiveness and len(self.images) > 1:
            similar = self._similar[np.asarray(chosen)]  # (N, B)
            rewards -= self._distinctiveness * np.mean([self._cider(tokens, each) for each in similar.T], axis=0)
        return rewards

    def _cider(self, tokens: list[list[str]], images: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the CIDEr-D of N * K captions with the human captions of images (N,), as (N, K)."""
        matches = self._references.matches(tokens, np.repeat(images, len(tokens) // len(images)))
        return self._scorer.scores(matches).reshape(len(images), -1)

    @cached_property
    def _similar(self) -> np.ndarray:
        """The indices of the most similar other images of each image, by the cosine of their mean features: (images, B)."""
        keys = [image.image_hash for image in self.images]
        starts = range(0, len(keys), _ROWS)
        means = np.concatenate(
            [self._features.rows(keys[start : start + _ROWS]).mean(axis=1, dtype=np.float32) for start in starts]
        )  # (images, D)
        means -= means.mean(axis=0)
        means /= np.linalg.norm(means, axis=1, keepdims=True) + np.finfo(np.float32).tiny
        count = min(SIMILAR_IMAGES, len(means) - 1)
        found = []
        for start in starts:
            cosines = means[start : start + _ROWS] @ means.T  # (rows, images)
            cosines[np.arange(len(cosines)), start + np.arange(len(cosines))] = -np.inf  # an image is not its own neighbour
            found.append(np.argpartition(-cosines, count, axis=1)[:, :count])
        return np.concatenate(found)

    def _tokens(self, ids: Sequence[int], class_scores: ClassScores | None, *, finished: bool) -> list[str]:
        """Return the words of a caption as the reward has them."""
        tokens = self._tokenize(self._text.decode(ids, class_scores))
        return [*tokens, END_TOKEN] if finished else tokens
