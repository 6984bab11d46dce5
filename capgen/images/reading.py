"""An image, on disk or in memory, to an upright RGB array of the size that an encoder takes, or to a status."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from capgen.errors import ImageError, Status
from capgen.images.openers import DECODING_ERRORS, MAX_PIXELS, TOO_MANY_PIXELS, damaged, open_bytes
from capgen.images.pixels import from_array, to_rgb, upright
from capgen.images.sources import Source, read_source

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_INPUT_SIZE = 1024
"""The longest side of the input of an encoder, in pixels; about twice that of the largest encoders that are known."""

RESAMPLING_FILTERS = ("NEAREST", "BOX", "BILINEAR", "HAMMING", "BICUBIC", "LANCZOS")
"""Pillow's names of its resampling filters."""


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the input of an encoder; a part of the bundle.

    Attributes:
        size: Side of the square input, 1 to ``MAX_INPUT_SIZE`` pixels. The whole image is squeezed into the square, so
            nothing is cut off.
        resample: One of ``RESAMPLING_FILTERS``.
    """

    size: int = 224
    resample: str = "BICUBIC"


def read(source: Source, preprocessing: Preprocessing) -> np.ndarray:
    """Decode an image into the input of an encoder.

    The first frame is taken, the EXIF orientation applied, transparency laid on white, 16-bit and CMYK brought to 8-bit RGB.

    Args:
        source: The path or the URL of a file, its bytes, or a file open in binary mode, which is read from its present
            position on and stays open; a Pillow image, which is not changed; or an array, (H, W), (H, W, 3) RGB or (H, W, 4)
            RGB and opacity, of uint8 or of floating-point numbers in 0..1.
        preprocessing: Size and filter.

    Returns:
        (S, S, 3) uint8, RGB.

    Raises:
        ImageError: The image cannot be used, with the status that says why.
        TypeError: ``source`` is of a type that is not listed above.
    """
    with _opened(source, preprocessing.size) as image:
        return _decoded(image, (preprocessing.size, preprocessing.size), preprocessing.resample)


def read_scaled(source: Source, longest_side: int) -> np.ndarray:
    """Decode an image for people to look at, as ``read`` does but in its own proportions.

    Args:
        source: As ``read`` takes it.
        longest_side: The most pixels of the longer side; a smaller image keeps its size.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        ImageError: The image cannot be used, with the status that says why.
    """
    with _opened(source, longest_side) as image:
        scale = min(1.0, longest_side / max(image.size))
        width, height = (max(1, round(side * scale)) for side in image.size)
        return _decoded(image, (width, height), "BICUBIC")


@contextmanager
def _opened(source: Source, size: int) -> Iterator["Image"]:
    """Open a source as an image with a bounded number of pixels, and close it after use if it was opened here."""
    from PIL import Image

    if isinstance(source, Image.Image):
        yield _bounded(source)
    elif isinstance(source, np.ndarray):
        yield _bounded(from_array(source))
    else:
        with open_bytes(read_source(source), size) as image:
            yield _bounded(image)


def _bounded(image: "Image") -> "Image":
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageError(Status.TOO_LARGE, TOO_MANY_PIXELS)
    if width * height == 0:
        raise ImageError(Status.UNREADABLE, "it has no pixels")
    return image


def _decoded(image: "Image", size: tuple[int, int], filter_name: str) -> np.ndarray:
    try:
        resized = to_rgb(image, size, filter_name)
    except DECODING_ERRORS as error:
        raise damaged(error) from error
    return np.asarray(upright(resized, image))  # turning the small image is less work than turning the large one first
