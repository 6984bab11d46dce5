"""A picture, on disk or in memory, to an upright RGB array of the size an encoder takes, or a named reason why not.

What a file is, is read from its content, never from its name. The formats are an explicit list.
"""

import errno
import io
import os
import stat
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeAlias

import numpy as np

from capgen.errors import ImageError, Status
from capgen.images.formats import JPEG, container, looks_like_picture
from capgen.storage import locations
from capgen.storage.locations import Url, located

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")
"""Pillow's names of the formats that are read; its JPEG reader also takes MPO, which some cameras and phones write."""

MAX_BYTES = 1 << 30
"""The largest file that is read."""

MAX_PIXELS = 178_956_970
"""The most pixels decoded at full scale, Pillow's own bound; a larger JPEG is decoded at a reduced scale."""


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes an encoder's input; part of the bundle.

    Attributes:
        size: Side of the square input, in pixels. The whole picture is squeezed into it, so nothing is cut off.
        resample: Pillow's name of the filter.
    """

    size: int = 224
    resample: str = "BICUBIC"


class Readable(Protocol):
    """An open binary file, or anything else that gives the bytes of one."""

    def read(self) -> bytes:
        """Return all bytes from the present position to the end."""


Source: TypeAlias = "str | os.PathLike[str] | Url | bytes | bytearray | memoryview | Readable | Image | np.ndarray"
"""What a picture can be: a file's path, URL or bytes, an open file, a Pillow image or an array."""


def read(source: Source, preprocessing: Preprocessing) -> np.ndarray:
    """Decode a picture into an encoder's input.

    The first frame is taken, EXIF orientation applied, transparency laid on white, 16-bit and CMYK brought to 8-bit RGB.

    Args:
        source: A file, the bytes of one, or a file open in binary mode, which is read from where it stands and stays open;
            a Pillow image, which is left as it is; or an array, (H, W), (H, W, 3) RGB or (H, W, 4) RGB and opacity, of
            uint8 or of floating-point numbers in 0..1.
        preprocessing: Size and filter.

    Returns:
        (S, S, 3) uint8, RGB.

    Raises:
        ImageError: Why the picture cannot be used, with its status.
        TypeError: ``source`` is nothing that can be a picture.
    """
    with _opened(source, preprocessing.size) as image:
        try:
            resized = _resized_rgb(image, (preprocessing.size, preprocessing.size), preprocessing.resample)
        except _DECODING_ERRORS as error:
            raise ImageError(Status.UNREADABLE, _reason(error)) from error
        # Turning the small square is less work than turning the whole picture first, and looks the same.
        return np.asarray(_upright(resized, image))


def shrunk(source: Source, longest: int) -> np.ndarray:
    """Decode a picture for people to look at, as ``read`` does, but in its own proportions.

    Args:
        source: As ``read`` takes it.
        longest: The most pixels of its longer side; a smaller picture stays as it is.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        ImageError: Why the picture cannot be used, with its status.
    """
    with _opened(source, longest) as image:
        scale = min(1.0, longest / max(image.size))
        width, height = (max(1, round(side * scale)) for side in image.size)
        try:
            resized = _resized_rgb(image, (width, height), "BICUBIC")
        except _DECODING_ERRORS as error:
            raise ImageError(Status.UNREADABLE, _reason(error)) from error
        return np.asarray(_upright(resized, image))


_DECODING_ERRORS = (
    OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, ArithmeticError, MemoryError, RuntimeError, TypeError,
    struct.error, Warning,
)  # fmt: skip
"""What Pillow's decoders raise on damaged files; a ``Warning`` only in a program that turns warnings into errors."""

_ORIENTATION_TAG = 0x0112


@contextmanager
def _opened(source: Source, size: int) -> Iterator["Image"]:
    """Bring a source to an image of a bounded size, decoded no further than need be; close it after use if it is ours."""
    from PIL import Image

    if isinstance(source, Image.Image):
        yield _bounded(source)
    elif isinstance(source, np.ndarray):
        yield _bounded(_from_array(source))
    else:
        with _decoder(_bytes_of(source), size) as image:
            yield _bounded(image)


def _bounded(image: "Image") -> "Image":
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageError(Status.TOO_LARGE, f"it has {width}x{height} pixels, more than is safe to decode")
    if width * height == 0:
        raise ImageError(Status.UNREADABLE, "it has no pixels")
    return image


