"""What the decoders share: three models over the same layers, one to train and two to run, and the layers they need.

Letters: N images, K captions or beams an image, R = N*K rows, T words, P words that are no padding, V vocabulary, C cells,
D channels, E embedding, H state.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import keras
from keras import layers, ops


@dataclass(frozen=True)
class Shape:
    """The sizes of a decoder.

    Attributes:
        cells: C, cells of the features.
        channels: D, channels of the features.
        vocabulary: V, entries of the vocabulary.
        embedding: E, width of the word embedding.
        state: H, width of the LSTM and of everything after it.
        heads: Attention heads; only ``attention`` has them.
        dropout: Share of activations dropped in training.
    """

    cells: int
    channels: int
    vocabulary: int
    embedding: int = 512
    state: int = 512
    heads: int = 8
    dropout: float = 0.5


class Decoder(ABC):
    """One family of decoders.

    A subclass makes its layers in ``__init__`` and says how they act on whole captions (``states``) and on one word
    (``begin``, ``step``), and how a state scores the next word (``logits``). Both ways must compute the same; a test holds
    them to it.

    Args:
        shape: Its sizes.
    """

    wants: ClassVar[str]
    """The encoder output it is made for, ``grid`` or ``vector``."""

    dropouts: dict[str, layers.Dropout]
    """Its layers of dropout, by what they drop."""

    def __init__(self, shape: Shape) -> None:
        """Keep the sizes."""
        self.shape = shape

    @abstractmethod
    def states(self, features: keras.KerasTensor, words: keras.KerasTensor) -> keras.KerasTensor:
        """Read whole captions: (N, C, D), (N, K, T) to what scores each next word, (R, T, X)."""

    @abstractmethod
    def logits(self, states: keras.KerasTensor) -> keras.KerasTensor:
        """Score next words: (..., X) to (..., V)."""

    @abstractmethod
    def begin(self, features: keras.KerasTensor) -> dict[str, keras.KerasTensor]:
        """Prepare a search: (N, C, D) to tensors that stay (``context_*``) and first states (``state_*``, (N, ...))."""

    @abstractmethod
    def step(
        self, words: keras.KerasTensor, memory: dict[str, keras.KerasTensor]
    ) -> tuple[keras.KerasTensor, dict[str, keras.KerasTensor]]:
        """Take one word a beam: words (R,), contexts (N, ...), states (R, ...) to logits (R, V) and the next states.

        Beside the states may be ``attention`` (R, C), the share of each cell in what was looked at.
        The R = N*K rows lie image by image. Two dimensions make LiteRT's graph a third as long as three do.
        """

    def training_model(self, steps: int, seeing: keras.Model | None = None) -> keras.Model:
        """Build features (N, C, D), words (N, K, steps) and places (P,) to logits (P, V).

        With ``seeing``, a model that makes the features, build from what that takes.

        Places count through the flattened words and leave out padding, on which a third of the work would be spent.
        """
        taken = seeing.input_shape[1:] if seeing else (self.shape.cells, self.shape.channels)
        features = keras.Input(taken, name="features")
        words = keras.Input((None, steps), dtype="int32", name="words")
        places = keras.Input((), dtype="int32", name="places")
        states = self.states(seeing(features) if seeing else features, words)
        chosen = ops.take(ops.reshape(states, (-1, states.shape[-1])), places, axis=0)  # (P, X)
        logits = layers.Activation("linear", dtype="float32", name="logits")(self.logits(chosen))
        return keras.Model({"features": features, "words": words, "places": places}, logits)

    def begin_model(self) -> keras.Model:
        """Build the first of the two graphs that run: features to contexts and states."""
        features = keras.Input((self.shape.cells, self.shape.channels), name="features")
        return keras.Model({"features": features}, self.begin(features))

    def step_model(self) -> keras.Model:
        """Build the second: words, contexts and states to ``log_probabilities`` (R, V) and the next states."""
        words = keras.Input((), dtype="int32", name="words")
        memory = {name: keras.Input(tensor.shape[1:], name=name) for name, tensor in self.begin_model().output.items()}
        logits, states = self.step(words, memory)
        return keras.Model({"words": words, **memory}, {"log_probabilities": ops.log_softmax(logits, axis=-1), **states})


class TiedEmbedding(layers.Layer):
    """Words to vectors, and with ``reverse=True`` vectors to scores of words, with one table for both.

    The vectors are scaled by the square root of their width (Vaswani et al. 2017, section 3.4), without which a tied
    table learns much worse.
    """

    def __init__(self, vocabulary: int, width: int, **kwargs) -> None:
        """Keep the sizes."""
        super().__init__(**kwargs)
        self.vocabulary, self.width = vocabulary, width

    def build(self, input_shape=None) -> None:
        """Make the table (V, E) and the bias (V,) of the scores."""
        initializer = keras.initializers.RandomNormal(stddev=self.width**-0.5)
        self.table = self.add_weight((self.vocabulary, self.width), initializer, name="table")
        self.bias = self.add_weight((self.vocabulary,), "zeros", name="bias")
        self.built = True

    def call(self, inputs, reverse=False):
        """Map (...) int to (..., E), or in reverse (..., E) to (..., V)."""
        table = ops.cast(self.table, self.compute_dtype)
        if reverse:
            return ops.matmul(inputs, ops.transpose(table)) + ops.cast(self.bias, self.compute_dtype)
        return ops.take(table, inputs, axis=0) * self.width**0.5

    def compute_output_spec(self, inputs, reverse=False):
        """Say the shape of the output without computing it."""
        shape = (*inputs.shape[:-1], self.vocabulary) if reverse else (*inputs.shape, self.width)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)


class LSTMStep(layers.Layer):
    """One step of an LSTM layer for every beam, with that layer's weights.

    Args:
        lstm: The layer that is trained on whole captions.
    """

    def __init__(self, lstm: layers.LSTM, **kwargs) -> None:
        """Share the layer."""
        super().__init__(**kwargs)
        self.lstm = lstm

    def build(self, x_shape, hidden_shape, cell_shape) -> None:
        """Build the shared layer, if training has not."""
        if not self.lstm.built:
            self.lstm.build((None, None, x_shape[-1]))
        self.built = True

    def call(self, x, hidden, cell):
        """Map (R, X), (R, H), (R, H) to the next hidden and cell state (Hochreiter and Schmidhuber 1997)."""
        weights = self.lstm.cell
        gates = ops.matmul(x, weights.kernel) + ops.matmul(hidden, weights.recurrent_kernel) + weights.bias  # (R, 4H)
        enter, forget, candidate, leave = ops.split(gates, 4, axis=-1)
        cell = ops.sigmoid(forget) * cell + ops.sigmoid(enter) * ops.tanh(candidate)
        return ops.sigmoid(leave) * ops.tanh(cell), cell


def flattened(sequences: keras.KerasTensor) -> keras.KerasTensor:
    """Lay the captions of all images in one row: (N, K, T, X) to (N*K, T, X)."""
    return ops.reshape(sequences, (-1, *sequences.shape[2:]))


def for_each_caption(images: keras.KerasTensor, words: keras.KerasTensor) -> keras.KerasTensor:
    """Repeat what is said of an image for each of its captions: (N, X), (N, K, T) to (N*K, X)."""
    nothing = ops.zeros_like(words[:, :, :1], dtype=images.dtype)  # (N, K, 1)
    return ops.reshape(images[:, None, :] + nothing, (-1, images.shape[-1]))
