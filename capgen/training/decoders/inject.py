"""``inject``: the image is the first state of the LSTM ("init-inject" in Tanti et al. 2018; after Vinyals et al. 2015)."""

from typing import ClassVar

from keras import layers

from capgen.training.decoders.decoder import Decoder, DecoderConfig, LSTMStep, flatten_captions, repeat_for_captions
from capgen.training.decoders.merge import image_vector


class InjectDecoder(Decoder):
    """The LSTM sees the image once, as its first state."""

    preferred_output: ClassVar[str] = "vector"

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__(config)
        self.embedding = layers.Embedding(config.vocabulary, config.embedding, name="embedding")
        self.hidden = layers.Dense(config.state, activation="tanh", name="hidden")
        self.cell = layers.Dense(config.state, name="cell")
        self.lstm = layers.LSTM(config.state, return_sequences=True, name="lstm")
        self.scores = layers.Dense(config.vocabulary, name="scores")
        self.dropouts = {name: layers.Dropout(config.dropout, name=f"drop_{name}") for name in ("image", "word", "state")}

    def hidden_states(self, features, words):
        """Compute the hidden states of whole captions: (N, C, D), (N, K, T) to (N*K, T, H)."""
        image = self.dropouts["image"](image_vector(features))
        first = [repeat_for_captions(layer(image), words) for layer in (self.hidden, self.cell)]  # (N*K, H)
        x = self.dropouts["word"](flatten_captions(self.embedding(words)))  # (N*K, T, E)
        return self.dropouts["state"](self.lstm(x, initial_state=first))  # (N*K, T, H)

    def logits(self, states):
        """Score the next words from a state: (..., H) to (..., V)."""
        return self.scores(states)

    def init_state(self, features):
        """Compute the first states from the image: (N, C, D) to (N, H) each."""
        image = image_vector(features)
        return {"state_hidden": self.hidden(image), "state_cell": self.cell(image)}

    def step(self, words, memory):
        """Take one word a row: (R,) to logits (R, V) and the next states (R, H)."""
        hidden, cell = LSTMStep(self.lstm)(self.embedding(words), memory["state_hidden"], memory["state_cell"])
        return self.logits(hidden), {"state_hidden": hidden, "state_cell": cell}
