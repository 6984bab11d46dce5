"""Everything that a picture file can be: what each becomes, or the status that it fails with."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from capgen import images
from capgen.errors import ImageError
from capgen.images import Preprocessing

SIZE = 32
RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
WITH_ORIENTATION = {
    "JPEG": {"quality": 95},
    "PNG": {},
    "WEBP": {"lossless": True},
    "TIFF": {"compression": "tiff_lzw"},
    "AVIF": {"quality": 95},
}
ORIENTATION = 0x0112
STATUSES = {"unreadable", "unsupported", "too-large", "denied", "vanished"}


def read(source, size=SIZE):
    return images.read(source, Preprocessing(size=size))


def status_of(source):
    with pytest.raises(ImageError) as caught:
        read(source)
    return caught.value.status


def saved(picture, path, picture_format, **options):
    picture.save(path, picture_format, **options)
    return path


def encoded(picture, picture_format, **options):
    buffer = io.BytesIO()
    picture.save(buffer, picture_format, **options)
    return buffer.getvalue()


def one_colour(colour, mode="RGB", size=(40, 30)):
    return Image.new(mode, size, colour)


def noise(width=60, height=40):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def is_all(pixels, colour, tolerance=0):
    return pixels.shape == (SIZE, SIZE, 3) and np.abs(pixels.astype(int) - colour).max() <= tolerance


@pytest.mark.parametrize("picture_format", FORMATS)
def test_each_format_becomes_a_square_of_8_bit_rgb(tmp_path, picture_format):
    pixels = read(saved(one_colour((200, 100, 50)), tmp_path / "picture", picture_format))
    assert pixels.shape == (SIZE, SIZE, 3)
    assert pixels.dtype == np.uint8
    assert is_all(pixels, (200, 100, 50), tolerance=5)


def test_a_multi_picture_jpeg_of_a_phone_gives_its_first_picture(tmp_path):
    path = saved(one_colour(RED), tmp_path / "phone.jpg", "MPO", save_all=True, append_images=[one_colour(BLUE)])
    assert is_all(read(path), RED, tolerance=5)


@pytest.mark.parametrize("picture_format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_an_animation_gives_its_first_frame(tmp_path, picture_format):
    frames = {"save_all": True, "append_images": [one_colour(BLUE)]}
    assert is_all(read(saved(one_colour(RED), tmp_path / "moving", picture_format, **frames)), RED, tolerance=5)


@pytest.mark.parametrize("name", ["picture.png", "picture.txt", "picture", "picture.mp4", "föto 写真.JPG"])
def test_a_file_is_known_by_its_content_not_by_its_name(tmp_path, name):
    assert is_all(read(saved(one_colour(BLUE), tmp_path / name, "JPEG")), BLUE, tolerance=5)


def test_bytes_give_the_same_as_their_file(tmp_path):
    path = saved(noise(), tmp_path / "picture.png", "PNG")
    assert np.array_equal(read(path.read_bytes()), read(path))


def test_a_link_gives_the_picture_it_leads_to(tmp_path):
    (tmp_path / "link").symlink_to(saved(one_colour(RED), tmp_path / "picture.png", "PNG"))
    assert is_all(read(tmp_path / "link"), RED)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (3, 2)])
def test_a_picture_of_any_shape_fills_the_square(size):
    assert is_all(read(encoded(one_colour(RED, size=size), "PNG")), RED)


def test_nothing_is_cut_off():
    halves = Image.new("RGB", (400, 20), "red")
    halves.paste("blue", (200, 0, 400, 20))
    pixels = read(encoded(halves, "PNG"))
    assert np.array_equal(pixels[0, 0], RED)
    assert np.array_equal(pixels[0, -1], BLUE)


def test_a_jpeg_decoded_at_a_reduced_scale_looks_the_same():
    gradient = Image.linear_gradient("L").resize((1600, 1200)).convert("RGB")
    jpeg = encoded(gradient, "JPEG", quality=95)
    full = encoded(Image.open(io.BytesIO(jpeg)), "PNG")
    assert np.abs(read(jpeg).astype(int) - read(full)).max() <= 2


TURNS = {
    1: lambda pixels: pixels,
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: np.transpose(pixels, (1, 0, 2)),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(np.transpose(pixels, (1, 0, 2)), 2),
    8: lambda pixels: np.rot90(pixels, 1),
}


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("picture_format", WITH_ORIENTATION)
def test_an_exif_orientation_equals_turning_the_picture_first(picture_format, orientation):
    options = WITH_ORIENTATION[picture_format]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    plain = np.asarray(Image.open(io.BytesIO(encoded(noise(), picture_format, **options))).convert("RGB"))
    turned = Image.fromarray(np.ascontiguousarray(TURNS[orientation](plain)))
    pixels = read(encoded(noise(), picture_format, exif=exif, **options))
    assert np.abs(pixels.astype(int) - read(encoded(turned, "PNG"))).max() <= 1


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    assert np.array_equal(read(encoded(noise(), "PNG", exif=exif)), read(encoded(noise(), "PNG")))


def test_damaged_exif_does_not_spoil_the_picture_and_warns_of_nothing():
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    pixels = read(encoded(one_colour(RED), "WEBP", exif=exif.tobytes()[:-8]))
    assert is_all(pixels, RED, tolerance=5)


def png(width, height, depth, colour_type, row, *chunks):
    """Write a PNG of equal rows that Pillow itself would not write."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress((b"\0" + row) * height))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunk(*c) for c in chunks) + data + chunk(b"IEND", b"")


