"""EfficientNet-Lite 0 and 2: EfficientNet without squeeze-and-excitation, with ReLU6.

Source: M. Tan and Q. Le, "EfficientNet", ICML 2019, and TensorFlow's EfficientNet-Lite (2020), which does not scale the
stem and the head and does not repeat the first and last stage.

The last blocks, which are those after the last block with a stride of 2, can be fine-tuned. An encoder whose weights hold a
fine-tuned version of them gives the grid of that version, and the probabilities of the original version, to which the
ImageNet head belongs. Its grid is the mean of the grids of the image and of its mirror image, which tells more than one of
them.
"""

import math
import zipfile
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from capgen.errors import DataError
from capgen.training.encoders.encoder import EncoderSpec

SCALES = {"efficientnet-lite0": (1.0, 1.0), "efficientnet-lite2": (1.1, 1.2)}
"""The multipliers of width and depth (EfficientNet, section 4)."""

STAGES = (
    (3, 1, 16, 1, 1),
    (3, 2, 24, 6, 2),
    (5, 2, 40, 6, 2),
    (3, 3, 80, 6, 2),
    (5, 3, 112, 6, 1),
    (5, 4, 192, 6, 2),
    (3, 1, 320, 6, 1),
)
"""Kernel size, repeats, channels out, expansion and stride of each stage before scaling (EfficientNet, table 1)."""

STEM, HEAD, CLASSES = 32, 1280, 1000

TUNED = "tuned."
"""The prefix of the names of the fine-tuned version, of its arrays and of its layers."""


def build(encoder: EncoderSpec, weights: Path | str | None) -> keras.Model:
    """Build the encoder with its ImageNet head.

    Args:
        encoder: ``efficientnet-lite0`` or ``efficientnet-lite2``.
        weights: An ``.npz`` of plain arrays; ``None`` for the shipped one; ``"random"`` for untrained weights.

    Returns:
        A model from (N, S, S, 3) float32 RGB in 0..255 to ``grid`` (N, C, 1280), ``middle`` (N, C, D) and ``probabilities``
        (N, 1, 1000).

    Raises:
        DataError: The weights cannot be read or do not fit.
    """
    size = encoder.preprocessing.size
    path, tuned = _source(encoder, weights)
    image = keras.Input((size, size, 3), name="image")
    x = layers.Rescaling(1 / 128, offset=-127 / 128)(image)
    if tuned:
        x = _with_mirror_images(x)  # (2N, S, S, 3)
    x = _convolution(x, STEM, 3, 2, "conv_stem", "bn0")
    blocks = list(_blocks(encoder))
    split = _split(blocks)
    for block in blocks[:split]:
        x = _inverted_residual(x, *block)
    plain = _without_mirror_images(x) if tuned else x  # (N, H, W, D)
    middle = layers.Reshape((-1, x.shape[-1]), name="middle")(plain)
    grid = _last_blocks(plain, blocks[split:], "")
    pooled = layers.GlobalAveragePooling1D(keepdims=True)(grid)
    logits = layers.Rescaling(encoder.logit_scale)(layers.Dense(CLASSES, name="fc")(pooled))
    probabilities = layers.Softmax()(logits)
    if tuned:
        grid = _mean_grid(_last_blocks(x, blocks[split:], TUNED))
    outputs = {"grid": layers.Identity(name="grid")(grid), "middle": middle, "probabilities": probabilities}
    model = keras.Model(image, outputs, name=encoder.name.replace("-", "_"))
    if path:
        _load(model, path)
    return model


def build_last_blocks(encoder: EncoderSpec, weights: Path | str | None) -> keras.Model:
    """Build the last blocks, which make ``grid`` of ``middle``, to be fine-tuned; their batch normalisation is frozen.

    Args:
        encoder: As for ``build``.
        weights: As for ``build``.

    Returns:
        A model from (N, C, D) to (N, C, 1280).
    """
    cells, channels = encoder.outputs["middle"]
    side = math.isqrt(cells)
    middle = keras.Input((cells, channels), name="middle")
    blocks = list(_blocks(encoder))
    path, tuned = _source(encoder, weights)
    x = layers.Reshape((side, side, channels))(middle)
    grid = _last_blocks(x, blocks[_split(blocks) :], TUNED if tuned else "")
    model = keras.Model(middle, grid, name="last_blocks")
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
    if path:
        _load(model, path)
    return model


