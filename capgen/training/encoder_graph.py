"""Encoders as LiteRT graphs in the per-user cache, each under a fingerprint of the numbers that it computes.

An encoder is converted once; later uses find its graph and load no TensorFlow.
"""

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from capgen.captioner import bundle
from capgen.captioner.backends.litert import LiteRTSession
from capgen.captioner.bundle import Bundle
from capgen.errors import DataError
from capgen.storage import files, hashing, locks, paths
from capgen.training.backend import load_tensorflow
from capgen.training.encoders import ENCODERS
from capgen.training.encoders.encoder import EncoderSpec
from capgen.training.features import LOCK


@dataclass(frozen=True)
class EncoderGraph:
    """An encoder as a LiteRT graph.

    Attributes:
        encoder: The encoder.
        path: The file of the graph, which need not be there yet.
        fingerprint: A hash of what decides its features: architecture, weights and preprocessing.
    """

    encoder: EncoderSpec
    path: Path
    fingerprint: str

    @property
    def store_folder(self) -> Path:
        """The folder in which its features are cached."""
        return paths.features_dir() / f"{self.encoder.name}-{self.fingerprint}"


def encoder_graph(encoder: EncoderSpec, weights: Path | None = None) -> EncoderGraph:
    """Return where the graph and the features of an encoder lie, whether they are there or not.

    Args:
        encoder: The encoder.
        weights: A file of weights in place of the encoder's own.

    Raises:
        DataError: The weights are missing.
    """
    source = weights or (encoder.weights_file if encoder.shipped else None)
    if source is not None and not source.is_file():
        raise DataError(f"there are no encoder weights at {source}; name a file with `encoder_weights`")
    return _cached_graph(encoder, _fingerprint(encoder, source))


@contextlib.contextmanager
def use_encoder(
    encoder: EncoderSpec, weights: Path | None = None, on_convert: Callable[[], None] = lambda: None
) -> Iterator[EncoderGraph]:
    """Convert an encoder unless its graph is in the cache, and keep its graph and its features there until the block ends.

    Args:
        encoder: The encoder.
        weights: A file of weights in place of the encoder's own.
        on_convert: Called before the encoder is converted, for which its weights may have to be downloaded.

    Raises:
        DataError: The weights are missing or do not fit.
        StorageError: The cache cannot be written.
    """
    graph = encoder_graph(encoder, weights)
    with _locked(graph):
        if not graph.path.exists():
            on_convert()
            load_tensorflow()
            from capgen.training.litert_export import to_litert

            with contextlib.redirect_stdout(sys.stderr):  # Keras shows a download on stdout
                model = encoder.build(weights)
            to_litert({"encode": model}, graph.path)
        yield graph


@contextlib.contextmanager
def use_captioner_encoder(captioner: Bundle) -> Iterator[EncoderGraph]:
    """Use the encoder inside a captioner, as ``use_encoder`` does.

    Args:
        captioner: Its graph is copied into the cache.

    Raises:
        UnknownNameError: The encoder is not one that this version knows.
        BundleError: The captioner is damaged.
        StorageError: The cache cannot be written.
    """
    stored = captioner.description.encoder
    encoder: EncoderSpec = ENCODERS[str(stored.get("name"))]
    content = captioner.read(bundle.ENCODER)
    shapes = LiteRTSession(content, threads=1).outputs("encode")
    encoder = dataclasses.replace(
        encoder,
        outputs={name: (shape[0], shape[-1]) for name, shape in shapes.items() if name in encoder.outputs},
        preprocessing=captioner.description.preprocessing,
        origin=stored.get("origin", encoder.origin),
    )
    # The fingerprint is not what the captioner's description says, which a stranger may have written.
    graph = _cached_graph(encoder, hashing.fingerprint(content))
    with _locked(graph):
        if not graph.path.exists():
            files.write_bytes(graph.path, content)
        yield graph


def _cached_graph(encoder: EncoderSpec, fingerprint: str) -> EncoderGraph:
    return EncoderGraph(encoder, paths.encoders_dir() / f"{encoder.name}-{fingerprint}.tflite", fingerprint)


def _fingerprint(encoder: EncoderSpec, weights: Path | None) -> str:
    weights_hash = files.sha256(weights) if weights else encoder.origin
    revision = str(encoder.revision)
    if encoder.custom_weights_revision and weights != encoder.weights_file:
        revision += f".{encoder.custom_weights_revision}"
    parts = (encoder.name, weights_hash, repr(encoder.preprocessing), revision)
    return hashing.fingerprint("\n".join(parts))


def _locked(graph: EncoderGraph) -> contextlib.AbstractContextManager[object]:
    """Hold the lock of the store together with others; it waits for whoever removes something, which takes a moment."""
    return locks.lock(graph.store_folder / LOCK, shared=True, wait=True)
