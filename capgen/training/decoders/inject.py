"""``inject``: the image is the first state of the LSTM that writes the caption (Vinyals et al. 2015; "init-inject")."""

from typing import ClassVar

from keras import layers

from capgen.training.decoders.decoder import Decoder, LSTMStep, Shape, flattened, for_each_caption
from capgen.training.decoders.merge import image_vector


class InjectDecoder(Decoder):
    """The image speaks once, before the first word."""

    wants: ClassVar[str] = "vector"

    def __init__(self, shape: Shape) -> None:
        """Make the layers."""
        super().__init__(shape)
        self.embedding = layers.Embedding(shape.vocabulary, shape.embedding, name="embedding")
        self.hidden = layers.Dense(shape.state, activation="tanh", name="hidden")
        self.cell = layers.Dense(shape.state, name="cell")
        self.lstm = layers.LSTM(shape.state, return_sequences=True, name="lstm")
        self.scores = layers.Dense(shape.vocabulary, name="scores")
        self.dropouts = {name: layers.Dropout(shape.dropout, name=f"drop_{name}") for name in ("image", "word", "state")}

    def states(self, features, words):
        """Read whole captions, which begin with their image."""
        image = self.dropouts["image"](image_vector(features))
        first = [for_each_caption(layer(image), words) for layer in (self.hidden, self.cell)]  # (N*K, H)
        x = self.dropouts["word"](flattened(self.embedding(words)))  # (N*K, T, E)
        return self.dropouts["state"](self.lstm(x, initial_state=first))  # (N*K, T, H)

    def logits(self, states):
        """Score words from a state: (..., H) to (..., V)."""
        return self.scores(states)

    def begin(self, features):
        """Make the first states of the image."""
        image = image_vector(features)
        return {"state_hidden": self.hidden(image), "state_cell": self.cell(image)}

    def step(self, words, memory):
        """Take one word a beam."""
        hidden, cell = LSTMStep(self.lstm)(self.embedding(words), memory["state_hidden"], memory["state_cell"])
        return self.logits(hidden), {"state_hidden": hidden, "state_cell": cell}
