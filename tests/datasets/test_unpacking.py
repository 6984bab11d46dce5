"""Archives become files: once, whole or not at all, nowhere but in the cache; and archives beside captions."""

import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.archives import tar, zipped
from support.drawing import draw_each, drawn

from capgen import datasets
from capgen.datasets.image_locator import ImageLocator
from capgen.datasets.unpacking import ImageWriter, reporting
from capgen.errors import DataError, StorageError
from capgen.storage import files

PNG = drawn(0)


@pytest.fixture
def cache(user_folders):
    return user_folders / "cache/unpacked"


@pytest.fixture
def archive(source):
    return tar(source / "a.tar", [("1.png", PNG), ("1.txt", b"One."), ("b/2.png", drawn(1)), ("b/2.txt", b"Two.")])


def folders(cache):
    return sorted(path for path in cache.iterdir() if path.is_dir())


def contents(folder):
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def files_of(dataset):
    locator = ImageLocator(dataset)
    return {example.image: locator.locate(example) for example in dataset.examples}


def captions_of(dataset):
    return sorted(example.captions for example in dataset.examples)


# once, and whole


def test_an_archive_is_unpacked_once(archive, cache):
    first = datasets.read(archive)
    before = contents(cache)
    assert datasets.read(archive).examples == first.examples
    assert contents(cache) == before
    size = files.size_text(len(PNG) + len(drawn(1)))
    assert first.notes == [f"2 images ({size}) are unpacked in {cache}"]


def test_what_is_unpacked_is_reported_image_by_image_and_only_then(archive):
    reported = []
    for _ in range(2):
        with reporting(lambda *counted: reported.append(counted)):
            datasets.read(archive)
    assert reported == [("a.tar", 1), ("a.tar", 2)]


def test_an_archive_that_has_changed_is_unpacked_anew(archive, cache):
    datasets.read(archive)
    tar(archive, [("1.png", PNG), ("1.txt", b"One.")])
    assert captions_of(datasets.read(archive)) == [("One.",)]
    assert len(folders(cache)) == 2


@pytest.mark.parametrize("damage", ["image removed", "image emptied", "index cut off", "index emptied"])
def test_what_is_not_whole_any_more_is_unpacked_anew(archive, cache, damage):
    expected = datasets.read(archive)
    folder = folders(cache)[0]
    target = folder / ("images/b/2.png" if "image" in damage else "index.jsonl")
    if "removed" in damage:
        target.unlink()
    else:
        target.write_text("".join(target.read_text().splitlines(keepends=True)[:-1]) if "cut" in damage else "")
    assert datasets.read(archive).examples == expected.examples
    assert all(path.read_bytes() in (PNG, drawn(1)) for path in files_of(datasets.read(archive)).values())


