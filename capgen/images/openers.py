"""The bytes of an image file to a Pillow image that is not decoded yet; one function for each way of opening a file."""

import io
import struct
from typing import TYPE_CHECKING

from capgen.errors import ImageError, Status, damage
from capgen.images.formats import FORMATS, OPENERS, recognise

if TYPE_CHECKING:
    from PIL.Image import Image

DECODING_ERRORS = (
    OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, ArithmeticError, MemoryError, RuntimeError, TypeError,
    struct.error, Warning,
)  # fmt: skip
"""What Pillow's decoders raise on damaged files; a ``Warning`` only in a program that turns warnings into errors."""


MAX_PIXELS = 178_956_970
"""The most pixels that are decoded at full scale, Pillow's own bound; a larger image is read at a reduced scale or not."""

TRANSFER = "transfer"
"""The key of an image's ``info`` for the transfer characteristics of its samples (ITU-T H.273), where the file says them."""

_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""The markers of the headers of JPEG frames (ITU-T T.81)."""

_JPEG_LS_FRAME = 0xF7

_COLOUR_BOX = b"colrnclx"
"""The name of the box of an AVIF that says how its samples are coded, and which way of saying it is used."""

_HEADER_BYTES = 1 << 16
"""The bytes of an AVIF among which its boxes are looked for; the pixels follow."""

TOO_MANY_PIXELS = f"it has more than {MAX_PIXELS:,} pixels, too many to be decoded at once"
"""Why an image is not decoded that Pillow calls a decompression bomb."""


def open_bytes(data: bytes, size: int) -> "Image":
    """Open an image file's bytes, and ask for no more detail than an image of a certain size needs.

    Args:
        data: The whole file.
        size: The side in pixels of the square that the image will be reduced to. If the format can be decoded at a reduced
            scale, it will be at twice this size or more, so that the reduction cannot be seen after the final filter.

    Raises:
        ImageError: The file is in none of the formats, is damaged, or has too many pixels.
    """
    from PIL.Image import DecompressionBombError

    found = recognise(data)
    if not data:
        raise ImageError(Status.UNSUPPORTED, "it is empty")
    try:
        return OPENERS[found.name](data, size) if found else open_with_pillow(data, size)
    except DecompressionBombError as error:
        raise ImageError(Status.TOO_LARGE, TOO_MANY_PIXELS) from error
    except DECODING_ERRORS as error:
        raise _refusal(error, recognised=found is not None) from error


def open_with_pillow(data: bytes, size: int) -> "Image":  # noqa: ARG001 - all openers take the same
    """Open a file in any of the formats that Pillow reads, to be decoded at full scale."""
    from PIL import Image

    return Image.open(io.BytesIO(data), formats=[row.pillow_name for row in FORMATS if row.pillow_name])


def open_jpeg(data: bytes, size: int) -> "Image":
    """Open a JPEG. A baseline one may have more pixels than Pillow allows, as it is decoded at a reduced scale."""
    from PIL import UnidentifiedImageError
    from PIL.Image import DecompressionBombError
    from PIL.JpegImagePlugin import JpegImageFile

    try:
        image = open_with_pillow(data, size)
    except UnidentifiedImageError:
        if (kind := _rare_jpeg(data)) is None:
            raise
        raise ImageError(Status.UNSUPPORTED, f"it is a JPEG {kind}, which is not read") from None
    except DecompressionBombError:
        image = JpegImageFile(io.BytesIO(data))
        if "progressive" in image.info:  # the decoder of a progressive one keeps all coefficients at full scale
            reason = f"{TOO_MANY_PIXELS}, and is progressive; a baseline JPEG of any size is read"
            raise ImageError(Status.TOO_LARGE, reason) from None
    image.draft("RGB", (2 * size, 2 * size))
    return image


def _rare_jpeg(data: bytes) -> str | None:
    """Return in words what Pillow does not read of a JPEG's kind, or ``None`` if there is nothing or the file is damaged."""
    start = 2
    while data[start : start + 1] == b"\xff" and start + 5 <= len(data):
        marker, length, precision = data[start + 1], int.from_bytes(data[start + 2 : start + 4], "big"), data[start + 4]
        if marker == _JPEG_LS_FRAME:
            return "coded by JPEG-LS"
        if marker in _JPEG_FRAMES:
            return f"of {precision} bits a sample" if precision != 8 else None  # noqa: PLR2004
        start += 2 + length
    return None


