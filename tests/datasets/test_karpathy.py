"""Karpathy's file as it is distributed for each data set, and as people make it."""

import pytest
from support.layouts import write

from capgen import datasets
from capgen.datasets.validation import LoadedSource, validate


def entry(number, split, *sentences, **more):
    return {"filename": f"{number}.png", "imgid": number, "split": split, "sentences": list(sentences), **more}


def read(folder, *entries, name="dataset_flickr8k.json"):
    return datasets.read(write(folder, {name: {"dataset": "flickr8k", "images": list(entries)}}))


def test_a_sentence_is_its_text_or_its_words(tmp_path):
    sentences = {"tokens": ["a", "dog"], "raw": "A dog ."}, {"raw": "A pet ."}, {"tokens": ["a", "beast"]}
    (example,) = read(tmp_path, entry(1, "train", *sentences)).examples
    assert example.captions == ("A dog .", "A pet .", "a beast")


@pytest.mark.parametrize("sentence", [{}, {"raw": None}, {"tokens": [1]}, "A dog.", None])
def test_a_damaged_sentence_costs_that_sentence(tmp_path, sentence):
    dataset = read(tmp_path, entry(1, "train", {"raw": "A dog."}, sentence), entry(2, "test", {"raw": "A cat."}))
    assert [example.captions for example in dataset.examples] == [("A dog.",), ("A cat.",)]
    assert [(p.kind, p.where) for p in dataset.problems] == [("malformed row", "dataset_flickr8k.json: images 1")]


@pytest.mark.parametrize(
    ("written", "split"), [("Train", "train"), ("VALIDATION", "dev"), (" test ", "test"), ("extra", "unused"), (None, None)]
)
def test_a_split_has_any_of_its_names_in_any_case(tmp_path, written, split):
    assert [example.split for example in read(tmp_path, entry(1, written, {"raw": "A dog."})).examples] == [split]


def test_a_file_of_any_name_is_read_but_the_customary_name_goes_first(tmp_path):
    read(tmp_path, entry(1, "train", {"raw": "A dog."}), name="a_split.json")
    assert "a_split.json" in datasets.read(tmp_path).recognised_by
    customary = read(tmp_path, entry(2, "train", {"raw": "A cat."}), name="dataset_mine.json")
    assert "dataset_mine.json" in customary.recognised_by


def test_images_of_the_same_name_are_known_by_their_folders(tmp_path):
    rows = [entry(1, split, {"raw": f"{folder}."}, filepath=folder) for folder, split in (("a", "train"), ("b", "test"))]
    write(tmp_path, {"images/a/1.png": None, "images/b/1.png": None})
    found = {image.path: image.captions for image in validate([LoadedSource(read(tmp_path, *rows))]).images}
    assert found == {f"{tmp_path}/images/a/1.png": ("a.",), f"{tmp_path}/images/b/1.png": ("b.",)}
