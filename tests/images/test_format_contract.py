"""What every row of the table of image formats must keep to; a new row runs through all of it without a further test."""

import io

import numpy as np
import pytest
from PIL import Image
from pillow_heif import register_heif_opener

from capgen import images
from capgen.errors import ImageError
from capgen.images import formats
from capgen.images.formats import FORMATS, HEAD_BYTES, OPENERS, SUFFIXES
from capgen.inputs.selection import Selection

register_heif_opener()  # for writing the files of the tests

SIZE = 32
RED, BLUE, GREEN, WHITE = (230, 30, 30), (30, 30, 230), (30, 200, 30), (255, 255, 255)

each_format = pytest.mark.parametrize("row", FORMATS, ids=lambda row: row.name)
"""The tests of this module take the row of a format."""


def draw():
    """Draw four corners of different colours, so that every turn and every mirroring shows."""
    image = Image.new("RGB", (64, 48))
    for colour, corner in ((RED, (0, 0)), (BLUE, (32, 0)), (GREEN, (0, 24)), (WHITE, (32, 24))):
        image.paste(colour, (*corner, corner[0] + 32, corner[1] + 24))
    return image


def encode(row, image=None):
    """Encode an image in the format of a row, with the encoder that Pillow or a plug-in of it has."""
    buffer = io.BytesIO()
    (image or draw()).save(buffer, row.pillow_name or row.name)
    return buffer.getvalue()


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
    head = encode(row)[:HEAD_BYTES]
    assert formats.recognise(head) is row
    assert formats.looks_like_image(head)


@each_format
@pytest.mark.parametrize("length", [0, 1])
def test_its_file_is_not_recognised_by_next_to_nothing(row, length):
    assert not row.recognise(encode(row)[:length])


@each_format
def test_its_file_is_read_upright_under_a_wrong_name(row, tmp_path):
    path = tmp_path / "image.wrong"
    path.write_bytes(encode(row))
    assert is_drawing(images.read(path, images.Preprocessing(size=SIZE)))


@each_format
def test_its_exif_orientation_is_applied_or_none_is_kept(row):
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180 degrees
    buffer = io.BytesIO()
    draw().transpose(Image.Transpose.ROTATE_180).save(buffer, row.pillow_name or row.name, exif=exif.tobytes())
    with Image.open(io.BytesIO(buffer.getvalue())) as image:
        keeps = b"Exif" in buffer.getvalue() or image.getexif().get(0x0112) == 3
    pixels = images.read(buffer.getvalue(), images.Preprocessing(size=SIZE))
    assert is_drawing(pixels if keeps else pixels[::-1, ::-1])


@each_format
def test_the_ending_that_its_file_should_have_is_its_first(row):
    assert formats.suffix_for(encode(row)) == row.suffixes[0]


@each_format
def test_its_files_are_found_in_a_folder_by_every_ending_and_without_one(row, tmp_path):
    names = [*(f"image{suffix}" for suffix in row.suffixes), f"IMAGE{row.suffixes[0].upper()}", "no ending"]
    for name in names:
        (tmp_path / name).write_bytes(encode(row))
    assert formats.is_image_file(tmp_path / "no ending")
    found = Selection(recursive=True).find([str(tmp_path)])
    assert {entry.relative_path for entry in found} == set(names)


@each_format
@pytest.mark.parametrize("kept", [0.25, 0.5])
def test_its_file_that_ends_early_is_unreadable(row, kept):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))
    data = encode(row, noise)
    with pytest.raises(ImageError) as caught:
        images.read(data[: int(len(data) * kept)], images.Preprocessing(size=SIZE))
    assert caught.value.status == "unreadable"
    assert "\n" not in str(caught.value)


@each_format
def test_its_file_that_has_only_the_first_bytes_is_unreadable(row):
    with pytest.raises(ImageError) as caught:
        images.read(encode(row)[:HEAD_BYTES], images.Preprocessing(size=SIZE))
    assert caught.value.status == "unreadable"


@each_format
def test_its_opener_gives_an_image_of_the_size_of_the_file(row):
    with OPENERS[row.name](encode(row)) as image:
        assert image.size == (64, 48)


@each_format
def test_it_is_named_where_a_file_is_in_no_format(row):
    with pytest.raises(ImageError, match=row.name) as caught:
        images.read(b"This is not an image.", images.Preprocessing())
    assert caught.value.status == "unsupported"


def test_the_names_of_the_formats_are_all_different():
    assert len({row.name for row in FORMATS}) == len(FORMATS) == len(list(OPENERS))
