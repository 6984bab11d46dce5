"""The losses: cross-entropy on human captions, and the policy loss on sampled captions."""

import keras
from keras import ops


class CaptionLoss(keras.losses.Loss):
    """Sparse cross-entropy of each next word, with label smoothing (Szegedy et al. 2016).

    Args:
        smoothing: The probability of each target that is spread over the vocabulary, in 0..1.
    """

    def __init__(self, smoothing: float) -> None:
        super().__init__(name="caption_loss", reduction="sum_over_batch_size")
        self.smoothing = smoothing

    def call(self, y_true, y_pred):
        """Return the loss of each word, (P,), of targets (P,) and logits (P, V)."""
        loss = ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)  # (P,)
        if self.smoothing:
            uniform = ops.logsumexp(y_pred, axis=-1) - ops.mean(y_pred, axis=-1)  # cross-entropy with a uniform target
            loss = (1 - self.smoothing) * loss + self.smoothing * uniform
        return loss


class PolicyLoss(keras.losses.Loss):
    """The policy-gradient loss of sampled words: their cross-entropy, weighted by the advantage of their caption.

    The advantages are given as sample weights.

    Args:
        temperature: The logits are divided by this, as when the captions were sampled.
    """

    def __init__(self, temperature: float) -> None:
        super().__init__(name="policy_loss", reduction="sum_over_batch_size")
        self.temperature = temperature

    def call(self, y_true, y_pred):
        """Return the loss of each word, (P,), of targets (P,) and logits (P, V)."""
        return ops.sparse_categorical_crossentropy(y_true, y_pred / self.temperature, from_logits=True)
