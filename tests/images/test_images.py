"""Everything that an image file can be: what each becomes, or the status that it fails with."""

import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.commands import capgen
from support.examples import examples
from support.image_files import encode as encoded
from support.tools import bound_by_modes

from capgen import images
from capgen.errors import ImageError
from capgen.images import Preprocessing, formats
from capgen.images.openers import MAX_PIXELS

SIZE = 32
RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)
FORMATS = [row.name for row in formats.FORMATS if row.name != "camera raw"]  # whose previews are larger than images here
WITH_ORIENTATION = {
    "JPEG": {"quality": 95},
    "PNG": {},
    "WEBP": {"lossless": True},
    "TIFF": {"compression": "tiff_lzw"},
    "AVIF": {"quality": 95},
    "HEIF": {"quality": 95},
}
ORIENTATION = 0x0112
STATUSES = {"unreadable", "unsupported", "too-large", "denied", "missing"}


def read(source, size=SIZE):
    return images.read(source, Preprocessing(size=size))


def status_of(source):
    with pytest.raises(ImageError) as caught:
        read(source)
    return caught.value.status


def saved(image, path, image_format, **options):
    path.write_bytes(encoded(image, image_format, **options))
    return path


def one_colour(colour, mode="RGB", size=(40, 30)):
    return Image.new(mode, size, colour)


def noise(width=60, height=40):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def is_all(pixels, colour, tolerance=0):
    return pixels.shape == (SIZE, SIZE, 3) and np.abs(pixels.astype(int) - colour).max() <= tolerance


@pytest.mark.parametrize("image_format", FORMATS)
def test_each_format_becomes_a_square_of_8_bit_rgb(tmp_path, image_format):
    pixels = read(saved(one_colour((200, 100, 50)), tmp_path / "image", image_format))
    assert pixels.shape == (SIZE, SIZE, 3)
    assert pixels.dtype == np.uint8
    assert is_all(pixels, (200, 100, 50), tolerance=5)


def test_a_multi_image_jpeg_of_a_phone_gives_its_first_image(tmp_path):
    path = saved(one_colour(RED), tmp_path / "phone.jpg", "MPO", save_all=True, append_images=[one_colour(BLUE)])
    assert is_all(read(path), RED, tolerance=5)


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF", "HEIF"])
def test_an_animation_gives_its_first_frame(tmp_path, image_format):
    frames = {"save_all": True, "append_images": [one_colour(BLUE)]}
    assert is_all(read(saved(one_colour(RED), tmp_path / "moving", image_format, **frames)), RED, tolerance=5)


@pytest.mark.parametrize("name", ["image.png", "image.txt", "image", "image.mp4", "föto 写真.JPG"])
def test_a_file_is_known_by_its_content_not_by_its_name(tmp_path, name):
    assert is_all(read(saved(one_colour(BLUE), tmp_path / name, "JPEG")), BLUE, tolerance=5)


@pytest.mark.parametrize("kind", [str, os.fspath, bytes, bytearray, memoryview, io.BytesIO])
def test_a_path_as_text_and_the_bytes_of_a_file_give_the_same_as_the_file(tmp_path, kind):
    path = saved(noise(), tmp_path / "image.png", "PNG")
    source = kind(path) if kind in (str, os.fspath) else kind(path.read_bytes())
    assert np.array_equal(read(source), read(path))


def test_an_open_file_is_read_from_where_it_stands_and_stays_open(tmp_path):
    (tmp_path / "two").write_bytes(b"before" + encoded(one_colour(RED), "PNG"))
    with (tmp_path / "two").open("rb") as file:
        file.seek(len(b"before"))
        assert is_all(read(file), RED)
        assert not file.closed
        assert file.read() == b""


def test_a_pipe_is_read_to_its_end():
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(encoded(one_colour(RED, size=(4, 4)), "PNG"))
    with os.fdopen(reading, "rb") as stream:
        assert is_all(read(stream), RED)


def test_anything_that_can_be_read_is_read():
    class Upload:
        def read(self):
            return encoded(one_colour(RED), "PNG")

    assert is_all(read(Upload()), RED)


