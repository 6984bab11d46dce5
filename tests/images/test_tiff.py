"""Kinds of TIFF beyond those of photographs: right, or refused by their kind; never wrong, and never called damaged."""

import io
import itertools
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image
from support.image_files import raw

from capgen import images
from capgen.errors import ImageError
from capgen.images import Preprocessing

SIZE = 32
COLOURS = [np.uint8([[230, 30, 30], [30, 30, 230]]), np.uint8([[30, 200, 30], [250, 250, 250]])]
DRAWING = np.array(COLOURS).repeat(40, axis=0).repeat(60, axis=1)  # (80, 120, 3): four corners


def read(data):
    return images.read(data, Preprocessing(size=SIZE)).astype(int)


def samples_of(values, dtype):
    """Scale 0..255 to the range of a type."""
    dtype = np.dtype(dtype)
    most = 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)
    return (values / 255 * most).astype(dtype)


def tiff(planes, dtype, photometric, **options):
    """Write planes of 0..255 as one TIFF in which samples lie side by side."""
    separate = options.get("planarconfig") == "separate"
    stacked = np.stack([samples_of(plane, dtype) for plane in planes], axis=0 if separate else -1)
    buffer = io.BytesIO()
    byteorder = options.pop("byteorder", "<")
    with tifffile.TiffWriter(buffer, byteorder=byteorder, bigtiff=options.pop("bigtiff", False)) as writer:
        writer.write(
            stacked[..., 0] if stacked.shape[-1] == 1 else stacked, photometric=photometric, metadata=None, **options
        )
    return buffer.getvalue()


RGB = list(np.moveaxis(DRAWING, -1, 0))
GREY = np.asarray(Image.fromarray(DRAWING).convert("L"))
CMYK = list(np.moveaxis(np.asarray(Image.fromarray(DRAWING).convert("CMYK")), -1, 0))
OPAQUE = np.full_like(GREY, 255)

KINDS = {
    "RGB": (RGB, "rgb", DRAWING),
    "grey": ([GREY], "minisblack", GREY),
    "white is zero": ([255 - GREY], "miniswhite", GREY),
    "CMYK": (CMYK, "separated", DRAWING),
}
EXTRAS = [(), ("unassalpha",), ("assocalpha",), ("unspecified",), ("unassalpha", "unspecified")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "f2", "f4", "f8"])
@pytest.mark.parametrize("extra", EXTRAS, ids="+".join)
def test_every_combination_of_samples_shows_the_same_image(kind, dtype, extra):
    planes, photometric, expected = KINDS[kind]
    wrong = []
    for byteorder, compression, planar in itertools.product("<>", [None, "lzw", "deflate"], ["contig", "separate"]):
        if planar == "separate" and len(planes) + len(extra) == 1:
            continue
        options = {"byteorder": byteorder, "compression": compression, "extrasamples": extra or None}
        data = tiff([*planes, *[OPAQUE] * len(extra)], dtype, photometric, **options, planarconfig=planar)
        if np.abs(read(data) - read(expected)).max() > 2:
            wrong.append((byteorder, compression, planar))
    assert not wrong


@pytest.mark.parametrize(
    "options", [{"tile": (16, 16)}, {"rowsperstrip": 7}, {"bigtiff": True}, {"predictor": True}], ids=str
)
def test_planes_of_16_bits_are_read_in_every_layout(options):
    data = tiff(
        RGB, "u2", "rgb", planarconfig="separate", compression="deflate" if "predictor" in options else None, **options
    )
    assert np.abs(read(data) - read(DRAWING)).max() <= 2


@pytest.mark.parametrize("dtype", ["u2", "f4"])
@pytest.mark.parametrize("letter", ["A", "a"])
def test_clear_pixels_are_white(dtype, letter):
    colours = RGB if letter == "A" else [plane * 0 for plane in RGB]  # multiplied by their opacity
    extra = ["unassalpha" if letter == "A" else "assocalpha", "unspecified"]
    data = tiff([*colours, OPAQUE * 0, OPAQUE], dtype, "rgb", extrasamples=extra)
    assert read(data).min() == 255


def test_the_orientation_is_applied():
    turned = [plane[::-1, ::-1] for plane in RGB]
    data = tiff(turned, "f4", "rgb", extratags=[(274, "H", 1, 3, True)])
    assert np.abs(read(data) - read(DRAWING)).max() <= 2


def test_a_pixel_that_is_no_number_spoils_no_other_in_colour_either():
    grey = np.ones((SIZE, SIZE, 3), np.float32)
    grey[0, 0] = np.nan
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, grey, photometric="rgb", metadata=None)
    pixels = read(buffer.getvalue())
    assert pixels[0, 0].tolist() == [0, 0, 0]
    assert pixels[-1, -1].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("dtype", "options", "kind"),
    [
        ("u2", {"planarconfig": "separate"}, "3 16-bit samples in planes"),
        ("f4", {}, "3 32-bit floating-point samples"),
        ("i2", {}, "3 16-bit signed samples"),
    ],
)
def test_without_the_packages_a_kind_is_refused_by_its_name_and_the_packages_are_named(monkeypatch, dtype, options, kind):
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(ImageError, match=rf"a TIFF of {kind}, .*pip install tifffile imagecodecs") as caught:
        read(tiff(RGB, dtype, "rgb", **options))
    assert caught.value.status == "unsupported"


