"""Images in other colour spaces than sRGB: those in which captions differ are converted, the others stay as they are."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from support.image_files import encode

from capgen import images

SIZE = 32
COLOURS = [(200, 60, 50), (60, 160, 70), (50, 80, 190), (128, 128, 128), (240, 220, 90)]

SRGB = [(0.64, 0.33), (0.30, 0.60), (0.15, 0.06)]
DISPLAY_P3 = [(0.680, 0.320), (0.265, 0.690), (0.150, 0.060)]
ADOBE_RGB = [(0.64, 0.33), (0.21, 0.71), (0.15, 0.06)]
PROPHOTO = [(0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)]
BT2020 = [(0.708, 0.292), (0.170, 0.797), (0.131, 0.046)]
D65, D50 = (0.3127, 0.3290), (0.3457, 0.3585)


def read(data):
    return images.read(data, images.Preprocessing(size=SIZE))[SIZE // 2, SIZE // 2].astype(int)


def xyz(xy):
    return np.array([xy[0] / xy[1], 1, (1 - xy[0] - xy[1]) / xy[1]])


def to_xyz(primaries, white):
    """Return the matrix of linear light in some primaries to XYZ."""
    matrix = np.array([xyz(primary) for primary in primaries]).T
    return matrix * np.linalg.solve(matrix, xyz(white))


def adaptation(white, other):
    """Return the matrix that adapts XYZ from one white to another (Bradford)."""
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    scale = np.diag((bradford @ other) / (bradford @ white))
    return np.linalg.inv(bradford) @ scale @ bradford


def profile(primaries, white, gamma):
    """Make an ICC profile of primaries and a gamma."""
    connection = np.array([0.9642, 1, 0.8249])
    columns = (adaptation(xyz(white), connection) @ to_xyz(primaries, white)).T

    def fixed(numbers):
        return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    tags = [(b"wtpt", b"XYZ \0\0\0\0" + fixed(connection))]
    for letter, column in zip(b"rgb", columns, strict=True):
        tags += [(bytes([letter]) + b"XYZ", b"XYZ \0\0\0\0" + fixed(column)), (bytes([letter]) + b"TRC", curve)]
    offset = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags:
        table += name + struct.pack(">II", offset + len(body), len(content))
        body += content
    head = struct.pack(">I4sI4s4s4s", offset + len(body), b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    return head + bytes(12) + b"acsp" + bytes(28) + fixed(connection) + bytes(48) + table + body


def light(colour):
    value = np.array(colour) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def in_space(colour, primaries, white, curve):
    """Return the 8-bit values of an sRGB colour in another space."""
    adapted = adaptation(xyz(D65), xyz(white)) @ to_xyz(SRGB, D65) @ light(colour)
    linear = np.linalg.solve(to_xyz(primaries, white), adapted)
    return tuple(int(level) for level in np.rint(np.clip(curve(np.clip(linear, 0, 1)), 0, 1) * 255))


def pq(linear):
    nits = (linear * 203 / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * nits) / (1 + 18.6875 * nits)) ** 78.84375


def hlg(linear):
    scene = linear * 0.265
    return np.where(
        scene <= 1 / 12, np.sqrt(3 * scene), 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    )


def flat(colour):
    return Image.new("RGB", (64, 48), colour)


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "JPEG", "WEBP"])
def test_a_profile_that_changes_captions_is_applied(image_format):
    wide = profile(PROPHOTO, D50, 1.8)
    options = {"PNG": {}, "TIFF": {}, "JPEG": {"quality": 98}, "WEBP": {"lossless": True}}[image_format]
    for colour in COLOURS:
        stored = in_space(colour, PROPHOTO, D50, lambda linear: linear ** (1 / 1.8))
        data = encode(flat(stored), image_format, icc_profile=wide, **options)
        assert np.abs(read(data) - colour).max() <= 6, colour


@pytest.mark.parametrize("primaries", [SRGB, DISPLAY_P3, ADOBE_RGB], ids=["sRGB", "Display P3", "Adobe RGB"])
def test_a_profile_that_does_not_change_captions_leaves_the_pixels_as_they_are(primaries):
    for colour in COLOURS:
        assert read(encode(flat(colour), "PNG", icc_profile=profile(primaries, D65, 2.2))).tolist() == list(colour)


@pytest.mark.parametrize("damage", [b"", b"nothing", bytes(200), profile(PROPHOTO, D50, 1.8)[:200]], ids=len)
def test_a_damaged_profile_is_passed_over(damage):
    assert read(encode(flat(COLOURS[0]), "PNG", icc_profile=damage)).tolist() == list(COLOURS[0])


def test_a_profile_of_other_colours_than_those_of_the_image_is_passed_over():
    ink = bytearray(profile(PROPHOTO, D50, 1.8))
    ink[16:20] = b"CMYK"
    assert read(encode(flat(COLOURS[0]), "PNG", icc_profile=bytes(ink))).tolist() == list(COLOURS[0])


def hdr(colour, image_format, transfer, curve):
    """Encode a colour as an HDR image; its file says so in 16-bit numbers of primaries and transfer characteristics."""
    stored = flat(in_space(colour, BT2020, D65, curve))
    if image_format == "PNG":
        data = encode(stored, "PNG")
        chunk = b"cICP" + bytes([9, transfer, 0, 1])
        return data[:33] + struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]
    data = bytearray(encode(stored, image_format, quality=98))
    start = data.index(b"colrnclx") + 8
    data[start : start + 4] = struct.pack(">HH", 9, transfer)
    return bytes(data)


@pytest.mark.parametrize("image_format", ["PNG", "HEIF", "AVIF"])
@pytest.mark.parametrize(("transfer", "curve"), [(16, pq), (18, hlg)], ids=["PQ", "HLG"])
def test_hdr_images_are_brought_to_srgb(image_format, transfer, curve):
    for colour in COLOURS:
        assert np.abs(read(hdr(colour, image_format, transfer, curve)) - colour).max() <= 14, colour


def test_an_avif_that_names_two_ways_of_coding_is_taken_as_it_is():
    data = hdr(COLOURS[0], "AVIF", 16, pq)
    plain = read(data + b"colrnclx\0\1\0\r\0\1\x80")  # as the boxes of an image with a gain map do
    assert np.abs(plain - in_space(COLOURS[0], BT2020, D65, pq)).max() <= 4


def test_highlights_of_hdr_images_are_white():
    buffer = io.BytesIO(hdr((255, 255, 255), "PNG", 16, pq))
    with Image.open(buffer) as image:
        assert image.getpixel((0, 0))[0] < 160
    assert read(hdr((255, 255, 255), "PNG", 16, lambda linear: pq(linear * 20))).tolist() == [255, 255, 255]
