"""Images with more pixels than are decoded at once, read by rows with libvips and reduced on the way, in bounded memory.

libvips comes with pyvips, an optional package, which is imported only now.
"""

import logging
import math
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from capgen.errors import ImageError, Status
from capgen.images.openers import TOO_MANY_PIXELS, damaged
from capgen.images.pixels import ORIENTATION_TAG

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 1 << 30
"""The most pixels that are read, a little more than a gigapixel."""

_MAX_REDUCED_PIXELS = 1 << 23
"""The most pixels that an image has after its reduction."""

_MODES = {"b-w": "L", "grey16": "L", "srgb": "RGB", "rgb16": "RGB", "cmyk": "CMYK"}
"""Pillow's modes by libvips's names of interpretations; a band for each letter, and then opacity and masks."""


def read_reduced(data: bytes, size: int, *, has_opacity: bool) -> "Image":
    """Read an image of 8 or 16 bits a band, and average blocks of pixels to no less than twice a size if memory allows it.

    Args:
        data: The whole file; it is decoded from the top to the bottom.
        size: The side in pixels of the square that the image will be reduced to.
        has_opacity: Whether a band after the colours is opacity.

    Returns:
        An image of 8 bits a band, with the orientation of the file as its Exif data.

    Raises:
        ImageError: pyvips is not installed, the file is damaged, or it has too many pixels or is of a kind that is not read.
    """
    pyvips = _library()
    try:
        opened = pyvips.Image.new_from_buffer(data, "", access="sequential", fail_on="error")
        if opened.width * opened.height > MAX_PIXELS:
            raise ImageError(Status.TOO_LARGE, f"it has more than {MAX_PIXELS:,} pixels, the most that are read")
        factor = _factor(opened.width, opened.height, size)
        bands = opened.shrink(factor, factor).numpy()
    except pyvips.Error as error:
        raise damaged(error) from error
    mode = _MODES.get(opened.interpretation)
    if mode is None or bands.dtype not in (np.uint8, np.uint16):
        raise ImageError(Status.TOO_LARGE, TOO_MANY_PIXELS)
    image = _image(bands, mode, has_opacity=has_opacity)
    if "orientation" in opened.get_fields():
        image.getexif()[ORIENTATION_TAG] = opened.get("orientation")
    return image


def _library() -> ModuleType:
    try:
        import pyvips
    except (ImportError, OSError) as error:  # the second if the package is there and its library is not
        reason = f"{TOO_MANY_PIXELS}; one more package reads it: pip install 'pyvips[binary]'"
        raise ImageError(Status.TOO_LARGE, reason) from error
    logging.getLogger("pyvips").addHandler(logging.NullHandler())  # else its warnings about files go to standard error
    return pyvips


def _factor(width: int, height: int, size: int) -> int:
    """Return the side in pixels of the blocks that become one pixel."""
    for_memory = math.ceil(math.sqrt(width * height / _MAX_REDUCED_PIXELS))
    return max(1, min(width, height) // (2 * size), for_memory)


def _image(bands: np.ndarray, mode: str, *, has_opacity: bool) -> "Image":
    """Make an image of (H, W) or (H, W, bands) of uint8 or uint16."""
    from PIL import Image

    height, width = bands.shape[:2]
    bands = bands.reshape(height, width, -1)
    if bands.dtype == np.uint16:
        bands = (bands >> 8).astype(np.uint8)
    if has_opacity and mode != "CMYK" and bands.shape[2] > len(mode):
        mode += "A"
    return Image.frombytes(mode, (width, height), bands[:, :, : len(mode)].tobytes())
