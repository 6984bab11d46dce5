"""Each layout as it is distributed: what it is recognised by, what is read, what is reported."""

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.layouts import write

from capgen import datasets
from capgen.datasets.image_locator import ImageLocator
from capgen.datasets.layout import Example
from capgen.errors import DataError, UnknownNameError


def captions_of(dataset):
    return {example.image: example.captions for example in dataset.examples}


def splits_of(dataset):
    return {example.image: example.split for example in dataset.examples}


def found(dataset):
    """Return where the image of each example lies, by the name of its folder."""
    locator = ImageLocator(dataset)
    located = {example.image: locator.locate(example) for example in dataset.examples}
    return {image: path.parent.name if isinstance(path, Path) else None for image, path in located.items()}


def problems_of(dataset):
    return [(problem.kind, problem.where) for problem in dataset.problems]


FLICKR8K = {
    "Flickr8k_text/Flickr8k.token.txt": (
        "1.jpg#0\tA dog runs .\n1.jpg#1\tA brown dog .\n2.jpg#0\tTwo men talk .\n3.jpg#0\tA child .\n4.jpg#0\tA boat .\n"
        "2258277193_586949ec62.jpg.1#0\tsome people\n"
    ),
    "Flickr8k_text/Flickr_8k.trainImages.txt": "1.jpg\n",
    "Flickr8k_text/Flickr_8k.devImages.txt": "2.jpg\n",
    "Flickr8k_text/Flickr_8k.testImages.txt": "3.jpg\n",
    "Flicker8k_Dataset/1.jpg": None,
}
KAGGLE = {
    "captions.txt": 'image,caption\n1.jpg,A dog runs .\n1.jpg,"A dog , brown , runs ."\n2.jpg,"A ""big"" cat ."\n',
    "Images/1.jpg": None,
}
FLICKR30K = {
    "flickr30k_images/results.csv": (
        "image_name| comment_number| comment\n"
        "2199200615.jpg| 0| A dog .\n"
        "2199200615.jpg| 3| A brown dog | running .\n"
        "2199200615.jpg| 4   A dog runs across the grass .\n"
        "36979.jpg| 0| Two men .\n"
    ),
    "flickr30k_images/flickr30k_images/36979.jpg": None,
}


def coco_annotations(identifier, name, *captions):
    return {
        "info": {},
        "images": [{"id": identifier, "file_name": name}],
        "annotations": [{"id": 10 * identifier + i, "image_id": identifier, "caption": c} for i, c in enumerate(captions)],
    }


COCO = {
    "annotations/captions_train2014.json": coco_annotations(9, "COCO_train2014_9.jpg", "A plate.", "Food."),
    "annotations/captions_val2014.json": coco_annotations(42, "COCO_val2014_42.jpg", "A shoe."),
    "annotations/instances_val2014.json": {"images": [], "annotations": []},
    "train2014/COCO_train2014_9.jpg": None,
    "val2014/COCO_val2014_42.jpg": None,
}


def karpathy_image(name, split, *captions, **more):
    sentences = [{"tokens": caption.lower().split(), "raw": caption} for caption in captions]
    return {"filename": name, "split": split, "sentences": sentences, **more}


KARPATHY = {
    "dataset_flickr8k.json": {
        "dataset": "flickr8k",
        "images": [
            karpathy_image(f"{number}.jpg", split, "A dog .", "A brown dog .")
            for number, split in enumerate(("train", "restval", "val", "test"), 1)
        ],
    },
    "images/1.jpg": None,
}
TABLE = {"captions.csv": "file_name,text,split\n1.jpg,A dog.,train\n", "1.jpg": None}
TABS = {"captions.tsv": "image\tcaption\n1.jpg\tA dog, running.\n"}
JSON_LINES = {"captions.jsonl": '{"image": "1.jpg", "captions": ["A dog.", "A pet."], "split": "val"}\n'}
SIDECARS = {"a/1.jpg": None, "a/1.txt": "A dog.\n\n  A pet.  \n", "2.PNG": None, "2.txt": "A cat."}


@pytest.mark.parametrize(
    ("files", "layout", "why"),
    [
        (FLICKR8K, "flickr8k", "Flickr8k.token.txt"),
        (KAGGLE, "csv", "captions.txt has the columns image and caption"),
        (FLICKR30K, "flickr30k", "results.csv has columns split by '|'"),
        (COCO, "coco", "captions_train2014.json, captions_val2014.json has COCO's"),
        (KARPATHY, "karpathy", "dataset_flickr8k.json has Karpathy's"),
        (TABLE, "csv", "captions.csv has the columns file_name and text"),
        (TABS, "csv", "captions.tsv has the columns image and caption"),
        (JSON_LINES, "jsonl", "captions.jsonl has the keys image and captions"),
        (SIDECARS, "folder", "has a .txt or .caption file beside it"),
    ],
)
def test_a_layout_is_recognised_and_the_reason_given(tmp_path, files, layout, why):
    dataset = datasets.read(write(tmp_path, files))
    assert dataset.layout == layout
    assert why in dataset.recognised_by


