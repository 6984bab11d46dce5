"""Photographs captioned from files a second, beside the bare encoder and the scheme of the tutorials; all on two threads.

python benchmarks/throughput.py FOLDER [COUNT]

FOLDER holds photographs of about 500x375, as Flickr8k's; 200 of them are also enlarged to 12 megapixels. The bare encoder is
the captioner's encoder graph under LiteRT at its best batch, fed with pictures decoded before. The scheme of the tutorials
is VGG16 features by ``predict``, image by image, then a Keras ``predict`` of a merge decoder for every word (J. Brownlee's
"How to Develop a Deep Learning Photo Caption Generator", 2017), with random weights and captions of ten words.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from capgen import bundle, images
from capgen.captioner import Captioner
from capgen.litert import Graph
from capgen.selection import Selection

THREADS = 2
BATCHES = (1, 2, 4, 8)
ROUNDS = 5
LARGE, LARGE_SIZE = 200, (4000, 3000)
CLASSIC, CLASSIC_WORDS, CLASSIC_LONGEST = 5, 10, 34


def bare_encoder(graph: Graph, pixels: np.ndarray, batch: int) -> float:
    """Return images a second of the encoder alone, on pictures decoded before: (N, S, S, 3) float32."""
    started = time.perf_counter()
    for first in range(0, len(pixels), batch):
        graph.run("encode", {"image": pixels[first : first + batch]})
    return len(pixels) / (time.perf_counter() - started)


def captioned(captioner: Captioner, paths: list[Path], beam: int) -> float:
    """Return photographs a second from files to captions."""
    started = time.perf_counter()
    done = sum(not result.failed for result in captioner.caption_many(paths, captioner.wish(beam=beam)))
    return done / (time.perf_counter() - started)


def classic() -> Callable[[list[Path]], float]:
    """Make the scheme of the tutorials; it returns photographs a second."""
    import keras
    from keras import layers

    vgg = keras.applications.VGG16(weights=None)
    features = keras.Model(vgg.inputs, vgg.layers[-2].output)
    image, words = keras.Input((4096,)), keras.Input((CLASSIC_LONGEST,))
    seen = layers.Dense(256, activation="relu")(image)
    read = layers.LSTM(256)(layers.Embedding(2540, 256)(words))
    written = layers.Dense(256, activation="relu")(layers.add([seen, read]))
    decoder = keras.Model([image, words], layers.Dense(2540, activation="softmax")(written))

    def run(paths: list[Path]) -> float:
        started = time.perf_counter()
        for path in paths:
            pixels = keras.utils.img_to_array(keras.utils.load_img(path, target_size=(224, 224)))
            vector = features.predict(keras.applications.vgg16.preprocess_input(pixels[None]), verbose=0)
            said = [1]
            for _ in range(CLASSIC_WORDS):
                padded = np.array([[0] * (CLASSIC_LONGEST - len(said)) + said])
                said.append(int(decoder.predict([vector, padded], verbose=0).argmax()))
        return len(paths) / (time.perf_counter() - started)

    return run


def main(folder: Path, count: int) -> None:
    """Measure all in turn; print medians, and the ratios of each round's rates."""
    captioner = Captioner.load(threads=THREADS)
    graph = Graph(captioner.bundle.graph(bundle.ENCODER), THREADS)
    paths = [found.path for found in Selection(recursive=True).find([str(folder)])][:count]
    preprocessing = captioner.bundle.description.preprocessing
    pixels = np.stack([images.read(path, preprocessing) for path in paths[:200]]).astype(np.float32)
    with tempfile.TemporaryDirectory() as temporary:
        large = [enlarged(path, Path(temporary)) for path in paths[:LARGE]]
        tutorial = classic()
        sides: dict[str, Callable[[], float]] = {
            "bare encoder": lambda: max(bare_encoder(graph, pixels, batch) for batch in BATCHES),
            "greedy": lambda: captioned(captioner, paths, 1),
            "beam 3": lambda: captioned(captioner, paths, 3),
            "greedy, 12 megapixels": lambda: captioned(captioner, large, 1),
            "beam 3, 12 megapixels": lambda: captioned(captioner, large, 3),
            "tutorials' scheme": lambda: tutorial(paths[:CLASSIC]),
        }
        captioned(captioner, paths[:64], 1)
        tutorial(paths[:1])
        rounds = [{name: run() for name, run in sides.items()} for _ in range(ROUNDS)]
    for name in sides:
        ratios = (
            statistics.median(one[name] / one[peer] for one in rounds) for peer in ("bare encoder", "tutorials' scheme")
        )
        rate = statistics.median(one[name] for one in rounds)
        print(
            "{:>22}: {:7.2f} images/s; {:5.2f} of the bare encoder, {:6.1f} of the tutorials' scheme".format(
                name, rate, *ratios
            )
        )


def enlarged(path: Path, folder: Path) -> Path:
    """Save a photograph as a JPEG of 12 megapixels, as a camera does."""
    target = folder / f"{path.stem}.jpg"
    with Image.open(path) as image:
        image.convert("RGB").resize(LARGE_SIZE, Image.Resampling.BICUBIC).save(target, quality=90)
    return target


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1000)
