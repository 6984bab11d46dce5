"""Importing TensorFlow without what it prints on the way."""

import importlib.util
import os

from capgen.errors import TrainingError
from capgen.storage.stderr import suppress_lines


def load_tensorflow(*, gpus: bool = True) -> None:
    """Import TensorFlow and let it look for devices, which prints a dozen lines that no setting turns off.

    Args:
        gpus: Whether TensorFlow may use GPUs.

    Raises:
        TrainingError: It is not installed.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise TrainingError("preparing and training take TensorFlow, which is not installed here: pip install tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with suppress_lines((b"",)):
        import tensorflow as tf

        if not gpus:
            tf.config.set_visible_devices([], "GPU")
        tf.constant(0)