@pytest.mark.parametrize("stream", [io.StringIO("text"), type("Odd", (), {"read": lambda _: "text"})()])
def test_a_file_open_as_text_is_unsupported_and_binary_mode_is_asked_for(stream):
    with pytest.raises(ImageError, match="binary mode") as caught:
        read(stream)
    assert caught.value.status == "unsupported"


def test_a_jpeg_open_as_text_is_unsupported(tmp_path):
    with saved(noise(), tmp_path / "a.jpg", "JPEG").open(encoding="utf-8") as file:
        assert status_of(file) == "unsupported"


def test_an_open_file_that_fails_is_unreadable():
    closed = io.BytesIO()
    closed.close()

    class Broken:
        def read(self):
            raise OSError("the network is gone")

    assert status_of(closed) == status_of(Broken()) == "unreadable"


@pytest.mark.parametrize("source", [None, 3, 2.5, ["a.jpg"]])
def test_what_can_be_no_image_is_a_mistake_of_the_program(source):
    with pytest.raises(TypeError, match="a path, a URL, bytes, a binary file, a Pillow image or an array"):
        read(source)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "HSV", "I", "F", "I;16"]
)
def test_an_image_of_any_mode_is_read_and_left_as_it_is(mode):
    image = Image.new(mode, (40, 30))
    before = image.copy()
    assert read(image).shape == (SIZE, SIZE, 3)
    assert image == before
    image.load()  # it is not closed


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_of_an_image_is_applied(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = encoded(noise(), "PNG", exif=exif)
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(read(image), read(data))
        assert image.size == noise().size
        assert image.getexif()[ORIENTATION] == orientation
        image.getpixel((0, 0))


def test_an_image_of_a_file_is_not_reduced_in_scale_and_stays_open(tmp_path):
    with Image.open(saved(one_colour(RED, size=(900, 600)), tmp_path / "a.jpg", "JPEG")) as image:
        assert is_all(read(image), RED, tolerance=5)
        assert image.size == (900, 600)
        assert is_all(read(image), RED, tolerance=5)


def test_the_present_frame_of_an_image_is_taken_and_stays_the_present_one():
    with Image.open(io.BytesIO(encoded(one_colour(RED), "GIF", save_all=True, append_images=[one_colour(BLUE)]))) as image:
        image.seek(1)
        assert is_all(read(image), BLUE)
        assert image.tell() == 1
        image.seek(0)
        assert is_all(read(image), RED)


def test_an_image_of_a_broken_file_is_unreadable():
    data = encoded(noise(), "PNG")
    with Image.open(io.BytesIO(data[: len(data) // 2])) as image:
        assert status_of(image) == "unreadable"


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
def test_an_image_without_pixels_is_unreadable(size):
    assert status_of(Image.new("RGB", size)) == status_of(np.zeros((*size, 3), np.uint8)) == status_of(np.zeros(size))


def test_an_array_gives_the_same_as_its_image():
    image = noise()
    pixels = np.asarray(image)
    assert np.array_equal(read(pixels), read(image))
    assert np.array_equal(read(pixels[::-1, ::2]), read(np.ascontiguousarray(pixels[::-1, ::2])))
    assert np.array_equal(read(pixels[:, :, 0]), read(image.getchannel("R")))


def test_clear_pixels_of_an_array_become_white():
    assert is_all(read(np.zeros((30, 40, 4), np.uint8)), WHITE)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floating_point_pixels_are_those_of_0_to_1(dtype):
    assert is_all(read(np.full((30, 40, 3), (1, 0.4, 0), dtype)), (255, 102, 0))
    assert is_all(read(np.full((30, 40), 1, dtype)), WHITE)


def test_an_array_is_left_as_it_is():
    pixels = np.asarray(noise()).copy()
    before = pixels.copy()
    read(pixels)
    assert np.array_equal(pixels, before)


@pytest.mark.parametrize("shape", [(), (5,), (5, 5, 1), (5, 5, 2), (5, 5, 5), (3, 5, 5), (1, 5, 5, 3)])
def test_an_array_of_another_shape_is_unsupported_and_those_that_are_read_are_named(shape):
    with pytest.raises(ImageError, match=r"\(H, W, 3\)") as caught:
        read(np.zeros(shape, np.uint8))
    assert caught.value.status == "unsupported"


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint16, np.int64, np.complex64, object, "U3"])
def test_an_array_of_other_values_is_unsupported_and_those_that_are_read_are_named(dtype):
    with pytest.raises(ImageError, match="uint8") as caught:
        read(np.zeros((5, 5, 3), dtype))
    assert caught.value.status == "unsupported"


@pytest.mark.parametrize("value", [-0.01, 1.01, 255, np.nan, np.inf])
def test_a_floating_point_array_beyond_0_to_1_is_unsupported(value):
    pixels = np.zeros((5, 5, 3))
    pixels[2, 2, 1] = value
    with pytest.raises(ImageError, match=r"0\.\.1") as caught:
        read(pixels)
    assert caught.value.status == "unsupported"


def test_an_image_or_array_with_too_many_pixels_is_too_large():
    row = np.broadcast_to(np.zeros(1, np.uint8), (HUGE[1], HUGE[0]))  # takes a byte
    assert status_of(row) == "too-large"
    with Image.open(io.BytesIO(encoded(one_colour(RED), "BMP"))) as image:
        image._size = HUGE
        assert status_of(image) == "too-large"


def test_a_link_gives_the_image_it_leads_to(tmp_path):
    (tmp_path / "link").symlink_to(saved(one_colour(RED), tmp_path / "image.png", "PNG"))
    assert is_all(read(tmp_path / "link"), RED)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (3, 2)])
