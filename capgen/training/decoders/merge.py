"""``merge``: image and LSTM state meet after the LSTM; the classic captioner (Tanti, Gatt and Camilleri 2018)."""

from typing import ClassVar

from keras import layers, ops

from capgen.training.decoders.decoder import Decoder, LSTMStep, Shape, flattened, for_each_caption

SMALL = 1e-5
"""Keeps the scale of a picture of zeros finite; in the exported graph it must still be a float16 number."""


class MergeDecoder(Decoder):
    """The language model never sees the image; a last layer does."""

    wants: ClassVar[str] = "vector"

    def __init__(self, shape: Shape) -> None:
        """Make the layers."""
        super().__init__(shape)
        self.embedding = layers.Embedding(shape.vocabulary, shape.embedding, name="embedding")
        self.lstm = layers.LSTM(shape.state, return_sequences=True, name="lstm")
        self.image = layers.Dense(shape.state, name="image")
        self.scores = layers.Dense(shape.vocabulary, name="scores")
        self.dropouts = {name: layers.Dropout(shape.dropout, name=f"drop_{name}") for name in ("image", "word", "state")}

    def states(self, features, words):
        """Read whole captions, each beside its image."""
        image = self.image(self.dropouts["image"](image_vector(features)))  # (N, H)
        x = self.dropouts["word"](flattened(self.embedding(words)))  # (N*K, T, E)
        states = self.dropouts["state"](self.lstm(x))  # (N*K, T, H)
        image = for_each_caption(image, words)[:, None, :] + ops.zeros_like(states)  # (N*K, T, H)
        return ops.concatenate([states, image], axis=-1)

    def logits(self, states):
        """Score words from a state and an image: (..., 2H) to (..., V)."""
        return self.scores(states)

    def begin(self, features):
        """Project the image once, and start the LSTM at zero."""
        image = self.image(image_vector(features))
        return {"state_image": image, "state_hidden": image * 0.0, "state_cell": image * 0.0}

    def step(self, words, memory):
        """Take one word a beam."""
        hidden, cell = LSTMStep(self.lstm)(self.embedding(words), memory["state_hidden"], memory["state_cell"])
        scores = self.logits(ops.concatenate([hidden, memory["state_image"]], axis=-1))
        return scores, {"state_image": memory["state_image"] * 1.0, "state_hidden": hidden, "state_cell": cell}


def image_vector(features):
    """Average the cells and scale to a root mean square of 1: (N, C, D) to (N, D).

    Tanti et al. scale to a length of 1; that leaves numbers so small that the image is learnt late.
    """
    mean = ops.mean(features, axis=1)
    return mean * ops.rsqrt(ops.mean(ops.square(mean), axis=-1, keepdims=True) + SMALL)
