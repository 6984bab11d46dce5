"""A picture on disk to an upright RGB array of the size an encoder takes, or a named reason why not.

What a file is, is read from its content, never from its name. The formats are an explicit list.
"""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from capgen.errors import ImageError

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "MPO")
"""Pillow's names of the formats that are read; MPO is how some cameras and phones write JPEG."""

MAX_PIXELS = 178_956_970
"""The most pixels decoded at full scale, Pillow's own bound; a larger JPEG is decoded at a reduced scale."""

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".avif", ".mpo"}
)
"""File name endings looked for in a folder; a file named on the command line may have any name."""


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes an encoder's input; part of the bundle.

    Attributes:
        size: Side of the square input, in pixels. The whole picture is squeezed into it, so nothing is cut off.
        resample: Pillow's name of the filter.
    """

    size: int = 224
    resample: str = "BICUBIC"


def read(source: Path | bytes, preprocessing: Preprocessing) -> np.ndarray:
    """Decode a picture into an encoder's input.

    The first frame is taken, EXIF orientation applied, transparency laid on white, 16-bit and CMYK brought to 8-bit RGB.

    Args:
        source: A file, or the bytes of one.
        preprocessing: Size and filter.

    Returns:
        (S, S, 3) uint8, RGB.

    Raises:
        ImageError: Why the file cannot be used, with its status.
    """
    from PIL import Image

    with _opened(source, preprocessing.size) as image:
        try:
            resized = _to_rgb(image).resize(
                (preprocessing.size, preprocessing.size), Image.Resampling[preprocessing.resample], reducing_gap=3.0
            )
        except _DECODING_ERRORS as error:
            raise ImageError("unreadable", _reason(error)) from error
        # Turning the small square gives the same pixels as turning the whole picture first, for less work.
        return np.asarray(_upright(resized, image))


_DECODING_ERRORS = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, OverflowError, MemoryError)
"""What Pillow's decoders raise on broken files."""

_ORIENTATION_TAG = 0x0112


def _opened(source: Path | bytes, size: int) -> "Image":
    """Open a file without decoding it, and ask a JPEG decoder for no more detail than ``size`` needs."""
    from PIL import Image, UnidentifiedImageError

    try:
        data = io.BytesIO(source) if isinstance(source, bytes) else io.BytesIO(source.read_bytes())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = _identified(data)
    except FileNotFoundError as error:
        raise ImageError("vanished", "there is no such file") from error
    except PermissionError as error:
        raise ImageError("denied", "permission denied") from error
    except IsADirectoryError as error:
        raise ImageError("unsupported", "it is a folder; --recursive captions what is in it") from error
    except Image.DecompressionBombError as error:
        raise ImageError("too-large", "it has more pixels than is safe to decode") from error
    except UnidentifiedImageError as error:
        reason = f"it is no {', '.join(FORMATS[:-2])} or {FORMATS[-2]} picture" if data.getbuffer().nbytes else "it is empty"
        raise ImageError("unsupported", reason) from error
    except _DECODING_ERRORS as error:
        raise ImageError("unreadable", _reason(error)) from error
    # Twice the size, so that the reduced scale cannot be seen after the final filter.
    image.draft("RGB", (2 * size, 2 * size))
    width, height = image.size
    if width * height > MAX_PIXELS:
        image.close()
        raise ImageError("too-large", f"it has {width}x{height} pixels, more than is safe to decode")
    return image


def _identified(data: io.BytesIO) -> "Image":
    """Open with Pillow's guard against decompression bombs, which only a baseline JPEG may pass: it decodes scaled down."""
    from PIL import Image, JpegImagePlugin

    try:
        return Image.open(data, formats=FORMATS)
    except Image.DecompressionBombError:
        data.seek(0)
        if data.read(3) != b"\xff\xd8\xff":
            raise
        data.seek(0)
        image = JpegImagePlugin.JpegImageFile(data)
        if "progressive" in image.info:  # its decoder holds all coefficients at full scale
            raise
        return image


def _to_rgb(image: "Image") -> "Image":
    """Bring any mode to 8-bit RGB, transparency on white."""
    from PIL import Image

    image.load()
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_to_8_bit(np.asarray(image))).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _to_8_bit(values: np.ndarray) -> np.ndarray:
    """Scale 16-bit, 32-bit or floating-point grey to 0..255."""
    top = float(np.nanmax(values, initial=0))
    scales = (1.0, 255.0, 65535.0) if values.dtype.kind == "f" else (65535.0,)  # what greys are usually counted to
    full = next((scale for scale in scales if top <= scale), top)
    return (np.clip(np.nan_to_num(values.astype(np.float32)), 0, full) * (255 / full)).astype(np.uint8)


def _upright(square: "Image", original: "Image") -> "Image":
    """Apply the EXIF orientation of ``original``, which some decoders have already done and then dropped."""
    from PIL import Image

    try:
        orientation = original.getexif().get(_ORIENTATION_TAG, 1)
    except _DECODING_ERRORS:
        return square
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(orientation)
    return square if turn is None else square.transpose(turn)


def _reason(error: BaseException) -> str:
    """Say a decoder's error in one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return f"its data is damaged ({text})"