def fine_tuned_weights(encoder: EncoderSpec, weights: Path | None, last_blocks: keras.Model) -> dict[str, np.ndarray]:
    """Return the arrays of an encoder with last blocks that were fine-tuned.

    Args:
        encoder: As for ``build``.
        weights: The weights before; ``None`` for the shipped ones.
        last_blocks: What ``build_last_blocks`` returned, fine-tuned.

    Returns:
        The content of an ``.npz`` that ``build`` takes.
    """
    with np.load(weights or encoder.weights_file, allow_pickle=False) as before:
        arrays = dict(before)
    for layer in last_blocks.layers:
        for name, value in zip(_array_names(layer), layer.get_weights(), strict=True):
            arrays[f"{TUNED}{name.removeprefix(TUNED)}"] = value.astype(np.float16)
    return arrays


Block = tuple[str, int, int, int, int]
"""Name, kernel size, channels out, expansion and stride."""


def _blocks(encoder: EncoderSpec) -> Iterator[Block]:
    width, depth = SCALES[encoder.name]
    number = 0
    for stage, (kernel, repeats, channels, expansion, stride) in enumerate(STAGES):
        edge = stage in (0, len(STAGES) - 1)
        for repeat in range(repeats if edge else math.ceil(depth * repeats)):
            yield f"blocks.{number}", kernel, _rounded(channels * width), expansion, stride if repeat == 0 else 1
            number += 1


def _split(blocks: list[Block]) -> int:
    """Return the number of blocks before those that can be fine-tuned."""
    return 1 + max(index for index, (*_, stride) in enumerate(blocks) if stride > 1)


def _last_blocks(x: keras.KerasTensor, blocks: list[Block], prefix: str) -> keras.KerasTensor:
    """Make the grid (N, C, 1280) of the feature maps (N, H, W, D)."""
    for name, *rest in blocks:
        x = _inverted_residual(x, f"{prefix}{name}", *rest)
    x = _convolution(x, HEAD, 1, 1, f"{prefix}conv_head", f"{prefix}bn1")
    return layers.Reshape((-1, HEAD))(x)


def _with_mirror_images(x: keras.KerasTensor) -> keras.KerasTensor:
    """Put the mirror image of each image after it: (N, S, S, D) to (2N, S, S, D)."""
    return ops.reshape(ops.stack([x, ops.flip(x, axis=2)], axis=1), (-1, *x.shape[1:]))


def _without_mirror_images(x: keras.KerasTensor) -> keras.KerasTensor:
    """Take the mirror images out again: (2N, H, W, D) to (N, H, W, D)."""
    return ops.reshape(x, (-1, 2, *x.shape[1:]))[:, 0]


def _mean_grid(grid: keras.KerasTensor) -> keras.KerasTensor:
    """Return the mean of the grids of images and of their mirror images, flipped back: (2N, C, D) to (N, C, D)."""
    side = math.isqrt(grid.shape[1])
    both = ops.reshape(grid, (-1, 2, side, side, HEAD))
    return ops.reshape((both[:, 0] + ops.flip(both[:, 1], axis=2)) / 2, (-1, side * side, HEAD))


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


def _array_names(layer: layers.Layer) -> list[str]:
    """Name the arrays of a layer, in the order of its weights."""
    suffixes = {
        layers.BatchNormalization: ("weight", "bias", "running_mean", "running_var"),
        layers.Dense: ("weight", "bias"),
    }
    return [f"{layer.name}.{name}" for name in suffixes.get(type(layer), ("weight",))] if layer.weights else []


def _source(encoder: EncoderSpec, weights: Path | str | None) -> tuple[Path | None, bool]:
    """Return the file of the weights, ``None`` for untrained ones, and whether it holds fine-tuned last blocks."""
    if weights == "random":
        return None, False
    path = Path(weights) if weights else encoder.weights_file
    return path, _is_tuned(path)


def _is_tuned(path: Path) -> bool:
    """Tell whether a file of weights holds fine-tuned last blocks."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return any(name.startswith(TUNED) for name in arrays.files)
    except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile):
        return False  # loading the file then says what is wrong with it


def _load(model: keras.Model, path: Path) -> None:
    """Set every layer's weights from the arrays named after it."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for layer in model.layers:
                if names := _array_names(layer):
                    layer.set_weights([arrays[name].astype(np.float32) for name in names])
    except (OSError, EOFError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} does not hold the weights of {model.name}: {error}") from error
