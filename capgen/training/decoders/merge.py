"""``merge``: image and LSTM state are merged after the LSTM; the classic captioner (Tanti, Gatt and Camilleri 2018)."""

from typing import ClassVar

from keras import layers, ops

from capgen.training.decoders.decoder import Decoder, DecoderConfig, LSTMStep, flatten_captions, repeat_for_captions

EPSILON = 1e-5
"""Keeps the scale of an image of zeros finite; it must not be 0 as a float16 number of the exported graph."""


class MergeDecoder(Decoder):
    """The LSTM sees the words alone; the layer after it sees its state and the image."""

    preferred_output: ClassVar[str] = "vector"

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__(config)
        self.embedding = layers.Embedding(config.vocabulary, config.embedding, name="embedding")
        self.lstm = layers.LSTM(config.state, return_sequences=True, name="lstm")
        self.image = layers.Dense(config.state, name="image")
        self.scores = layers.Dense(config.vocabulary, name="scores")
        self.dropouts = {name: layers.Dropout(config.dropout, name=f"drop_{name}") for name in ("image", "word", "state")}

    def hidden_states(self, features, words):
        """Compute the hidden states of whole captions, each beside its image: (N, C, D), (N, K, T) to (N*K, T, 2H)."""
        image = self.image(self.dropouts["image"](image_vector(features)))  # (N, H)
        x = self.dropouts["word"](flatten_captions(self.embedding(words)))  # (N*K, T, E)
        states = self.dropouts["state"](self.lstm(x))  # (N*K, T, H)
        image = repeat_for_captions(image, words)[:, None, :] + ops.zeros_like(states)  # (N*K, T, H)
        return ops.concatenate([states, image], axis=-1)

    def logits(self, states):
        """Score the next words from a state and an image: (..., 2H) to (..., V)."""
        return self.scores(states)

    def init_state(self, features):
        """Project the image once, and start the LSTM with zeros: (N, C, D) to (N, H) each."""
        image = self.image(image_vector(features))
        return {"state_image": image, "state_hidden": image * 0.0, "state_cell": image * 0.0}

    def step(self, words, memory):
        """Take one word a row: (R,) to logits (R, V) and the next states (R, H)."""
        hidden, cell = LSTMStep(self.lstm)(self.embedding(words), memory["state_hidden"], memory["state_cell"])
        scores = self.logits(ops.concatenate([hidden, memory["state_image"]], axis=-1))
        return scores, {"state_image": memory["state_image"] * 1.0, "state_hidden": hidden, "state_cell": cell}


def image_vector(features):
    """Average the cells and scale to a root mean square of 1: (N, C, D) to (N, D).

    Tanti et al. scale to a length of 1; with numbers as small as that the image is learnt late.
    """
    mean = ops.mean(features, axis=1)
    return mean * ops.rsqrt(ops.mean(ops.square(mean), axis=-1, keepdims=True) + EPSILON)
