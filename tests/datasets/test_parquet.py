"""Parquet tables as a source: images in every form, captions in every type, several files, paths in place of images."""

from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from support.archives import STRUCTURE, structures, table
from support.drawing import draw_each, drawn

from capgen import datasets
from capgen.datasets.image_locator import ImageLocator
from capgen.datasets.layout import Columns
from capgen.errors import DataError

IMAGES = [(f"{index}.png", drawn(index)) for index in range(2)]
DATA = [data for _, data in IMAGES]


def pairs(dataset):
    """Return the bytes of each image with its captions, in order."""
    locator = ImageLocator(dataset)
    return [(locator.locate(example).read_bytes(), example.captions) for example in dataset.examples]


def problems_of(dataset):
    return [(problem.kind, problem.where) for problem in dataset.problems]


EXPECTED = [(DATA[0], ("one",)), (DATA[1], ("two",))]
TEXTS = pyarrow.array(["one", "two"])
CAPTIONS = {
    "text": TEXTS,
    "large text": TEXTS.cast(pyarrow.large_string()),
    "view": TEXTS.cast(pyarrow.string_view()),
    "dictionary": TEXTS.dictionary_encode(),
    "list": pyarrow.array([["one"], ["two"]]),
    "large list": pyarrow.array([["one"], ["two"]], pyarrow.large_list(pyarrow.large_string())),
    "objects": pyarrow.array([[{"raw": "one", "id": 1}], [{"raw": "two", "id": 2}]]),
}


@pytest.mark.parametrize("kind", CAPTIONS)
def test_captions_are_read_from_every_type_that_arrow_has_for_texts(source, kind):
    table(source / "t.parquet", image=structures(IMAGES), caption=CAPTIONS[kind])
    dataset = datasets.read(source)
    assert dataset.layout == "parquet"
    assert pairs(dataset) == EXPECTED


@pytest.mark.parametrize("image", ["image", "Image", "img", "photo", "images"])
@pytest.mark.parametrize("caption", ["text", "TEXT", "captions"])
def test_columns_are_known_by_their_names_in_any_case(source, image, caption):
    table(source / "t.parquet", **{image: DATA, caption: TEXTS, "numbers": [1, 2]})
    assert pairs(datasets.read(source / "t.parquet")) == EXPECTED


def test_a_person_may_name_the_columns(source):
    table(source / "t.parquet", image=list(reversed(DATA)), seen=DATA, text=["no", "no"], said=TEXTS)
    assert pairs(datasets.read(source, columns=Columns("seen", "said"))) == EXPECTED


def test_columns_of_names_do_not_hide_the_images(source):
    table(source / "t.parquet", image=structures(IMAGES), file_name=["x.jpg", "y.jpg"], path=["x", "y"], text=TEXTS)
    assert pairs(datasets.read(source)) == EXPECTED


def test_numbered_columns_of_captions_are_all_read(source):
    table(source / "t.parquet", image=structures(IMAGES[:1]), caption_0=["one"], caption_1=["two"])
    assert pairs(datasets.read(source)) == [(DATA[0], ("one", "two"))]


def test_several_images_of_a_row_have_its_captions(source):
    lists = [[{"bytes": data, "path": path} for path, data in IMAGES], []]
    table(source / "t.parquet", images=pyarrow.array(lists, pyarrow.list_(STRUCTURE)), text=TEXTS)
    dataset = datasets.read(source)
    assert pairs(dataset) == [(DATA[0], ("one",)), (DATA[1], ("one",))]
    assert problems_of(dataset) == [("malformed row", "t.parquet:2")]


def test_equal_paths_are_different_images(source):
    table(source / "t.parquet", image=structures([("image.png", data) for data in DATA]), text=TEXTS)
    assert pairs(datasets.read(source)) == EXPECTED


def test_an_image_is_found_by_its_path_where_its_bytes_are_not_in_the_table(source):
    draw_each(source, "photos/0.png", "photos/1.png")
    table(source / "t.parquet", image=structures([("photos/0.png", None), ("photos/1.png", None)]), text=TEXTS)
    expected = [((source / f"photos/{n}.png").read_bytes(), (text,)) for n, text in enumerate(("one", "two"))]
    assert pairs(datasets.read(source)) == expected


