"""Importing TensorFlow without what it prints on the way."""

import os

from capgen.storage.stderr import suppress_lines


def load_tensorflow(*, gpus: bool = True) -> None:
    """Import TensorFlow and let it look for devices, which prints a dozen lines that no setting turns off.

    Args:
        gpus: Whether TensorFlow may use GPUs.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with suppress_lines((b"",)):
        import tensorflow as tf

        if not gpus:
            tf.config.set_visible_devices([], "GPU")
        tf.constant(0)
