"""The feature cache: what an encoder's graph said of a picture, computed once and kept by content.

A store is a folder of shards. A shard is a float16 array (rows, C, D) an output, memory-mapped when read, and a list of
its rows' keys, which is written last: a shard without it does not exist. A key is the SHA-256 of the image file's bytes
and the view; the folder's name covers the encoder's weights and preprocessing. Names and times of files play no part.
Whoever uses a store holds its lock together with others; ``capgen.training.cache`` removes files only while nobody does.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from capgen import images
from capgen.captioner import bundle
from capgen.captioner.backends.litert import LiteRTSession
from capgen.captioner.bundle import Bundle
from capgen.captioner.slots import ClassScores, VisualWords, with_class_token
from capgen.errors import DataError, ImageError
from capgen.storage import files, paths
from capgen.storage.pipeline import map_ahead
from capgen.training.backend import load_tensorflow
from capgen.training.encoders import PROBABILITIES, Encoder
from capgen.training.encoders import encoder as find_encoder

if TYPE_CHECKING:
    from capgen.batch.engines.ray import Cluster

SHARD_ROWS = 256
"""Rows a shard; what an interrupted run loses at most."""

LOCK = ".lock"
"""The file of a store that is locked."""

MAPPED = 100
"""Shards mapped at a time; each takes a file descriptor, of which some systems give a process 256."""

VIEWS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "plain": lambda pixels: pixels,
    "flip": lambda pixels: pixels[:, ::-1],
}
"""The views of a picture that can be cached, each from (S, S, 3) to the same shape."""


@dataclass(frozen=True)
class Prepared:
    """An encoder's LiteRT graph for this machine, and what identifies its numbers."""

    encoder: Encoder
    graph: Path
    key: str

    @property
    def store_folder(self) -> Path:
        """Where its features are cached."""
        return paths.features_dir() / f"{self.encoder.name}-{self.key}"


def identify(encoder: Encoder, weights: Path | None = None) -> Prepared:
    """Say where an encoder's graph and features lie, whether they are there or not.

    Args:
        encoder: The encoder.
        weights: A file of weights in place of the encoder's own.

    Raises:
        DataError: The weights are missing.
    """
    source = weights or (encoder.weights_file if encoder.shipped else None)
    if source is not None and not source.is_file():
        raise DataError(f"there are no encoder weights at {source}; name a file with --encoder-weights")
    key = _key(encoder, source)
    return Prepared(encoder, paths.encoders_dir() / f"{encoder.name}-{key}.tflite", key)


@contextlib.contextmanager
def in_use(
    encoder: Encoder, weights: Path | None = None, on_convert: Callable[[], None] = lambda: None
) -> Iterator[Prepared]:
    """Convert an encoder once into the per-user cache, and keep its graph and its features there until the block ends.

    Later calls find the graph there and load no TensorFlow.

    Args:
        encoder: The encoder.
        weights: A file of weights in place of the encoder's own.
        on_convert: Called before it is converted, and its weights downloaded if need be.

    Raises:
        DataError: The weights are missing or do not fit.
        StorageError: The cache cannot be written.
    """
    prepared = identify(encoder, weights)
    with files.lock(prepared.store_folder / LOCK, shared=True, wait=True):  # who removes from it is done in a moment
        if not prepared.graph.exists():
            on_convert()
            load_tensorflow()
            from capgen.training.litert_export import to_litert

            with contextlib.redirect_stdout(sys.stderr):  # where Keras shows a download
                model = encoder.build(weights)
            to_litert({"encode": model}, prepared.graph)
        yield prepared


@contextlib.contextmanager
def own_encoder(captioner: Bundle) -> Iterator[Prepared]:
    """Use the encoder inside a captioner, as ``in_use`` does.

    Args:
        captioner: Its graph goes into the cache beside the features that it computes.

    Raises:
        UnknownNameError: It is an encoder that this version does not know.
        BundleError: The captioner is damaged.
        StorageError: The cache cannot be written.
    """
    described = captioner.description.encoder
    encoder = find_encoder(str(described.get("name")))
    graph = captioner.read(bundle.ENCODER)
    shapes = LiteRTSession(graph, threads=1).outputs("encode")
    encoder = dataclasses.replace(
        encoder,
        outputs={name: (shape[0], shape[-1]) for name, shape in shapes.items() if name in encoder.outputs},
        preprocessing=captioner.description.preprocessing,
        origin=described.get("origin", encoder.origin),
    )
    key = hashlib.sha256(graph).hexdigest()[:16]  # not what the captioner says, which a stranger may have written
    prepared = Prepared(encoder, paths.encoders_dir() / f"{encoder.name}-{key}.tflite", key)
    with files.lock(prepared.store_folder / LOCK, shared=True, wait=True):
        if not prepared.graph.exists():
            files.write_bytes(prepared.graph, graph)
        yield prepared


