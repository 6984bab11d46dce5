"""Which file is meant by the name of an image, in data sets as people have them."""

import unicodedata
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capgen.datasets.image_locator import ImageLocator
from capgen.datasets.layout import Example, LoadedDataset, Problem
from capgen.datasets.source_folders import image_folders
from capgen.datasets.splits import split_in_name


def make(folder, *names):
    """Write a file for each name, of other content than any other; return the folder."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def located(root, *images, folders=None, **fields):
    """Return for each image its path from ``folder``, or its problem, where the source names just these images."""
    examples = [Example(image, ("A dog.",), **fields) for image in images]
    return of(root, examples, folders or image_folders(root))


def of(folder, examples, folders):
    locator = ImageLocator(LoadedDataset(examples, folders))
    found = map(locator.locate, examples)
    return [one if isinstance(one, Problem) else str(one.relative_to(folder)) for one in found]


@pytest.mark.parametrize("written", ["deep/1.png", "./deep/1.png", "images/deep/1.png", "elsewhere/1.png", "1.png"])
def test_an_image_is_found_with_or_without_the_folders_that_it_is_written_with(tmp_path, written):
    file = "images/deep/1.png" if "deep" in written else "images/1.png"
    assert located(make(tmp_path, file), written) == [file]


def test_an_image_is_looked_for_beside_the_file_that_names_it_first(tmp_path):
    make(tmp_path, "1.png", "images/1.png", "test/1.png")
    assert located(tmp_path, "1.png") == ["1.png"]
    assert located(tmp_path, "1.png", folder=tmp_path / "test") == ["test/1.png"]


def test_an_image_beside_another_file_of_captions_is_never_taken_for_one_that_is_missing(tmp_path):
    make(tmp_path, "train/metadata.csv", "valid/1.png", "images/2.png")
    examples = [
        Example("1.png", ("A train image.",), "train", folder=tmp_path / "train"),
        Example("1.png", ("A valid image.",), "dev", folder=tmp_path / "valid"),
        Example("2.png", ("In neither.",), "train", folder=tmp_path / "train"),
    ]
    missing, *found = of(tmp_path, examples, [tmp_path, tmp_path / "train", tmp_path / "valid", tmp_path / "images"])
    assert missing.kind == "missing image"
    assert found == ["valid/1.png", "images/2.png"]


def test_an_absolute_path_is_found(tmp_path):
    assert located(make(tmp_path, "1.png"), f"{tmp_path}/1.png", folders=[tmp_path / "none"]) == ["1.png"]


@pytest.mark.parametrize(
    "written",
    [
        "/home/somebody/photos/cats/1.png",
        "C:\\Users\\somebody\\photos\\cats\\1.png",
        "file:///home/somebody/photos/cats/1.png",
        "https://example.org/photos/cats/1.png",
        "../photos/cats/1.png",
    ],
)
def test_a_path_of_another_machine_is_found_by_what_it_ends_in(tmp_path, written):
    make(tmp_path, "cats/1.png", "dogs/1.png")
    assert located(tmp_path, written, written.replace("cats", "dogs")) == ["cats/1.png", "dogs/1.png"]


def test_a_bare_name_that_two_images_of_the_source_have_is_no_ones(tmp_path):
    first, second = located(make(tmp_path, "images/1.png"), "cats/1.png", "dogs/1.png")
    assert (first.kind, second.kind) == ("ambiguous image name",) * 2
    assert f"{tmp_path}/images/1.png" in first.detail
    assert "dogs/1.png" in first.detail
    assert "cats/1.png" in second.detail


def test_a_name_that_two_files_have_is_an_error_that_names_both(tmp_path):
    make(tmp_path, "images/1.png", "Flicker8k_Dataset/1.png")
    (problem,) = located(tmp_path, "1.png")
    assert (problem.kind, problem.where) == ("ambiguous image name", "1.png")
    assert f"{tmp_path}/images/1.png" in problem.detail
    assert f"{tmp_path}/Flicker8k_Dataset/1.png" in problem.detail


def test_two_files_of_the_same_content_are_one(tmp_path):
    make(tmp_path, "images/1.png")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/1.png").write_bytes((tmp_path / "images/1.png").read_bytes())
    assert located(tmp_path, "1.png") == ["images/1.png"]


def test_the_same_bare_name_in_a_folder_of_its_own_is_another_image(tmp_path):
    make(tmp_path, "images/1.png", "images/cats/1.png")
    assert located(tmp_path, "1.png", "cats/1.png") == ["images/1.png", "images/cats/1.png"]


def test_an_image_folder_in_the_folder_that_is_named_goes_before_any_other(tmp_path):
    make(tmp_path, "train/images/1.png", "test/images/1.png", "images/2.png")
    folders = [tmp_path, *(tmp_path / name for name in ("images", "train/images", "test/images"))]
    found = located(tmp_path, "train/1.png", "test/1.png", "test/2.png", folders=folders)
    assert found == ["train/images/1.png", "test/images/1.png", "images/2.png"]


def test_an_image_folder_may_have_another_one_in_it(tmp_path):
    assert located(make(tmp_path, "Flickr8k_Dataset/Flicker8k_Dataset/1.png"), "1.png") == [
        "Flickr8k_Dataset/Flicker8k_Dataset/1.png"
    ]


COMPOSED = unicodedata.normalize("NFC", "café/ü 1.png")
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)


@pytest.mark.parametrize(("written", "on_disk"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_a_composed_name_is_that_of_a_decomposed_file_and_the_other_way_round(tmp_path, written, on_disk):
    assert located(make(tmp_path, on_disk), written) == [on_disk]
    assert located(make(tmp_path, on_disk), f"/home/somebody/{written}") == [on_disk]


def test_where_both_normal_forms_are_there_each_name_is_that_of_its_own_file(tmp_path):
    make(tmp_path, COMPOSED, DECOMPOSED)
    assert located(tmp_path, COMPOSED, DECOMPOSED) == [COMPOSED, DECOMPOSED]


def test_upper_case_makes_no_difference_unless_it_does(tmp_path):
    assert located(make(tmp_path / "a", "IMG_1.JPG"), "img_1.jpg") == ["IMG_1.JPG"]
    (problem,) = located(make(tmp_path / "b", "IMG_1.jpg", "img_1.JPG"), "img_1.jpg")
    assert problem.kind == "ambiguous image name"
    found, other = located(make(tmp_path / "c", "IMG_1.jpg"), "IMG_1.jpg", "img_1.jpg")
    assert found == "IMG_1.jpg"
    assert other.kind == "ambiguous image name"


def test_backslashes_are_slashes_where_there_is_no_such_file(tmp_path):
    make(tmp_path, "images/1.png", "images\\2.png", "images/2.png")
    assert located(tmp_path, "images\\1.png", "images\\2.png") == ["images/1.png", "images\\2.png"]


def test_percent_signs_are_decoded_where_there_is_no_such_file(tmp_path):
    make(tmp_path, "a dog.png", "100%25.png")
    assert located(tmp_path, "a%20dog.png", "100%25.png") == ["a dog.png", "100%25.png"]


def test_a_missing_image_names_every_folder_that_was_tried(tmp_path):
    make(tmp_path, "annotations/a.json", "images/2.png", "val2017/2.png")
    (problem,) = located(tmp_path, "1.png", part="captions_val2017", folders=image_folders(tmp_path / "annotations"))
    assert (problem.kind, problem.where) == ("missing image", "1.png")
    tried = ("annotations", "val2017", "", "images")
    assert problem.detail == "not in " + ", ".join(str(tmp_path / name) for name in tried)


@pytest.mark.parametrize(
    "name", ["long" * 100, "a\0b.png", "", "images", "/", "..", "\ud83d.png", "%00", "a/" * 5000 + "1.png"]
)
def test_a_name_that_no_file_can_have_is_a_missing_image(tmp_path, name):
    (tmp_path / "images").mkdir()
    (problem,) = located(tmp_path, name)
    assert (problem.kind, problem.where) == ("missing image", name)


def parts(*rows):
    """Return examples of name and part."""
    return [Example(name, ("A dog.",), split_in_name(part), part=part) for name, part in rows]


BOTH = parts(("1.png", "captions_train2017"), ("1.png", "captions_val2017"))


@pytest.mark.parametrize("place", ["{}2017", "images/{}2017", "{}", "images/{}", "{}_images"])
def test_images_numbered_from_one_in_each_split_are_those_of_their_own_split(tmp_path, place):
    files = [f"{place.format(split)}/1.png" for split in ("train", "val")]
    assert of(tmp_path, BOTH, image_folders(make(tmp_path, *files))) == files


def test_the_year_decides_between_two_folders_of_a_split(tmp_path):
    make(tmp_path, "train2014/1.png", "train2017/1.png", "val2014/1.png", "val2017/1.png")
    assert of(tmp_path, BOTH, [tmp_path]) == ["train2017/1.png", "val2017/1.png"]


def test_an_image_whose_split_has_no_folder_is_not_taken_from_another_split_that_names_it_too(tmp_path):
    train, val = of(tmp_path, BOTH, [make(tmp_path, "train2017/1.png")])
    assert train == "train2017/1.png"
    assert val.kind == "ambiguous image name"
    assert f"{tmp_path}/train2017/1.png" in val.detail


def test_an_image_whose_split_has_no_folder_is_not_taken_from_a_split_that_the_source_does_not_have(tmp_path):
    (val,) = of(tmp_path, BOTH[1:], [make(tmp_path, "train2017/1.png")])
    assert val.kind == "missing image"


def test_two_parts_may_share_the_folder_of_one_of_them_if_they_name_other_images(tmp_path):
    make(tmp_path, "train/1.png", "train/2.png")
    rows = parts(("1.png", "my_train"), ("2.png", "my_val"))
    assert of(tmp_path, rows, [tmp_path]) == ["train/1.png", "train/2.png"]


def test_a_folder_of_no_split_goes_before_that_of_another_split(tmp_path):
    make(tmp_path, "images/1.png", "val2017/1.png")
    assert of(tmp_path, BOTH, image_folders(tmp_path)) == ["images/1.png", "val2017/1.png"]


def test_a_folder_whose_name_says_more_than_a_split_is_not_the_folder_of_a_split(tmp_path):
    make(tmp_path, "train_old/1.png", "images/1.png", "my dog tests/2.png")
    rows = [Example("1.png", ("A dog.",), "train"), Example("2.png", ("A dog.",), "test")]
    assert of(tmp_path, rows, image_folders(tmp_path)) == ["images/1.png", "my dog tests/2.png"]


def test_a_bare_name_is_found_in_any_folder_where_only_one_image_has_it(tmp_path):
    make(tmp_path, "images/a/deep/1.png", "images/a/2.png", "other/2.png", "test/3.png")
    rows = [Example(f"{number}.png", ("A dog.",), "train") for number in (1, 2, 3)]
    found, ambiguous, missing = of(tmp_path, rows, image_folders(tmp_path))
    assert found == "images/a/deep/1.png"
    assert ambiguous.kind == "ambiguous image name"
    assert str(tmp_path / "images/a/2.png") in ambiguous.detail
    assert str(tmp_path / "other/2.png") in ambiguous.detail
    assert missing.kind == "missing image"


def test_an_image_that_is_missing_in_the_folder_it_is_written_with_is_not_looked_for_beside_it(tmp_path):
    make(tmp_path, "images/1.png", "images/cats/2.png")
    [missing] = located(tmp_path, "cats/1.png")
    assert missing.kind == "missing image"


def test_a_part_that_is_named_for_no_split_has_the_images_of_any_folder_but_only_where_they_are_alone(tmp_path):
    make(tmp_path, "train2017/1.png", "train2017/2.png", "val2017/1.png")
    ambiguous, found = of(tmp_path, parts(("1.png", "captions"), ("2.png", "captions")), [tmp_path])
    assert ambiguous.kind == "ambiguous image name"
    assert found == "train2017/2.png"


def test_the_rows_of_a_table_find_their_images_in_the_folders_of_their_splits(tmp_path):
    make(tmp_path, "train/1.png", "validation/1.png", "test/1.png")
    rows = [Example("1.png", ("A dog.",), split) for split in ("test", "dev", "train")]
    assert of(tmp_path, rows, [tmp_path]) == ["test/1.png", "validation/1.png", "train/1.png"]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("captions_train2017", "train"), ("val", "dev"), ("VALIDATION", "dev"), ("eval", "dev"), ("captionsVal2014", "dev"),
        ("VizWiz_test", "test"), ("restval", "train"), ("captions", None), ("contest", None), ("trainval2014", None),
        ("train-and-test", None), ("image_info_test-dev2017", None), ("", None),
    ],
)  # fmt: skip
def test_a_file_or_folder_is_named_for_one_split_or_for_none(name, split):
    assert split_in_name(name) == split


def test_the_folder_around_the_annotations_counts_only_if_the_images_cannot_be_beside_them(tmp_path):
    make(tmp_path, "images/1.png", "1.png", "full/captions.csv", "full/2.png", "bare/captions.csv")
    assert located(tmp_path, "1.png", folders=image_folders(tmp_path / "bare"))[0].kind == "ambiguous image name"
    assert located(tmp_path, "1.png", folders=image_folders(tmp_path / "full"))[0].kind == "missing image"


PARTS = ("a", "B", "b", "ä", "a\u0308", "train", "images", ".", "%20", "\\", "1.png", "/", "C:")
NAMES = st.one_of(st.text(max_size=12), st.lists(st.sampled_from(PARTS), max_size=5).map("/".join))


def same(image):
    """Return what is the same for all names that may be those of one image."""
    plain = unicodedata.normalize("NFC", unquote(image.replace("\\", "/"))).casefold()
    return [part for part in plain.split("/") if part not in ("", ".")]


@settings(deadline=None)
@given(names=st.lists(NAMES.filter(lambda name: ".." not in name), max_size=8), data=st.data())
def test_no_two_images_get_one_file(tmp_path_factory, names, data):
    folder = tmp_path_factory.getbasetemp() / "any"
    make(folder, "a/1.png", "B/1.png", "images/ä/1.png", "train/1.png", "1.png")
    examples = [Example(name, ("A dog.",), data.draw(st.sampled_from([None, "train", "dev"]))) for name in names]
    locator = ImageLocator(LoadedDataset(examples, image_folders(folder)))
    images = {}
    for example in examples:
        found = locator.locate(example)
        if isinstance(found, Path):
            assert images.setdefault(found, same(example.image)) == same(example.image)
            assert same(example.image)[-1] == "1.png"
