"""The feature cache: the outputs of an encoder for an image, computed once and kept by the content of the image.

A store is a folder of shards. A shard is, for each output of the encoder, a float16 array (rows, C, D), which is memory-
mapped when it is read, and a list of its rows' keys, which is written last: a shard without its list does not exist. A key
is the SHA-256 of the image file's bytes and the augmentation; the folder's name covers the encoder's weights and
preprocessing. Names and times of files play no part. Whoever uses a store holds its lock together with others;
``capgen.training.cache`` removes files only while nobody does.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from capgen.captioner.slots import ClassScores, VisualWords, with_class_token
from capgen.storage import files
from capgen.training.encoders.encoder import PROBABILITIES

LOCK = ".lock"
"""The file in a store that is locked."""

MAPPED_SHARDS = 100
"""Shards mapped at a time; each takes a file descriptor, of which some systems give a process 256."""

PLAIN = "plain"
"""The augmentation that leaves an image as it is."""

MIRROR = "flip"
"""The augmentation that is the mirror image, in which left is right."""

AUGMENTATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    PLAIN: lambda pixels: pixels,
    MIRROR: lambda pixels: pixels[:, ::-1],
}
"""The augmentations whose features can be cached, each from pixels (S, S, 3) to the same shape."""


def feature_key(image_hash: str, augmentation: str) -> str:
    """Return the key of an augmentation of the image whose bytes hash to ``image_hash``."""
    return image_hash if augmentation == PLAIN else f"{image_hash}|{augmentation}"


class FeatureStore:
    """The cached features of one encoder.

    Args:
        folder: The folder of its shards, ``EncoderGraph.store_folder``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._rows: dict[str, tuple[str, int]] = {}
        self._map = functools.lru_cache(MAPPED_SHARDS)(self._open)
        with_arrays = {path.name.partition(".")[0] for path in self.folder.glob("*.npy")}
        for listing in sorted(self.folder.glob("*.json")):
            if listing.stem in with_arrays:  # else its arrays were lost, and are computed again
                self._add(listing.stem, shard_keys(listing))

    def _add(self, shard: str, keys: Sequence[str]) -> None:
        self._rows.update({key: (shard, row) for row, key in enumerate(keys)})

    def __contains__(self, key: str) -> bool:
        """Tell whether the features of ``key`` are in the store."""
        return key in self._rows

    def write(self, keys: Sequence[str], outputs: dict[str, np.ndarray]) -> None:
        """Add a shard.

        Args:
            keys: One a row.
            outputs: An array (rows, C, D) for each output of the encoder.

        Raises:
            StorageError: The shard cannot be written; the store is as before.
        """
        shard = hashlib.sha256("\n".join(keys).encode()).hexdigest()[:24]
        for name, values in outputs.items():
            write = functools.partial(_save, values.astype(np.float16))
            files.write_with(self.folder / f"{shard}.{name}.npy", write)
        files.write_json(self.folder / f"{shard}.json", list(keys))
        self._add(shard, keys)

    def row(self, key: str, output: str) -> np.ndarray:
        """Return one output for one key: (C, D) float16, a view of the mapped file."""
        shard, row = self._rows[key]
        features: np.ndarray = self._map(shard, output)[row]
        return features

    def _open(self, shard: str, output: str) -> np.ndarray:
        arrays: np.ndarray = np.load(self.folder / f"{shard}.{output}.npy", mmap_mode="r", allow_pickle=False)
        return arrays

    def rows(self, keys: Sequence[str], output: str) -> np.ndarray:
        """Return one output for several keys: (N, C, D) float16."""
        return np.stack([self.row(key, output) for key in keys])


class CachedFeatures:
    """Cached features in the form in which a decoder takes them.

    Args:
        store: The cache.
        output: The name of the encoder's output.
        visual_words: The names of the encoder's own classes, if the decoder takes a class-probability token, too.
    """

    def __init__(self, store: FeatureStore, output: str, visual_words: VisualWords | None = None) -> None:
        self.visual_words = visual_words
        self._store, self._output = store, output

    def rows(self, keys: Sequence[str]) -> np.ndarray:
        """Return the features of several keys: (N, C, D) float16."""
        grids = self._store.rows(keys, self._output)
        class_scores_list = [self.class_scores(key) for key in keys]
        return np.stack(
            [
                with_class_token(grid, class_scores.token()) if class_scores else grid
                for grid, class_scores in zip(grids, class_scores_list, strict=True)
            ]
        )

    def class_scores(self, key: str) -> ClassScores | None:
        """Return the encoder's class scores for ``key``; ``None`` without visual words."""
        return self.visual_words.class_scores(self._store.row(key, PROBABILITIES)[0]) if self.visual_words else None


def shard_keys(listing: Path) -> list[str]:
    """Read the keys of a shard; a damaged list has no keys, so that its images are computed again."""
    try:
        keys = json.loads(listing.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return keys if isinstance(keys, list) else []


def _save(rows: np.ndarray, file: BinaryIO) -> None:
    np.save(file, rows, allow_pickle=False)