def test_an_image_of_any_shape_fills_the_square(size):
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
@pytest.mark.parametrize("image_format", WITH_ORIENTATION)
def test_an_exif_orientation_equals_turning_the_image_first(image_format, orientation):
    options = WITH_ORIENTATION[image_format]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    plain = np.asarray(Image.open(io.BytesIO(encoded(noise(), image_format, **options))).convert("RGB"))
    turned = Image.fromarray(np.ascontiguousarray(TURNS[orientation](plain)))
    pixels = read(encoded(noise(), image_format, exif=exif.tobytes(), **options))
    assert np.abs(pixels.astype(int) - read(encoded(turned, "PNG"))).max() <= 1


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    assert np.array_equal(read(encoded(noise(), "PNG", exif=exif)), read(encoded(noise(), "PNG")))


def with_damaged_exif():
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    return encoded(one_colour(RED), "WEBP", exif=exif.tobytes()[:-8])


def test_damaged_exif_does_not_spoil_the_image_where_warnings_are_errors():
    assert is_all(read(with_damaged_exif()), RED, tolerance=5)


def test_reading_on_threads_leaves_the_warning_filters_as_they_are():
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        with ThreadPoolExecutor(4) as pool:
            seen = list(pool.map(lambda data: (read(data).shape, list(warnings.filters)), [with_damaged_exif()] * 20))
        after = list(warnings.filters)
    assert seen == [((SIZE, SIZE, 3), before)] * 20
    assert after == before
    assert warned  # Pillow's own, which are the program's to filter


def test_the_command_does_not_show_the_warnings_of_pillow(tmp_path):
    (tmp_path / "a.webp").write_bytes(with_damaged_exif())
    done = capgen("caption", tmp_path / "a.webp")
    assert (done.returncode, done.stderr) == (0, "")


# HEIC


def heic(image, **options):
    return encoded(image, "HEIF", **options)


def test_a_heic_that_says_its_orientation_twice_is_turned_once():
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    data = heic(noise(), exif=exif.tobytes(), quality=95)
    assert b"irot" in data
    assert b"Exif" in data
    with Image.open(io.BytesIO(data)) as image:
        shown = np.asarray(image.convert("RGB"))
    assert shown.shape == (60, 40, 3)
    assert np.abs(read(data).astype(int) - read(shown)).max() <= 1


def test_an_exif_orientation_without_a_rotation_of_the_heic_itself_turns_nothing():
    exif = Image.Exif()
    exif[ORIENTATION] = 1
    data = heic(noise(), exif=exif.tobytes())
    tag = struct.pack(">HHIH", ORIENTATION, 3, 1, 1)
    assert tag in data
    assert np.array_equal(read(data.replace(tag, tag[:-1] + b"\6")), read(heic(noise())))


