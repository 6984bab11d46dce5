"""WebDataset archives as a source: which captions an image has, what is reported, which split a shard is."""

import json

import pytest
from support.archives import tar
from support.drawing import drawn

from capgen import datasets
from capgen.datasets.layout import Columns
from capgen.errors import DataError

PNG = drawn(0)


def read_tar(source, *members, name="a.tar", **options):
    """Read an archive of (name, data); a text is encoded, and an image is drawn where there is no data."""
    tar(source / name, [(member, _data(index, *rest)) for index, (member, *rest) in enumerate(members)])
    return datasets.read(source / name, "webdataset", **options)


def _data(index, data=None):
    if data is None:
        return drawn(index)
    return data if isinstance(data, bytes) else (data if isinstance(data, str) else json.dumps(data)).encode()


def captions_of(dataset):
    """Return the captions by what predictions call the image, without the name of the archive."""
    return {example.id.partition("/")[2]: example.captions for example in dataset.examples}


def problems_of(dataset):
    return [(problem.kind, problem.where) for problem in dataset.problems]


# which captions an image has


@pytest.mark.parametrize("key", ["0001", "some/path/22.0/1.1", "Track 2.0 (Clean Version)", "./lead", "a.b.c"])
def test_an_image_has_the_members_with_its_whole_name(source, key):
    assert captions_of(read_tar(source, (f"{key}.png",), (f"{key}.txt", "A dog."))) == {f"{key}.png": ("A dog.",)}


def test_keys_that_are_the_same_up_to_the_first_dot_do_not_share_captions(source):
    dataset = read_tar(source, ("22.05.txt", "Five."), ("22.05.png",), ("22.06.png",), ("22.06.txt", "Six."))
    assert captions_of(dataset) == {"22.05.png": ("Five.",), "22.06.png": ("Six.",)}


def test_all_images_of_a_key_have_the_captions_that_are_not_of_one_of_them(source):
    dataset = read_tar(
        source, ("1.left.png",), ("1.right.jpg",), ("1.outputs.txt", "Both."), ("1.left.txt", "Left."), ("2.png",)
    )
    assert captions_of(dataset) == {"1.left.png": ("Left.",), "1.right.jpg": ("Both.",), "2.png": ()}


def test_members_may_come_in_any_order(source):
    dataset = read_tar(source, ("1.txt", "One."), ("2.txt", "Two."), ("1.png",), ("2.png",))
    assert captions_of(dataset) == {"1.png": ("One.",), "2.png": ("Two.",)}


def test_a_text_has_a_caption_a_line(source):
    dataset = read_tar(source, ("1.png",), ("1.txt", "\ufeffOne.\r\n\r\n  Two. \r\n"))
    assert captions_of(dataset) == {"1.png": ("One.", "Two.")}


@pytest.mark.parametrize("ending", [".txt", ".TXT", ".caption", ".cap"])
def test_captions_are_read_from_members_of_each_ending(source, ending):
    assert captions_of(read_tar(source, ("1.PNG",), (f"1{ending}", "One."))) == {"1.PNG": ("One.",)}


@pytest.mark.parametrize(
    "value",
    [
        {"caption": "One.", "nsfw": None, "url": "https://example.org/1", "width": 3},
        {"captions": ["One."]},
        {"text": "One."},
        {"TEXT": "One.", "split": "unheard of"},
        ["One."],
        "One.",
    ],
)
def test_captions_are_read_from_json(source, value):
    assert captions_of(read_tar(source, ("1.png",), ("1.json", json.dumps(value)))) == {"1.png": ("One.",)}


def test_a_text_goes_before_json(source):
    dataset = read_tar(source, ("1.png",), ("1.json", {"caption": "From the page."}), ("1.txt", "A dog."))
    assert captions_of(dataset) == {"1.png": ("A dog.",)}


def test_a_person_may_name_the_key_of_the_captions_in_json(source):
    members = [("1.png",), ("1.json", {"text": "Alt.", "said": "A dog."})]
    assert captions_of(read_tar(source, *members, columns=Columns(caption="said"))) == {"1.png": ("A dog.",)}


def test_json_that_is_about_something_else_is_no_caption(source):
    assert captions_of(read_tar(source, ("1.png",), ("1.json", {"width": 3}))) == {"1.png": ()}


def test_a_name_that_comes_again_is_another_image_with_its_own_captions(source):
    dataset = read_tar(source, ("1.png",), ("1.txt", "One."), ("1.png",), ("1.txt", "Another."))
    assert sorted(example.captions for example in dataset.examples) == [("Another.",), ("One.",)]
    assert len({(example.folder / example.image).read_bytes() for example in dataset.examples}) == 2


