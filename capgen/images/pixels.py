"""Pixels in any mode to upright 8-bit RGB of a certain size."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from capgen.errors import ImageError, Status
from capgen.images.colour import to_srgb
from capgen.images.openers import DECODING_ERRORS

if TYPE_CHECKING:
    from PIL.Image import Image

ORIENTATION_TAG = 0x0112
"""The EXIF tag that says how the stored pixels are to be turned."""

SIXTEEN_BIT_WHITE = 65535.0

FLOAT_WHITES = (1.0, 255.0, SIXTEEN_BIT_WHITE)
"""The values that stand for white in floating-point images, of which no file says which it uses."""

_HIGHLIGHTS = 100
"""One pixel of so many may be brighter than white."""


def from_array(array: np.ndarray) -> "Image":
    """Make a Pillow image of an array.

    Args:
        array: (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGB and opacity; uint8, or floating-point in 0..1.

    Raises:
        ImageError: The shape, the type or the values of the array are others than these.
    """
    from PIL import Image

    if array.ndim < 2 or array.shape[2:] not in {(), (3,), (4,)}:  # noqa: PLR2004
        raise ImageError(Status.UNSUPPORTED, f"its shape is {array.shape}; (H, W), (H, W, 3) and (H, W, 4) are read")
    if np.issubdtype(array.dtype, np.floating):
        if not np.all((array >= 0) & (array <= 1)):  # this is false for NaN, too
            raise ImageError(Status.UNSUPPORTED, "its values are not all in 0..1, as floating-point ones must be")
        array = np.rint(array * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise ImageError(Status.UNSUPPORTED, f"its values are {array.dtype}; uint8 and floating-point ones in 0..1 are read")
    return Image.fromarray(array)


def to_rgb(image: "Image", size: tuple[int, int], filter_name: str) -> "Image":
    """Resize an image of any mode to a width and a height, as 8-bit RGB with transparency laid on white.

    Args:
        image: The image; it is decoded, and else left as it is.
        size: Width and height in pixels; the proportions are not kept.
        filter_name: Pillow's name of the resampling filter.

    Raises:
        Exception: One of ``DECODING_ERRORS``, if the image cannot be decoded.
    """
    from PIL import Image

    resample = Image.Resampling[filter_name]
    image.load()
    if image.mode.startswith("I") or image.mode == "F":
        values = _grey_values(image)
        white = white_of(values, FLOAT_WHITES if image.mode == "F" else (SIXTEEN_BIT_WHITE,))
        resized = Image.fromarray(_within(values, white)).resize(size, resample, reducing_gap=3.0)
        return Image.fromarray(to_8_bit(np.asarray(resized), white)).convert("RGB")
    rgb = _on_white(image) if _is_transparent(image) else image.convert("RGB")
    return to_srgb(rgb.resize(size, resample, reducing_gap=3.0), image.info)


def upright(resized: "Image", original: "Image") -> "Image":
    """Turn ``resized`` by the EXIF orientation of ``original``; decoders that have turned the image already drop that."""
    from PIL import Image

    try:
        orientation = original.getexif().get(ORIENTATION_TAG, 1)
    except DECODING_ERRORS:  # damaged EXIF data does not spoil the image
        return resized
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(orientation)
    return resized if turn is None else resized.transpose(turn)


def white_of(values: np.ndarray, whites: Sequence[float]) -> float:
    """Return the least of the usual values for white that is exceeded by highlights only, else the greatest value.

    It is chosen from the pixels as they are in the file: resizing goes beyond the brightest and below the darkest of them.
    """
    for white in whites:
        if np.count_nonzero(values > white) <= values.size // _HIGHLIGHTS:
            return white
    return float(values[np.isfinite(values)].max(initial=whites[-1]))


def to_8_bit(values: np.ndarray, white: float) -> np.ndarray:
    """Scale numbers of any kind from 0..``white`` to 0..255."""
    return (_within(values, white) * (255 / white)).astype(np.uint8)


def _is_transparent(image: "Image") -> bool:
    return image.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in image.info


def _on_white(image: "Image") -> "Image":
    from PIL import Image

    rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")  # Pillow cannot convert La to RGBA
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")


def _grey_values(image: "Image") -> np.ndarray:
    """Return 16-bit, 32-bit or floating-point grey as (H, W) float32, with its transparent level as white."""
    level = image.info.get("transparency")
    values = np.asarray(image if image.mode == "F" else image.convert("I")).astype(np.float32)
    if isinstance(level, int):
        values[values == level] = SIXTEEN_BIT_WHITE
    return values


def _within(values: np.ndarray, white: float) -> np.ndarray:
    """Bring numbers of any kind into 0..``white``; what is no number is black."""
    return np.clip(np.nan_to_num(values, posinf=white, neginf=0.0), 0, white)