def test_a_heic_gives_its_main_image():
    red, blue = one_colour(RED), one_colour(BLUE)
    assert is_all(read(heic(red, save_all=True, append_images=[blue], primary_index=0)), RED, tolerance=5)
    assert is_all(read(heic(red, save_all=True, append_images=[blue], primary_index=1)), BLUE, tolerance=5)


def test_clear_pixels_of_a_heic_become_white():
    assert is_all(read(heic(one_colour((255, 0, 0, 0), "RGBA"))), WHITE, tolerance=2)


def test_a_grey_heic_of_more_than_8_bits_is_scaled():
    grey = Image.fromarray(np.full((30, 40), 100 * 257, np.uint16))
    assert is_all(read(heic(grey)), (100, 100, 100), tolerance=1)


def test_a_heic_with_a_general_brand_is_read():
    data = bytearray(heic(one_colour(RED)))
    data[8:12] = b"mif1"
    assert is_all(read(bytes(data)), RED, tolerance=5)


def test_an_avif_with_a_general_brand_is_read():
    data = bytearray(encoded(one_colour(RED), "AVIF"))
    data[8:12] = b"mif1"
    assert is_all(read(bytes(data)), RED, tolerance=5)


def test_a_heic_with_damaged_data_is_unreadable():
    data = bytearray(heic(noise()))
    data[data.index(b"mdat") + 4 :] = bytes(len(data) - data.index(b"mdat") - 4)
    assert status_of(bytes(data)) == "unreadable"


def test_a_heic_with_too_many_pixels_is_too_large():
    data = bytearray(heic(one_colour(RED, size=(64, 64))))  # a size that is coded without being cropped
    offset = data.index(b"ispe") + 8
    data[offset : offset + 8] = struct.pack(">II", *HUGE)
    assert status_of(bytes(data)) == "too-large"


def test_without_pillow_heif_a_heic_is_unsupported_and_it_is_said_how_to_get_it(monkeypatch):
    data = heic(one_colour(RED))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match="pip install pillow-heif") as caught:
        read(data)
    assert caught.value.status == "unsupported"


def test_a_pillow_heif_without_its_library_is_as_if_there_were_none(monkeypatch):
    from pillow_heif import _deffered_error, heif

    monkeypatch.setattr(heif, "_pillow_heif", _deffered_error.DeferredError(ImportError("libheif.so.1 is missing")))
    with pytest.raises(ImageError, match="pip install pillow-heif"):
        read(heic(one_colour(RED)))


def test_pillow_heif_is_loaded_for_a_heic_only_and_not_registered(tmp_path):
    for name in ("JPEG", "AVIF", "HEIF"):
        saved(one_colour(RED), tmp_path / name, name)
    program = """
import sys
from capgen import images
print("PIL" in sys.modules)
for name in ("JPEG", "AVIF", "HEIF"):
    images.read(name, images.Preprocessing())
    print("pillow_heif" in sys.modules)
print("HEIF" in sys.modules["PIL.Image"].OPEN)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.split() == ["False", "False", "False", "True", "False"]


# Telling images by how they begin


@pytest.mark.parametrize("image_format", FORMATS)
def test_each_format_looks_like_an_image(image_format):
    data = encoded(noise(), image_format)
    assert formats.looks_like_image(data[: formats.HEAD_BYTES])
    assert formats.looks_like_image(data)


@pytest.mark.parametrize("head", [
    b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"GIF87a", b"BM" + bytes(8), b"\0\0\0\x14ftypmif1\0\0\0\0avif",
    b"\0\0\0\x18ftypheic", b"\0\0\0\x18ftypmsf1\0\0\0\0hevc", b"\xff\xff\xff\xffftypavis",
])  # fmt: skip
def test_what_begins_like_an_image_looks_like_one(head):
    assert formats.looks_like_image(head)


@pytest.mark.parametrize("head", [
    b"", b"\xff", b"\xff\xd8", b"BM", b"BM in capitals begins this text", b"RIFF\0\0\0\0WAVEfmt ", b"GIF88a", b"GIFT",
    b"II", b"MM\0", b"%PDF-1.7", b"\x89PNG", b"P6 3 2 255", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
    b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", b"\0\0\0\x18ftyp", b"<svg xmlns=", b"PK\3\4", bytes(64),
])  # fmt: skip
def test_what_begins_otherwise_does_not_look_like_an_image(head):
    assert not formats.looks_like_image(head)


@given(st.binary(max_size=80))
def test_any_beginning_is_recognised_or_refused(head):
    assert formats.looks_like_image(b"\0\0\0\x20ftyp" + head) in {True, False}


# Modes


def png(width, height, depth, colour_type, row, *chunks, interlaced=0, last=()):
    """Write a PNG of equal rows that Pillow itself would not write."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, interlaced))
    data = chunk(b"IDAT", zlib.compress((b"\0" + row) * height if row else b""))
    behind = b"".join(chunk(*c) for c in last)
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunk(*c) for c in chunks) + data + behind + chunk(b"IEND", b"")


