"""Caption tokens a second of a training step, beside the scheme of the tutorials: a row a prefix with a one-hot target.

Both train the same ``merge`` decoder on the same features (the 4096 numbers of the classic) and captions, whose lengths
are spread like Flickr8k's. capgen takes whole captions, cut to 16 words. The tutorials' scheme makes each prefix a row of
its own, padded to the longest caption (34 in J. Brownlee's "How to Develop a Deep Learning Photo Caption Generator",
2017), takes the LSTM's last state and compares with a one-hot vector. A token is a word, or the end mark, that is predicted.
"""

import time
from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops

from capgen.training.batches import teacher_forced
from capgen.training.config import TrainingConfig
from capgen.training.decoders.decoder import Shape
from capgen.training.decoders.merge import MergeDecoder, unit_vector
from capgen.training.loop import CaptionLoss
from capgen.vocabulary import END, START

IMAGES, CAPTIONS = 64, 5
MEAN_WORDS, SPREAD = 10.8, 3.7
LONGEST = 34
SHAPE = Shape(cells=1, channels=4096, vocabulary=2540, embedding=256, state=256, dropout=0.5)
RUNS = 7


def draw(random: np.random.Generator) -> tuple[np.ndarray, list[list[list[int]]]]:
    """Draw features (N, C, D) and the word ids of each image's captions."""
    features = random.random((IMAGES, SHAPE.cells, SHAPE.channels), dtype=np.float32)
    lengths = random.normal(MEAN_WORDS, SPREAD, (IMAGES, CAPTIONS)).round().clip(3, LONGEST - 2).astype(int)
    return features, [[random.integers(4, SHAPE.vocabulary, n).tolist() for n in row] for row in lengths]


def whole_captions(features: np.ndarray, captions: list[list[list[int]]]) -> float:
    """Return tokens a second of capgen's step."""
    steps = TrainingConfig().maximum_words + 1
    model = MergeDecoder(SHAPE).training_model(CAPTIONS, steps)
    model.compile(keras.optimizers.Adam(1e-3), CaptionLoss(0.0), jit_compile=False)

    def step() -> None:
        words, targets = teacher_forced(captions, CAPTIONS, steps)
        model.train_on_batch({"features": features, "words": words}, targets)

    _, targets = teacher_forced(captions, CAPTIONS, steps)
    return int((targets > 0).sum()) / best_time(step)


def prefix_rows(features: np.ndarray, captions: list[list[list[int]]]) -> float:
    """Return tokens a second of the prefix scheme, with the rows of all five captions of one image a step."""
    decoder = MergeDecoder(SHAPE)
    image, prefix = keras.Input((SHAPE.cells, SHAPE.channels)), keras.Input((LONGEST,), dtype="int32")
    length = keras.Input((1,), dtype="int32")
    states = decoder.lstm(decoder.dropouts["word"](decoder.embedding(prefix)))  # (rows, T, H)
    last = ops.take_along_axis(states, length[:, :, None] - 1, axis=1)[:, 0]  # (rows, H)
    pictured = decoder.image(decoder.dropouts["image"](unit_vector(image)))
    scores = decoder.scores(ops.concatenate([decoder.dropouts["state"](last), pictured], axis=-1))
    model = keras.Model([image, prefix, length], layers.Softmax()(scores))
    model.compile(keras.optimizers.Adam(1e-3), "categorical_crossentropy", jit_compile=False)

    def step() -> None:
        prefixes, lengths, targets = [], [], []
        for ids in captions[0]:
            said = [START, *ids, END]
            for count in range(1, len(said)):
                prefixes.append(said[:count] + [0] * (LONGEST - count))
                lengths.append([count])
                targets.append(keras.utils.to_categorical(said[count], SHAPE.vocabulary))
        pictures = np.repeat(features[:1], len(prefixes), axis=0)
        model.train_on_batch([pictures, np.array(prefixes), np.array(lengths)], np.stack(targets))

    return sum(len(ids) + 1 for ids in captions[0]) / best_time(step)


def best_time(step: Callable[[], None]) -> float:
    """Return the shortest of some runs, after two that compile."""
    times = []
    for _ in range(RUNS + 2):
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return min(times[2:])


if __name__ == "__main__":
    drawn = draw(np.random.default_rng(0))
    ours, theirs = whole_captions(*drawn), prefix_rows(*drawn)
    print(f"whole captions: {ours:,.0f} tokens/s; a row a prefix: {theirs:,.0f} tokens/s; ratio {ours / theirs:.1f}")