def test_images_beside_a_table_are_found_from_every_folder(source, monkeypatch):
    draw_each(source, "0.png")
    table(source / "t.parquet", image=structures([("0.png", None), ("1.png", DATA[1])]), text=TEXTS)
    monkeypatch.chdir(source)
    expected = pairs(datasets.read(Path("t.parquet")))
    monkeypatch.chdir("/")
    assert pairs(datasets.read(source / "t.parquet")) == expected


def test_a_path_in_the_table_is_never_an_image_of_another_row(source):
    draw_each(source, "1.png")
    table(source / "t.parquet", image=structures([("1.png", drawn(7)), ("1.png", None)]), text=TEXTS)
    assert pairs(datasets.read(source)) == [(drawn(7), ("one",)), ((source / "1.png").read_bytes(), ("two",))]


def test_a_table_of_paths_is_read_like_any_other(source):
    draw_each(source, "photos/0.png", "photos/1.png")
    table(source / "metadata.parquet", file_name=["photos/0.png", "photos/1.png"], text=TEXTS)
    assert [text for _, text in pairs(datasets.read(source))] == [("one",), ("two",)]


@pytest.mark.parametrize(
    "names",
    [
        ("data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "data/test-00000-of-00001-0a1b.parquet"),
        ("default/train/0000.parquet", "default/train/0001.parquet", "default/test/0000.parquet"),
        ("train.parquet", "train_2.parquet", "test.parquet"),
    ],
)
def test_the_files_of_a_repository_of_the_hub_are_its_splits(source, names):
    for index, name in enumerate(names):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        table(source / name, image=structures([("0.png", drawn(index))]), text=[f"image {index}"])
    (source / "README.md").write_text("---\nlicense: mit\n---\n")
    dataset = datasets.read(source)
    assert pairs(dataset) == [(drawn(index), (f"image {index}",)) for index in sorted(range(3), key=names.__getitem__)]
    assert {example.id: example.split for example in dataset.examples} == {
        f"{name}/0.png": split for name, split in zip(names, ("train", "train", "test"), strict=True)
    }


def test_a_column_of_splits_is_read(source):
    table(source / "t.parquet", image=structures(IMAGES), text=TEXTS, split=["train", "val"])
    assert [example.split for example in datasets.read(source).examples] == ["train", "dev"]


def test_a_row_without_an_image_or_a_caption_costs_itself(source):
    images = structures([IMAGES[0], (None, None), IMAGES[1]])
    table(source / "t.parquet", image=images, text=["one", "two", None])
    dataset = datasets.read(source)
    assert pairs(dataset) == EXPECTED[:1]
    assert problems_of(dataset) == [("malformed row", "t.parquet:2"), ("malformed row", "t.parquet:3")]


def test_a_table_that_cannot_be_read_to_its_end_says_so(source):
    path = source / "t.parquet"
    columns = pyarrow.table({"image": structures(IMAGES * 4), "text": [f"text {n}" for n in range(8)]})
    pyarrow.parquet.write_table(columns, path, row_group_size=2, use_dictionary=False, compression="zstd")
    offset = pyarrow.parquet.ParquetFile(path).metadata.row_group(2).column(0).data_page_offset
    data = path.read_bytes()
    path.write_bytes(data[:offset] + bytes(100) + data[offset + 100 :])
    dataset = datasets.read(source)
    assert [text for _, (text,) in pairs(dataset)] == ["text 0", "text 1", "text 2", "text 3", "text 6", "text 7"]
    assert problems_of(dataset) == [("unreadable archive", "t.parquet")]


def test_tables_that_are_not_read_are_named_with_the_reason(source):
    table(source / "a.parquet", image=DATA, text=TEXTS)
    table(source / "b.parquet", key=["x", "y"], text=TEXTS)
    (source / "c.parquet").write_bytes((source / "a.parquet").read_bytes()[:-20])
    dataset = datasets.read(source)
    assert pairs(dataset) == EXPECTED
    assert problems_of(dataset) == [("file not read", "b.parquet"), ("file not read", "c.parquet")]
    assert dataset.problems[0].detail == "its columns are key (string), text (string)"
    assert "its end is missing" in dataset.problems[1].detail


def test_where_no_column_fits_the_columns_are_named(source):
    table(source / "t.parquet", picture=[1, 2], said=TEXTS)
    with pytest.raises(DataError, match=r"t\.parquet: its columns are picture \(int64\), said \(string\)"):
        datasets.read(source)