def _key(encoder: Encoder, weights: Path | None) -> str:
    """Identify the numbers that an encoder gives: architecture, weights, preprocessing."""
    weights_hash = files.sha256(weights) if weights else encoder.origin
    revision = str(encoder.revision)
    if encoder.given_revision and weights != encoder.weights_file:
        revision += f".{encoder.given_revision}"
    recipe = (encoder.name, weights_hash, repr(encoder.preprocessing), revision)
    return hashlib.sha256("\n".join(recipe).encode()).hexdigest()[:16]


class FeatureStore:
    """The cached features of one encoder.

    Args:
        folder: Where its shards lie, ``Prepared.store_folder``.
    """

    def __init__(self, folder: Path) -> None:
        """List the shards that are there."""
        self.folder = folder
        self._rows: dict[str, tuple[str, int]] = {}
        self._map = functools.lru_cache(MAPPED)(self._mapped)
        present = {path.name.partition(".")[0] for path in self.folder.glob("*.npy")}
        for listing in sorted(self.folder.glob("*.json")):
            if listing.stem in present:  # else its arrays were lost, and are computed again
                self._add(listing.stem, shard_keys(listing))

    def _add(self, shard: str, keys: Sequence[str]) -> None:
        self._rows.update({key: (shard, row) for row, key in enumerate(keys)})

    def __contains__(self, key: str) -> bool:
        """Whether the features of ``key`` are there."""
        return key in self._rows

    def write(self, keys: Sequence[str], outputs: dict[str, np.ndarray]) -> None:
        """Add a shard.

        Args:
            keys: One a row.
            outputs: Output name to (rows, C, D).

        Raises:
            StorageError: It cannot be written; the store is as before.
        """
        shard = hashlib.sha256("\n".join(keys).encode()).hexdigest()[:24]
        for name, values in outputs.items():
            write = functools.partial(_save, values.astype(np.float16))
            files.write_with(self.folder / f"{shard}.{name}.npy", write)
        files.write_json(self.folder / f"{shard}.json", list(keys))
        self._add(shard, keys)

    def row(self, key: str, output: str) -> np.ndarray:
        """Return the features of ``key``: (C, D) float16, a view of the mapped file."""
        shard, row = self._rows[key]
        return self._map(shard, output)[row]

    def _mapped(self, shard: str, output: str) -> np.ndarray:
        return np.load(self.folder / f"{shard}.{output}.npy", mmap_mode="r", allow_pickle=False)

    def rows(self, keys: Sequence[str], output: str) -> np.ndarray:
        """Return the features of several keys: (N, C, D) float16."""
        return np.stack([self.row(key, output) for key in keys])


class CachedFeatures:
    """Features as a decoder takes them.

    Args:
        store: The cache.
        output: Which output of the encoder.
        names: What the encoder's own classes are called, if the decoder sees how sure it is of them.
    """

    def __init__(self, store: FeatureStore, output: str, names: VisualWords | None = None) -> None:
        """Keep them."""
        self.visual_words = names
        self._store, self._output = store, output

    def rows(self, keys: Sequence[str]) -> np.ndarray:
        """Return the features of several keys: (N, C, D) float16."""
        grids = self._store.rows(keys, self._output)
        class_scores_list = [self.class_scores(key) for key in keys]
        return np.stack(
            [
                with_class_token(g, class_scores.cell()) if class_scores else g
                for g, class_scores in zip(grids, class_scores_list, strict=True)
            ]
        )

    def class_scores(self, key: str) -> ClassScores | None:
        """Return what the encoder guesses that ``key`` shows; ``None`` without names."""
        return self.visual_words.class_scores(self._store.row(key, PROBABILITIES)[0]) if self.visual_words else None