def test_what_could_not_be_read_to_its_end_is_read_again(archive, cache):
    data, status = archive.read_bytes(), archive.stat()
    archive.write_bytes(data.replace(b"b/2.png", b"b/?.png"))
    os.utime(archive, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert captions_of(datasets.read(archive)) == [("One.",)]
    archive.write_bytes(data)
    os.utime(archive, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert captions_of(datasets.read(archive)) == [("One.",), ("Two.",)]


def test_where_the_disk_is_full_nothing_is_left_and_it_is_said(archive, cache, monkeypatch):
    whole_open = Path.open

    def full(path, mode="r", **more):
        if mode == "xb" and path.name == "2.png":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return whole_open(path, mode, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(StorageError, match="the disk is full"):
            datasets.read(archive)
    assert not folders(cache)
    assert captions_of(datasets.read(archive)) == [("One.",), ("Two.",)]


def test_an_interrupted_unpacking_leaves_nothing_that_is_taken_for_whole(archive, cache, monkeypatch):
    def interrupted(self, name, data):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ImageWriter, "add", interrupted)
        with pytest.raises(KeyboardInterrupt):
            datasets.read(archive)
    assert not folders(cache)


# nowhere else


@pytest.mark.parametrize(
    "name", ["/etc/1.png", "../../../1.png", "a/../../../../1.png", "..\\..\\1.png", "x" * 3000 + ".png"]
)
def test_a_hostile_name_never_leads_out_of_the_folder(source, cache, user_folders, name):
    tar(source / "a.tar", [(name, PNG), (name.removesuffix(".png") + ".txt", b"One.")])
    before = contents(user_folders)
    [path] = files_of(datasets.read(source / "a.tar")).values()
    assert path.read_bytes() == PNG
    assert path.resolve().is_relative_to(cache.resolve())
    assert all(new.startswith("cache/unpacked/") for new in contents(user_folders).keys() - before.keys())


@given(names=st.lists(st.text(st.sampled_from("aA./\\\0\n:\u00e9\ud800") | st.characters(), max_size=8), max_size=8))
def test_every_name_gets_a_file_of_its_own_within_the_folder(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("images")
    writer = ImageWriter(folder / "in")
    written = [writer.add(name, str(index).encode()) for index, name in enumerate(names)]
    assert len(set(written)) == len(names)
    for index, path in enumerate(written):
        assert (folder / "in" / path).resolve().is_relative_to((folder / "in").resolve())
        assert (folder / "in" / path).read_bytes() == str(index).encode()
    assert [path.name for path in folder.iterdir()] == (["in"] if names else [])


# archives of images beside captions


def metadata(source, *names):
    rows = [json.dumps({"file_name": name, "text": f"Text of {name}."}) + "\n" for name in names]
    source.mkdir(parents=True, exist_ok=True)
    (source / "metadata.jsonl").write_text("".join(rows))


@pytest.mark.parametrize("prefix", ["", "images/", "some/where/"])
@pytest.mark.parametrize("name", ["images.zip", "photos.tar", "photos.tar.gz"])
def test_images_are_found_in_an_archive_beside_their_captions(source, name, prefix):
    metadata(source, "1.png", "2.png")
    members = [(f"{prefix}{n}.png", drawn(n)) for n in (1, 2)]
    if name.endswith(".zip"):
        zipped(source / name, members)
    else:
        tar(source / name, members, "w:gz" if name.endswith(".gz") else "w")
    found = files_of(datasets.read(source, "jsonl"))
    assert {image: path.read_bytes() for image, path in found.items()} == {"1.png": drawn(1), "2.png": drawn(2)}


def test_an_archive_may_be_given_in_place_of_the_folder_of_images(source, user_folders):
    metadata(source, "1.png")
    archive = zipped(user_folders / "elsewhere.zip", [("1.png", PNG)])
    assert files_of(datasets.read(source, images=archive))["1.png"].read_bytes() == PNG


def test_files_go_before_an_archive_which_is_then_not_unpacked(source, cache):
    metadata(source, "1.png")
    draw_each(source, "1.png")
    zipped(source / "images.zip", [("1.png", drawn(7))])
    assert files_of(datasets.read(source)) == {"1.png": source / "1.png"}
    assert not cache.exists()


def test_an_archive_without_any_of_the_missing_images_is_not_unpacked(source, cache):
    metadata(source, "1.png")
    zipped(source / "others.zip", [("2.png", PNG)])
    datasets.read(source)
    assert not cache.exists()


def test_equal_names_in_the_archives_of_two_splits_are_different_images(source):
    for split, index in (("train", 1), ("test", 2)):
        metadata(source / split, "1.png")
        zipped(source / split / "images.zip", [("1.png", drawn(index))])
    dataset = datasets.read(source)
    locator = ImageLocator(dataset)
    assert {example.split: locator.locate(example).read_bytes() for example in dataset.examples} == {
        "train": drawn(1),
        "test": drawn(2),
    }


def test_the_archive_beside_one_table_has_no_images_of_another(source):
    for folder, names in (("cats", ("1.png", "2.png")), ("dogs", ("1.png",))):
        metadata(source / folder, *names)
        zipped(source / folder / "images.zip", [(f"images/{name}", drawn(len(folder) + len(names))) for name in names[-1:]])
    dataset = datasets.read(source)
    locator = ImageLocator(dataset)
    located = {f"{one.folder.name}/{one.image}": locator.locate(one) for one in dataset.examples}
    found = {name: path.parts[-3:-1] for name, path in located.items() if isinstance(path, Path)}
    assert found == {"cats/2.png": ("cats", "images"), "dogs/1.png": ("dogs", "images")}


@pytest.mark.parametrize("inside", ["", "{}/"])
def test_coco_finds_its_images_in_the_archives_of_its_splits(source, inside):
    for split, index in (("train2017", 1), ("val2017", 2)):
        annotations = {
            "images": [{"id": 1, "file_name": "000001.png"}],
            "annotations": [{"id": 1, "image_id": 1, "caption": f"Text of {split}."}],
        }
        (source / f"captions_{split}.json").write_text(json.dumps(annotations))
        zipped(source / f"{split}.zip", [(inside.format(split) + "000001.png", drawn(index))])
    dataset = datasets.read(source)
    locator = ImageLocator(dataset)
    found = {example.captions: locator.locate(example).read_bytes() for example in dataset.examples}
    assert found == {("Text of train2017.",): drawn(1), ("Text of val2017.",): drawn(2)}


def test_a_damaged_image_in_an_archive_costs_itself(source):
    metadata(source, "1.png", "2.png")
    archive = zipped(source / "images.zip", [("1.png", PNG), ("2.png", drawn(1))])
    archive.write_bytes(archive.read_bytes().replace(PNG, PNG[:-1] + b"?"))
    dataset = datasets.read(source)
    assert ("unreadable image", "images.zip/1.png") in [(problem.kind, problem.where) for problem in dataset.problems]
    assert files_of(dataset)["2.png"].read_bytes() == drawn(1)


def test_an_archive_that_cannot_be_read_is_named(source):
    metadata(source, "1.png")
    (source / "images.zip").write_bytes(b"no archive")
    dataset = datasets.read(source)
    assert [(problem.kind, problem.where) for problem in dataset.problems] == [("unreadable archive", "images.zip")]


# a whole data set in an archive


@pytest.mark.parametrize("prefix", ["", "flickr8k/"])
@pytest.mark.parametrize("name", ["archive.zip", "archive.tar.gz"])
def test_a_data_set_in_an_archive_is_read_as_if_it_had_been_unpacked(source, name, prefix):
    table = b"image,caption\n1.png,One.\n2.png,Two.\n"
    members = [("captions.txt", table), ("Images/1.png", drawn(1)), ("Images/2.png", drawn(2)), ("__MACOSX/._a.txt", b"\0")]
    members = [(prefix + member, data) for member, data in members]
    archive = zipped(source / name, members) if name.endswith("zip") else tar(source / name, members, "w:gz")
    dataset = datasets.read(archive)
    assert dataset.layout == "csv"
    assert {image: path.read_bytes() for image, path in files_of(dataset).items()} == {"1.png": drawn(1), "2.png": drawn(2)}
    assert dataset.notes[0].startswith("3 files (")


def test_an_archive_without_captions_says_what_was_looked_for_and_is_not_unpacked(source, cache):
    with pytest.raises(DataError, match=r"a\.zip has no file that may have captions \(\.json, "):
        datasets.read(zipped(source / "a.zip", [("1.png", PNG), ("notes.md", b"Nothing.")]))
    assert not cache.exists()


def test_an_archive_whose_captions_do_not_fit_says_so(source):
    archive = zipped(source / "a.zip", [("1.png", PNG), ("notes.txt", b"Nothing.")])
    with pytest.raises(DataError, match=r"a\.zip was unpacked, but .* no image of 1 has a"):
        datasets.read(archive)


def test_an_archive_that_is_damaged_from_the_beginning_says_so(source):
    (source / "a.zip").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"a\.zip cannot be read: it is not a zip archive"):
        datasets.read(source / "a.zip")


def test_each_split_may_be_in_an_archive_with_its_captions(source):
    for split, index in (("train", 1), ("test", 2)):
        line = json.dumps({"file_name": "1.png", "text": f"Text of {split}."}).encode()
        zipped(source / f"{split}.zip", [("metadata.jsonl", line), ("1.png", drawn(index))])
    dataset = datasets.read(source)
    locator = ImageLocator(dataset)
    assert {(one.id, one.split, one.captions): locator.locate(one).read_bytes() for one in dataset.examples} == {
        ("train.zip/1.png", "train", ("Text of train.",)): drawn(1),
        ("test.zip/1.png", "test", ("Text of test.",)): drawn(2),
    }


@pytest.mark.parametrize("layout", ["auto", "jsonl"])
def test_what_is_left_out_of_a_split_in_an_archive_is_named_with_the_archive(source, layout):
    for split in ("train", "test"):
        zipped(source / f"{split}.zip", [("metadata.jsonl", b'{"file_name": "1.png", "text": "One."}\n{'), ("1.png", PNG)])
    dataset = datasets.read(source, layout)
    assert {problem.where for problem in dataset.problems} == {"train.zip/metadata.jsonl:2", "test.zip/metadata.jsonl:2"}
    assert {example.where for example in dataset.examples} == {"train.zip/metadata.jsonl:1", "test.zip/metadata.jsonl:1"}


@pytest.mark.parametrize("layout", ["auto", "webdataset", "folder"])
def test_an_archive_is_read_in_the_layout_that_is_named(source, layout):
    dataset = datasets.read(tar(source / "a.tar", [("1.png", PNG), ("1.txt", b"One.")]), layout)
    assert dataset.layout == ("webdataset" if layout == "auto" else layout)
    assert captions_of(dataset) == [("One.",)]


def test_a_second_image_of_one_name_is_named(source):
    members = [("1.png", PNG), ("1.png", drawn(1)), ("captions.csv", b"image,caption\n1.png,One.\n")]
    dataset = datasets.read(tar(source / "a.tar", members))
    assert [(problem.kind, problem.where) for problem in dataset.problems] == [("ambiguous image name", "a.tar/1.png")]


def test_an_archive_is_unpacked_for_a_name_with_percent_signs(source):
    zipped(source / "images.zip", [("a b.png", PNG)])
    (source / "captions.csv").write_text("image,caption\na%20b.png,One.\n")
    assert [path.read_bytes() for path in files_of(datasets.read(source)).values()] == [PNG]


def test_archives_that_are_named_for_no_split_are_not_unpacked_to_look_for_captions(source, cache):
    zipped(source / "holiday.zip", [("metadata.jsonl", b'{"file_name": "1.png", "text": "One."}'), ("1.png", PNG)])
    with pytest.raises(DataError, match="not in a known layout"):
        datasets.read(source)
    assert not cache.exists()


def test_the_images_of_an_archive_are_its_own_where_others_are_in_another_folder(archive, user_folders):
    (user_folders / "images").mkdir()
    dataset = datasets.read(archive, images=user_folders / "images")
    assert [path.read_bytes() for path in files_of(dataset).values()] == [PNG, drawn(1)]
