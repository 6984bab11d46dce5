"""Images captioned greedily from files, beside the bare encoder graph under LiteRT at its best batch; both on two threads.

python benchmarks/throughput.py FOLDER [COUNT]
"""

import sys
import time
from pathlib import Path

import numpy as np

from capgen import bundle, images
from capgen.batch import caption_files, discover
from capgen.captioner import Captioner
from capgen.decoding import DecodingOptions
from capgen.litert import Graph

THREADS = 2
BATCHES = (1, 2, 4, 8)
ROUNDS = 3


def bare_encoder(graph: Graph, pixels: np.ndarray, batch: int) -> float:
    """Return images a second of the encoder alone, on pictures decoded before: (N, S, S, 3) float32."""
    started = time.perf_counter()
    for first in range(0, len(pixels), batch):
        graph.run("encode", {"image": pixels[first : first + batch]})
    return len(pixels) / (time.perf_counter() - started)


def main(folder: Path, count: int) -> None:
    """Measure both sides in turn and print the median of each and the ratio."""
    captioner = Captioner.load(threads=THREADS)
    graph = Graph(captioner.bundle.graph(bundle.ENCODER), THREADS)
    paths = list(discover([folder], recursive=True))[:count]
    pixels = np.stack([images.read(path, captioner.preprocessing) for path in paths[:200]]).astype(np.float32)
    options = DecodingOptions(beam=1)
    list(caption_files(captioner, paths[:64], options, workers=THREADS))
    ours, theirs = [], []
    for _ in range(ROUNDS):
        theirs.append(max(bare_encoder(graph, pixels, batch) for batch in BATCHES))
        started = time.perf_counter()
        done = sum(not result.failed for result in caption_files(captioner, paths, options, workers=THREADS))
        ours.append(done / (time.perf_counter() - started))
    rate, bare = sorted(ours)[ROUNDS // 2], sorted(theirs)[ROUNDS // 2]
    print(f"captioned: {rate:.1f} images/s; bare encoder: {bare:.1f} images/s; ratio {rate / bare:.2f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1000)
