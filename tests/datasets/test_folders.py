"""Folders of images with files of captions, as people and their programs leave them."""

import unicodedata

import pytest
from support.layouts import write
from support.tools import bound_by_modes

from capgen import datasets


def read(folder, files):
    return datasets.read(write(folder, files))


def captions_of(dataset):
    return {example.image: example.captions for example in dataset.examples}


@pytest.mark.parametrize("sidecar", ["1.txt", "1.TXT", "1.caption", "1.jpg.txt"])
def test_captions_lie_in_a_file_called_as_the_image(tmp_path, sidecar):
    dataset = read(tmp_path, {"1.jpg": None, sidecar: "A dog.\n"})
    assert dataset.layout == "folder"
    assert captions_of(dataset) == {"1.jpg": ("A dog.",)}


def test_a_file_has_a_caption_a_line_whatever_its_ends_and_marks(tmp_path):
    files = {f"{number}.JPG": None for number in range(4)}
    texts = ("A dog.\r\n\r\nA pet.\r\n", "\ufeffA dog.\nA pet.", "\n\nA dog.\rA pet.\r", "")
    dataset = read(tmp_path, files | {f"{number}.txt": text for number, text in enumerate(texts)})
    assert list(captions_of(dataset).values()) == [("A dog.", "A pet.")] * 3 + [()]
    assert not dataset.problems


LEFTOVERS = (
    "._1.jpg", ".hidden/1.jpg", ".ipynb_checkpoints/1-checkpoint.jpg", "__MACOSX/1.jpg", "@eaDir/1.jpg", "a/@eaDir/1.jpg",
    "$RECYCLE.BIN/1.jpg", "Thumbs.db", "desktop.ini",
)  # fmt: skip


@pytest.mark.parametrize("name", LEFTOVERS)
def test_what_systems_leave_behind_is_passed_over(tmp_path, name):
    stem = name.rpartition(".")[0]
    dataset = read(tmp_path, {"1.jpg": None, "1.txt": "A dog.", name: b"\0\5\x16\7", f"{stem}.txt": "stale"})
    assert captions_of(dataset) == {"1.jpg": ("A dog.",)}
    assert {problem.where for problem in dataset.problems} <= {str(tmp_path / f"{stem}.txt")}


def test_what_is_in_a_folder_that_may_not_be_entered_costs_nothing_else(tmp_path):
    files = {"captions.csv": "image,caption\n1.jpg,A dog.\n", "1.jpg": None}
    locked = (
        "train/captions.csv",
        "train/metadata.csv",
        "annotations/captions_train.json",
        "images/1.txt",
        "flickr30k.txt/1",
    )
    write(tmp_path, files | dict.fromkeys(locked, "1.jpg,A cat.\n"))
    folders = [path for path in tmp_path.iterdir() if path.is_dir()]
    for folder in folders:
        folder.chmod(0o444)
    with bound_by_modes():
        dataset = datasets.read(tmp_path)
    for folder in folders:
        folder.chmod(0o755)
    assert captions_of(dataset) == {"1.jpg": ("A dog.",)}


def test_a_file_of_captions_without_an_image_is_named(tmp_path):
    dataset = read(tmp_path, {"1.jpg": None, "1.txt": "A dog.", "2.txt": "A cat."})
    assert [(problem.kind, problem.where) for problem in dataset.problems] == [
        ("caption without an image", str(tmp_path / "2.txt"))
    ]


def test_of_two_files_of_captions_of_an_image_the_other_is_named(tmp_path):
    dataset = read(tmp_path, {"1.jpg": None, "1.txt": "dog, grass", "1.caption": "A dog."})
    assert captions_of(dataset) == {"1.jpg": ("dog, grass",)}
    assert [(problem.kind, problem.where) for problem in dataset.problems] == [
        ("file not read", str(tmp_path / "1.caption"))
    ]


def test_downloads_of_web_images_are_read_by_their_text_files(tmp_path):
    files = {"00000_stats.json": {"count": 2}}
    for number in range(2):
        files |= {
            f"00000/{number}.jpg": None,
            f"00000/{number}.txt": f"Dog {number}",
            f"00000/{number}.json": {"caption": "x"},
        }
    assert captions_of(read(tmp_path, files)) == {"00000/0.jpg": ("Dog 0",), "00000/1.jpg": ("Dog 1",)}


def test_folders_that_are_named_for_splits_are_these_splits(tmp_path):
    folders = {"train": "train", "val": "dev", "test": "test"}
    dataset = read(tmp_path, {f"{f}/{n}": None if n[-1] == "g" else "A dog." for f in folders for n in ("1.jpg", "1.txt")})
    assert {example.image: example.split for example in dataset.examples} == {f"{f}/1.jpg": s for f, s in folders.items()}


def test_that_numbers_in_names_of_folders_are_ignored_is_said(tmp_path):
    dataset = read(tmp_path, {"10_white dog/1.jpg": None, "10_white dog/1.txt": "A dog."})
    assert "'10_white dog' is ignored" in dataset.notes[0]
    assert not read(tmp_path / "plain", {"white dog/1.jpg": None, "white dog/1.txt": "A dog."}).notes


def test_a_file_of_captions_is_found_whose_name_composes_its_letters_in_another_way(tmp_path):
    names = [unicodedata.normalize(form, "café") for form in ("NFC", "NFD")]
    for image, sidecar in (names, names[::-1]):
        source = write(tmp_path / str(len(image)), {f"{image}.png": None, f"{sidecar}.txt": "A cup.\n"})
        assert [example.captions for example in datasets.read(source).examples] == [("A cup.",)]
    both = write(tmp_path / "both", {f"{names[0]}.png": None, f"{names[1]}.png": None, f"{names[0]}.txt": "A cup.\n"})
    assert {example.image: example.captions for example in datasets.read(both).examples} == {
        f"{names[0]}.png": ("A cup.",), f"{names[1]}.png": (),
    }  # fmt: skip
