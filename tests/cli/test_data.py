"""``capgen data``, and what is said of a data set that was never prepared."""

import json

import pytest
from support.commands import invoked

from capgen.datasets import prepared
from capgen.datasets.layout import Problem
from capgen.datasets.prepared import PreparedDataset, PreparedImage


@pytest.fixture
def mine(user_folders):
    images = tuple(
        PreparedImage(f"/photos/{number}.jpg", str(number), split, ("A dog.", "A pet."))
        for number, split in enumerate(("train", "train", "dev", "test"))
    )
    PreparedDataset("mine", images, "efficientnet-lite0", "", ("plain", "flip"), ("/photos/captions.csv",)).save()
    problems = [Problem("missing image", f"captions.csv:{line}", "9.jpg is in no folder") for line in (3, 7)]
    prepared.save_problems("mine", problems)
    return user_folders


def test_it_lists_what_was_prepared(mine):
    done = invoked("data", "list")
    assert done.stdout.splitlines()[0].split() == [
        "name",
        "images",
        "train",
        "dev",
        "test",
        "captions",
        "encoder",
        "sources",
    ]
    assert done.stdout.splitlines()[1].split() == [
        "mine",
        "4",
        "2",
        "1",
        "1",
        "8",
        "efficientnet-lite0",
        "/photos/captions.csv",
    ]
    [entry] = json.loads(invoked("data", "list", "--json").stdout)
    assert (entry["name"], entry["train"], entry["sources"]) == ("mine", 2, ["/photos/captions.csv"])


def test_a_damaged_one_is_named_beside_the_others(mine):
    prepared.dataset_file("broken").write_text("{")
    done = invoked("data", "list")
    assert done.exit_code == 0
    assert "mine" in done.stdout
    assert "broken.json is damaged; run capgen prepare again" in done.stderr


def test_files_that_have_the_name_of_no_data_set_are_passed_over(mine):
    prepared.dataset_file("mine").with_name("._mine.json").write_bytes(b"of a Mac")
    assert prepared.names() == ["mine"]
    assert invoked("data", "list").exit_code == 0


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85", "\x0b"])
def test_what_was_left_out_is_known_again_whatever_its_captions_have_in_them(mine, character):
    problems = [Problem("malformed row", "a.csv:1", f"one{character}two")]
    prepared.save_problems("mine", problems)
    assert prepared.load_problems("mine") == problems


def test_it_says_where_to_begin_if_there_is_nothing(user_folders):
    assert "capgen prepare FOLDER" in invoked("data", "list").stderr


def test_it_shows_the_splits_and_what_was_left_out_with_an_example(mine):
    shown = invoked("data", "show", "mine").stdout
    assert "train     2 images, 4 captions" in shown
    assert "left out  2 missing image: captions.csv:3: 9.jpg is in no folder" in shown
    assert json.loads(invoked("data", "show", "mine", "--json").stdout)["left_out"] == {"missing image": 2}


def test_it_removes_the_data_set_and_nothing_else(mine):
    (mine / "cache").mkdir()
    (mine / "cache/kept").touch()
    done = invoked("data", "remove", "mine", "--yes")
    assert done.exit_code == 0
    assert prepared.names() == []
    assert list((mine / "data/datasets").iterdir()) == []
    assert (mine / "cache/kept").exists()


def test_it_removes_nothing_unasked(mine):
    done = invoked("data", "remove", "mine")
    assert done.exit_code == 2
    assert prepared.names() == ["mine"]


@pytest.mark.parametrize("arguments", [("data", "show"), ("train",)])
def test_a_name_that_was_never_prepared_is_answered_with_what_to_type(user_folders, arguments):
    done = invoked(*arguments, "photos")
    assert done.exit_code == 2
    assert "no prepared data set named 'photos'" in done.stderr
    assert "capgen prepare FOLDER --name photos" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("options", [(), ("--yes",)])
def test_nothing_else_is_offered_to_be_removed(mine, options):
    done = invoked("data", "remove", *options, "mime")
    assert done.exit_code == 2
    assert done.stderr == "capgen: there is no prepared data set named 'mime'; known: mine\n"


def test_a_folder_in_place_of_a_name_is_answered_with_how_to_prepare_it(user_folders, monkeypatch):
    monkeypatch.chdir(user_folders)
    (user_folders / "photos").mkdir()
    assert "capgen prepare photos" in invoked("train", "photos").stderr


@pytest.mark.parametrize("name", ["../mine", "datasets/mine", "mine.problems", ".", ""])
def test_a_path_is_the_name_of_no_data_set(mine, name):
    assert invoked("data", "remove", "--yes", name).exit_code == 2
    assert prepared.names() == ["mine"]