def open_gif(data: bytes, size: int) -> "Image":
    """Open a GIF: its first frame, with what the frame does not cover as transparent, as browsers show it."""
    from PIL import Image
    from PIL.ImageFile import ImageFile

    image = open_with_pillow(data, size)
    assert isinstance(image, ImageFile)
    covered = image.tile[0].extents
    if covered == (0, 0, *image.size):
        return image
    canvas = Image.new("RGBA", image.size)
    canvas.paste(image.convert("RGBA").crop(covered), covered)
    return canvas


def open_avif(data: bytes, size: int) -> "Image":
    """Open an AVIF, with its transfer characteristics if all that the file says agree; with a gain map they do not."""
    image = open_with_pillow(data, size)
    transfers = {box[2:4] for box in data[:_HEADER_BYTES].split(_COLOUR_BOX)[1:]}  # after the primaries
    if len(transfers) == 1:
        image.info[TRANSFER] = int.from_bytes(transfers.pop(), "big")
    return image


def open_heif(data: bytes, size: int) -> "Image":
    """Open the primary image of a HEIF file with pillow-heif, which is imported only now as it would slow down every start.

    Its class is used directly and not registered with Pillow, which the caller's program may use as well. The class applies
    the rotation and the mirroring that the file declares, and drops an EXIF orientation, which would repeat them.

    Raises:
        ImageError: pillow-heif or the library that it needs is missing.
    """
    try:
        from pillow_heif import HeifImageFile

        image = HeifImageFile(io.BytesIO(data))
    except ImportError as error:  # raised by the first use if the package is there and its library is not
        reason = "it is a HEIF (HEIC) image, which takes one more package: pip install pillow-heif"
        raise ImageError(Status.UNSUPPORTED, reason) from error
    image.info[TRANSFER] = (image.info.get("nclx_profile") or {}).get("transfer_characteristics")
    image.draft("RGB", (2 * size, 2 * size))  # to the thumbnail in the file, if it is large enough
    return image


def open_jpeg_xl(data: bytes, size: int) -> "Image":  # noqa: ARG001 - all openers take the same
    """Decode the first frame of a JPEG XL image with pylibjxl, which turns it upright as the file declares.

    Its Exif orientation has no meaning by the standard (ISO/IEC 18181-2), and is not looked at.

    Raises:
        ImageError: pylibjxl is missing, or the image has too many pixels.
    """
    from PIL import Image

    try:
        import pylibjxl
    except ImportError as error:
        reason = "it is a JPEG XL image, which takes one more package: pip install pylibjxl"
        raise ImageError(Status.UNSUPPORTED, reason) from error
    header = pylibjxl.probe(data)
    if header["width"] * header["height"] > MAX_PIXELS:
        raise ImageError(Status.TOO_LARGE, TOO_MANY_PIXELS)
    return Image.fromarray(pylibjxl.decode(data))


def damaged(error: BaseException) -> ImageError:
    """Return the error for a file whose decoder raised ``error``."""
    if isinstance(error, MemoryError):
        return ImageError(Status.TOO_LARGE, "it does not fit into memory")
    return ImageError(Status.UNREADABLE, damage(error))


def _refusal(error: BaseException, *, recognised: bool) -> ImageError:
    from PIL import UnidentifiedImageError

    if not isinstance(error, UnidentifiedImageError):
        return damaged(error)
    if recognised:
        return ImageError(Status.UNREADABLE, "it ends early, or its header is damaged")
    names = [row.name for row in FORMATS]
    return ImageError(Status.UNSUPPORTED, f"it is not a {', '.join(names[:-1])} or {names[-1]} image")
