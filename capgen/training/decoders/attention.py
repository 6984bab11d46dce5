"""``attention``: an LSTM reads the words, looks at the image grid, and a second LSTM writes.

embedding → LSTM → multi-head attention over the grid → LSTM → projection tied to the embedding. The attention does not
depend on the second LSTM, so all words of a caption, and all captions of an image, are computed at once. After Xu et
al. 2015 and Anderson et al. 2018, with the attention of Vaswani et al. 2017.
"""

from typing import ClassVar

from keras import layers, ops

from capgen.captioner.decoding import ATTENTION
from capgen.training.decoders.decoder import Decoder, LSTMStep, Shape, TiedEmbedding, flattened


class GridAttention(layers.Layer):
    """Scaled dot-product attention of words over cells, with projected queries, keys and values.

    Args:
        width: H, width of the result.
        heads: How many parts of it look independently.
    """

    def __init__(self, width: int, heads: int, **kwargs) -> None:
        """Make the projection of the queries and of the result."""
        super().__init__(**kwargs)
        self.width, self.heads = width, heads
        self.query = layers.Dense(width, use_bias=False, name="query")
        self.result = layers.Dense(width, name="result")

    def build(self, queries_shape, keys_shape, values_shape) -> None:
        """Build the two projections."""
        self.query.build(queries_shape)
        self.result.build((*queries_shape[:-1], self.width))
        self.built = True

    def call(self, queries, keys, values):
        """Map queries (N*Q, H), image by image, keys and values (N, heads, C, H / heads) to (N*Q, H) and where they looked.

        That is the share of attention of each cell, (N, heads, Q, C).
        """
        split = ops.reshape(self.query(queries), (ops.shape(keys)[0], -1, self.heads, self.width // self.heads))
        split = ops.transpose(split, (0, 2, 1, 3))  # (N, heads, Q, H / heads)
        scores = ops.matmul(split, ops.transpose(keys, (0, 1, 3, 2))) * (self.width // self.heads) ** -0.5
        shares = ops.softmax(scores, axis=-1)
        seen = ops.matmul(shares, values)  # (N, heads, Q, H / heads)
        return self.result(ops.reshape(ops.transpose(seen, (0, 2, 1, 3)), (-1, self.width))), shares

    def compute_output_shape(self, queries_shape, keys_shape, values_shape):
        """Say the shapes of the results: that of the queries, ``width`` wide, and that of the shares."""
        images, heads, cells, _ = keys_shape
        return (*queries_shape[:-1], self.width), (images, heads, None, cells)


class AttentionDecoder(Decoder):
    """The default decoder."""

    wants: ClassVar[str] = "grid"

    def __init__(self, shape: Shape) -> None:
        """Make the layers."""
        super().__init__(shape)
        self.embedding = TiedEmbedding(shape.vocabulary, shape.embedding, name="embedding")
        self.reader = layers.LSTM(shape.state, return_sequences=True, name="reader")
        self.keys = layers.Dense(shape.state, use_bias=False, name="keys")
        self.values = layers.Dense(shape.state, name="values")
        self.attention = GridAttention(shape.state, shape.heads, name="attention")
        self.writer = layers.LSTM(shape.state, return_sequences=True, name="writer")
        self.projection = layers.Dense(shape.embedding, name="projection")
        self.dropouts = {
            name: layers.Dropout(shape.dropout, name=f"drop_{name}") for name in ("grid", "word", "read", "written")
        }

    def states(self, features, words):
        """Read whole captions."""
        steps = words.shape[2]
        keys, values = self._cells(self.dropouts["grid"](features))
        x = flattened(self.dropouts["word"](self.embedding(words)))  # (N*K, T, E)
        read = self.dropouts["read"](self.reader(x))  # (N*K, T, H)
        seen, _ = self.attention(ops.reshape(read, (-1, self.shape.state)), keys, values)  # (N*K*T, H)
        seen = ops.reshape(seen, (-1, steps, self.shape.state))  # (N*K, T, H)
        written = self.writer(ops.concatenate([read, seen], axis=-1))  # (N*K, T, H)
        return ops.concatenate([written, seen], axis=-1)

    def logits(self, states):
        """Score words from what was written and what was seen: (..., 2H) to (..., V)."""
        return self.embedding(self.projection(self.dropouts["written"](states)), reverse=True)

    def begin(self, features):
        """Project the cells once, and start both LSTMs at zero."""
        keys, values = self._cells(features)
        zero = ops.zeros_like(ops.reshape(keys[:, :, 0, :], (-1, self.shape.state)))  # (N, H)
        states = {f"state_{layer}_{part}": zero * 1.0 for layer in ("reader", "writer") for part in ("hidden", "cell")}
        return {"context_keys": keys, "context_values": values, **states}

    def step(self, words, memory):
        """Take one word a beam."""
        x = self.embedding(words)  # (R, E)
        read, read_cell = LSTMStep(self.reader)(x, memory["state_reader_hidden"], memory["state_reader_cell"])
        seen, shares = self.attention(read, memory["context_keys"], memory["context_values"])  # (R, H)
        both = ops.concatenate([read, seen], axis=-1)
        written, written_cell = LSTMStep(self.writer)(both, memory["state_writer_hidden"], memory["state_writer_cell"])
        states = {
            ATTENTION: ops.reshape(ops.mean(shares, axis=1), (-1, self.shape.cells)),  # (R, C)
            "state_reader_hidden": read,
            "state_reader_cell": read_cell,
            "state_writer_hidden": written,
            "state_writer_cell": written_cell,
        }
        return self.logits(ops.concatenate([written, seen], axis=-1)), states

    def _cells(self, features):
        """Project the cells to keys and values by head: (N, C, D) to twice (N, heads, C, H / heads)."""
        width = self.shape.state // self.shape.heads
        for layer in (self.keys, self.values):
            split = ops.reshape(layer(features), (-1, self.shape.cells, self.shape.heads, width))
            yield ops.transpose(split, (0, 2, 1, 3))
