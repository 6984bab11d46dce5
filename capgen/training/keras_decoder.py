"""``KerasDecoder``: a Keras decoder as a search takes it, one word at a time. The exported graph must equal it."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from capgen.captioner.decoding import Arrays, DecoderOutput, graph_memory_and_state
from capgen.training.decoders.decoder import Decoder


class KerasDecoder:
    """Runs the two models of a decoder with its present weights, also while they are trained.

    Args:
        decoder: The decoder.
    """

    def __init__(self, decoder: Decoder) -> None:
        self.init_model, self.step_model = decoder.init_model(), decoder.step_model()
        self._init, self._step = runner(self.init_model), runner(self.step_model)
        if keras.backend.backend() == "jax":
            self._init, self._step = _with_few_shapes(self._init), _with_few_shapes(self._step)

    def init_state(self, features: np.ndarray) -> tuple[Arrays, Arrays]:
        """Return the encoder memory and the first decoder state of images, (N, C, D)."""
        return graph_memory_and_state(_arrays(self._init({"features": np.asarray(features, np.float32)})))

    def step(self, words: np.ndarray, memory: Arrays, state: Arrays) -> DecoderOutput:
        """Score what may follow the words, (R,)."""
        return DecoderOutput.from_graph(_arrays(self._step({"words": words, **memory, **state})))


def _arrays(outputs) -> Arrays:
    return {name: np.array(tensor) for name, tensor in outputs.items()}


def runner(model: keras.Model) -> Callable[[Any], Any]:
    """Return a compiled function that runs a model with its present weights, for batches of any size, without dropout.

    It runs in this process alone, also where several train the model.
    """
    if keras.backend.backend() == "jax":
        return _jax_runner(model)
    import tensorflow as tf

    return tf.function(lambda inputs: model(inputs, training=False), reduce_retracing=True)


def _jax_runner(model: keras.Model) -> Callable[[Any], Any]:
    import jax

    @jax.jit
    def run(trained, others, inputs):
        return model.stateless_call(trained, others, inputs, training=False)[0]

    def call(inputs):
        # Every device has a copy of the weights. That of this process's first device is used, without waiting for others.
        trained, others = (
            [variable.value.addressable_data(0) for variable in group]
            for group in (model.trainable_variables, model.non_trainable_variables)
        )
        return run(trained, others, inputs)

    return call


def _with_few_shapes(run: Callable[[Any], Any]) -> Callable[[Arrays], Arrays]:
    """Round the sizes of batches up to powers of two.

    JAX compiles a function anew for each size, and a search has fewer rows from word to word.
    """

    def call(inputs: Arrays) -> Arrays:
        lengths = [len(array) for array in inputs.values()]
        images, rows = min(lengths), max(lengths)
        beams = rows // images
        sizes = {rows: _next_power(images) * (beams if images > 1 else _next_power(beams)), images: _next_power(images)}
        if images == rows:
            sizes[rows] = _next_power(images)
        padded = {name: np.resize(array, (sizes[len(array)], *array.shape[1:])) for name, array in inputs.items()}
        return {name: np.asarray(output)[:rows] for name, output in run(padded).items()}

    return call


def _next_power(count: int) -> int:
    """Return the least power of two that is not less than ``count``."""
    return 1 << (count - 1).bit_length()
