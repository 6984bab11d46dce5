"""Extraction of features: images are decoded and encoded, and what the cache lacks is added to it shard by shard."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from capgen import images
from capgen.captioner.backends.litert import LiteRTSession
from capgen.errors import ImageError, Status, os_reason
from capgen.storage.pipeline import map_ahead
from capgen.storage.platform import processors
from capgen.training.encoder_graph import EncoderGraph
from capgen.training.features import AUGMENTATIONS, FeatureStore, feature_key

if TYPE_CHECKING:
    from capgen.batch.engines import Engine, Worker

SHARD_ROWS = 256
"""Rows of a shard, which are the most that an interrupted run loses."""

Outputs: TypeAlias = dict[str, np.ndarray]
"""The outputs of an encoder for one image by name, (1, C, D) float16 each."""


@dataclass(frozen=True)
class Extraction:
    """An image whose features are to be extracted.

    Attributes:
        image_hash: The SHA-256 of the bytes that its file had when it was checked.
        path: The file.
        augmentations: The augmentations whose features are missing.
    """

    image_hash: str
    path: Path
    augmentations: tuple[str, ...]


def extract(
    graph: EncoderGraph,
    store: FeatureStore,
    files: Iterable[tuple[str, Path]],
    augmentations: Sequence[str],
    *,
    workers: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    engine: "Engine | None" = None,
) -> dict[str, ImageError]:
    """Extract the features that a store lacks, decoding on ``workers`` threads beside those of the encoder.

    Args:
        graph: The encoder.
        store: Receives the features, a shard at a time.
        files: The content hash and the file of each image.
        augmentations: The names of the ``AUGMENTATIONS`` that are wanted of each image.
        workers: The number of decoding threads.
        on_progress: Called after each image with how many are done, and how many there are to do.
        engine: Whose workers extract the features, if they are elsewhere; entered.

    Returns:
        The error of each image that could not be decoded, by its content hash.

    Raises:
        StorageError: The store cannot be written.
        EngineError: The engine cannot go on.
    """
    missing = _missing(store, files, augmentations)
    failed: dict[str, ImageError] = {}
    if not missing:
        return failed
    writer = _ShardWriter(store, graph.encoder.outputs)
    if engine is None or engine.in_this_process:
        outcomes = _extract_here(graph, missing, workers)
    else:
        outcomes = _extract_elsewhere(engine, graph, missing)
    for done, (extraction, outcome) in enumerate(zip(missing, outcomes, strict=True), 1):
        if isinstance(outcome, ImageError):
            failed[extraction.image_hash] = outcome
        else:
            writer.add(extraction, outcome)
        on_progress(done, len(missing))
    writer.flush()
    return failed


def _missing(store: FeatureStore, files: Iterable[tuple[str, Path]], augmentations: Sequence[str]) -> list[Extraction]:
    """Return what has to be extracted of each image of which the store lacks something."""
    wanted = (
        Extraction(image_hash, path, tuple(name for name in augmentations if feature_key(image_hash, name) not in store))
        for image_hash, path in files
    )
    return [extraction for extraction in wanted if extraction.augmentations]


class _ShardWriter:
    """Collects features, and writes them whenever there are enough for a shard.

    Args:
        store: Where they are written.
        outputs: The names of the encoder's outputs.
    """

    def __init__(self, store: FeatureStore, outputs: Iterable[str]) -> None:
        self._store = store
        self._keys: list[str] = []
        self._rows: dict[str, list[np.ndarray]] = {name: [] for name in outputs}

    def add(self, extraction: Extraction, features: Sequence[Outputs]) -> None:
        """Add the features of an image, one for each of its augmentations."""
        for augmentation, outputs in zip(extraction.augmentations, features, strict=True):
            self._keys.append(feature_key(extraction.image_hash, augmentation))
            for name, rows in self._rows.items():
                rows.append(outputs[name])
        if len(self._keys) >= SHARD_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what there is."""
        if self._keys:
            self._store.write(self._keys, {name: np.concatenate(rows) for name, rows in self._rows.items()})
            self._keys.clear()
            for rows in self._rows.values():
                rows.clear()


def _extract_here(
    graph: EncoderGraph, extractions: Sequence[Extraction], workers: int
) -> Iterator[list[Outputs] | ImageError]:
    session = LiteRTSession(graph.path, threads=processors())
    preprocessing = graph.encoder.preprocessing
    decoded = map_ahead(lambda extraction: _decode(extraction, preprocessing), extractions, workers)
    for extraction, pixels in decoded:
        yield pixels if isinstance(pixels, ImageError) else _encode(session, pixels, extraction.augmentations)


def _extract_elsewhere(
    engine: "Engine", graph: EncoderGraph, extractions: Sequence[Extraction]
) -> Iterator[list[Outputs] | ImageError]:
    items = (replace(extraction, path=extraction.path.absolute()) for extraction in extractions)
    return engine.map(ExtractionWork(graph.path.read_bytes(), graph.encoder.preprocessing), items)


@dataclass(frozen=True)
class ExtractionWork:
    """Extracts features in a worker of an engine, on one processor.

    Attributes:
        graph: The content of the encoder's graph.
        preprocessing: How an image is made into its input.
    """

    graph: bytes
    preprocessing: images.Preprocessing

    def start(self) -> "Worker":
        """Open the graph, and return the function that extracts features.

        It gives the outputs of each image for each augmentation, or the error if the image cannot be decoded.
        """
        session = LiteRTSession(self.graph, threads=1)

        def extract_all(extractions: Iterable[Extraction]) -> Iterator[list[Outputs] | ImageError]:
            for extraction in extractions:
                pixels = _decode(extraction, self.preprocessing)
                yield pixels if isinstance(pixels, ImageError) else _encode(session, pixels, extraction.augmentations)

        return extract_all

    def given_up(self, extraction: Extraction, error: ImageError) -> ImageError:
        """Return the error of an image whose features cannot be extracted."""
        return error


def _decode(extraction: Extraction, preprocessing: images.Preprocessing) -> np.ndarray | ImageError:
    """Return the pixels of an image, (S, S, 3) uint8, or the error if it cannot be read or has changed."""
    try:
        data = extraction.path.read_bytes()
        if hashlib.sha256(data).hexdigest() != extraction.image_hash:
            return ImageError(Status.MISSING, "it has changed since it was checked")
        return images.read(data, preprocessing)
    except ImageError as error:
        return error
    except OSError as error:
        return ImageError(Status.MISSING, os_reason(error))


def _encode(session: LiteRTSession, pixels: np.ndarray, augmentations: Sequence[str]) -> list[Outputs]:
    """Return the outputs of the encoder for each augmentation of an image."""
    inputs = (AUGMENTATIONS[name](pixels)[None].astype(np.float32) for name in augmentations)  # (1, S, S, 3) each
    encoded = (session.run("encode", {"image": image}) for image in inputs)
    return [{name: array.astype(np.float16) for name, array in outputs.items()} for outputs in encoded]