@pytest.mark.parametrize("bits", [9, 10, 12, 14, 16])
@pytest.mark.parametrize(("planes", "photometric"), [([GREY], "minisblack"), (RGB, "rgb")], ids=["grey", "RGB"])
def test_samples_of_more_than_8_bits_are_as_bright_whatever_their_number(bits, planes, photometric):
    most = (1 << bits) - 1
    values = np.stack([(plane.astype(np.uint32) * most // 255).astype(np.uint16) for plane in planes], axis=-1)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.squeeze(values), photometric=photometric, bitspersample=bits, metadata=None)
    assert np.abs(read(buffer.getvalue()) - read(np.squeeze(np.stack(planes, axis=-1)))).max() <= 2


@pytest.mark.parametrize("compression", ["packbits", "lzma", "zstd", "webp", "jpeg2000", "jpegxl", "png", "lerc"])
def test_every_compression_shows_the_same_image(compression):
    assert np.abs(read(tiff(RGB, "u1", "rgb", compression=compression)) - read(DRAWING)).max() <= 4


def test_complex_numbers_are_unsupported_and_not_called_damaged():
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.ones((8, 8), np.complex64), metadata=None)
    with pytest.raises(ImageError, match="1 64-bit") as caught:
        read(buffer.getvalue())
    assert caught.value.status == "unsupported"


@pytest.mark.parametrize("kept", [0.3, 0.9])
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_a_rare_kind_that_ends_early_is_unreadable(kept, compression):
    noise = [np.random.default_rng(seed).integers(0, 256, (80, 120)) for seed in range(3)]
    data = tiff(noise, "u2", "rgb", planarconfig="separate", compression=compression)
    with pytest.raises(ImageError) as caught:
        read(data[: int(len(data) * kept)])
    assert caught.value.status == "unreadable"


@pytest.mark.parametrize(
    "options", [{"compression": "tiff_lzw"}, {"compression": "jpeg"}, {"compression": "tiff_deflate"}], ids=str
)
def test_nothing_is_printed_of_a_damaged_file_but_its_error_is_raised(capfd, options):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 120, 3), np.uint8)).save(buffer, "TIFF", **options)
    data = bytearray(buffer.getvalue())
    data[200:-300:7] = bytes(len(data[200:-300:7]))
    with pytest.raises(ImageError):
        read(bytes(data))
    assert capfd.readouterr().err == ""


DNG = b"II*\0\x10\0\0\0" + bytes(8)
"""The first bytes of a DNG, which are those of any TIFF."""


def preview():
    return Image.fromarray(DRAWING).resize((640, 480), Image.Resampling.NEAREST)


def raw_status(data):
    with pytest.raises(ImageError) as caught:
        read(data)
    return caught.value.status


@pytest.mark.parametrize("thumbnail", [(0, 0, 0), (90, 90, 90)], ids=["black", "grey"])
@pytest.mark.parametrize("options", [{"signature": DNG}, {}], ids=["DNG", "CR2"])
def test_a_camera_raw_file_is_its_large_preview_and_never_its_first_image(thumbnail, options):
    assert np.abs(read(raw(preview(), thumbnail=thumbnail, **options)) - read(DRAWING)).mean() <= 4


@pytest.mark.parametrize(("orientation", "turn"), [
    (2, "FLIP_LEFT_RIGHT"), (3, "ROTATE_180"), (4, "FLIP_TOP_BOTTOM"), (5, "TRANSPOSE"), (6, "ROTATE_90"), (7, "TRANSVERSE"),
    (8, "ROTATE_270"),
])  # fmt: skip
def test_a_preview_is_turned_upright_as_the_raw_file_says(orientation, turn):
    turned = preview().transpose(Image.Transpose[turn])
    assert np.abs(read(raw(turned, orientation=orientation)) - read(DRAWING)).mean() <= 4


def test_a_raw_file_with_a_thumbnail_only_is_unsupported():
    assert raw_status(raw(preview().resize((160, 120)))) == "unsupported"


@pytest.mark.parametrize(
    "signature",
    [
        b"IIRO\x08\0\0\0", b"IIU\0\x18\0\0\0", b"FUJIFILMCCD-RAW 0201", b"\0\0\0\x18ftypcrx \0\0\0\1",
        b"II*\0\x08\0\0\0IIII", b"II\x1a\0\0\0HEAPCCDR", b"\0MRM\0\0\0\x08", b"FOVb\0\0\1\0",
    ],
)  # fmt: skip
def test_a_raw_file_that_is_not_known_is_unsupported_and_named_as_raw(signature):
    with pytest.raises(ImageError, match="camera raw") as caught:
        read(signature + bytes(300))
    assert caught.value.status == "unsupported"


@pytest.mark.parametrize("options", [{"signature": DNG}, {}], ids=["DNG", "CR2"])
def test_without_its_package_a_raw_file_is_unsupported_and_the_package_is_named(monkeypatch, options):
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(ImageError, match="pip install rawpy") as caught:
        read(raw(preview(), **options))
    assert caught.value.status == "unsupported"
