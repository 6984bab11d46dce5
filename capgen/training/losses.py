"""What training makes small: of captions of people, and of captions that were drawn."""

import keras
from keras import ops


class CaptionLoss(keras.losses.Loss):
    """Sparse cross-entropy over the words of whole captions, with label smoothing.

    Args:
        smoothing: Share of each target spread over the vocabulary (Szegedy et al. 2016).
    """

    def __init__(self, smoothing: float) -> None:
        """Keep the share."""
        super().__init__(name="caption_loss", reduction="sum_over_batch_size")
        self.smoothing = smoothing

    def call(self, y_true, y_pred):
        """Return the loss of each word: targets (P,), logits (P, V) to (P,)."""
        loss = ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)  # (P,)
        if self.smoothing:
            uniform = ops.logsumexp(y_pred, axis=-1) - ops.mean(y_pred, axis=-1)  # cross-entropy with all words alike
            loss = (1 - self.smoothing) * loss + self.smoothing * uniform
        return loss


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
