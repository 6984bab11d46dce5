"""COCO's form as people have it: ids, names of files and of folders, captions that are left out, damaged files."""

import json

import pytest
from support.layouts import write

from capgen import datasets
from capgen.datasets.validation import LoadedSource, validate
from capgen.errors import DataError


def image(number, name=None, **more):
    return {"id": number, "file_name": name or f"{number:06}.png", **more}


def annotation(number, image_id, caption, **more):
    return {"id": number, "image_id": image_id, "caption": caption, **more}


def annotations(count, first=1, prefix="Image"):
    numbers = range(first, first + count)
    return {"images": [image(n) for n in numbers], "annotations": [annotation(n, n, f"{prefix} {n}.") for n in numbers]}


def drawn(folder, count, first=1):
    return {f"{folder}/{number:06}.png": None for number in range(first, first + count)}


def captions_of(source):
    """Return the captions that each image file of a source gets, and the problems."""
    report = validate([LoadedSource(datasets.read(source, "coco"))])
    found = {image.path.removeprefix(f"{source}/"): (image.split, image.captions) for image in report.images}
    return found, [(problem.kind, problem.where, problem.detail) for problem in report.problems]


@pytest.mark.parametrize("folder", ["{}2017", "images/{}2017", "{}", "images/{}", "{0}2017/{0}2017"])
@pytest.mark.parametrize(
    "listing",
    [
        "annotations/captions_{}2017.json", "captions_{}2017.json", "annotations/{}.json",
        "annotations_trainval2017/annotations/captions_{}2017.json",
    ],
)  # fmt: skip
def test_images_numbered_from_one_in_each_split_keep_their_own_captions(tmp_path, folder, listing):
    files = {}
    for split, count in (("train", 3), ("val", 2)):
        files |= drawn(folder.format(split), count)
        files[listing.format(split)] = annotations(count, prefix=split)
    found, problems = captions_of(write(tmp_path, files))
    train = {f"{folder.format('train')}/{n:06}.png": ("train", (f"train {n}.",)) for n in (1, 2, 3)}
    val = {f"{folder.format('val')}/{n:06}.png": ("dev", (f"val {n}.",)) for n in (1, 2)}
    assert found == train | val
    assert problems == []


@pytest.mark.parametrize("folder", ["{}", "{}/images"])
def test_each_split_may_be_a_folder_with_its_own_annotations(tmp_path, folder):
    files = {}
    for split, count in (("train", 3), ("valid", 2)):
        files |= drawn(folder.format(split), count)
        files[f"{split}/_annotations.coco.json"] = annotations(count, prefix=split)
    source = write(tmp_path, files)
    found, problems = captions_of(source)
    train = {f"{folder.format('train')}/{n:06}.png": ("train", (f"train {n}.",)) for n in (1, 2, 3)}
    valid = {f"{folder.format('valid')}/{n:06}.png": ("dev", (f"valid {n}.",)) for n in (1, 2)}
    assert found == train | valid
    assert problems == []
    reason = datasets.read(source).recognised_by
    assert reason.startswith("train/_annotations.coco.json, valid/_annotations.coco.json has")


def test_val_captions_do_not_land_on_train_images_where_the_val_images_are_not_there(tmp_path):
    files = {
        **drawn("train2017", 2),
        "annotations/captions_train2017.json": annotations(2, prefix="train"),
        "annotations/captions_val2017.json": annotations(2, prefix="val"),
    }
    write(tmp_path, files)
    found, problems = captions_of(tmp_path)
    assert {captions for _, captions in found.values()} == {("train 1.",), ("train 2.",)}
    assert [kind for kind, _, _ in problems] == ["ambiguous image name"] * 2
    with_val_alone = datasets.read(tmp_path / "annotations/captions_val2017.json")
    assert validate([LoadedSource(with_val_alone)]).images == []


def test_the_images_may_lie_in_folders_of_splits_below_the_one_that_is_given(tmp_path):
    files = {f"annotations/captions_{split}2017.json": annotations(2, prefix=split) for split in ("train", "val")}
    write(tmp_path / "text", files)
    write(tmp_path / "pictures", {**drawn("train2017", 2), **drawn("val2017", 2)})
    dataset = datasets.read(tmp_path / "text", images=tmp_path / "pictures")
    found = {image.path.removeprefix(f"{tmp_path}/"): image.captions for image in validate([LoadedSource(dataset)]).images}
    assert found["pictures/val2017/000001.png"] == ("val 1.",)
    assert len(found) == 4


def test_ids_are_the_same_as_numbers_and_as_texts(tmp_path):
    values = {
        "images": [image(1), image("2"), image(3.0)],
        "annotations": [annotation(1, "1", "One."), annotation(2, 2, "Two."), annotation(3, 3, "Three.")],
    }
    dataset = datasets.read(write(tmp_path, {"captions_all.json": values}))
    assert [(example.id, example.captions) for example in dataset.examples] == [
        ("1", ("One.",)), ("2", ("Two.",)), ("3", ("Three.",)),
    ]  # fmt: skip
    assert not dataset.problems


