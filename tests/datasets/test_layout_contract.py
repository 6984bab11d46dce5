"""What every layout of data sets does alike; a layout that is added to the registry runs through the same tests."""

from collections import defaultdict

import pytest
from support.layouts import SAMPLES, write

from capgen import datasets
from capgen.datasets import LAYOUTS
from capgen.datasets.image_locator import ImageLocator
from capgen.errors import DataError

CLUTTER = {
    "README.md": "# A data set\n",
    "LICENSE": "All rights reserved.\n",
    "info.json": {"version": 1},
    "broken.json": "{",
    ".DS_Store": b"\x00\x01Bud1",
    "notes/todo.txt": "image of a dog, caption missing\n",
}
"""Files that lie beside data sets."""


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """A cache that is not among the files of the source."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("CAPGEN_CACHE_DIR", str(folder))
    return folder


@pytest.fixture(params=list(LAYOUTS))
def name(request):
    return request.param


@pytest.fixture
def sample(name):
    return SAMPLES[name]


def captions_by_image(dataset):
    """Return all captions of each image, whatever the number of its examples."""
    captions = defaultdict(tuple)
    for example in dataset.examples:
        captions[example.image] += example.captions
    return dict(captions)


def texts(folder, sample):
    """Return the files of a sample that are texts, after writing them."""
    write(folder, sample.files)
    return [folder / name for name, content in sample.files.items() if not isinstance(content, bytes | None)]


def test_every_layout_has_a_sample():
    assert list(SAMPLES) == list(LAYOUTS)


def test_a_layout_is_registered_under_its_own_name(name):
    assert LAYOUTS[name].name == name


def test_it_is_recognised_and_says_why(tmp_path, name, sample):
    layout, reason = datasets.recognise(write(tmp_path, sample.files))
    assert layout.name == name
    assert any(file.partition(".")[0] in reason for file in sample.files)


def test_it_is_recognised_among_other_files(tmp_path, name, sample):
    layout, _ = datasets.recognise(write(tmp_path, {**CLUTTER, **sample.files}))
    assert layout.name == name


def test_it_does_not_recognise_the_source_of_another_layout_that_is_tried_later(tmp_path, name):
    others = list(LAYOUTS)[list(LAYOUTS).index(name) + 1 :]
    for other in others:
        assert LAYOUTS[name].recognise(write(tmp_path / other, SAMPLES[other].files)) is None, other


def test_examples_have_image_captions_and_split(tmp_path, name, sample):
    dataset = datasets.read(write(tmp_path, sample.files), name)
    assert captions_by_image(dataset) == sample.captions
    splits = {example.image: example.split for example in dataset.examples}
    assert (splits["1.png"], splits["2.png"]) == sample.splits
    assert not dataset.problems


def test_the_images_are_found(tmp_path, cache, name, sample):
    dataset = datasets.read(write(tmp_path, sample.files), name)
    locator = ImageLocator(dataset)
    found = {example.image: locator.locate(example) for example in dataset.examples}
    assert {image: path.name for image, path in found.items()} == {"1.png": "1.png", "2.png": "2.png"}
    assert {path.parent for path in found.values() if not path.is_relative_to(cache)} <= {tmp_path}


def test_a_damaged_row_costs_that_row_and_is_counted(tmp_path, name, sample):
    dataset = datasets.read(write(tmp_path, {**sample.files, **sample.damaged}), name)
    assert captions_by_image(dataset) == {"1.png": sample.captions["1.png"]}
    assert [problem.kind for problem in dataset.problems] == ["malformed row"]
    assert dataset.problems[0].where
    assert dataset.problems[0].detail


@pytest.mark.parametrize("content", [{}, {"notes.md": "nothing"}], ids=["empty", "unrelated"])
def test_where_nothing_is_found_the_error_names_what_was_looked_for(tmp_path, name, sample, content):
    with pytest.raises(DataError) as caught:
        datasets.read(write(tmp_path, content), name)
    assert sample.looked_for in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_makes_no_difference(tmp_path, name, sample):
    for path in texts(tmp_path, sample):
        path.write_bytes("\ufeff".encode() + path.read_bytes())
    assert captions_by_image(datasets.read(tmp_path, name)) == sample.captions


def test_line_ends_of_windows_make_no_difference(tmp_path, name, sample):
    for path in texts(tmp_path, sample):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    dataset = datasets.read(tmp_path, name)
    assert captions_by_image(dataset) == sample.captions
    assert {example.split for example in dataset.examples} == set(sample.splits)