def shard_keys(listing: Path) -> list[str]:
    """Read the keys of a shard; of a damaged list none, so that its pictures are computed again."""
    try:
        keys = json.loads(listing.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return keys if isinstance(keys, list) else []


def _save(rows: np.ndarray, file: BinaryIO) -> None:
    np.save(file, rows, allow_pickle=False)


def view_key(image_hash: str, view: str) -> str:
    """Return the cache key of a view of the image whose bytes hash to ``image_hash``."""
    return image_hash if view == "plain" else f"{image_hash}|{view}"


def extract(
    prepared: Prepared,
    store: FeatureStore,
    pictures: Iterable[tuple[str, Path]],
    views: Sequence[str],
    *,
    workers: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    cluster: "Cluster | None" = None,
) -> dict[str, ImageError]:
    """Compute the features that the store lacks, decoding on ``workers`` threads beside the encoder's own.

    Args:
        prepared: The encoder.
        store: Where they go, a shard at a time.
        pictures: Pairs of content hash and file.
        views: Names of ``VIEWS``.
        workers: Decoding threads.
        on_progress: Called after each picture with how many are done and how many are to do.
        cluster: Whose workers do it, instead of this machine.

    Returns:
        What could not be decoded: content hash to the reason.
    """
    missing = [
        (image_hash, path, [view for view in views if view_key(image_hash, view) not in store])
        for image_hash, path in pictures
    ]
    missing = [entry for entry in missing if entry[2]]
    failed: dict[str, ImageError] = {}
    if not missing:
        return failed
    keys: list[str] = []
    rows: dict[str, list[np.ndarray]] = {name: [] for name in prepared.encoder.outputs}

    def flush() -> None:
        if keys:
            store.write(keys, {name: np.concatenate(parts) for name, parts in rows.items()})
            keys.clear()
            for parts in rows.values():
                parts.clear()

    outcomes = _by_cluster(cluster, prepared, missing) if cluster else _here(prepared, missing, workers)
    for done, ((image_hash, _, wanted), outcome) in enumerate(zip(missing, outcomes, strict=True), 1):
        if isinstance(outcome, ImageError):
            failed[image_hash] = outcome
        else:
            for view, outputs in zip(wanted, outcome, strict=True):
                keys.append(view_key(image_hash, view))
                for name, parts in rows.items():
                    parts.append(outputs[name])
        if len(keys) >= SHARD_ROWS:
            flush()
        on_progress(done, len(missing))
    flush()
    return failed


Wanted = tuple[str, Path, list[str]]
"""Content hash and file of a picture, and the views that are wanted of it."""


def _here(prepared: Prepared, pictures: Sequence[Wanted], workers: int) -> Iterator[Any]:
    graph = LiteRTSession(prepared.graph, threads=os.cpu_count() or 1)
    preprocessing = prepared.encoder.preprocessing
    for (_, _, views), pixels in map_ahead(lambda one: _pixels(one, preprocessing), pictures, workers):
        yield pixels if isinstance(pixels, ImageError) else _described(graph, pixels, views)


def _by_cluster(cluster: "Cluster", prepared: Prepared, pictures: Sequence[Wanted]) -> Iterator[Any]:
    items = [(image_hash, os.fsencode(path.absolute()), views) for image_hash, path, views in pictures]
    arguments = (prepared.graph.read_bytes(), prepared.encoder.preprocessing)
    return cluster.map(DescribeWork, arguments, items)


class DescribeWork:
    """What a worker of a cluster does: describes pictures on one processor.

    Args:
        graph: The encoder.
        preprocessing: What it takes.
    """

    def __init__(self, graph: bytes, preprocessing: images.Preprocessing) -> None:
        """Open the graph."""
        self._graph, self._preprocessing = LiteRTSession(graph, threads=1), preprocessing

    def __call__(self, items: Sequence[tuple[str, bytes, list[str]]]) -> list[Any]:
        """Describe pictures, given as content hash, path and views; each gives a dictionary a view, or an ``ImageError``."""
        found = []
        for image_hash, path, views in items:
            pixels = _pixels((image_hash, Path(os.fsdecode(path)), views), self._preprocessing)
            found.append(pixels if isinstance(pixels, ImageError) else _described(self._graph, pixels, views))
        return found


def _pixels(picture: Wanted, preprocessing: images.Preprocessing) -> np.ndarray | ImageError:
    """Decode a picture, if it is still what was checked."""
    image_hash, path, _ = picture
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != image_hash:
            return ImageError("vanished", "it has changed since it was checked")
        return images.read(data, preprocessing)
    except ImageError as error:
        return error
    except OSError as error:
        return ImageError("vanished", error.strerror or str(error))


def _described(graph: LiteRTSession, pixels: np.ndarray, views: Sequence[str]) -> list[dict[str, np.ndarray]]:
    """Return the outputs of an encoder for views of a picture, (1, ...) float16 each."""
    described = (graph.run("encode", {"image": VIEWS[view](pixels)[None].astype(np.float32)}) for view in views)
    return [{name: array.astype(np.float16) for name, array in outputs.items()} for outputs in described]
