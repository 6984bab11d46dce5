"""A Keras decoder as the step function that a search takes: the reference that the exported graph must equal."""

import numpy as np

from capgen.decoding import ATTENTION, Arrays
from capgen.training.decoders.decoder import Decoder


class KerasSteps:
    """Runs a decoder's two step models.

    Args:
        decoder: Its layers may go on training; what is run is always their present weights.
    """

    def __init__(self, decoder: Decoder) -> None:
        """Trace both models."""
        import tensorflow as tf

        self.begin_model, self.step_model = decoder.begin_model(), decoder.step_model()
        self._begin = tf.function(lambda inputs: self.begin_model(inputs, training=False), reduce_retracing=True)
        self._step = tf.function(lambda inputs: self.step_model(inputs, training=False), reduce_retracing=True)

    def begin(self, features: np.ndarray) -> Arrays:
        """See ``StepFunction.begin``."""
        return _arrays(self._begin({"features": np.asarray(features, np.float32)}))

    def step(self, inputs: Arrays) -> Arrays:
        """See ``StepFunction.step``."""
        outputs = self._step(inputs)
        outputs.pop(ATTENTION, None)
        return _arrays(outputs)


def _arrays(outputs) -> Arrays:
    return {name: np.array(tensor) for name, tensor in outputs.items()}
