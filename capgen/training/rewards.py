"""Self-critical training: captions that the decoder draws are made likelier the better they score among their siblings.

Source: S. Rennie et al., "Self-critical Sequence Training for Image Captioning", CVPR 2017, with CIDEr-D as the reward and
the mean of the other samples as the baseline (R. Luo, "A Better Variant of Self-Critical Sequence Training", 2020). The
policy is softened, in drawing and in the loss alike: at a temperature of 1 the samples are so far from what a search
would say that beam search gets worse while greedy search gets better.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import ops

from capgen import metrics
from capgen.datasets.prepared import PreparedPicture
from capgen.decoding import DecodingOptions, StepFunction
from capgen.decoding.greedy import until_end
from capgen.decoding.sampling import draw
from capgen.names import Guess
from capgen.training.batches import teacher_forced
from capgen.training.features import CachedFeatures
from capgen.wording import Wording

CLOSING = "<end>"
"""Counts as a word at the end of every caption that is not cut, so that captions which break off score less."""


class PolicyLoss(keras.losses.Loss):
    """Cross-entropy of the softened policy; the advantage of a word's caption is its sample weight.

    Args:
        temperature: What logits are divided by.
    """

    def __init__(self, temperature: float) -> None:
        """Keep the temperature."""
        super().__init__(name="policy_loss", reduction="sum_over_batch_size")
        self.temperature = temperature

    def call(self, y_true, y_pred):
        """Return the loss of each word: targets (P,), logits (P, V) to (P,)."""
        return ops.sparse_categorical_crossentropy(y_true, y_pred / self.temperature, from_logits=True)


class SelfCritical:
    """Draws captions, judges them and trains on them, a batch at a time.

    Args:
        pictures: What may be drawn for; the document frequencies of the reward come from all of them.
        features: Their cached features.
        wording: How the captioner speaks.
        steps: The decoder that is trained, with its present weights.
        options: Temperature, captions a picture, longest caption.
        sharing: What a caption loses for each other picture of the batch that it is drawn for, too, so that it tells this
            one from those.
    """

    def __init__(
        self,
        pictures: Sequence[PreparedPicture],
        features: CachedFeatures,
        wording: Wording,
        steps: StepFunction,
        options: DecodingOptions,
        sharing: float = 0.0,
    ) -> None:
        """Count the n-grams of the human captions."""
        self.pictures, self._sharing = pictures, sharing
        self._features, self._wording, self._steps, self._options = features, wording, steps, options
        self._human = metrics.References([[[*metrics.tokenize(c), CLOSING] for c in p.captions] for p in pictures])
        self._scorer = metrics.Cider(self._human)

    def batch(
        self, chosen: Sequence[int], seed: Sequence[int]
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, float]:
        """Draw captions of some pictures and judge them.

        Args:
            chosen: Indices of the pictures.
            seed: Decides what is drawn.

        Returns:
            Inputs and targets of a training step, the advantage of each target (P,), and the mean reward.
        """
        keys = [self.pictures[index].image_hash for index in chosen]
        features = self._features.rows(keys)
        guesses = [self._features.guess(key) for key in keys]
        lots = np.random.default_rng(seed).integers(2**63, size=len(chosen)).tolist()
        # slots are as likely as the policy has them, or it would be taught to make up for the favour they get in a search
        steps = self._wording.led(self._steps, guesses, eager=0.0)
        ids, _ = draw(steps, features.astype(np.float32), self._options, lots)
        captions = [[until_end(row) for row in rows] for rows in ids]
        longest = ids.shape[2]
        said = [
            self._tokens(each, guess, closed=len(each) < longest)
            for texts, guess in zip(captions, guesses, strict=True)
            for each in texts
        ]
        count = ids.shape[1]
        rewards = self._scorer.scores(self._human.matches(said, np.repeat(chosen, count))).reshape(-1, count)  # (N, K)
        rewards = rewards - self._sharing * _others(ids)
        advantages = (rewards - rewards.mean(axis=1, keepdims=True)) * count / (count - 1)
        inputs, targets = teacher_forced(captions, count, longest + 1)
        rows, places = np.divmod(inputs["places"], longest + 1)
        weights = advantages.reshape(-1)[rows]
        weights[places == longest] = 0.0  # that a caption of the greatest length ends is no choice
        return {"features": features, **inputs}, targets, weights.astype(np.float32), float(rewards.mean())

    def _tokens(self, ids: Sequence[int], guess: Guess | None, *, closed: bool) -> list[str]:
        said = metrics.tokenize(self._wording.text(ids, guess))
        return [*said, CLOSING] if closed else said

    def round(
        self,
        model: keras.Model,
        chosen: Sequence[int],
        batch_size: int,
        seed: Sequence[int],
        on_step: Callable[[int, int, float], None],
    ) -> float:
        """Train on some pictures once, and return the mean reward.

        Args:
            model: The training model, compiled with ``PolicyLoss``.
            chosen: Indices of the pictures.
            batch_size: Pictures a step.
            seed: Decides what is drawn.
            on_step: Called with the step from 1, the number of steps and the mean reward so far.
        """
        total = 0.0
        starts = range(0, len(chosen), batch_size)
        for step, start in enumerate(starts, 1):
            part = chosen[start : start + batch_size]
            inputs, targets, weights, reward = self.batch(part, [*seed, step])
            model.train_on_batch(inputs, targets, sample_weight=weights)
            total += reward * len(part)
            on_step(step, len(starts), total / (start + len(part)))
        return total / len(chosen)


def _others(ids: np.ndarray) -> np.ndarray:
    """Count for each caption, (N, K, T), the other pictures that it was drawn for, too: (N, K)."""
    captions = [[row.tobytes() for row in rows] for rows in ids]
    pictures = Counter(caption for rows in captions for caption in set(rows))
    return np.array([[pictures[caption] - 1 for caption in rows] for rows in captions])
