"""Photographs captioned from files a second, beside the bare encoder and the scheme of the tutorials; all on two threads.

python benchmarks/throughput.py FOLDER [COUNT]

FOLDER holds photographs of about 500x375, as Flickr8k's; 200 of them are also enlarged to 12 megapixels. The bare encoder is
the captioner's encoder graph under LiteRT at its best batch, fed with images decoded before. The scheme of the tutorials
is VGG16 features by ``predict``, image by image, then a Keras ``predict`` of a merge decoder for every word (J. Brownlee's
"How to Develop a Deep Learning Photo Caption Generator", 2017), with random weights and captions of ten words.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from capgen import images
from capgen.captioner import bundle
from capgen.captioner.backends.litert import LiteRTSession
from capgen.captioner.captioner import Captioner
from capgen.captioner.request import CaptionRequest
from capgen.inputs.selection import Selection

THREADS = 2
BATCHES = (1, 2, 4, 8)
SHARE, LARGE_SHARE, CLASSIC_SHARE = 200, 40, 4
LARGE, LARGE_SIZE = 200, (4000, 3000)
CLASSIC = "tutorials' scheme"
CLASSIC_WORDS, CLASSIC_LONGEST = 10, 34


def bare_encoder(graph: LiteRTSession, pixels: np.ndarray, batch: int) -> None:
    """Run the encoder alone, on images decoded before: (N, S, S, 3) float32."""
    for first in range(0, len(pixels), batch):
        graph.run("encode", {"image": pixels[first : first + batch]})


def captioned(captioner: Captioner, paths: list[Path], beam: int) -> None:
    """Caption photographs from files."""
    assert not any(result.failed for result in captioner.caption_many(paths, CaptionRequest(num_beams=beam)))


def classic() -> Callable[[list[Path]], None]:
    """Make the scheme of the tutorials."""
    import keras
    from keras import layers

    vgg = keras.applications.VGG16(weights=None)
    features = keras.Model(vgg.inputs, vgg.layers[-2].output)
    image, words = keras.Input((4096,)), keras.Input((CLASSIC_LONGEST,))
    projected = layers.Dense(256, activation="relu")(image)
    read = layers.LSTM(256)(layers.Embedding(2540, 256)(words))
    written = layers.Dense(256, activation="relu")(layers.add([projected, read]))
    decoder = keras.Model([image, words], layers.Dense(2540, activation="softmax")(written))

    def run(paths: list[Path]) -> None:
        for path in paths:
            pixels = keras.utils.img_to_array(keras.utils.load_img(path, target_size=(224, 224)))
            vector = features.predict(keras.applications.vgg16.preprocess_input(pixels[None]), verbose=0)
            caption = [1]
            for _ in range(CLASSIC_WORDS):
                padded = np.array([[0] * (CLASSIC_LONGEST - len(caption)) + caption])
                caption.append(int(decoder.predict([vector, padded], verbose=0).argmax()))

    return run


def main(folder: Path, count: int) -> None:
    """Let all sides take a share of the photographs in turn, so that a drifting machine slows them alike."""
    captioner = Captioner.load(threads=THREADS)
    graph = LiteRTSession(captioner.bundle.graph(bundle.ENCODER), THREADS)
    paths = [found.path for found in Selection(recursive=True).find([str(folder)])][:count]
    preprocessing = captioner.bundle.description.preprocessing
    pixels = np.stack([images.read(path, preprocessing) for path in paths[:SHARE]]).astype(np.float32)
    tutorial = classic()
    with tempfile.TemporaryDirectory() as temporary:
        large = [enlarged(path, Path(temporary)) for path in paths[:LARGE]]
        sides: dict[str, tuple[Callable[[list[Path]], None], list[Path], int]] = {
            **{f"bare encoder, batch {n}": (partial(_bare, graph, pixels, n), paths, SHARE) for n in BATCHES},
            "greedy": (partial(_ours, captioner, 1), paths, SHARE),
            "beam 3": (partial(_ours, captioner, 3), paths, SHARE),
            "greedy, 12 megapixels": (partial(_ours, captioner, 1), large, LARGE_SHARE),
            "beam 3, 12 megapixels": (partial(_ours, captioner, 3), large, LARGE_SHARE),
            CLASSIC: (tutorial, paths, CLASSIC_SHARE),
        }
        captioned(captioner, paths[:64], 1)
        tutorial(paths[:1])
        seconds, done = dict.fromkeys(sides, 0.0), dict.fromkeys(sides, 0)
        for first in range(0, len(paths), SHARE):
            for name, (run, files, share) in sides.items():
                part = files[first // SHARE * share :][:share]
                started = time.perf_counter()
                run(part)
                seconds[name] += time.perf_counter() - started
                done[name] += len(part)
    rates = {name: done[name] / seconds[name] for name in sides if done[name]}
    best = max((name for name in rates if name.startswith("bare")), key=rates.__getitem__)
    for name in (best, *(name for name in rates if not name.startswith("bare"))):
        ratios = f"{rates[name] / rates[best]:.2f} of the bare encoder, {rates[name] / rates[CLASSIC]:.1f} of the {CLASSIC}"
        print(f"{name:>22}: {rates[name]:6.1f} images/s, {ratios}")


def _bare(graph: LiteRTSession, pixels: np.ndarray, batch: int, part: list[Path]) -> None:
    bare_encoder(graph, pixels[: len(part)], batch)


def _ours(captioner: Captioner, beam: int, part: list[Path]) -> None:
    captioned(captioner, part, beam)


def enlarged(path: Path, folder: Path) -> Path:
    """Save a photograph as a JPEG of 12 megapixels, as a camera does."""
    target = folder / f"{path.stem}.jpg"
    with Image.open(path) as image:
        image.convert("RGB").resize(LARGE_SIZE, Image.Resampling.BICUBIC).save(target, quality=90)
    return target


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1000)
