"""A picture on disk to an upright RGB array of the size an encoder takes, or a named reason why not.

What a file is, is read from its content, never from its name. The formats are an explicit list.
"""

import errno
import io
import os
import stat
import struct
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from capgen.errors import ImageError

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
"""Pillow's names of the formats that are read; its JPEG reader also takes MPO, which some cameras and phones write."""

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
    warnings.filterwarnings("ignore", module=r"PIL\.")  # what is wrong with a file is said by its status
    with _opened(source, preprocessing.size) as image:
        try:
            resized = _resized_rgb(image, preprocessing)
        except _DECODING_ERRORS as error:
            raise ImageError("unreadable", _reason(error)) from error
        # Turning the small square gives the same pixels as turning the whole picture first, for less work.
        return np.asarray(_upright(resized, image))


_DECODING_ERRORS = (
    OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, OverflowError, MemoryError, RuntimeError, TypeError,
    struct.error,
)  # fmt: skip
"""What Pillow's decoders raise on broken files."""

_ORIENTATION_TAG = 0x0112


def _opened(source: Path | bytes, size: int) -> "Image":
    """Open a file without decoding it, and ask a JPEG decoder for no more detail than ``size`` needs."""
    from PIL import Image, UnidentifiedImageError

    data = source if isinstance(source, bytes) else _file_bytes(source)
    try:
        image = _identified(io.BytesIO(data))
    except Image.DecompressionBombError as error:
        raise ImageError("too-large", "it has more pixels than is safe to decode") from error
    except UnidentifiedImageError as error:
        if _begins_like_a_picture(data):
            raise ImageError("unreadable", "its data is damaged (it ends early or its header is broken)") from error
        reason = f"it is no {', '.join(FORMATS[:-1])} or {FORMATS[-1]} picture" if data else "it is empty"
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


def _begins_like_a_picture(data: bytes) -> bool:
    """Tell whether the first bytes are those of a format that is read."""
    from PIL import Image

    accepts = (Image.OPEN[name][1] for name in FORMATS)
    return any(accept is not None and accept(data[:16]) is True for accept in accepts)


def _file_bytes(path: Path) -> bytes:
    """Read a regular file; a pipe or device could go on for ever."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode) and not os.access(path, os.R_OK | os.X_OK):
            raise ImageError("denied", "permission denied")
        if stat.S_ISDIR(mode):
            raise ImageError("unsupported", "it is a folder; --recursive captions what is in it")
        if not stat.S_ISREG(mode):
            raise ImageError("unsupported", "it is no regular file")
        return path.read_bytes()
    except PermissionError as error:
        raise ImageError("denied", "permission denied") from error
    except OSError as error:
        if error.errno in {errno.EIO, errno.ESTALE}:
            raise ImageError("unreadable", f"the disk cannot read it ({error.strerror})") from error
        raise ImageError("vanished", f"there is no such file ({error.strerror})") from error


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


def _resized_rgb(image: "Image", preprocessing: Preprocessing) -> "Image":
    """Squeeze a picture of any mode into the square, as 8-bit RGB, transparency on white."""
    from PIL import Image

    square = (preprocessing.size, preprocessing.size)
    resample = Image.Resampling[preprocessing.resample]
    image.load()
    if image.mode.startswith("I") or image.mode == "F":
        grey = _on_white(image).resize(square, resample, reducing_gap=3.0)
        scales = (1.0, 255.0, _SIXTEEN_BITS) if image.mode == "F" else (_SIXTEEN_BITS,)
        return Image.fromarray(_to_8_bit(np.asarray(grey), scales)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        rgb = Image.alpha_composite(white, rgba).convert("RGB")
    else:
        rgb = image.convert("RGB")
    return rgb.resize(square, resample, reducing_gap=3.0)


def _on_white(image: "Image") -> "Image":
    """Bring 16-bit, 32-bit or floating-point grey to floating point, its transparent level to white."""
    from PIL import Image

    level = image.info.get("transparency")
    if not isinstance(level, int):
        return image if image.mode == "F" else image.convert("I").convert("F")
    values = np.asarray(image).astype(np.float32)
    values[values == level] = _SIXTEEN_BITS
    return Image.fromarray(values)


_SIXTEEN_BITS = 65535.0


def _to_8_bit(values: np.ndarray, scales: Sequence[float]) -> np.ndarray:
    """Scale grey to 0..255 from the smallest of the usual scales that holds it, or from its own."""
    finite = values[np.isfinite(values)]
    top = float(finite.max()) if finite.size else 0.0
    full = next((scale for scale in scales if top <= scale), top)
    return (np.clip(np.nan_to_num(values, posinf=full, neginf=0.0), 0, full) * (255 / full)).astype(np.uint8)


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
