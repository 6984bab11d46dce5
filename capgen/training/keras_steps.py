"""A Keras decoder as the step function that a search takes: the reference that the exported graph must equal."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from capgen.captioner.decoding import Arrays, DecoderOutput, graph_memory_and_state
from capgen.training.decoders.decoder import Decoder


class KerasSteps:
    """Runs a decoder's two step models.

    Args:
        decoder: Its layers may go on training; what is run is always their present weights.
    """

    def __init__(self, decoder: Decoder) -> None:
        """Trace both models."""
        self.begin_model, self.step_model = decoder.begin_model(), decoder.step_model()
        self._begin, self._step = runner(self.begin_model), runner(self.step_model)
        if keras.backend.backend() == "jax":
            self._begin, self._step = _rounded(self._begin), _rounded(self._step)

    def init_state(self, features: np.ndarray) -> tuple[Arrays, Arrays]:
        """Return encoder memory and decoder state of images (N, C, D); see ``StepFunction``."""
        return graph_memory_and_state(_arrays(self._begin({"features": np.asarray(features, np.float32)})))

    def step(self, words: np.ndarray, memory: Arrays, state: Arrays) -> DecoderOutput:
        """Score what may follow the words (R,); see ``StepFunction``."""
        return DecoderOutput.from_graph(_arrays(self._step({"words": words, **memory, **state})))


def _arrays(outputs) -> Arrays:
    return {name: np.array(tensor) for name, tensor in outputs.items()}


def runner(model: keras.Model) -> Callable[[Any], Any]:
    """Compile a model for batches of any size, without dropout, with its present weights, in this process alone."""
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
        # every device has a copy of the weights; that of this process's first is used, lest the others be waited for
        trained, others = (
            [variable.value.addressable_data(0) for variable in group]
            for group in (model.trainable_variables, model.non_trainable_variables)
        )
        return run(trained, others, inputs)

    return call


def _rounded(run: Callable[[Any], Any]) -> Callable[[Arrays], Arrays]:
    """Let a model see few sizes of batches: JAX compiles it anew for each, and a search has fewer rows from word to word."""

    def call(inputs: Arrays) -> Arrays:
        lengths = [len(array) for array in inputs.values()]
        images, rows = min(lengths), max(lengths)
        each = rows // images
        sizes = {rows: _power(images) * (each if images > 1 else _power(each)), images: _power(images)}
        if images == rows:
            sizes[rows] = _power(images)
        wide = {name: np.resize(array, (sizes[len(array)], *array.shape[1:])) for name, array in inputs.items()}
        return {name: np.asarray(output)[:rows] for name, output in run(wide).items()}

    return call


def _power(count: int) -> int:
    """The least power of two that is not less."""
    return 1 << (count - 1).bit_length()