@pytest.mark.parametrize(("mode", "clear"), [("RGBA", (255, 0, 0, 0)), ("LA", (0, 0))])
def test_clear_pixels_become_white(mode, clear):
    assert is_all(read(encoded(one_colour(clear, mode), "PNG")), WHITE)


def test_half_clear_pixels_are_mixed_with_white():
    assert is_all(read(encoded(one_colour((255, 0, 0, 128), "RGBA"), "PNG")), (255, 127, 127), tolerance=1)


@pytest.mark.parametrize("image_format", ["WEBP", "AVIF", "TIFF"])
def test_clear_pixels_become_white_in_other_formats_too(image_format):
    assert is_all(read(encoded(one_colour((255, 0, 0, 0), "RGBA"), image_format)), WHITE, tolerance=2)


@pytest.mark.parametrize("image_format", ["PNG", "GIF"])
def test_the_clear_colour_of_a_palette_becomes_white(image_format):
    palette = one_colour(0, "P")
    palette.putpalette([255, 0, 0, 0, 0, 255])
    assert is_all(read(encoded(palette, image_format, transparency=0)), WHITE)


def test_a_palette_with_an_opacity_a_colour_is_mixed_with_white():
    palette = one_colour(0, "P")
    palette.putpalette([255, 0, 0, 0, 0, 255])
    assert is_all(read(encoded(palette, "PNG", transparency=bytes([128, 255]))), (255, 127, 127), tolerance=1)


def test_the_clear_colour_of_an_rgb_png_becomes_white():
    assert is_all(read(encoded(one_colour(RED), "PNG", transparency=RED)), WHITE)


def test_the_clear_shade_of_a_grey_png_becomes_white():
    assert is_all(read(encoded(one_colour(7, "L"), "PNG", transparency=7)), WHITE)


@pytest.mark.parametrize(("depth", "shades", "level"), [(1, b"\0", 0), (2, b"\x55", 1), (4, b"\x55", 5), (4, b"\xff", 15)])
def test_the_clear_shade_of_a_grey_png_of_few_bits_becomes_white(depth, shades, level):
    assert is_all(read(png(8, 8, depth, 0, shades * depth, (b"tRNS", struct.pack(">H", level)))), WHITE)


HISTORY = b"<step/>" * 1_000_000
"""The metadata of an editor that logs each step: more than Pillow takes in a PNG."""

METADATA = {
    "compressed text": (b"zTXt", b"workflow\0\0" + zlib.compress(HISTORY)),
    "compressed XMP": (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(HISTORY)),
    "XMP": (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + HISTORY * 10),
    "text": (b"tEXt", b"workflow\0" + HISTORY * 10),
    "profile": (b"iCCP", b"printer\0\0" + zlib.compress(HISTORY)),
    "profile of an unknown compression": (b"iCCP", b"printer\0\7nothing"),
    "text that is not compressed as it says": (b"zTXt", b"Raw profile type exif\0\0nothing"),
    "broken Exif": (b"eXIf", b"nothing"),
}


