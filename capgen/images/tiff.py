"""TIFF files: which are camera raw, which Pillow reads rightly, and what becomes of the others.

Science, print and panorama programs write kinds of TIFF that Pillow refuses, or opens wrongly without an error. The tags
tell which. Those are read with tifffile if it is installed, and are refused by their kind if not.
"""

import contextlib
import ctypes
import functools
import io
import logging
from typing import TYPE_CHECKING

from capgen.images.openers import DECODING_ERRORS, open_with_pillow
from capgen.images.raw import open_raw
from capgen.images.tiff_samples import read_samples
from capgen.images.vips import read_reduced

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _PLANES = 256, 257, 258, 259, 262, 277, 284
_SUB_DIRECTORIES, _EXTRA_SAMPLES, _SAMPLE_FORMATS, _DNG_VERSION = 330, 338, 339, 50706

_BIG_VERSION = 43
"""The version number of BigTIFF, in the second pair of bytes, in either byte order."""

_MAX_SUB_DIRECTORIES = 8
"""The most parts of a file that are looked at; a camera writes up to five."""

_WHITE_IS_ZERO, _BLACK_IS_ZERO = 0, 1
_SENSOR_DATA = {32803, 34892}
"""The photometric interpretations of what a sensor measured: of a mosaic, and of a linear image made of one."""

_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_NUMBERS = {_SIGNED: "signed ", _FLOAT: "floating-point "}

_WEBP = 50001
"""A compression that Pillow's libtiff does not know, which shows when the pixels are decoded."""

_OPACITIES = (1, 2)
"""The kinds of extra samples that are opacity."""


_READ_IN_PLANES = {(), (0,), (2,)}
"""The extra samples with which Pillow reads planes: none, one that is unspecified, and opacity."""


def open_tiff(data: bytes, size: int) -> "Image":
    """Open the first image of a TIFF, or the preview of a camera raw file.

    Raises:
        ImageError: It is of a kind that is not read, is damaged, or has too many pixels.
    """
    from PIL import UnidentifiedImageError
    from PIL.Image import DecompressionBombError

    _silence()
    tags = _first_directory(data)
    if not {_WIDTH, _HEIGHT} <= tags.keys():  # a broken header, for which Pillow has the error
        return open_with_pillow(data, size)
    if _is_raw(data, tags):
        return open_raw(data, size)
    if not _is_right_in_pillow(tags):
        return read_samples(data, size, _kind(tags))
    try:
        return open_with_pillow(data, size)
    except UnidentifiedImageError:
        return read_samples(data, size, _kind(tags))
    except DecompressionBombError:
        if _has_planes(tags):
            raise
        return read_reduced(data, size, has_opacity=tags.get(_EXTRA_SAMPLES, (0,))[0] in _OPACITIES)


@functools.cache
def _silence() -> None:
    """Keep Pillow and its libtiff from printing to standard error what is wrong with a file; an error is raised besides.

    Where libtiff is linked in such a way that its functions cannot be found, it goes on printing.
    """
    from PIL import _imaging

    logging.getLogger("PIL.TiffImagePlugin").addHandler(logging.NullHandler())
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(_imaging.__file__)
        for set_handler in (library.TIFFSetErrorHandler, library.TIFFSetWarningHandler):
            set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            set_handler(None)


def _first_directory(data: bytes) -> "ImageFileDirectory_v2":
    """Return the tags of the first image of a file; those that can be read, if it is damaged."""
    return _directory(data, _directory(data).next)


