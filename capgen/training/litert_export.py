"""``to_litert``: Keras models to one LiteRT graph."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import keras
import numpy as np

from capgen.errors import TrainingError
from capgen.storage import files
from capgen.storage.stderr import suppress_lines

WeightType = Literal["float16", "int8"]
"""The type of the numbers that a graph keeps large matrices as."""


def to_litert(models: Mapping[str, keras.Model], path: Path, weights: WeightType = "float16") -> None:
    """Write one ``.tflite`` file with a signature for each model; every batch dimension is free.

    Args:
        models: Signature name to a functional model whose inputs and outputs are dictionaries or a single tensor.
        path: The file to write, whole or not at all.
        weights: The type of large matrices: ``float16``, which are computed with as float32, or ``int8`` with a scale for
            each column, which are multiplied with rows that are rounded to int8 on the fly (dynamic-range quantisation).

    Raises:
        TrainingError: The converter left weights out, or Keras does not run on TensorFlow.
    """
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        raise TrainingError("the encoder's graph is gone from the cache; run capgen prepare again, it goes on")
    archive = keras.export.ExportArchive()
    for name, model in models.items():
        archive.track(model)
        archive.add_endpoint(name, _function(model), [_specification(model)])
    with tempfile.TemporaryDirectory() as folder, suppress_lines((b"",)):
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(models))
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if weights == "float16":
            converter.target_spec.supported_types = [tf.float16]
        graph = converter.convert()
    sizes = {id(w): int(np.prod(w.shape)) for model in models.values() for w in model.weights}
    if len(graph) < _BYTES[weights] * sum(sizes.values()) * 0.9:
        raise TrainingError(f"the converter left weights out of {path.name}; this is a fault of capgen, please report it")
    files.write_bytes(path, graph)


_BYTES: dict[WeightType, int] = {"float16": 2, "int8": 1}
"""The bytes of one number."""


def _function(model: keras.Model):
    def call(inputs):
        return model(inputs, training=False)

    return call


def _specification(model: keras.Model):
    import tensorflow as tf

    if isinstance(model.input, dict):
        return {name: tf.TensorSpec(tensor.shape, tensor.dtype, name) for name, tensor in model.input.items()}
    return tf.TensorSpec(model.input.shape, model.input.dtype, model.input.name)