def test_a_named_layout_is_taken_at_its_word(tmp_path):
    dataset = datasets.read(write(tmp_path, {**TABLE, **JSON_LINES}), "jsonl")
    assert (dataset.layout, dataset.recognised_by) == ("jsonl", "named with `format`")


def test_flickr8k_has_its_captions_and_its_official_splits(tmp_path):
    dataset = datasets.read(write(tmp_path, FLICKR8K))
    assert captions_of(dataset)["1.jpg"] == ("A dog runs .", "A brown dog .")
    assert [splits_of(dataset)[f"{n}.jpg"] for n in (1, 2, 3, 4)] == ["train", "dev", "test", "unused"]
    assert found(dataset)["1.jpg"] == "Flicker8k_Dataset"


def test_the_stray_id_of_flickr8k_is_in_no_split(tmp_path):
    assert splits_of(datasets.read(write(tmp_path, FLICKR8K)))["2258277193_586949ec62.jpg.1"] == "unused"


def test_flickr8k_without_its_lists_has_no_splits(tmp_path):
    assert splits_of(datasets.read(write(tmp_path, {"Flickr8k.token.txt": "1.jpg#0\tA dog .\n"}))) == {"1.jpg": None}


def test_a_row_of_flickr8k_without_a_tab_is_reported_with_its_line(tmp_path):
    files = {"Flickr8k.token.txt": "1.jpg#0\tA dog .\n2.jpg#0 A cat .\n"}
    assert problems_of(datasets.read(write(tmp_path, files))) == [("malformed row", "Flickr8k.token.txt:2")]


def test_an_image_in_two_lists_of_flickr8k_is_reported_with_its_line(tmp_path):
    files = {**FLICKR8K, "Flickr8k_text/Flickr_8k.testImages.txt": "3.jpg\n1.jpg\n"}
    assert problems_of(datasets.read(write(tmp_path, files))) == [("image in two splits", "Flickr_8k.testImages.txt:2")]


def test_kaggles_captions_keep_their_quoted_commas_and_quotes(tmp_path):
    dataset = datasets.read(write(tmp_path, KAGGLE))
    assert [example.captions for example in dataset.examples] == [
        ("A dog runs .",),
        ("A dog , brown , runs .",),
        ('A "big" cat .',),
    ]
    assert found(dataset)["1.jpg"] == "Images"


def test_flickr30k_joins_the_captions_of_an_image_and_keeps_their_bars(tmp_path):
    dataset = datasets.read(write(tmp_path, FLICKR30K))
    assert captions_of(dataset) == {"2199200615.jpg": ("A dog .", "A brown dog | running ."), "36979.jpg": ("Two men .",)}
    assert found(dataset)["36979.jpg"] == "flickr30k_images"


def test_the_malformed_row_of_flickr30k_is_reported_with_its_line(tmp_path):
    assert problems_of(datasets.read(write(tmp_path, FLICKR30K))) == [("malformed row", "results.csv:4")]


def test_coco_takes_each_split_from_the_name_of_its_file(tmp_path):
    dataset = datasets.read(write(tmp_path, COCO))
    assert dataset.examples == [
        Example("COCO_train2014_9.jpg", ("A plate.", "Food."), "train", "9", part="captions_train2014"),
        Example("COCO_val2014_42.jpg", ("A shoe.",), "dev", "42", part="captions_val2014"),
    ]
    assert found(dataset) == {"COCO_train2014_9.jpg": "train2014", "COCO_val2014_42.jpg": "val2014"}


def test_one_annotation_file_of_coco_has_no_splits(tmp_path):
    dataset = datasets.read(write(tmp_path, COCO) / "annotations/captions_val2014.json")
    assert splits_of(dataset) == {"COCO_val2014_42.jpg": None}
    assert found(dataset) == {"COCO_val2014_42.jpg": "val2014"}


def test_a_coco_caption_of_an_image_that_is_not_listed_is_reported(tmp_path):
    values = coco_annotations(1, "1.jpg", "A dog.")
    values["annotations"].append({"id": 7, "image_id": 2, "caption": "Lost."})
    dataset = datasets.read(write(tmp_path, {"captions_x.json": values}))
    assert problems_of(dataset) == [("caption without an image", "captions_x.json")]


