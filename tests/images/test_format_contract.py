"""What every row of the table of image formats must keep to; a new row runs through all of it without a further test."""

import numpy as np
import pytest
from PIL import Image
from support.image_files import encode

from capgen import images
from capgen.errors import ImageError
from capgen.images import formats
from capgen.images.formats import FORMATS, HEAD_BYTES, OPENERS, SUFFIXES
from capgen.inputs.selection import Selection

SIZE = 32
WIDTH, HEIGHT = 640, 480  # as the smallest previews of camera raw files
RED, BLUE, GREEN, WHITE = (230, 30, 30), (30, 30, 230), (30, 200, 30), (255, 255, 255)

each_format = pytest.mark.parametrize("row", FORMATS, ids=lambda row: row.name)
"""The tests of this module take the row of a format."""


def draw():
    """Draw four corners of different colours, so that every turn and every mirroring shows."""
    image = Image.new("RGB", (2, 2))
    for colour, corner in ((RED, (0, 0)), (BLUE, (1, 0)), (GREEN, (0, 1)), (WHITE, (1, 1))):
        image.putpixel(corner, colour)
    return image.resize((WIDTH, HEIGHT), Image.Resampling.NEAREST)


def corners(pixels):
    """Return the colours in the middle of the four corners, from left to right and from top to bottom."""
    quarter = SIZE // 4
    return [pixels[y, x].astype(int) for y in (quarter, 3 * quarter) for x in (quarter, 3 * quarter)]


def is_drawing(pixels):
    # the palette of a GIF and the compression of the others change colours a little
    return np.abs(np.array(corners(pixels)) - [RED, BLUE, GREEN, WHITE]).max() <= 25


@each_format
def test_its_endings_are_lower_case_and_belong_to_no_other_format(row):
    assert row.suffixes
    for suffix in row.suffixes:
        assert suffix.startswith(".")
        assert suffix == suffix.lower()
        assert suffix in SUFFIXES
        assert [other.name for other in FORMATS if suffix in other.suffixes] == [row.name]


@each_format
def test_its_file_is_recognised_by_its_first_bytes_and_by_no_other_row_before_it(row):
    head = encode(draw(), row.name)[:HEAD_BYTES]
    assert formats.recognise(head) is row
    assert formats.looks_like_image(head)


@each_format
@pytest.mark.parametrize("length", [0, 1])
def test_its_file_is_not_recognised_by_next_to_nothing(row, length):
    assert not row.recognise(encode(draw(), row.name)[:length])


@each_format
def test_its_file_is_read_upright_under_a_wrong_name(row, tmp_path):
    path = tmp_path / "image.wrong"
    path.write_bytes(encode(draw(), row.name))
    assert is_drawing(images.read(path, images.Preprocessing(size=SIZE)))


TURNED = {
    "JPEG": {"exif": True}, "PNG": {"exif": True}, "WEBP": {"exif": True}, "TIFF": {"exif": True}, "AVIF": {"exif": True},
    "HEIF": {"exif": True}, "camera raw": {"orientation": 3},
}  # fmt: skip
"""How each format that can say so is told that its image is turned by 180 degrees."""


@pytest.mark.parametrize("row", [row for row in FORMATS if row.name in TURNED], ids=lambda row: row.name)
def test_its_orientation_is_applied(row):
    options = dict(TURNED[row.name])
    if options.pop("exif", False):
        exif = Image.Exif()
        exif[0x0112] = 3
        options["exif"] = exif.tobytes()
    data = encode(draw().transpose(Image.Transpose.ROTATE_180), row.name, **options)
    assert is_drawing(images.read(data, images.Preprocessing(size=SIZE)))


@each_format
def test_the_ending_that_its_file_should_have_is_its_first(row):
    assert formats.suffix_for(encode(draw(), row.name)) == row.suffixes[0]


@each_format
def test_its_files_are_found_in_a_folder_by_every_ending_and_without_one(row, tmp_path):
    names = [*(f"image{suffix}" for suffix in row.suffixes), f"IMAGE{row.suffixes[0].upper()}", "no ending"]
    for name in names:
        (tmp_path / name).write_bytes(encode(draw(), row.name))
    assert formats.is_image_file(tmp_path / "no ending")
    found = Selection(recursive=True).find([str(tmp_path)])
    assert {entry.relative_path for entry in found} == set(names)


@each_format
@pytest.mark.parametrize("kept", [0.25, 0.5])
def test_its_file_that_ends_early_is_unreadable(row, kept):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))
    data = encode(noise, row.name)
    with pytest.raises(ImageError) as caught:
        images.read(data[: int(len(data) * kept)], images.Preprocessing(size=SIZE))
    # the thumbnail of a camera raw file may lie before what is missing
    assert caught.value.status == ("unsupported" if row.name == "camera raw" else "unreadable")
    assert "\n" not in str(caught.value)


@each_format
def test_its_file_that_has_only_the_first_bytes_is_unreadable(row):
    with pytest.raises(ImageError) as caught:
        images.read(encode(draw(), row.name)[:HEAD_BYTES], images.Preprocessing(size=SIZE))
    assert caught.value.status == "unreadable"


@each_format
def test_its_opener_gives_an_image_of_the_size_of_the_file(row):
    with OPENERS[row.name](encode(draw(), row.name), HEIGHT) as image:
        assert image.size == (WIDTH, HEIGHT)


@each_format
def test_it_is_named_where_a_file_is_in_no_format(row):
    with pytest.raises(ImageError, match=row.name) as caught:
        images.read(b"This is not an image.", images.Preprocessing())
    assert caught.value.status == "unsupported"


def test_the_names_of_the_formats_are_all_different():
    assert len({row.name for row in FORMATS}) == len(FORMATS) == len(list(OPENERS))