@pytest.mark.parametrize(("mode", "clear"), [("RGBA", (255, 0, 0, 0)), ("LA", (0, 0))])
def test_clear_pixels_become_white(mode, clear):
    assert is_all(read(encoded(one_colour(clear, mode), "PNG")), WHITE)


def test_half_clear_pixels_are_mixed_with_white():
    assert is_all(read(encoded(one_colour((255, 0, 0, 128), "RGBA"), "PNG")), (255, 127, 127), tolerance=1)


@pytest.mark.parametrize("picture_format", ["WEBP", "AVIF", "TIFF"])
def test_clear_pixels_become_white_in_other_formats_too(picture_format):
    assert is_all(read(encoded(one_colour((255, 0, 0, 0), "RGBA"), picture_format)), WHITE, tolerance=2)


@pytest.mark.parametrize("picture_format", ["PNG", "GIF"])
def test_the_clear_colour_of_a_palette_becomes_white(picture_format):
    palette = one_colour(0, "P")
    palette.putpalette([255, 0, 0, 0, 0, 255])
    assert is_all(read(encoded(palette, picture_format, transparency=0)), WHITE)


def test_a_palette_with_an_opacity_a_colour_is_mixed_with_white():
    palette = one_colour(0, "P")
    palette.putpalette([255, 0, 0, 0, 0, 255])
    assert is_all(read(encoded(palette, "PNG", transparency=bytes([128, 255]))), (255, 127, 127), tolerance=1)


def test_the_clear_colour_of_an_rgb_png_becomes_white():
    assert is_all(read(encoded(one_colour(RED), "PNG", transparency=RED)), WHITE)


def test_the_clear_shade_of_a_grey_png_becomes_white():
    assert is_all(read(encoded(one_colour(7, "L"), "PNG", transparency=7)), WHITE)


def test_the_clear_shade_of_a_16_bit_grey_png_becomes_white():
    assert is_all(read(png(8, 8, 16, 0, b"\0\7" * 8, (b"tRNS", b"\0\7"))), WHITE)


@pytest.mark.parametrize("picture_format", ["PNG", "TIFF"])
@pytest.mark.parametrize("value", [0, 1, 100, 254, 255])
def test_16_bit_grey_is_scaled_to_8_bits(picture_format, value):
    grey = Image.fromarray(np.full((30, 40), value * 257, np.uint16))
    assert is_all(read(encoded(grey, picture_format)), (value, value, value))


def test_16_bit_grey_of_the_other_byte_order_is_the_same():
    grey = Image.fromarray(np.full((30, 40), 100 * 257, ">u2"))
    assert is_all(read(encoded(grey, "TIFF")), (100, 100, 100))


def test_16_bit_rgb_is_scaled_to_8_bits():
    assert is_all(read(png(8, 8, 16, 2, b"\xff\xff\0\0\x64\x64" * 8)), (255, 0, 100))


@pytest.mark.parametrize("top", [1.0, 255.0, 65535.0])
def test_a_float_tiff_is_scaled_by_what_greys_are_counted_to(top):
    grey = np.full((SIZE, SIZE), top * 0.4, np.float32)
    grey[:2] = top
    pixels = read(encoded(Image.fromarray(grey), "TIFF"))
    assert np.array_equal(pixels[0, 0], WHITE)
    assert abs(int(pixels[-1, -1, 0]) - 102) <= 1


def test_a_pixel_that_is_no_number_is_black_and_spoils_no_other():
    grey = np.ones((SIZE, SIZE), np.float32)
    grey[0, 0] = np.nan
    pixels = read(encoded(Image.fromarray(grey), "TIFF"))
    assert np.array_equal(pixels[0, 0], (0, 0, 0))
    assert np.array_equal(pixels[-1, -1], WHITE)


def test_an_infinite_pixel_spoils_no_other():
    grey = np.ones((SIZE, SIZE), np.float32)
    grey[0, 0] = np.inf
    assert np.array_equal(read(encoded(Image.fromarray(grey), "TIFF"))[-1, -1], WHITE)


def test_a_cmyk_jpeg_keeps_its_colours():
    assert is_all(read(encoded(one_colour(RED).convert("CMYK"), "JPEG")), RED, tolerance=5)