@pytest.mark.parametrize("kind", METADATA)
@pytest.mark.parametrize("where", ["chunks", "last"])
def test_metadata_of_a_png_never_decides_whether_its_pixels_are_read(kind, where):
    options = {"last": [METADATA[kind]]} if where == "last" else {}
    data = png(8, 8, 8, 2, b"\xff\0\x64" * 8, *([] if options else [METADATA[kind]]), **options)
    assert is_all(read(data), (255, 0, 100))


@pytest.mark.parametrize("name", [b"tEXt", b"iCCP", b"eXIf"])
def test_metadata_of_a_png_with_a_wrong_checksum_is_passed_over(name):
    data = bytearray(png(8, 8, 8, 2, b"\xff\0\x64" * 8, (name, b"Raw profile type exif\0 text")))
    data[data.index(name) + 25] ^= 1
    assert is_all(read(bytes(data)), (255, 0, 100))


@pytest.mark.parametrize(
    "chunk",
    [
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b'<x tiff:Orientation="3"/>'),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b'<x tiff:Orientation="3"/>')),
        (b"eXIf", b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\3\0\0\0\0\0\0"),
    ],
    ids=["XMP", "compressed XMP", "Exif"],
)
def test_metadata_of_a_png_still_says_how_it_is_turned(chunk):
    left_red = b"\xff\0\0" * 4 + b"\0\0\xff" * 4
    pixels = read(png(8, 8, 8, 2, left_red, chunk))
    assert pixels[0, -1].tolist() == list(RED)
    assert pixels[0, 0].tolist() == list(BLUE)


def test_what_the_first_frame_of_a_gif_does_not_cover_is_white():
    frame = encoded(one_colour(RED, size=(20, 15)).quantize(4), "GIF")
    start = frame.index(b"\x2c\0\0\0\0")
    offset = struct.pack("<HH", 20, 15)
    canvas = frame[:6] + struct.pack("<HH", 40, 30) + frame[10 : start + 1] + offset + frame[start + 5 :]
    pixels = read(canvas)
    assert is_all(pixels[:12].repeat(3, axis=0)[:SIZE], WHITE)
    assert pixels[-1, -1].tolist() == list(RED)
    assert pixels[-1, 0].tolist() == list(WHITE)


def test_the_clear_shade_of_a_16_bit_grey_png_becomes_white():
    assert is_all(read(png(8, 8, 16, 0, b"\0\7" * 8, (b"tRNS", b"\0\7"))), WHITE)


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
@pytest.mark.parametrize("value", [0, 1, 100, 254, 255])
def test_16_bit_grey_is_scaled_to_8_bits(image_format, value):
    grey = Image.fromarray(np.full((30, 40), value * 257, np.uint16))
    assert is_all(read(encoded(grey, image_format)), (value, value, value))


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


def test_a_float_tiff_is_as_bright_as_its_8_bit_image_whatever_the_filter_makes_of_its_edges():
    sharp = np.zeros((300, 300), np.uint8)
    sharp[::2, 150:] = sharp[:, :40] = 255
    assert (
        np.abs(read(encoded(Image.fromarray((sharp / 255).astype(np.float32)), "TIFF")).astype(int) - read(sharp)).max() <= 3
    )


def test_highlights_beyond_white_leave_the_rest_of_a_float_tiff_as_it_is():
    grey = np.full((300, 300), 0.4, np.float32)
    grey[0, :20] = 1.07
    assert abs(int(read(encoded(Image.fromarray(grey), "TIFF"))[-1, -1, 0]) - 102) <= 1


@pytest.mark.parametrize(
    ("header", "kind"),
    [(b"\xff\xc1\0\x0b\x0c", "12 bits"), (b"\xff\xc3\0\x0b\x10", "16 bits"), (b"\xff\xf7\0\x0b\x08", "JPEG-LS")],
)
def test_a_jpeg_of_a_rare_kind_is_unsupported_by_its_kind_and_not_called_damaged(header, kind):
    whole = b"\xff\xd8\xff\xe0\0\x04ab" + header + b"\0\x08\0\x08\1\1\x11\0" + b"\xff\xda" + bytes(60)
    with pytest.raises(ImageError, match=kind) as caught:
        read(whole)
    assert caught.value.status == "unsupported"


def test_a_cmyk_jpeg_keeps_its_colours():
    assert is_all(read(encoded(one_colour(RED).convert("CMYK"), "JPEG")), RED, tolerance=5)