def test_cocos_annotations_of_objects_are_no_captions(tmp_path):
    values = {"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": [{"image_id": 1, "bbox": []}]}
    with pytest.raises(DataError, match="not a COCO annotation file: 'caption' is missing"):
        datasets.read(write(tmp_path, {"instances.json": values}) / "instances.json")


def test_karpathys_splits_are_read_with_restval_as_train(tmp_path):
    dataset = datasets.read(write(tmp_path, KARPATHY))
    assert [example.split for example in dataset.examples] == ["train", "train", "dev", "test"]
    assert captions_of(dataset)["1.jpg"] == ("A dog .", "A brown dog .")
    assert found(dataset)["1.jpg"] == "images"


def test_karpathys_coco_finds_images_in_the_folder_it_names(tmp_path):
    image = karpathy_image("7.jpg", "test", "A dog.", filepath="val2014", cocoid=391895)
    files = {"dataset_coco.json": {"dataset": "coco", "images": [image]}, "val2014/7.jpg": None}
    dataset = datasets.read(write(tmp_path, files) / "dataset_coco.json")
    assert dataset.examples == [Example("val2014/7.jpg", ("A dog.",), "test", "391895")]
    assert found(dataset) == {"val2014/7.jpg": "val2014"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", 'image,caption,split\n1.jpg,"A dog, wet.",val\n2.jpg,A cat.,\n'),
        ("t.csv", '\ufeffSplit,Caption,Image\r\nval,"A dog, wet.",1.jpg\r\n,A cat.,2.jpg\r\n'),
        ("t.tsv", "filename\tsentence\tsplit\n1.jpg\tA dog, wet.\tvalidation\n2.jpg\tA cat.\t\n"),
        pytest.param("t.csv", 'image,caption, split\n1.jpg,"A dog, wet.", val\n2.jpg,A cat.,\n'),
        ("t.jsonl", '{"image": "1.jpg", "caption": "A dog, wet.", "split": "dev"}\n\n{"path": "2.jpg", "text": "A cat."}\n'),
    ],
)
def test_a_table_has_an_image_a_caption_and_maybe_a_split_in_named_columns(tmp_path, name, text):
    dataset = datasets.read(write(tmp_path, {name: text}) / name)
    assert dataset.examples == [Example("1.jpg", ("A dog, wet.",), "dev"), Example("2.jpg", ("A cat.",), None)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", 'image,captions\n1.jpg,"[""A dog."", ""A pet.""]"\n'),
        ("t.csv", "image,captions\n1.jpg,\"['A dog.', 'A pet.']\"\n"),
        ("t.csv", "image,captions\n1.jpg,\"['A dog.'\n 'A pet.']\"\n"),  # as NumPy shows it
        ("t.csv", "image,caption,caption\n1.jpg,A dog.,A pet.\n"),
        ("t.csv", "image,caption_0,caption_1,caption_2\n1.jpg,A dog.,A pet.,\n"),
        ("t.jsonl", '{"image": "1.jpg", "captions": ["A dog.", "A pet."]}\n'),
        ("t.jsonl", '{"image": "1.jpg", "captions": [{"caption": "A dog.", "confidence": 0.5}, {"caption": "A pet."}]}\n'),
    ],
)
def test_a_row_may_have_a_list_of_captions(tmp_path, name, text):
    assert captions_of(datasets.read(write(tmp_path, {name: text}))) == {"1.jpg": ("A dog.", "A pet.")}


@pytest.mark.parametrize("caption", ["[indistinct] a dog", pytest.param("[1]")])
def test_a_caption_in_brackets_is_a_caption(tmp_path, caption):
    dataset = datasets.read(write(tmp_path, {"t.csv": f"image,caption\n1.jpg,{caption}\n"}))
    assert captions_of(dataset) == {"1.jpg": (caption,)}


@pytest.mark.parametrize("mark", ["\v", "\f", "\x1c", "\x85", "\u2028", "\u2029"])
def test_only_a_line_end_ends_a_row_of_a_table(tmp_path, mark):
    dataset = datasets.read(write(tmp_path, {"t.csv": f"image,caption\n1.jpg,A dog{mark}runs.\n"}))
    assert captions_of(dataset) == {"1.jpg": (f"A dog{mark}runs.",)}


