"""Caption tokens a second of a training step, beside the scheme of the tutorials: a row a prefix with a one-hot target.

For each decoder both train the same layers on the same features and captions, whose lengths are spread like Flickr8k's:
``attention`` on a grid of 49 cells as the shipped captioner, ``merge`` on the 4096 numbers of the classic. capgen takes
whole captions, cut to 16 words. The tutorials' scheme makes each prefix a row of its own, padded to the longest caption
(34 in J. Brownlee's "How to Develop a Deep Learning Photo Caption Generator", 2017), the rows of an image's five captions
a step; it takes the last state and compares with a one-hot vector. A token is a word, or the end mark, that is predicted.
"""

import statistics
import time
from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import layers, ops

from capgen.captioner.vocabulary import END, START
from capgen.training.batches import teacher_forced
from capgen.training.config import TrainingConfig
from capgen.training.decoders import DECODERS
from capgen.training.decoders.attention import AttentionDecoder
from capgen.training.decoders.decoder import Decoder, DecoderConfig
from capgen.training.decoders.merge import MergeDecoder, image_vector
from capgen.training.losses import CaptionLoss

IMAGES, CAPTIONS = 64, 5
MEAN_WORDS, SPREAD = 10.8, 3.7
LONGEST = 34
VOCABULARY = 2540
CONFIGS = {
    "attention": DecoderConfig(cells=49, channels=1280, vocabulary=VOCABULARY),
    "merge": DecoderConfig(cells=1, channels=4096, vocabulary=VOCABULARY, embedding=256, state=256),
}
RUNS = 9


def draw(config: DecoderConfig, random: np.random.Generator) -> tuple[np.ndarray, list[list[list[int]]]]:
    """Draw features (N, C, D) and the word ids of each image's captions."""
    features = random.random((IMAGES, config.cells, config.channels), dtype=np.float32)
    lengths = random.normal(MEAN_WORDS, SPREAD, (IMAGES, CAPTIONS)).round().clip(3, LONGEST - 2).astype(int)
    return features, [[random.integers(4, VOCABULARY, n).tolist() for n in row] for row in lengths]


Step = tuple[Callable[[], None], int]
"""What a step does, and how many tokens it predicts."""


def whole_captions(decoder: Decoder, features: np.ndarray, captions: list[list[list[int]]]) -> Step:
    """Make capgen's step."""
    steps = TrainingConfig().max_words + 1
    model = decoder.training_model(steps)
    model.compile(keras.optimizers.Adam(1e-3), CaptionLoss(0.0), jit_compile=False)

    def step() -> None:
        inputs, targets = teacher_forced(captions, CAPTIONS, steps)
        model.train_on_batch({"features": features, **inputs}, targets)

    return step, len(teacher_forced(captions, CAPTIONS, steps)[1])


def prefix_rows(decoder: Decoder, features: np.ndarray, captions: list[list[list[int]]]) -> Step:
    """Make the step of the prefix scheme."""
    image, prefix = keras.Input(features.shape[1:]), keras.Input((LONGEST,), dtype="int32")
    length = keras.Input((1,), dtype="int32")
    scores = LAST_SCORES[type(decoder)](decoder, image, prefix, length)
    model = keras.Model([image, prefix, length], layers.Softmax()(scores))
    model.compile(keras.optimizers.Adam(1e-3), "categorical_crossentropy", jit_compile=False)

    def step() -> None:
        prefixes, lengths, targets = [], [], []
        for ids in captions[0]:
            said = [START, *ids, END]
            for count in range(1, len(said)):
                prefixes.append(said[:count] + [0] * (LONGEST - count))
                lengths.append([count])
                targets.append(keras.utils.to_categorical(said[count], VOCABULARY))
        images = np.repeat(features[:1], len(prefixes), axis=0)
        model.train_on_batch([images, np.array(prefixes), np.array(lengths)], np.stack(targets))

    return step, sum(len(ids) + 1 for ids in captions[0])


def merge_last_scores(decoder: MergeDecoder, image, prefix, length):
    """Score the word after each prefix: (rows, V)."""
    states = decoder.lstm(decoder.dropouts["word"](decoder.embedding(prefix)))  # (rows, T, H)
    projected = decoder.image(decoder.dropouts["image"](image_vector(image)))
    return decoder.logits(ops.concatenate([decoder.dropouts["state"](last_of(states, length)), projected], axis=-1))


def attention_last_scores(decoder: AttentionDecoder, image, prefix, length):
    """Score the word after each prefix: (rows, V)."""
    keys, values = decoder.project_cells(decoder.dropouts["grid"](image))
    read = decoder.dropouts["read"](
        decoder.attention_lstm(decoder.dropouts["word"](decoder.embedding(prefix)))
    )  # (rows, T, H)
    seen, _ = decoder.attention(ops.reshape(read, (-1, decoder.config.state)), keys, values)
    seen = ops.reshape(seen, (-1, LONGEST, decoder.config.state))  # (rows, T, H)
    written = decoder.language_lstm(ops.concatenate([read, seen], axis=-1))
    return decoder.logits(ops.concatenate([last_of(written, length), last_of(seen, length)], axis=-1))


def last_of(states, length):
    """Take each row's state at its last word: (rows, T, H), (rows, 1) to (rows, H)."""
    return ops.take_along_axis(states, length[:, :, None] - 1, axis=1)[:, 0]


LAST_SCORES = {MergeDecoder: merge_last_scores, AttentionDecoder: attention_last_scores}


def rates(steps: Sequence[Step]) -> list[float]:
    """Return the median tokens a second of each step, run in turn after two runs that compile."""
    times: list[list[float]] = [[] for _ in steps]
    for _ in range(RUNS + 2):
        for (step, _), taken in zip(steps, times, strict=True):
            started = time.perf_counter()
            step()
            taken.append(time.perf_counter() - started)
    return [tokens / statistics.median(taken[2:]) for (_, tokens), taken in zip(steps, times, strict=True)]


if __name__ == "__main__":
    for name, config in CONFIGS.items():
        drawn = draw(config, np.random.default_rng(0))
        ours, theirs = rates([make(DECODERS[name](config), *drawn) for make in (whole_captions, prefix_rows)])
        print(
            f"{name}: whole captions {ours:,.0f} tokens/s; a row a prefix {theirs:,.0f} tokens/s; ratio {ours / theirs:.1f}"
        )