def test_a_palette_image_keeps_its_colours():
    assert is_all(read(encoded(one_colour(BLUE).convert("P"), "PNG")), BLUE)


@pytest.mark.parametrize(("value", "colour"), [(0, (0, 0, 0)), (1, WHITE)])
def test_a_1_bit_image_is_black_and_white(value, colour):
    assert is_all(read(encoded(one_colour(value, "1"), "PNG")), colour)


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "TIFF"])
def test_a_grey_image_has_three_equal_channels(image_format):
    assert is_all(read(encoded(one_colour(90, "L"), image_format)), (90, 90, 90), tolerance=1)


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_truncated_image_is_unreadable(tmp_path, image_format):
    data = encoded(noise(), image_format)
    (tmp_path / "half").write_bytes(data[: len(data) // 2])
    assert status_of(tmp_path / "half") == "unreadable"


def test_an_empty_file_is_unsupported_and_said_to_be_empty(tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    with pytest.raises(ImageError, match="it is empty") as caught:
        read(tmp_path / "empty.jpg")
    assert caught.value.status == "unsupported"


def test_a_text_file_is_unsupported_and_the_formats_are_named(tmp_path):
    (tmp_path / "text.jpg").write_text("This is not an image.\n" * 50)
    with pytest.raises(ImageError, match=r"JPEG.* HEIF image") as caught:
        read(tmp_path / "text.jpg")
    assert caught.value.status == "unsupported"


def test_a_format_that_is_not_listed_is_unsupported():
    assert status_of(encoded(one_colour(RED), "PPM")) == "unsupported"


def test_a_folder_is_unsupported_and_recursive_is_offered(tmp_path):
    with pytest.raises(ImageError, match="`recursive=True`") as caught:
        read(tmp_path)
    assert caught.value.status == "unsupported"


def test_a_missing_file_is_missing(tmp_path):
    assert status_of(tmp_path / "none.jpg") == "missing"


@pytest.mark.parametrize("name", ["none\0.jpg", "\ud800.jpg"])
def test_a_name_that_no_file_can_have_is_missing(tmp_path, name):
    assert status_of(tmp_path / name) == status_of(str(tmp_path / name)) == "missing"


def test_a_pipe_that_nobody_writes_to_is_unsupported_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert status_of(tmp_path / "pipe.jpg") == "unsupported"


@pytest.mark.parametrize("name", ["file.jpg/below.jpg", "long" * 100])
def test_a_path_that_cannot_exist_is_not_called_damaged_data(tmp_path, name):
    (tmp_path / "file.jpg").write_bytes(b"")
    with pytest.raises(ImageError) as caught:
        read(tmp_path / name)
    assert "damaged" not in str(caught.value)


def test_a_file_that_may_not_be_read_is_denied(tmp_path):
    path = saved(one_colour(RED), tmp_path / "secret.png", "PNG")
    path.chmod(0)
    with bound_by_modes():
        assert status_of(path) == "denied"


def is_read_or_refused(data):
    try:
        pixels = read(data)
    except ImageError as error:
        return error.status in STATUSES and "\n" not in str(error)
    return pixels.shape == (SIZE, SIZE, 3) and pixels.dtype == np.uint8


SIGNATURES = (
    b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x40\0\0\0WEBPVP8 ", b"GIF89a", b"BM", b"II*\0\x08\0\0\0",
    b"\0\0\0\x10ftypavif\0\0\0\0", b"\0\0\0\x10ftypheic\0\0\0\0",
)  # fmt: skip


@settings(deadline=None, max_examples=examples(150))
@given(st.sampled_from(SIGNATURES), st.binary(max_size=300))
def test_random_bytes_never_give_anything_but_an_error_with_a_status_or_an_image(signature, data):
    assert is_read_or_refused(signature + data)


WHOLE = {name: encoded(noise(24, 16), name) for name in FORMATS}


@settings(deadline=None, max_examples=examples(150))
@given(st.sampled_from(list(WHOLE)), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_an_image_with_changed_bytes_is_read_or_refused(image_format, changes):
    data = bytearray(WHOLE[image_format])
    for position, value in changes:
        data[int(position * (len(data) - 1))] = value
    assert is_read_or_refused(bytes(data))


def test_an_animated_avif_without_a_clock_is_unreadable():
    data = bytearray(encoded(one_colour(RED), "AVIF", save_all=True, append_images=[one_colour(BLUE)]))
    offset = data.index(b"mdhd") + 24  # ticks a second, by which Pillow divides
    data[offset : offset + 4] = bytes(4)
    assert status_of(bytes(data)) == "unreadable"


def test_an_avif_with_damaged_data_is_unreadable():
    data = bytearray(encoded(noise(), "AVIF"))
    data[data.index(b"mdat") + 4 :] = bytes(len(data) - data.index(b"mdat") - 4)
    assert status_of(bytes(data)) == "unreadable"


HUGE = (16000, 12000)


def test_the_huge_size_is_beyond_the_bound():
    assert HUGE[0] * HUGE[1] > MAX_PIXELS


def test_a_huge_baseline_jpeg_is_decoded_at_a_reduced_scale():
    assert is_all(read(encoded(one_colour(200, "L", HUGE), "JPEG")), (200, 200, 200), tolerance=1)


def test_a_huge_progressive_jpeg_is_too_large():
    data = bytearray(encoded(one_colour(RED), "JPEG", progressive=True))
    size = data.index(b"\xff\xc2") + 5  # the frame header's height and width
    data[size : size + 4] = struct.pack(">HH", HUGE[1], HUGE[0])
    assert status_of(bytes(data)) == "too-large"


HUGE_TIFF = {"compression": "tiff_deflate"}


@pytest.mark.parametrize(("image_format", "options"), [("PNG", {"compress_level": 1}), ("TIFF", HUGE_TIFF)])
def test_a_huge_image_that_is_stored_by_rows_is_read_at_a_reduced_scale(image_format, options):
    image = one_colour(50, "L", HUGE)
    image.paste(200, (0, 0, HUGE[0], HUGE[1] // 2))
    pixels = read(encoded(image, image_format, **options))
    assert is_all(pixels[:12].repeat(3, axis=0)[:SIZE], (200, 200, 200))
    assert is_all(pixels[-12:].repeat(3, axis=0)[:SIZE], (50, 50, 50))


def test_a_huge_image_is_too_large_without_the_package_that_reads_it_and_the_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyvips", None)
    with pytest.raises(ImageError, match=r"178,956,970 pixels.*pip install 'pyvips\[binary\]'") as caught:
        read(png(*HUGE, 8, 0, b""))
    assert caught.value.status == "too-large"


def test_a_huge_interlaced_png_is_too_large():
    assert status_of(png(*HUGE, 8, 0, b"", interlaced=1)) == "too-large"


def test_a_huge_png_without_pixels_is_unreadable():
    assert status_of(png(*HUGE, 8, 0, b"")) == "unreadable"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the most memory of a program in a file")
def test_a_gigapixel_is_read_in_600_megabytes(tmp_path):
    (tmp_path / "huge.png").write_bytes(png(1 << 15, 1 << 15, 1, 0, b"\xff" * (1 << 12)))
    # The most memory of this program: that of getrusage counts what the process had that started it.
    program = (
        "import re, sys; from pathlib import Path; from capgen import images\n"
        "print(images.read(sys.argv[1], images.Preprocessing()).min())\n"
        "print(re.search(r'VmHWM:\\s*(\\d+) kB', Path('/proc/self/status').read_text())[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "huge.png"], capture_output=True, text=True, check=True)
    least, memory = map(int, done.stdout.split())
    assert least == 255
    assert memory < 600_000  # kilobytes


def test_an_image_beyond_all_bounds_is_too_large():
    assert status_of(png(1 << 17, 1 << 17, 8, 0, b"")) == "too-large"


def test_a_file_too_large_to_read_is_named_without_reading_it(tmp_path):
    path = tmp_path / "huge.tif"
    with path.open("wb") as file:
        file.truncate(images.MAX_BYTES + 1)  # a hole: it takes no space
    with pytest.raises(ImageError) as caught:
        images.read(path, images.Preprocessing())
    assert caught.value.status == "too-large"