def test_letters_in_lower_case_and_capitals_are_different_keys(source):
    dataset = read_tar(source, ("IMG_1.JPG",), ("img_1.jpg",), ("img_1.TXT", "One."))
    assert captions_of(dataset) == {"IMG_1.JPG": (), "img_1.jpg": ("One.",)}


def test_an_image_is_known_by_its_content_too(source):
    dataset = read_tar(source, ("1.image",), ("1.txt", "One."), ("1.cls", "7"))
    assert captions_of(dataset) == {"1.image": ("One.",)}


# what is reported


@pytest.mark.parametrize(
    ("name", "data"), [("2.txt", "gr\u00fcn".encode("latin-1")), ("2.json", b"{"), ("2.txt", b"a" * (1 << 21))]
)
def test_captions_that_cannot_be_read_cost_their_image_and_are_named(source, name, data):
    dataset = read_tar(source, ("1.png",), ("1.txt", "One."), ("2.png",), (name, data))
    assert captions_of(dataset) == {"1.png": ("One.",)}
    assert problems_of(dataset) == [("malformed row", f"a.tar/{name}")]


def test_captions_of_an_image_that_is_not_there_are_named(source):
    dataset = read_tar(source, ("1.png",), ("1.txt", "One."), ("b/2.txt", "Two."))
    assert problems_of(dataset) == [("caption without an image", "a.tar/b/2")]


def test_of_an_archive_that_ends_early_what_comes_before_is_used(source):
    archive = tar(source / "a.tar", [("1.txt", b"One."), ("1.png", PNG), ("2.txt", b"Two."), ("2.png", PNG)])
    archive.write_bytes(archive.read_bytes().rstrip(b"\0")[:-100])
    dataset = datasets.read(archive)
    assert captions_of(dataset)["1.png"] == ("One.",)
    assert problems_of(dataset)[-1] == ("unreadable archive", "a.tar")


def test_an_archive_that_cannot_be_read_costs_itself(source):
    tar(source / "a.tar", [("1.png", PNG), ("1.txt", b"One.")])
    (source / "b.tar").write_bytes(b"no archive")
    dataset = datasets.read(source)
    assert captions_of(dataset) == {"1.png": ("One.",)}
    assert problems_of(dataset) == [("unreadable archive", "b.tar")]


def test_a_link_to_no_archive_costs_itself(source):
    tar(source / "a.tar", [("1.png", PNG), ("1.txt", b"One.")])
    (source / "b.tar").symlink_to(source / "gone.tar")
    dataset = datasets.read(source)
    assert captions_of(dataset) == {"1.png": ("One.",)}
    assert problems_of(dataset) == [("unreadable archive", "b.tar")]


# which archives, and which splits


@pytest.mark.parametrize(
    "names",
    [
        ("train-0000.tar", "train-0001.tar", "val-0000.tar"),
        ("train/0.tar", "train/1.tar", "validation/0.tar"),
        ("data/train.tar.gz", "data/training-more.tgz", "data/dev.tar"),
    ],
)
def test_archives_of_several_splits_are_recognised_by_their_names_or_folders(source, names):
    for index, name in enumerate(names):
        (source / name).parent.mkdir(exist_ok=True)
        tar(source / name, [("1.png", drawn(index)), ("1.txt", b"One.")], "w" if name.endswith("tar") else "w:gz")
    dataset = datasets.read(source)
    assert dataset.layout == "webdataset"
    assert {example.id: example.split for example in dataset.examples} == {
        f"{name}/1.png": split for name, split in zip(names, ("train", "train", "dev"), strict=True)
    }


def test_archives_of_one_split_alone_have_no_splits(source):
    for name in ("train-0.tar", "train-1.tar"):
        tar(source / name, [("1.png", PNG), ("1.txt", b"One.")])
    assert {example.split for example in datasets.read(source).examples} == {None}


def test_hidden_archives_are_passed_over(source):
    for name in ("a.tar", "._a.tar"):
        tar(source / name, [("1.png", PNG), ("1.txt", b"One.")])
    assert len(datasets.read(source).examples) == 1


def test_an_archive_without_captions_is_in_no_layout_and_that_is_said(source):
    tar(source / "a.tar", [("1.png", PNG), ("2.png", PNG)])
    with pytest.raises(DataError, match=r"a\.tar has no captions beside its first images"):
        datasets.read(source)