GOOD = "image,caption,split\n1.jpg,A dog.,train\n"
GOOD_JSON = '{"image": "1.jpg", "caption": "A dog."}\n'


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", GOOD + "2.jpg,A dog, wet,train\n"),
        ("t.csv", GOOD + "2.jpg\n"),
        ("t.csv", GOOD + ",A cat.,train\n"),
        ("t.csv", GOOD + "2.jpg,A cat.,holdout\n"),
        ("t.jsonl", GOOD_JSON + "no json\n"),
        ("t.jsonl", GOOD_JSON + "[1, 2]\n"),
        ("t.jsonl", GOOD_JSON + '{"image": "2.jpg"}\n'),
        ("t.jsonl", GOOD_JSON + '{"image": "2.jpg", "caption": 5}\n'),
        ("t.jsonl", GOOD_JSON + '{"image": "2.jpg", "captions": ["A cat.", null]}\n'),
        ("t.jsonl", GOOD_JSON + '{"image": [2], "caption": "A cat."}\n'),
    ],
)
def test_a_malformed_row_is_reported_with_its_line_and_the_others_are_read(tmp_path, name, text):
    dataset = datasets.read(write(tmp_path, {name: text}))
    assert list(captions_of(dataset)) == ["1.jpg"]
    assert problems_of(dataset) == [("malformed row", f"{name}:{text.count(chr(10))}")]


def test_json_lines_are_recognised_though_the_first_is_malformed(tmp_path):
    dataset = datasets.read(write(tmp_path, {"t.jsonl": "no json\n" + GOOD_JSON}))
    assert problems_of(dataset) == [("malformed row", "t.jsonl:1")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", GOOD + '2.jpg,"A cat.,train\n3.jpg,A cow.,train\n'),
        ("t.jsonl", GOOD_JSON + "[" * 99999),
        ("captions_x.json", coco_annotations(1, "1.jpg", None)),
        ("captions_x.json", coco_annotations(1, 5, "A dog.")),
        ("dataset_x.json", {"dataset": "x", "images": [karpathy_image("1.jpg", "test") | {"sentences": [{"raw": None}]}]}),
        ("dataset_x.json", {"dataset": "x", "images": ["1.jpg"]}),
    ],
    ids=["open quote", "deep json", "null in coco", "number in coco", "null in karpathy", "text in karpathy"],
)
def test_what_cannot_be_a_row_is_an_error_or_reported(tmp_path, name, content):
    try:
        problems = datasets.read(write(tmp_path, {name: content})).problems
    except DataError:
        return
    assert problems


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.csv", "file_name,label\n1.jpg,dog\n2.jpg,Elephant\n3.jpg,\n"),
        ("labels.tsv", "image\tlabel\n1.jpg\tdog\n2.jpg\tElephant\n3.jpg\t \n"),
        (
            "labels.jsonl",
            '{"image": "1.jpg", "label": "dog"}\n{"image": "2.jpg", "label": ["Elephant"]}\n'
            '{"image": "3.jpg", "label": ""}\n',
        ),
    ],
)
def test_a_label_becomes_short_captions_with_its_article(tmp_path, name, content):
    dataset = datasets.read(write(tmp_path, {name: content, "1.jpg": None}))
    assert "label" in dataset.recognised_by
    assert captions_of(dataset) == {
        "1.jpg": ("a close up of a dog", "a dog up close", "a view of a dog"),
        "2.jpg": ("a close up of an Elephant", "an Elephant up close", "a view of an Elephant"),
        "3.jpg": (),
    }


def test_each_of_several_labels_has_captions_of_its_own(tmp_path):
    dataset = datasets.read(write(tmp_path, {"t.jsonl": '{"image": "1.jpg", "label": ["owl", "", "{x}", "tree"]}\n'}))
    captions = captions_of(dataset)["1.jpg"]
    assert len(captions) == 9
    assert {"an owl up close", "a {x} up close", "a tree up close"} < set(captions)


def test_a_caption_goes_before_a_label(tmp_path):
    files = {"t.csv": "image,label,caption\n1.jpg,dog,A brown dog.\n"}
    assert captions_of(datasets.read(write(tmp_path, files))) == {"1.jpg": ("A brown dog.",)}


def test_a_folder_reads_a_caption_a_line_beside_each_image(tmp_path):
    assert captions_of(datasets.read(write(tmp_path, SIDECARS))) == {"2.PNG": ("A cat.",), "a/1.jpg": ("A dog.", "A pet.")}


def test_an_image_of_a_folder_without_captions_is_read_with_none(tmp_path):
    assert captions_of(datasets.read(write(tmp_path, {**SIDECARS, "3.jpg": None})))["3.jpg"] == ()


