"""JPEG XL: the first frame, upright as the file itself says, and no more pixels than are safe."""

import io
import sys

import imagecodecs
import numpy as np
import pylibjxl
import pytest
from PIL import Image
from support.image_files import encode

from capgen import images
from capgen.errors import ImageError
from capgen.images import openers

SIZE = 32
RED, BLUE = (255, 0, 0), (0, 0, 255)


def read(data):
    return images.read(data, images.Preprocessing(size=SIZE))


def half(left, right):
    """Draw an image whose left and right halves have two colours."""
    image = Image.new("RGB", (64, 48), left)
    image.paste(right, (32, 0, 64, 48))
    return image


def test_an_animation_gives_its_first_frame():
    frames = np.stack([np.full((48, 64, 3), colour, np.uint8) for colour in (RED, BLUE, (0, 255, 0))])
    assert read(imagecodecs.jpegxl_encode(frames, lossless=True))[5, 5].tolist() == list(RED)


def test_a_jpeg_that_was_packed_into_jpeg_xl_is_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned to the right
    buffer = io.BytesIO()
    half(RED, BLUE).save(buffer, "JPEG", exif=exif, quality=95)
    pixels = read(pylibjxl.jpeg_to_jxl(buffer.getvalue())).astype(int)
    assert np.abs(pixels[2, 16] - RED).max() < 30
    assert np.abs(pixels[-2, 16] - BLUE).max() < 30


@pytest.mark.parametrize(
    ("shape", "dtype"), [((48, 64), "u1"), ((48, 64), "u2"), ((48, 64, 3), "u2"), ((48, 64, 2), "u1"), ((48, 64, 3), "f4")]
)
def test_samples_of_all_kinds_are_read(shape, dtype):
    most = 1 if dtype == "f4" else np.iinfo(dtype).max
    data = imagecodecs.jpegxl_encode(np.full(shape, most, dtype), lossless=True)
    assert read(data).min() == 255


def test_clear_pixels_are_white():
    assert read(encode(Image.new("RGBA", (64, 48), (255, 0, 0, 0)), "JPEG XL")).min() == 255


def test_more_pixels_than_are_safe_are_too_large_before_they_are_decoded(monkeypatch):
    monkeypatch.setattr(openers, "MAX_PIXELS", 64 * 48 - 1)
    with pytest.raises(ImageError) as caught:
        read(encode(half(RED, BLUE), "JPEG XL"))
    assert caught.value.status == "too-large"


def test_without_its_package_it_is_unsupported_and_the_package_is_named(monkeypatch):
    data = encode(half(RED, BLUE), "JPEG XL")
    monkeypatch.setitem(sys.modules, "pylibjxl", None)
    with pytest.raises(ImageError, match="pip install pylibjxl") as caught:
        read(data)
    assert caught.value.status == "unsupported"