def test_an_id_that_two_images_have_is_no_ones(tmp_path):
    values = {
        "images": [image(1, "a.png"), image(1, "b.png"), image(2, "c.png"), image(2, "c.png")],
        "annotations": [annotation(7, 1, "A or b."), annotation(8, 2, "C.")],
    }
    dataset = datasets.read(write(tmp_path, {"captions_all.json": values}))
    assert [(example.image, example.captions) for example in dataset.examples] == [("c.png", ("C.",))]
    assert [problem.kind for problem in dataset.problems] == ["ambiguous image id", "caption without an image"]
    assert "a.png and b.png" in dataset.problems[0].detail


def test_images_nobody_captioned_and_captions_of_images_not_listed_are_named(tmp_path):
    values = annotations(4)
    del values["annotations"][1]
    values["annotations"].append(annotation(9, 99, "Nobody knows what."))
    found, problems = captions_of(write(tmp_path, {"captions_train2014.json": values, **drawn("images", 4)}))
    assert sorted(found) == [f"images/{n:06}.png" for n in (1, 3, 4)]
    assert [(kind, where) for kind, where, _ in problems] == [
        ("caption without an image", "captions_train2014.json"),
        ("image without a caption", "000002.png"),
    ]
    assert "99" in problems[0][2]
    assert "Nobody knows what." in problems[0][2]


def vizwiz(split, count, key="file_name"):
    canned = "Quality issues are too severe to recognize visual content."
    values = {"images": [{"id": n, key: f"VizWiz_{split}_{n:08}.png"} for n in range(count)], "annotations": []}
    for n in range(count):
        for text, is_canned, is_rejected in ((f"{split} {n}.", False, False), (canned, True, False), ("xx", False, True)):
            more = {"is_precanned": is_canned, "is_rejected": is_rejected}
            values["annotations"].append(annotation(len(values["annotations"]), n, text, **more))
    return values


@pytest.mark.parametrize("key", ["file_name", "image"])
def test_vizwiz_is_read_without_its_rejected_and_precanned_captions_which_are_counted(tmp_path, key):
    files = {f"annotations/{split}.json": vizwiz(split, 2, key) for split in ("train", "val")}
    files |= {f"{split}/VizWiz_{split}_{n:08}.png": None for split in ("train", "val") for n in range(2)}
    found, problems = captions_of(write(tmp_path, files))
    assert found["val/VizWiz_val_00000001.png"] == ("dev", ("val 1.",))
    assert len(found) == 4
    assert [kind for kind, _, _ in problems].count("rejected caption") == 4
    assert [kind for kind, _, _ in problems].count("precanned caption") == 4
    assert problems[0][1:] == ("train.json", "annotations 2: Quality issues are too severe to recognize visual content.")


def test_files_with_names_of_peoples_own_are_read_but_none_of_other_tasks_or_of_one_image(tmp_path):
    others = {"images": [image(1)], "annotations": [{"id": 1, "image_id": 1, "bbox": [0, 0, 1, 1]}]}
    files = {
        "cats_train.json": annotations(2, 1), "cats-validation.json": annotations(2, 3), "instances_train.json": others,
        "boxes.json": others, "000001.json": annotations(2, 1, "Sidecar"), "._cats_train.json": b"\x00\x05\x16\x07",
        "settings.json": {"images": 3}, **{f"00000{n}.png": None for n in (1, 2, 3, 4)},
    }  # fmt: skip
    dataset = datasets.read(write(tmp_path, files))
    assert dataset.recognised_by == "cats-validation.json, cats_train.json has COCO's images and annotations"
    assert {example.captions: example.split for example in dataset.examples} == {
        ("Image 1.",): "train", ("Image 2.",): "train", ("Image 3.",): "dev", ("Image 4.",): "dev",
    }  # fmt: skip


@pytest.mark.parametrize("content", [b"{", "\u00e9".encode("latin-1"), b"[]", b'{"images": 1, "annotations": []}', b""])
def test_a_damaged_file_beside_a_good_one_costs_itself(tmp_path, content):
    files = {"captions_train2017.json": annotations(2), "captions_val2017.json": content, **drawn("train2017", 2)}
    dataset = datasets.read(write(tmp_path, files))
    assert {example.split for example in dataset.examples} == {"train"}
    assert [(problem.kind, problem.where) for problem in dataset.problems] == [
        ("unreadable file", str(tmp_path / "captions_val2017.json"))
    ]


def test_a_damaged_file_alone_is_an_error_that_says_what_is_wrong(tmp_path):
    write(tmp_path, {"captions_val2017.json": json.dumps(annotations(2))[:-5]})
    with pytest.raises(DataError, match=r"captions_val2017.json is not JSON"):
        datasets.read(tmp_path, "coco")