def test_a_palette_picture_keeps_its_colours():
    assert is_all(read(encoded(one_colour(BLUE).convert("P"), "PNG")), BLUE)


@pytest.mark.parametrize(("value", "colour"), [(0, (0, 0, 0)), (1, WHITE)])
def test_a_1_bit_picture_is_black_and_white(value, colour):
    assert is_all(read(encoded(one_colour(value, "1"), "PNG")), colour)


@pytest.mark.parametrize("picture_format", ["PNG", "JPEG", "TIFF"])
def test_a_grey_picture_has_three_equal_channels(picture_format):
    assert is_all(read(encoded(one_colour(90, "L"), picture_format)), (90, 90, 90), tolerance=1)


@pytest.mark.parametrize("picture_format", FORMATS)
def test_a_truncated_picture_is_unreadable(tmp_path, picture_format):
    data = encoded(noise(), picture_format)
    (tmp_path / "half").write_bytes(data[: len(data) // 2])
    assert status_of(tmp_path / "half") == "unreadable"


def test_an_empty_file_is_unsupported_and_said_to_be_empty(tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    with pytest.raises(ImageError, match="it is empty") as caught:
        read(tmp_path / "empty.jpg")
    assert caught.value.status == "unsupported"


def test_a_text_file_is_unsupported_and_the_formats_are_named(tmp_path):
    (tmp_path / "text.jpg").write_text("This is no picture.\n" * 50)
    with pytest.raises(ImageError, match=r"JPEG.* AVIF picture") as caught:
        read(tmp_path / "text.jpg")
    assert caught.value.status == "unsupported"


def test_a_format_that_is_not_listed_is_unsupported():
    assert status_of(encoded(one_colour(RED), "PPM")) == "unsupported"


def test_a_folder_is_unsupported_and_recursive_is_offered(tmp_path):
    with pytest.raises(ImageError, match="--recursive") as caught:
        read(tmp_path)
    assert caught.value.status == "unsupported"


def test_a_missing_file_has_vanished(tmp_path):
    assert status_of(tmp_path / "none.jpg") == "vanished"


@pytest.mark.parametrize("name", ["file.jpg/below.jpg", "long" * 100])
def test_a_path_that_cannot_exist_is_not_called_damaged_data(tmp_path, name):
    (tmp_path / "file.jpg").write_bytes(b"")
    with pytest.raises(ImageError) as caught:
        read(tmp_path / name)
    assert "damaged" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_denied(tmp_path):
    path = saved(one_colour(RED), tmp_path / "secret.png", "PNG")
    path.chmod(0)
    assert status_of(path) == "denied"


def is_read_or_refused(data):
    try:
        pixels = read(data)
    except ImageError as error:
        return error.status in STATUSES and "\n" not in str(error)
    return pixels.shape == (SIZE, SIZE, 3) and pixels.dtype == np.uint8


SIGNATURES = (b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x40\0\0\0WEBPVP8 ", b"GIF89a", b"BM", b"II*\0\x08\0\0\0")


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(SIGNATURES), st.binary(max_size=300))
def test_random_bytes_never_give_anything_but_an_error_with_a_status_or_a_picture(signature, data):
    assert is_read_or_refused(signature + data)


WHOLE = {name: encoded(noise(24, 16), name) for name in ("JPEG", "PNG", "WEBP", "GIF", "BMP")}


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(list(WHOLE)), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_a_picture_with_changed_bytes_is_read_or_refused(picture_format, changes):
    data = bytearray(WHOLE[picture_format])
    for place, value in changes:
        data[int(place * (len(data) - 1))] = value
    assert is_read_or_refused(bytes(data))


def test_an_avif_with_damaged_data_is_unreadable():
    data = bytearray(encoded(noise(), "AVIF"))
    data[data.index(b"mdat") + 4 :] = bytes(len(data) - data.index(b"mdat") - 4)
    assert status_of(bytes(data)) == "unreadable"


HUGE = (16000, 12000)


def test_the_huge_size_is_beyond_the_bound():
    assert HUGE[0] * HUGE[1] > images.MAX_PIXELS


def test_a_huge_baseline_jpeg_is_decoded_at_a_reduced_scale():
    assert is_all(read(encoded(one_colour(200, "L", HUGE), "JPEG")), (200, 200, 200), tolerance=1)


def test_a_huge_progressive_jpeg_is_too_large():
    data = bytearray(encoded(one_colour(RED), "JPEG", progressive=True))
    size = data.index(b"\xff\xc2") + 5  # the frame header's height and width
    data[size : size + 4] = struct.pack(">HH", HUGE[1], HUGE[0])
    assert status_of(bytes(data)) == "too-large"


def test_a_huge_png_is_too_large():
    assert status_of(png(*HUGE, 8, 0, b"")) == "too-large"