def _directory(data: bytes, offset: int | None = None) -> "ImageFileDirectory_v2":
    """Return the tags at an offset; without one none, but where the first ones are."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    tags = ImageFileDirectory_v2(data[: 16 if _BIG_VERSION in data[2:4] else 8])
    if offset is not None:
        file = io.BytesIO(data)
        file.seek(offset)
        tags.load(file)
    return tags


def _is_raw(data: bytes, tags: "ImageFileDirectory_v2") -> bool:
    """Return whether a file holds what a sensor measured; its first image is a thumbnail, or is empty."""
    if _DNG_VERSION in tags or tags.get(_PHOTOMETRIC) in _SENSOR_DATA:
        return True
    offsets = tags.get(_SUB_DIRECTORIES, ())
    for offset in (offsets if isinstance(offsets, tuple) else (offsets,))[:_MAX_SUB_DIRECTORIES]:
        try:
            part = _directory(data, offset)
        except DECODING_ERRORS:  # a broken part is no reason to refuse the whole
            continue
        if part.get(_PHOTOMETRIC) in _SENSOR_DATA:
            return True
    return False


def _is_right_in_pillow(tags: "ImageFileDirectory_v2") -> bool:
    """Return whether Pillow 13 shows an image as it is, if it opens it.

    It was tried on all combinations of photometric interpretation, type and number of samples, planes, byte order and
    compression.
    """
    bits, numbers = _sample_type(tags)
    if tags.get(_COMPRESSION) == _WEBP:
        return False
    if numbers == _FLOAT:
        return bits == 32 and _is_right_floating_point(tags)  # noqa: PLR2004
    if bits <= 8:  # noqa: PLR2004
        return numbers != _SIGNED and _is_right_up_to_8_bits(tags)
    if bits < 16:  # noqa: PLR2004 - grey of 12 bits is opened as if it had 16
        return not _is_grey(tags)
    if bits == 16:  # noqa: PLR2004
        return _is_right_with_16_bits(tags)
    return numbers == _SIGNED and tags.get(_PHOTOMETRIC) == _BLACK_IS_ZERO


def _is_right_floating_point(tags: "ImageFileDirectory_v2") -> bool:
    """Return whether Pillow shows an image with floating-point samples of 32 bits as it is."""
    swapped = tags.prefix == b"MM" and _is_compressed(tags)
    return tags.get(_SAMPLES, 1) == 1 and tags.get(_PHOTOMETRIC) == _BLACK_IS_ZERO and not swapped


def _is_right_up_to_8_bits(tags: "ImageFileDirectory_v2") -> bool:
    """Return whether Pillow shows an image with unsigned samples of at most 8 bits as it is."""
    has_odd_planes = _is_grey(tags) or tags.get(_EXTRA_SAMPLES, ()) not in _READ_IN_PLANES
    return not (_has_planes(tags) and has_odd_planes)


def _is_right_with_16_bits(tags: "ImageFileDirectory_v2") -> bool:
    """Return whether Pillow shows an image with integer samples of 16 bits as it is."""
    return tags.get(_PHOTOMETRIC) != _WHITE_IS_ZERO and (_is_compressed(tags) or not _has_planes(tags))


def _is_grey(tags: "ImageFileDirectory_v2") -> bool:
    return tags.get(_PHOTOMETRIC) in {_WHITE_IS_ZERO, _BLACK_IS_ZERO}


def _is_compressed(tags: "ImageFileDirectory_v2") -> bool:
    return tags.get(_COMPRESSION, 1) != 1


def _has_planes(tags: "ImageFileDirectory_v2") -> bool:
    """Return whether the samples of each kind are together, one kind behind the other."""
    return tags.get(_SAMPLES, 1) > 1 and tags.get(_PLANES) == 2  # noqa: PLR2004


def _sample_type(tags: "ImageFileDirectory_v2") -> tuple[int, int]:
    """Return the bits of a sample, and what kind of number it is; samples of different types count as the first."""
    bits = tags.get(_BITS) or (1,)
    numbers = tags.get(_SAMPLE_FORMATS) or (_UNSIGNED,)
    return bits[0], numbers[0]


def _kind(tags: "ImageFileDirectory_v2") -> str:
    """Describe the kind of an image in the words of people who write such files."""
    bits, numbers = _sample_type(tags)
    samples = tags.get(_SAMPLES, 1)
    name = f"{bits}-bit {_NUMBERS.get(numbers, '')}sample"
    return f"{samples} {name}{'s' if samples > 1 else ''}" + (" in planes" if _has_planes(tags) else "")
