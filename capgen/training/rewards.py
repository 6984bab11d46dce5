"""Self-critical training: captions that the decoder draws are made likelier the better they score among their siblings.

Source: S. Rennie et al., "Self-critical Sequence Training for Image Captioning", CVPR 2017, with CIDEr-D as the reward and
the mean of the other samples as the baseline (R. Luo, "A Better Variant of Self-Critical Sequence Training", 2020). What
would be as true of similar pictures can count for less (J. Wang et al., "Compare and Reweight: Distinctive Image Captioning
Using Similar Images Sets", ECCV 2020). The policy is softened, in drawing and in the loss alike: at a temperature of 1 the
samples are so far from what a search would say that beam search gets worse while greedy search gets better.
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TypeAlias

import numpy as np

from capgen.captioner.constraints import Constraints
from capgen.captioner.decoding import DecodingOptions, StepFunction, sample
from capgen.captioner.slots import ClassScores
from capgen.captioner.text import CaptionText
from capgen.datasets.prepared import PreparedImage
from capgen.evaluation import metrics
from capgen.training.batches import teacher_forced
from capgen.training.features import CachedFeatures

SIMILAR = 5
"""Pictures that a distinct caption is told from."""

_ROWS = 64
"""Pictures whose features are in memory at once."""

CLOSING = "<end>"
"""Counts as a word at the end of every caption that is not cut, so that captions which break off score less."""

Drawn: TypeAlias = tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, float]
"""A batch of drawn captions: inputs, targets, the advantage of each target and the mean reward."""


class SelfCritical:
    """Draws captions, judges them and trains on them, a batch at a time.

    Args:
        pictures: What may be drawn for; the document frequencies of the reward come from all of them.
        features: Their cached features.
        text: Ids to captions.
        constraints: What the captioner may say; their slot bonus is left out.
        steps: The decoder that is trained, with its present weights.
        options: Temperature, captions a picture, longest caption.
        distinct: How much of its mean CIDEr-D with the human captions of similar pictures a caption loses.
    """

    def __init__(
        self,
        pictures: Sequence[PreparedImage],
        features: CachedFeatures,
        text: CaptionText,
        constraints: Constraints,
        steps: StepFunction,
        options: DecodingOptions,
        distinct: float = 0.0,
    ) -> None:
        """Count the n-grams of the human captions."""
        self.pictures, self._distinct = pictures, distinct
        self._features, self._text, self._steps, self._options = features, text, steps, options
        # slots are as likely as the policy has them, or it would be taught to make up for the bonus they get in a search
        config = dataclasses.replace(constraints.config, slot_bonus=0.0)
        self._constraints = Constraints(constraints.vocabulary, constraints.visual_words, config)
        self._human = metrics.References([[[*metrics.tokenize(c), CLOSING] for c in p.captions] for p in pictures])
        self._scorer = metrics.Cider(self._human)

    def batch(self, chosen: Sequence[int], seed: Sequence[int]) -> Drawn:
        """Draw captions of some pictures and judge them.

        Args:
            chosen: Indices of the pictures.
            seed: Decides what is drawn.

        Returns:
            Inputs and targets of a training step, the advantage of each target (P,), and the mean reward.
        """
        keys = [self.pictures[index].image_hash for index in chosen]
        features = self._features.rows(keys)
        class_scores_list = [self._features.class_scores(key) for key in keys]
        lots = np.random.default_rng(seed).integers(2**63, size=len(chosen)).tolist()
        processors = self._constraints.processors(class_scores_list)
        captions = sample(self._steps, features.astype(np.float32), self._options, processors, lots)
        count, longest = self._options.num_captions, self._options.max_words
        said = [
            self._tokens(each, class_scores, closed=len(each) < longest)
            for texts, class_scores in zip(captions, class_scores_list, strict=True)
            for each in texts
        ]
        rewards = self._judged(said, chosen)  # (N, K)
        if self._distinct and len(self.pictures) > 1:
            similar = self._similar[np.asarray(chosen)]  # (N, B)
            rewards -= self._distinct * np.mean([self._judged(said, each) for each in similar.T], axis=0)
        advantages = (rewards - rewards.mean(axis=1, keepdims=True)) * count / (count - 1)
        inputs, targets = teacher_forced(captions, count, longest + 1)
        rows, places = np.divmod(inputs["places"], longest + 1)
        weights = advantages.reshape(-1)[rows]
        weights[places == longest] = 0.0  # that a caption of the greatest length ends is no choice
        return {"features": features, **inputs}, targets, weights.astype(np.float32), float(rewards.mean())

    def _judged(self, said: list[list[str]], pictures: Sequence[int] | np.ndarray) -> np.ndarray:
        """Score captions, equally many a picture, (N * K), by the human captions of pictures (N,): (N, K)."""
        matches = self._human.matches(said, np.repeat(pictures, len(said) // len(pictures)))
        return self._scorer.scores(matches).reshape(len(pictures), -1)

    @cached_property
    def _similar(self) -> np.ndarray:
        """The most similar other pictures of each, by the cosine of their mean features: (N, B)."""
        keys = [picture.image_hash for picture in self.pictures]
        means = np.concatenate(
            [self._features.rows(keys[at : at + _ROWS]).mean(axis=1, dtype=np.float32) for at in range(0, len(keys), _ROWS)]
        )
        means -= means.mean(axis=0)
        means /= np.linalg.norm(means, axis=1, keepdims=True) + np.finfo(np.float32).tiny
        count = min(SIMILAR, len(means) - 1)
        found = []
        for at in range(0, len(means), _ROWS):
            alike = means[at : at + _ROWS] @ means.T
            alike[np.arange(len(alike)), at + np.arange(len(alike))] = -np.inf  # itself
            found.append(np.argpartition(-alike, count, axis=1)[:, :count])
        return np.concatenate(found)

    def _tokens(self, ids: Sequence[int], class_scores: ClassScores | None, *, closed: bool) -> list[str]:
        said = metrics.tokenize(self._text.decode(ids, class_scores))
        return [*said, CLOSING] if closed else said

    def round(
        self,
        train: Callable[[dict[str, np.ndarray], np.ndarray, np.ndarray], object],
        chosen: Sequence[int],
        batch_size: int,
        seed: Sequence[int],
        on_step: Callable[[int, int, float], None],
        shared: Callable[[Callable[[], Drawn]], Drawn] = lambda make: make(),
    ) -> float:
        """Train on some pictures once, and return the mean reward.

        Args:
            train: Takes one step with ``PolicyLoss``: inputs, targets and their weights.
            chosen: Indices of the pictures.
            batch_size: Pictures a step.
            seed: Decides what is drawn.
            on_step: Called with the step from 1, the number of steps and the mean reward so far.
            shared: Draws a batch once for all processes that train.
        """
        total = 0.0
        starts = range(0, len(chosen), batch_size)
        for step, start in enumerate(starts, 1):
            part = chosen[start : start + batch_size]
            inputs, targets, weights, reward = shared(lambda: self.batch(part, [*seed, step]))  # noqa: B023 - at once
            train(inputs, targets, weights)
            total += reward * len(part)
            on_step(step, len(starts), total / (start + len(part)))
        return total / len(chosen)
