"""TIFF images of any kind of samples, read with tifffile, as 8-bit images.

tifffile and imagecodecs, which decompresses for it, are optional packages, which are imported only now.
"""

import io
import logging
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from capgen.errors import ImageError, Status
from capgen.images.openers import DECODING_ERRORS, damaged
from capgen.images.pixels import FLOAT_WHITES, ORIENTATION_TAG, SIXTEEN_BIT_WHITE, to_8_bit, white_of

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_BYTES = 1 << 30
"""The size in bytes of the samples of the largest image that is read."""

_MODES = {"MINISWHITE": "L", "MINISBLACK": "L", "RGB": "RGB", "SEPARATED": "CMYK"}
"""Pillow's modes by the names of photometric interpretations; a sample for each letter, and then opacity and masks."""

_OPACITY = {1: "a", 2: "A"}
"""What an extra sample means that is opacity: Pillow's letters for one by which colours are multiplied, and another."""


def read_samples(data: bytes, size: int, kind: str) -> "Image":
    """Read the first image of a TIFF; a large one is reduced by averaging blocks of pixels.

    Args:
        data: The whole file.
        size: The side in pixels of the square that the image will be reduced to.
        kind: What samples it has, in words.

    Returns:
        An image of 8 bits a band, with the orientation of the file as its Exif data.

    Raises:
        ImageError: tifffile is not installed or does not read this kind, or the file is damaged or has too many pixels.
    """
    library = _library(kind)
    try:
        with library.TiffFile(io.BytesIO(data)) as file:
            page = file.pages.first
            mode = _mode(page, library)
            if mode is None:
                raise ImageError(Status.UNSUPPORTED, f"it is a TIFF of {kind}, which is not read")
            if page.nbytes > MAX_BYTES:
                raise ImageError(Status.TOO_LARGE, f"its samples take {page.nbytes:,} bytes, more than is safe to decode")
            image = _image(page, mode, size)
    except (*DECODING_ERRORS, library.TiffFileError) as error:
        raise damaged(error) from error
    if "Orientation" in page.tags:
        image.getexif()[ORIENTATION_TAG] = int(page.tags["Orientation"].value)
    return image


def _library(kind: str) -> ModuleType:
    try:
        import imagecodecs  # noqa: F401 - tifffile decompresses with it
        import tifffile
    except ImportError as error:
        reason = f"it is a TIFF of {kind}, which takes two more packages: pip install tifffile imagecodecs"
        raise ImageError(Status.UNSUPPORTED, reason) from error
    logging.getLogger("tifffile").addHandler(logging.NullHandler())  # else what it says of files goes to standard error
    return tifffile


def _mode(page: Any, library: ModuleType) -> str | None:
    """Return Pillow's mode of a page, or ``None`` if it is of a kind that is not read."""
    if page.compression not in library.TIFF.DECOMPRESSORS or page.dtype is None or page.dtype.kind not in "uif":
        return None
    mode = _MODES.get(getattr(page.photometric, "name", ""))
    if mode is None or page.samplesperpixel < len(mode):
        return None
    opacity = _OPACITY.get(int(page.extrasamples[0])) if page.extrasamples else None
    return mode + opacity if opacity and mode != "CMYK" else mode


def _image(page: Any, mode: str, size: int) -> "Image":
    from PIL import Image

    planes, _, height, width, _ = page.shaped  # of one image in depth; samples are planes or lie side by side
    samples = page.asarray().reshape(planes, height, width, -1)
    samples = np.moveaxis(samples, 0, -2).reshape(height, width, -1)[:, :, : len(mode)]
    samples = _reduced(samples, max(1, min(height, width) // (2 * size)))
    colours = samples[:, :, : len(mode.rstrip("aA"))] if len(mode) > 1 else samples
    pixels = to_8_bit(samples, white_of(colours, _whites(page)))
    if page.photometric.name == "MINISWHITE":
        pixels[:, :, 0] = 255 - pixels[:, :, 0]
    return Image.frombytes(mode, (pixels.shape[1], pixels.shape[0]), pixels.tobytes())


def _reduced(samples: np.ndarray, factor: int) -> np.ndarray:
    """Average blocks of (H, W, samples)."""
    height, width = samples.shape[0] // factor, samples.shape[1] // factor
    blocks = samples[: height * factor, : width * factor].reshape(height, factor, width, factor, -1)
    return blocks.mean(axis=(1, 3), dtype=np.float32)


def _whites(page: Any) -> tuple[float, ...]:
    if page.dtype.kind == "f":
        return FLOAT_WHITES
    most = 2.0 ** (page.bitspersample - (page.dtype.kind == "i")) - 1
    return (most,) if most <= SIXTEEN_BIT_WHITE else (SIXTEEN_BIT_WHITE, most)
