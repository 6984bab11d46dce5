"""Loading TensorFlow without its greetings."""

import os

from capgen.litert import without_lines


def load_tensorflow() -> None:
    """Import TensorFlow and let it look for devices, which prints a dozen lines that no setting turns off."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with without_lines((b"",)):
        import tensorflow as tf

        tf.constant(0)