def _from_array(array: np.ndarray) -> "Image":
    from PIL import Image

    if array.ndim < 2 or array.shape[2:] not in {(), (3,), (4,)}:  # noqa: PLR2004
        raise ImageError(Status.UNSUPPORTED, f"its shape is {array.shape}; (H, W), (H, W, 3) and (H, W, 4) are read")
    if np.issubdtype(array.dtype, np.floating):
        if not np.all((array >= 0) & (array <= 1)):  # false for what is no number, too
            raise ImageError(Status.UNSUPPORTED, "its values are not all in 0..1, as floating-point ones must be")
        array = np.rint(array * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise ImageError(Status.UNSUPPORTED, f"its values are {array.dtype}; uint8 and floating-point ones in 0..1 are read")
    return Image.fromarray(array)


def _decoder(data: bytes, size: int) -> "Image":
    """Open a file's bytes without decoding them, and ask for no more detail than ``size`` needs.

    A JPEG is then decoded at a reduced scale, and of a HEIF file the thumbnail in it, if that is large enough.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        image = _identified(data)
        # Twice the size, so that the reduced scale cannot be seen after the final filter.
        image.draft("RGB", (2 * size, 2 * size))
    except Image.DecompressionBombError as error:
        raise ImageError(Status.TOO_LARGE, "it has more pixels than is safe to decode") from error
    except UnidentifiedImageError as error:
        if looks_like_picture(data):
            raise ImageError(Status.UNREADABLE, "its data is damaged (it ends early or its header is broken)") from error
        reason = f"it is no {', '.join(FORMATS[:-1])} or {FORMATS[-1]} picture" if data else "it is empty"
        raise ImageError(Status.UNSUPPORTED, reason) from error
    except _DECODING_ERRORS as error:
        raise ImageError(Status.UNREADABLE, _reason(error)) from error
    return image


def _bytes_of(source: "str | os.PathLike[str] | Url | bytes | bytearray | memoryview | Readable") -> bytes:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    if isinstance(source, (str, os.PathLike, Url)):
        return contents(source)
    if hasattr(source, "read"):
        return _stream_bytes(source)
    raise TypeError(f"a path, bytes, binary file, Pillow image or array can be a picture, not {type(source).__name__}")


def contents(source: str | os.PathLike[str] | Url) -> bytes:
    """Read a whole picture file, local or at a URL.

    Raises:
        ImageError: Why it cannot be read, with its status.
    """
    location = located(source)
    return locations.contents(location.text, MAX_BYTES) if isinstance(location, Url) else _file_bytes(location)


def _stream_bytes(stream: Readable) -> bytes:
    try:
        data = None if isinstance(stream, io.TextIOBase) else stream.read()
    except (OSError, ValueError) as error:  # the latter of a file that is closed
        raise ImageError(Status.UNREADABLE, f"it cannot be read ({_one_line(error)})") from error
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise ImageError(Status.UNSUPPORTED, "it gives no bytes; open it in binary mode")
    return bytes(data)


def _file_bytes(path: Path) -> bytes:
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_BYTES:
            raise ImageError(Status.TOO_LARGE, f"it has {size:,} bytes, more than is safe to read at once")
        return file.read()


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file; a pipe or device could go on for ever.

    Raises:
        ImageError: It cannot be read, on opening or later, with its status.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode) and not os.access(path, os.R_OK | os.X_OK):
            raise ImageError(Status.DENIED, "permission denied")
        if stat.S_ISDIR(mode):
            raise ImageError(Status.UNSUPPORTED, "it is a folder; --recursive captions what is in it")
        if not stat.S_ISREG(mode):
            raise ImageError(Status.UNSUPPORTED, "it is no regular file")
        with path.open("rb") as file:
            yield file
    except PermissionError as error:
        raise ImageError(Status.DENIED, "permission denied") from error
    except OSError as error:
        if error.errno in {errno.EIO, errno.ESTALE}:
            raise ImageError(Status.UNREADABLE, f"the disk cannot read it ({error.strerror})") from error
        raise ImageError(
            Status.VANISHED, "there is no such file" if error.errno == errno.ENOENT else str(error.strerror)
        ) from error
    except ValueError as error:  # a name that no file can have, such as one with a zero byte
        raise ImageError(Status.VANISHED, f"there is no such file ({_one_line(error)})") from error
    except MemoryError as error:
        raise ImageError(Status.TOO_LARGE, "it does not fit into memory") from error


def _identified(data: bytes) -> "Image":
    """Open with Pillow's guard against decompression bombs, which only a baseline JPEG may pass: it decodes scaled down."""
    from PIL import Image, JpegImagePlugin

    if container(data) == "HEIF":
        return _heif(data)
    try:
        return Image.open(io.BytesIO(data), formats=[name for name in FORMATS if name != "HEIF"])
    except Image.DecompressionBombError:
        if not data.startswith(JPEG):
            raise
        image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        if "progressive" in image.info:  # its decoder holds all coefficients at full scale
            raise
        return image


def _heif(data: bytes) -> "Image":
    """Open a HEIF file's primary picture with pillow-heif, loaded only now because it would slow down every start.

    Its class is used as it is, not registered with Pillow, which may be the caller's too. It applies the file's own
    rotation and mirroring, and drops the EXIF orientation that says the same.
    """
    try:
        from pillow_heif import HeifImageFile

        return HeifImageFile(io.BytesIO(data))
    except ImportError as error:  # also raised late, if the package is there and its library is not
        reason = "it is a HEIF (HEIC) picture, which takes one more package: pip install pillow-heif"
        raise ImageError(Status.UNSUPPORTED, reason) from error


def _resized_rgb(image: "Image", size: tuple[int, int], filter_name: str) -> "Image":
    """Squeeze a picture of any mode into a width and height, as 8-bit RGB, transparency on white."""
    from PIL import Image

    resample = Image.Resampling[filter_name]
    image.load()
    if image.mode.startswith("I") or image.mode == "F":
        grey = _on_white(image).resize(size, resample, reducing_gap=3.0)
        scales = (1.0, 255.0, _SIXTEEN_BITS) if image.mode == "F" else (_SIXTEEN_BITS,)
        return Image.fromarray(_to_8_bit(np.asarray(grey), scales)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")  # Pillow has no direct way
        white = Image.new("RGBA", rgba.size, "white")
        rgb = Image.alpha_composite(white, rgba).convert("RGB")
    else:
        rgb = image.convert("RGB")
    return rgb.resize(size, resample, reducing_gap=3.0)


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
    return f"its data is damaged ({_one_line(error)})"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
