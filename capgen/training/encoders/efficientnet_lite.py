"""EfficientNet-Lite 0 and 2: EfficientNet without squeeze-and-excitation, with ReLU6.

Source: M. Tan and Q. Le, "EfficientNet", ICML 2019, and TensorFlow's EfficientNet-Lite (2020), which does not scale the
stem and the head and does not repeat the first and last stage.
"""

import math
import zipfile
from pathlib import Path

import keras
import numpy as np
from keras import layers

from capgen.errors import DataError
from capgen.training.encoders import Encoder

# Width and depth multipliers (EfficientNet, section 4).
SCALES = {"efficientnet-lite0": (1.0, 1.0), "efficientnet-lite2": (1.1, 1.2)}

# Kernel size, repeats, channels out, expansion, stride of each stage before scaling (EfficientNet, table 1).
STAGES = (
    (3, 1, 16, 1, 1),
    (3, 2, 24, 6, 2),
    (5, 2, 40, 6, 2),
    (3, 3, 80, 6, 2),
    (5, 3, 112, 6, 1),
    (5, 4, 192, 6, 2),
    (3, 1, 320, 6, 1),
)
STEM, HEAD, CLASSES = 32, 1280, 1000


def build(encoder: Encoder, weights: Path | str | None) -> keras.Model:
    """Build the encoder with its ImageNet head.

    Args:
        encoder: ``efficientnet-lite0`` or ``efficientnet-lite2``.
        weights: An ``.npz`` of plain arrays; ``None`` for the shipped one; ``"random"`` for untrained weights.

    Returns:
        (N, 224, 224, 3) float32 in 0..255 to ``grid`` (N, 49, 1280) and ``probabilities`` (N, 1000).
    """
    width, depth = SCALES[encoder.name]
    size = encoder.preprocessing.size
    image = keras.Input((size, size, 3), name="image")
    x = layers.Rescaling(1 / 128, offset=-127 / 128)(image)
    x = _convolution(x, STEM, 3, 2, "conv_stem", "bn0")
    block = 0
    for stage, (kernel, repeats, channels, expansion, stride) in enumerate(STAGES):
        edge = stage in (0, len(STAGES) - 1)
        for repeat in range(repeats if edge else math.ceil(depth * repeats)):
            x = _inverted_residual(
                x, f"blocks.{block}", kernel, _rounded(channels * width), expansion, stride if repeat == 0 else 1
            )
            block += 1
    x = _convolution(x, HEAD, 1, 1, "conv_head", "bn1")
    grid = layers.Reshape((-1, HEAD), name="grid")(x)  # (N, 49, 1280)
    pooled = layers.GlobalAveragePooling1D()(grid)
    probabilities = layers.Dense(CLASSES, activation="softmax", name="fc")(pooled)
    model = keras.Model(image, {"grid": grid, "probabilities": probabilities}, name=encoder.name.replace("-", "_"))
    if weights != "random":
        _load(model, Path(weights) if weights else encoder.weights_file)
    return model


def _rounded(channels: float, divisor: int = 8) -> int:
    """Round to a multiple of 8 without going more than a tenth below (MobileNetV2)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def _normalised(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=name)(x)


def _convolution(x: keras.KerasTensor, filters: int, kernel: int, stride: int, name: str, norm: str) -> keras.KerasTensor:
    x = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=name)(x)
    return layers.ReLU(6.0)(_normalised(x, norm))


def _inverted_residual(
    x: keras.KerasTensor, name: str, kernel: int, channels: int, expansion: int, stride: int
) -> keras.KerasTensor:
    """Expand, filter each channel, project; add the input where the shape allows (MobileNetV2)."""
    shortcut = x
    if expansion != 1:
        x = _convolution(x, shortcut.shape[-1] * expansion, 1, 1, f"{name}._expand_conv", f"{name}._bn0")
    x = layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False, name=f"{name}._depthwise_conv")(x)
    x = layers.ReLU(6.0)(_normalised(x, f"{name}._bn1"))
    x = layers.Conv2D(channels, 1, padding="same", use_bias=False, name=f"{name}._project_conv")(x)
    x = _normalised(x, f"{name}._bn2")
    return layers.Add()([x, shortcut]) if stride == 1 and shortcut.shape[-1] == channels else x


def _load(model: keras.Model, path: Path) -> None:
    """Set every layer's weights from the arrays named after it."""
    suffixes = {
        layers.BatchNormalization: ("weight", "bias", "running_mean", "running_var"),
        layers.Dense: ("weight", "bias"),
    }
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for layer in model.layers:
                if layer.weights:
                    names = suffixes.get(type(layer), ("weight",))
                    layer.set_weights([arrays[f"{layer.name}.{name}"].astype(np.float32) for name in names])
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} does not hold the weights of {model.name}: {error}") from error
