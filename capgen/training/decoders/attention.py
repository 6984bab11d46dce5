"""``attention``: an attention LSTM reads the words, attends to the image grid, and a language LSTM predicts the next word.

embedding → attention LSTM → multi-head attention over the grid → language LSTM → projection tied to the embedding. The
attention does not depend on the language LSTM, so that all words of a caption, and all captions of an image, are computed at
once. The two LSTMs are those of Anderson et al. 2018, the grid of cells is that of Xu et al. 2015, the attention that of
Vaswani et al. 2017.
"""

from typing import ClassVar

from keras import layers, ops

from capgen.captioner.decoding import ATTENTION
from capgen.training.decoders.decoder import Decoder, DecoderConfig, LSTMStep, TiedEmbedding, flatten_captions


class GridAttention(layers.Layer):
    """Scaled dot-product attention of words over the cells of a grid, with projected queries, keys and values.

    Args:
        width: H, the width of the result.
        heads: The number of heads; each attends with its own part of the width.
    """

    def __init__(self, width: int, heads: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.width, self.heads = width, heads
        self.query = layers.Dense(width, use_bias=False, name="query")
        self.result = layers.Dense(width, name="result")

    def build(self, queries_shape, keys_shape, values_shape) -> None:
        """Build the projections of the queries and of the result."""
        self.query.build(queries_shape)
        self.result.build((*queries_shape[:-1], self.width))
        self.built = True

    def call(self, queries, keys, values):
        """Attend to the cells.

        Args:
            queries: (N*Q, H), image by image.
            keys: (N, heads, C, H / heads).
            values: (N, heads, C, H / heads).

        Returns:
            The context vectors (N*Q, H), and the attention weights of the cells (N, heads, Q, C).
        """
        by_head = ops.reshape(self.query(queries), (ops.shape(keys)[0], -1, self.heads, self.width // self.heads))
        by_head = ops.transpose(by_head, (0, 2, 1, 3))  # (N, heads, Q, H / heads)
        scores = ops.matmul(by_head, ops.transpose(keys, (0, 1, 3, 2))) * (self.width // self.heads) ** -0.5
        weights = ops.softmax(scores, axis=-1)  # (N, heads, Q, C)
        context = ops.matmul(weights, values)  # (N, heads, Q, H / heads)
        return self.result(ops.reshape(ops.transpose(context, (0, 2, 1, 3)), (-1, self.width))), weights

    def compute_output_shape(self, queries_shape, keys_shape, values_shape):
        """Return the shapes of the context vectors and of the attention weights."""
        images, heads, cells, _ = keys_shape
        return (*queries_shape[:-1], self.width), (images, heads, None, cells)


class AttentionDecoder(Decoder):
    """The default decoder.

    Bundles keep weights by layer names and states by tensor names. There, ``reader`` is the attention LSTM and ``writer``
    the language LSTM.
    """

    preferred_output: ClassVar[str] = "grid"

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__(config)
        self.embedding = TiedEmbedding(config.vocabulary, config.embedding, name="embedding")
        self.attention_lstm = layers.LSTM(config.state, return_sequences=True, name="reader")
        self.keys = layers.Dense(config.state, use_bias=False, name="keys")
        self.values = layers.Dense(config.state, name="values")
        self.attention = GridAttention(config.state, config.heads, name="attention")
        self.language_lstm = layers.LSTM(config.state, return_sequences=True, name="writer")
        self.projection = layers.Dense(config.embedding, name="projection")
        self.dropouts = {
            name: layers.Dropout(config.dropout, name=f"drop_{name}") for name in ("grid", "word", "read", "written")
        }

    def hidden_states(self, features, words):
        """Compute the hidden states of whole captions: (N, C, D), (N, K, T) to (N*K, T, 2H)."""
        steps, width = words.shape[2], self.config.state
        keys, values = self.project_cells(self.dropouts["grid"](features))  # (N, heads, C, H / heads) each
        x = flatten_captions(self.dropouts["word"](self.embedding(words)))  # (N*K, T, E)
        queries = self.dropouts["read"](self.attention_lstm(x))  # (N*K, T, H)
        context, _ = self.attention(ops.reshape(queries, (-1, width)), keys, values)  # (N*K*T, H)
        context = ops.reshape(context, (-1, steps, width))  # (N*K, T, H)
        hidden = self.language_lstm(ops.concatenate([queries, context], axis=-1))  # (N*K, T, H)
        return ops.concatenate([hidden, context], axis=-1)

    def logits(self, states):
        """Score the next words from the state of the language LSTM and the context vector: (..., 2H) to (..., V)."""
        return self.embedding(self.projection(self.dropouts["written"](states)), reverse=True)

    def init_state(self, features):
        """Project the cells once, and start both LSTMs with zeros."""
        keys, values = self.project_cells(features)  # (N, heads, C, H / heads) each
        zero = ops.zeros_like(ops.reshape(keys[:, :, 0, :], (-1, self.config.state)))  # (N, H)
        states = {f"state_{lstm}_{part}": zero * 1.0 for lstm in ("reader", "writer") for part in ("hidden", "cell")}
        return {"context_keys": keys, "context_values": values, **states}

    def step(self, words, memory):
        """Take one word a row: (R,) to logits (R, V), the next states (R, H) and the attention weights (R, C)."""
        x = self.embedding(words)  # (R, E)
        query, query_cell = LSTMStep(self.attention_lstm)(x, memory["state_reader_hidden"], memory["state_reader_cell"])
        context, weights = self.attention(query, memory["context_keys"], memory["context_values"])  # (R, H)
        both = ops.concatenate([query, context], axis=-1)  # (R, 2H)
        hidden, cell = LSTMStep(self.language_lstm)(both, memory["state_writer_hidden"], memory["state_writer_cell"])
        states = {
            ATTENTION: ops.reshape(ops.mean(weights, axis=1), (-1, self.config.cells)),  # (R, C)
            "state_reader_hidden": query,
            "state_reader_cell": query_cell,
            "state_writer_hidden": hidden,
            "state_writer_cell": cell,
        }
        return self.logits(ops.concatenate([hidden, context], axis=-1)), states

    def project_cells(self, features):
        """Project the cells to keys and values by head: (N, C, D) to twice (N, heads, C, H / heads)."""
        width = self.config.state // self.config.heads
        for layer in (self.keys, self.values):
            by_head = ops.reshape(layer(features), (-1, self.config.cells, self.config.heads, width))
            yield ops.transpose(by_head, (0, 2, 1, 3))