def test_the_image_folder_that_is_given_is_the_only_one_looked_into(tmp_path):
    write(tmp_path, {**TABLE, "elsewhere/1.jpg": None})
    assert found(datasets.read(tmp_path, images=tmp_path / "elsewhere")) == {"1.jpg": "elsewhere"}


@pytest.mark.parametrize(("name", "reason"), [("1.jpg", "is a file, not a folder"), ("none", "does not exist")])
def test_an_image_folder_that_is_a_file_or_missing_is_an_error(tmp_path, name, reason):
    with pytest.raises(DataError, match=reason):
        datasets.read(write(tmp_path, TABLE), images=tmp_path / name)


def test_a_missing_source_is_an_error_that_names_it(tmp_path):
    with pytest.raises(DataError, match=r"no data set at .*none"):
        datasets.read(tmp_path / "none")


@pytest.mark.parametrize(
    ("files", "seen"),
    [
        ({}, "it is empty"),
        ({"1.jpg": None}, "no image of 1 has a .txt or .caption file beside it"),
        ({"notes.md": "nothing"}, "there is notes.md in it"),
        ({"t.csv": ""}, "t.csv has no rows below its first line"),
        ({"t.csv": "img,said\n1.jpg,A dog.\n"}, "t.csv has the columns img, said"),
        ({"t.jsonl": '{"img": "1.jpg", "said": "A dog."}\n'}, "t.jsonl has the keys img, said"),
        ({"train/t.json": [{"img": "1.jpg"}]}, "train/t.json has the keys img"),
        ({"x.json": "{"}, "x.json:1: it is not JSON"),
        ({"t.csv": b"image,caption\n1.jpg,caf\xe9\n"}, "t.csv is not UTF-8 text"),
    ],
)
def test_what_is_in_no_layout_is_an_error_that_says_what_was_seen_and_what_is_needed(tmp_path, files, seen):
    with pytest.raises(
        DataError, match=r"not in a known layout.*karpathy, coco, flickr8k.*`caption_column`.*`format`"
    ) as caught:
        datasets.read(write(tmp_path, files))
    assert seen in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_layout_offers_the_nearest(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean flickr8k"):
        datasets.read(tmp_path, "flicker8k")


@pytest.mark.parametrize("layout", list(datasets.LAYOUTS))
def test_a_named_layout_that_the_source_is_not_in_is_an_error(tmp_path, layout):
    with pytest.raises(DataError):
        datasets.read(write(tmp_path, {"notes.md": "nothing"}), layout)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Flickr8k.token.txt", "1.jpg#0\tA café.\n"),
        ("results.csv", "image_name| comment_number| comment\n1.jpg| 0| A café.\n"),
        ("t.jsonl", '{"image": "1.jpg", "caption": "A café."}\n'),
        pytest.param("captions.txt", "image,caption\n1.jpg,A café.\n"),
        pytest.param("captions_x.json", '{"images": [], "annotations": ["é"]}'),
    ],
)
def test_a_file_that_is_not_utf8_is_an_error_that_says_so(tmp_path, name, text):
    with pytest.raises(DataError, match=f"{name} is not UTF-8 text"):
        datasets.read(write(tmp_path, {name: text.encode("latin-1")}))


LINE = st.characters(exclude_categories=("Cs",), exclude_characters="\n\r")
CAPTIONS = st.lists(st.text(LINE).filter(lambda caption: not caption.lstrip().startswith("[")), min_size=1, max_size=5)


@pytest.mark.parametrize(("name", "delimiter"), [("t.csv", ","), ("t.tsv", "\t")])
@settings(deadline=None)
@given(captions=CAPTIONS)
def test_any_caption_comes_back_from_a_table_as_it_was(tmp_path_factory, name, delimiter, captions):
    path = tmp_path_factory.getbasetemp() / name
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([("image", "caption"), *(("1.jpg", c) for c in captions)])
    assert [example.captions for example in datasets.read(path).examples] == [(caption,) for caption in captions]


@settings(deadline=None)
@given(captions=CAPTIONS, ascii_only=st.booleans())
def test_any_caption_comes_back_from_json_lines_as_it_was(tmp_path_factory, captions, ascii_only):
    rows = [json.dumps({"image": "1.jpg", "caption": c}, ensure_ascii=ascii_only) for c in captions]
    path = tmp_path_factory.getbasetemp() / "t.jsonl"
    path.write_text("\n".join(rows), encoding="utf-8")
    assert [example.captions for example in datasets.read(path).examples] == [(caption,) for caption in captions]
