"""What an encoder sees at several sizes: python benchmarks/encoders.py FLICKR8K NAMED_OBJECTS ENCODER SIZE...

Words: a ridge regression from the mean and the maximum of the grid's cells, over the train split, to the share of an image's
captions that have each of 600 words, the most frequent but the first 20; R² and mean average precision on dev. Classes: how
often the most likely of ImageNet's classes has the label's name (those of ``naming.tsv``) among the train images of
named_objects, and by which number its logits should be multiplied so that the probability of the label is best (its mean
negative logarithm beside it).
"""

import dataclasses
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from naming import accepted_names

from capgen import images
from capgen.captioner.backends.litert import LiteRTSession
from capgen.captioner.slots import VisualWords
from capgen.evaluation.metrics import tokenize
from capgen.evaluation.references import from_source
from capgen.storage.pipeline import map_ahead
from capgen.training.encoders import ENCODERS
from capgen.training.encoders.encoder import PROBABILITIES, EncoderSpec
from capgen.training.litert_export import to_litert

MOST_FREQUENT, WORDS = 20, 600
RIDGES = (1000, 3000, 6000, 12000, 24000)
SHARPNESS = (0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2.0)


def sized(name: str, size: int) -> EncoderSpec:
    """Return an encoder that takes images of another size, with its logits as they are."""
    return dataclasses.replace(ENCODERS[name], preprocessing=images.Preprocessing(size), logit_scale=1.0)


def extracted(encoder: EncoderSpec, graph: LiteRTSession, paths: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and maximum of the cells (N, 2 D) and the logarithms of the probabilities (N, 1000)."""
    pooled, classes = [], []
    for _, pixels in map_ahead(lambda path: images.read(path, encoder.preprocessing), paths, 2):
        outputs = graph.run("encode", {"image": pixels[None].astype(np.float32)})
        grid = outputs["grid"][0]
        pooled.append(np.concatenate([grid.mean(0), grid.max(0)]))
        classes.append(np.log(outputs[PROBABILITIES].ravel() + 1e-12))
    return np.array(pooled), np.array(classes)


def predicted_words(graph: LiteRTSession, encoder: EncoderSpec, folder: Path) -> tuple[float, float]:
    """Return R² and mean average precision of the words on dev."""
    split = {name: from_source(folder, name).references for name in ("train", "dev")}
    words_of = {name: [[set(tokenize(text)) for text in row.captions] for row in rows] for name, rows in split.items()}
    counts = Counter(word for texts in words_of["train"] for text in texts for word in text)
    words = [word for word, _ in counts.most_common(MOST_FREQUENT + WORDS)[MOST_FREQUENT:]]
    shares = {
        name: np.array([[np.mean([word in text for text in texts]) for word in words] for texts in captions])
        for name, captions in words_of.items()
    }
    features = {name: extracted(encoder, graph, [row.path for row in rows])[0] for name, rows in split.items()}
    mean, deviation = features["train"].mean(0), features["train"].std(0) + 1e-3
    train, dev = ((features[name] - mean) / deviation for name in ("train", "dev"))
    usual = shares["train"].mean(0)
    found = []
    for ridge in RIDGES:
        weights = np.linalg.solve(train.T @ train + ridge * np.eye(train.shape[1]), train.T @ (shares["train"] - usual))
        guessed = dev @ weights + usual
        rest = ((shares["dev"] - guessed) ** 2).sum() / ((shares["dev"] - usual) ** 2).sum()
        precisions = [precision(guessed[:, word], shares["dev"][:, word] > 0) for word in range(len(words))]
        found.append((float(1 - rest), float(np.nanmean(precisions))))
    return max(found)


def precision(scores: np.ndarray, relevant: np.ndarray) -> float:
    """Return the average precision of a ranking; NaN if nothing is relevant."""
    ranked = relevant[np.argsort(-scores)]
    return float((np.cumsum(ranked) / np.arange(1, len(ranked) + 1))[ranked].mean()) if ranked.any() else float("nan")


def predicted_classes(graph: LiteRTSession, encoder: EncoderSpec, folder: Path) -> tuple[float, float, float, float]:
    """Return the share that is named, the loss as it is, the best sharpness and the loss with it."""
    accepted = accepted_names()
    indices = {
        label: [i for name in VisualWords.imagenet().names if {name.singular, name.plural} & names for i in name.classes]
        for label, names in accepted.items()
    }
    rows = [json.loads(line) for line in (folder / "labels.jsonl").read_text().splitlines()]
    rows = [row for row in rows if row["split"] == "train" and indices.get(row["label"])]
    logs = extracted(encoder, graph, [folder / row["image"] for row in rows])[1]
    named = float(np.mean([log.argmax() in indices[row["label"]] for log, row in zip(logs, rows, strict=True)]))
    losses = {}
    for sharpness in SHARPNESS:
        sharpened = np.exp(sharpness * (logs - logs.max(1, keepdims=True)))
        sharpened /= sharpened.sum(1, keepdims=True)
        each = [np.log(p[indices[row["label"]]].sum() + 1e-9) for p, row in zip(sharpened, rows, strict=True)]
        losses[sharpness] = float(-np.mean(each))
    best = min(losses, key=losses.__getitem__)
    return named, losses[1.0], best, losses[best]


def main(flickr8k: Path, named_objects: Path, name: str, sizes: Sequence[int]) -> None:
    """Print a row a size."""
    print("size  words R²  words mAP  named  loss  best sharpness  loss")
    for size in sizes:
        encoder = sized(name, size)
        with tempfile.TemporaryDirectory() as folder:
            to_litert({"encode": encoder.build()}, Path(folder) / "encoder.tflite")
            graph = LiteRTSession(Path(folder) / "encoder.tflite", threads=2)
            explained, ranked = predicted_words(graph, encoder, flickr8k)
            named, loss, sharpness, sharpened = predicted_classes(graph, encoder, named_objects)
        print(f"{size}  {explained:.4f}  {ranked:.4f}  {named:.3f}  {loss:.3f}  {sharpness}  {sharpened:.3f}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], [int(text) for text in sys.argv[4:]])
