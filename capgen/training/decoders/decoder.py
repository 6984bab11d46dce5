"""``Decoder``: what all decoders share: three models over the same layers, one to train and two to run, and shared layers.

Letters: N images, K captions or beams an image, R = N*K rows, T words, P words that are not padding, V vocabulary, C cells,
D channels, E embedding, H state, X what a decoder's logits are computed from.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import keras
from keras import layers, ops


@dataclass(frozen=True)
class DecoderConfig:
    """The sizes of a decoder. Their names are those that a bundle describes its decoder with.

    Attributes:
        cells: C, the cells of the features.
        channels: D, the channels of the features.
        vocabulary: V, the entries of the vocabulary.
        embedding: E, the width of the word embedding.
        state: H, the width of the LSTM states and of all layers after them.
        heads: The number of attention heads; only ``attention`` has them.
        dropout: The fraction of activations that dropout sets to 0 in training.
    """

    cells: int
    channels: int
    vocabulary: int
    embedding: int = 512
    state: int = 512
    heads: int = 8
    dropout: float = 0.5


class Decoder(ABC):
    """An architecture that predicts the next word of a caption from an image and the words before.

    A subclass makes its layers in ``__init__``. It defines what they compute for whole captions (``hidden_states``), for one
    word at a time (``init_state``, ``step``), and how a state scores the next word (``logits``). Both ways must compute the
    same; the contract test of decoders checks that.

    Args:
        config: The sizes.
    """

    preferred_output: ClassVar[str]
    """The encoder output that it is made for, ``grid`` or ``vector``."""

    dropouts: dict[str, layers.Dropout]
    """The dropout layers, by the activations that they drop."""

    def __init__(self, config: DecoderConfig) -> None:
        self.config = config

    @abstractmethod
    def hidden_states(self, features: keras.KerasTensor, words: keras.KerasTensor) -> keras.KerasTensor:
        """Compute the hidden states of whole captions.

        Args:
            features: (N, C, D).
            words: (N, K, T); they begin with the start and are right-padded.

        Returns:
            What the logits of each next word are computed from, (R, T, X).
        """

    @abstractmethod
    def logits(self, states: keras.KerasTensor) -> keras.KerasTensor:
        """Score the next words: (..., X) to (..., V)."""

    @abstractmethod
    def init_state(self, features: keras.KerasTensor) -> dict[str, keras.KerasTensor]:
        """Prepare a search.

        Args:
            features: (N, C, D).

        Returns:
            The encoder memory, which stays (``context_*``, (N, ...)), and the first decoder states (``state_*``, (N, ...)).
        """

    @abstractmethod
    def step(
        self, words: keras.KerasTensor, memory: dict[str, keras.KerasTensor]
    ) -> tuple[keras.KerasTensor, dict[str, keras.KerasTensor]]:
        """Take one word a row. The R = N*K rows lie image by image: with two dimensions LiteRT's graph is a third as long.

        Args:
            words: (R,).
            memory: The encoder memory (N, ...) and the decoder states (R, ...).

        Returns:
            Logits (R, V), and the next decoder states. Beside them may be ``attention``, the attention weights (R, C).
        """

    def training_model(self, steps: int, tail: keras.Model | None = None) -> keras.Model:
        """Build the model that is trained.

        Args:
            steps: T.
            tail: A model that makes the decoder's features from those that are cached; by default they are the same.

        Returns:
            A model of ``features`` (N, C, D), ``words`` (N, K, T) and ``positions`` (P,) to logits (P, V). The positions
            count through the flattened words and leave out padding, which would be a third of the work.
        """
        shape = tail.input_shape[1:] if tail else (self.config.cells, self.config.channels)
        features = keras.Input(shape, name="features")
        words = keras.Input((None, steps), dtype="int32", name="words")
        positions = keras.Input((), dtype="int32", name="positions")
        states = self.hidden_states(tail(features) if tail else features, words)  # (R, T, X)
        chosen = ops.take(ops.reshape(states, (-1, states.shape[-1])), positions, axis=0)  # (P, X)
        logits = layers.Activation("linear", dtype="float32", name="logits")(self.logits(chosen))  # (P, V)
        return keras.Model({"features": features, "words": words, "positions": positions}, logits)

    def init_model(self) -> keras.Model:
        """Build the first of the two graphs that run: ``features`` to encoder memory and first decoder states."""
        features = keras.Input((self.config.cells, self.config.channels), name="features")
        return keras.Model({"features": features}, self.init_state(features))

    def step_model(self) -> keras.Model:
        """Build the second: ``words``, memory and states to ``log_probabilities`` (R, V) and the next states."""
        words = keras.Input((), dtype="int32", name="words")
        memory = {name: keras.Input(tensor.shape[1:], name=name) for name, tensor in self.init_model().output.items()}
        logits, states = self.step(words, memory)
        return keras.Model({"words": words, **memory}, {"log_probabilities": ops.log_softmax(logits, axis=-1), **states})


class TiedEmbedding(layers.Layer):
    """Maps words to vectors, and with ``reverse=True`` vectors to logits of words, with one table for both.

    The vectors are scaled by the square root of their width (Vaswani et al. 2017, section 3.4), without which a tied
    table learns much worse.

    Args:
        vocabulary: V, the number of words.
        width: E, the width of the vectors.
    """

    def __init__(self, vocabulary: int, width: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.vocabulary, self.width = vocabulary, width

    def build(self, input_shape=None) -> None:
        """Make the table (V, E) and the bias (V,) of the logits."""
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
        """Return the shape and the type of the output."""
        shape = (*inputs.shape[:-1], self.vocabulary) if reverse else (*inputs.shape, self.width)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)


class LSTMStep(layers.Layer):
    """One step of an LSTM layer for every beam, with that layer's weights.

    Args:
        lstm: The layer that is trained on whole captions.
    """

    def __init__(self, lstm: layers.LSTM, **kwargs) -> None:
        super().__init__(**kwargs)
        self.lstm = lstm

    def build(self, x_shape, hidden_shape, cell_shape) -> None:
        """Build the shared layer unless the training model has built it."""
        if not self.lstm.built:
            self.lstm.build((None, None, x_shape[-1]))
        self.built = True

    def call(self, x, hidden, cell):
        """Map (R, X), (R, H), (R, H) to the next hidden and cell state, (R, H) each (Hochreiter and Schmidhuber 1997)."""
        weights = self.lstm.cell
        gates = ops.matmul(x, weights.kernel) + ops.matmul(hidden, weights.recurrent_kernel) + weights.bias  # (R, 4H)
        input_gate, forget_gate, candidate, output_gate = ops.split(gates, 4, axis=-1)  # (R, H) each
        cell = ops.sigmoid(forget_gate) * cell + ops.sigmoid(input_gate) * ops.tanh(candidate)
        return ops.sigmoid(output_gate) * ops.tanh(cell), cell


def flatten_captions(sequences: keras.KerasTensor) -> keras.KerasTensor:
    """Put the captions of all images in one dimension: (N, K, T, X) to (N*K, T, X)."""
    return ops.reshape(sequences, (-1, *sequences.shape[2:]))


def repeat_for_captions(images: keras.KerasTensor, words: keras.KerasTensor) -> keras.KerasTensor:
    """Repeat the vector of an image for each of its captions: (N, X), (N, K, T) to (N*K, X)."""
    zeros = ops.zeros_like(words[:, :, :1], dtype=images.dtype)  # (N, K, 1)
    return ops.reshape(images[:, None, :] + zeros, (-1, images.shape[-1]))
