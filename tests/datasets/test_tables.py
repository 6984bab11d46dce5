"""Tables as people have them: how they are quoted and delimited, what they call their columns, where they lie."""

import csv
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.layouts import write

from capgen import datasets
from capgen.datasets.cells import texts
from capgen.datasets.image_locator import ImageLocator
from capgen.datasets.layout import Columns
from capgen.errors import DataError, UsageError


def captions_of(dataset):
    found = {}
    for example in dataset.examples:
        found[example.image] = found.get(example.image, ()) + example.captions
    return found


def splits_of(dataset):
    """Return the split of each image by its path from the source."""
    root = dataset.image_folders[0]
    return {((one.folder or root) / one.image).relative_to(root).as_posix(): one.split for one in dataset.examples}


def problems_of(dataset):
    return [(problem.kind, problem.where) for problem in dataset.problems]


def read(folder, files, **more):
    return datasets.read(write(folder, files), **more)


def test_a_line_break_in_a_quoted_caption_is_a_space_and_rows_are_numbered_by_their_first_line(tmp_path):
    text = 'image,caption\n1.jpg,"A dog.\nIt runs."\n\n2.jpg,A cat.\n3.jpg\n'
    dataset = read(tmp_path, {"t.csv": text})
    assert captions_of(dataset) == {"1.jpg": ("A dog. It runs.",), "2.jpg": ("A cat.",)}
    assert [example.where for example in dataset.examples] == ["t.csv:2", "t.csv:5"]
    assert problems_of(dataset) == [("malformed row", "t.csv:6")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_delimiter_the_encoding_and_the_line_ends_are_recognised(tmp_path, delimiter, encoding, end):
    rows = [["image", "caption"], ["1.jpg", "Ein Bär, der schläft; mehr nicht."], ["2.jpg", "Eine Katze."]]
    lines = (delimiter.join(f'"{cell}"' if delimiter in cell else cell for cell in row) for row in rows)
    dataset = read(tmp_path, {"t.csv": "".join(line + end for line in lines).encode(encoding)})
    assert captions_of(dataset) == {image: (caption,) for image, caption in rows[1:]}


def test_spaces_after_delimiters_do_not_keep_quotes_from_quoting(tmp_path):
    assert captions_of(read(tmp_path, {"t.csv": 'image, caption\n1.jpg, "A dog, wet."\n'})) == {"1.jpg": ("A dog, wet.",)}


def test_an_unquoted_delimiter_in_a_caption_at_the_end_of_its_row_is_part_of_it(tmp_path):
    text = "image,number,caption\n1.jpg, 0, A dog , brown , runs .\n2.jpg,1,A cat.\n"
    dataset = read(tmp_path, {"t.csv": text})
    assert captions_of(dataset) == {"1.jpg": (" A dog , brown , runs .",), "2.jpg": ("A cat.",)}


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("caption,image", "A dog, wet,1.jpg"),
        ("image,caption,confidence", "1.jpg,A dog, wet,0.9"),
        ("image,caption,text", "1.jpg,A dog, wet,0.9"),
        ("image,caption", '1.jpg,A "dog", wet'),
        ("image,caption", "1.jpg,A dog2.jpg,A cat"),
    ],
)
def test_elsewhere_it_costs_its_row(tmp_path, header, row):
    good = ",".join({"image": "3.jpg", "confidence": "0.5"}.get(name, "A cow.") for name in header.split(","))
    dataset = read(tmp_path, {"t.csv": f"{header}\n{good}\n{row}\n"})
    assert captions_of(dataset) == {"3.jpg": ("A cow.",)}
    assert problems_of(dataset) == [("malformed row", "t.csv:3")]


def test_rows_of_nothing_but_delimiters_are_blank(tmp_path):
    dataset = read(tmp_path, {"t.csv": "image;caption;;\n1.jpg;A dog.;;\n;;;\n"})
    assert captions_of(dataset) == {"1.jpg": ("A dog.",)}
    assert problems_of(dataset) == []


OPEN = [
    '2.jpg,"A cat.\n3.jpg,A cow.\n4.jpg,A pig.\n',
    '2.jpg,"A cat.\n3.jpg,A cow.\n4.jpg,"A pig."\n',
    '2.jpg,"A cat.\n3.jpg,A cow.\n4.jpg,A pig said "\n5.jpg,A hen.\n',
    '2.jpg,"A cat.\n3.jpg,"A ""big"" cow."\n4.jpg,A pig.\n',
]


@pytest.mark.parametrize("rows", OPEN)
def test_an_open_quotation_mark_costs_its_row_and_takes_no_other_with_it(tmp_path, rows):
    dataset = read(tmp_path, {"t.csv": f"image,caption\n1.jpg,A dog.\n{rows}"})
    found = captions_of(dataset)
    assert list(found) == [f"{number}.jpg" for number in (1, *range(3, 3 + rows.count("\n") - 1))]
    assert all("cat" not in caption for captions in found.values() for caption in captions)
    assert problems_of(dataset) == [("malformed row", "t.csv:3")]
    assert "quotation mark" in dataset.problems[0].detail


def test_in_a_table_with_tabs_and_no_quoting_quotation_marks_are_text(tmp_path):
    rows = ['1.jpg\t"look" says a dog', '2.jpg\t"a cat', "3.jpg\ta cow", '4.jpg\ta pig "here"', '5.jpg\ta hen said "']
    dataset = read(tmp_path, {"t.tsv": "image\tcaption\n" + "\n".join(rows) + "\n"})
    assert captions_of(dataset) == {image: (caption,) for image, caption in (row.split("\t") for row in rows)}
    assert problems_of(dataset) == []


def test_a_few_bytes_that_are_not_utf8_cost_their_row(tmp_path):
    rows = b"".join(b"%d.jpg,A dog.\n" % number for number in range(1, 30))
    dataset = read(tmp_path, {"t.csv": b"image,caption\n" + rows + b"30.jpg,Caf\xe9.\n"})
    assert len(dataset.examples) == 29
    assert problems_of(dataset) == [("malformed row", "t.csv:31")]


@pytest.mark.parametrize("shown", ["['A dog.', 'A", '["A dog.", null]', "[{'caption': 'A dog.'}]", "['A dog.' A pet.]"])
def test_what_begins_like_a_list_and_is_none_is_reported_and_never_one_caption(tmp_path, shown):
    text = "image|captions\n1.jpg|['A dog.', 'A pet.']\n2.jpg|" + shown + "\n"
    dataset = read(tmp_path, {"t.csv": text})
    assert captions_of(dataset) == {"1.jpg": ("A dog.", "A pet.")}
    assert problems_of(dataset) == [("malformed row", "t.csv:3")]
    assert "list of captions" in dataset.problems[0].detail


@settings(deadline=None)
@given(st.lists(st.text().filter(str.strip), min_size=1, max_size=5))
def test_a_list_of_texts_comes_back_as_python_or_json_shows_it(captions):
    expected = tuple(" ".join(caption.replace("\r", "\n").split("\n")) for caption in captions)
    for shown in (str(captions), json.dumps(captions), json.dumps(captions, ensure_ascii=False)):
        assert [found.split() for found in texts(shown)] == [one.split() for one in expected]


@settings(deadline=None)
@given(text=st.text(alphabet="[]'\"\\,ab {}()"))
def test_any_text_that_looks_a_little_like_a_list_is_read_or_refused(text):
    try:
        assert texts(text)
    except ValueError as error:
        assert "list of captions" in str(error)


def quoted(row):
    return ",".join(f'"{cell}"' for cell in row)


@settings(deadline=None)
@given(st.lists(st.text(alphabet='",\n ab.'), min_size=1, max_size=6))
def test_any_caption_that_is_written_as_rfc_4180_says_is_read_or_named(tmp_path_factory, captions):
    path = tmp_path_factory.getbasetemp() / "rfc.csv"
    rows = [(f"img{number}.jpg", f"word{number} {caption}") for number, caption in enumerate(captions)]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("image", "caption"), *rows])
    found = captions_of(datasets.read(path))
    assert {image: [one.split() for one in texts] for image, texts in found.items()} == {
        image: [caption.split()] for image, caption in rows
    }


def test_a_json_array_is_read_and_its_rows_are_numbered_by_their_lines(tmp_path):
    text = '[\n  {"image": "1.jpg",\n   "caption": "A dog."},\n  {"image": "2.jpg", "caption": "A cat."}, 5\n]\n'
    dataset = read(tmp_path, {"t.json": text})
    assert captions_of(dataset) == {"1.jpg": ("A dog.",), "2.jpg": ("A cat.",)}
    assert [example.where for example in dataset.examples] == ["t.json:2", "t.json:4"]
    assert problems_of(dataset) == [("malformed row", "t.json:4")]


@pytest.mark.parametrize(
    "text",
    [
        '{"image": "2.jpg", "caption": A cat.},\n',
        '{"image": "2.jpg", "caption": "A cat.},\n',
        '{"image": "2.jpg", "captions": ["A cat."}, {]},\n',
        ']]{"image": "2.jpg",\n"x":},\n',
    ],
)
def test_a_damaged_object_of_a_json_array_costs_itself(tmp_path, text):
    first, last = '{"image": "1.jpg", "caption": "A dog."}', '{"image": "3.jpg", "caption": "A cow."}'
    dataset = read(tmp_path, {"t.json": f"[{first},\n{text}{last}]"})
    assert captions_of(dataset) == {"1.jpg": ("A dog.",), "3.jpg": ("A cow.",)}
    assert set(problems_of(dataset)) == {("malformed row", "t.json:2")}


def test_rows_inside_an_object_are_numbered_by_their_lines_and_a_damaged_one_costs_itself(tmp_path):
    first, last = '{"image": "1.jpg", "caption": "A dog."}', '{"image": "3.jpg", "caption": "A cow."}'
    dataset = read(
        tmp_path / "whole", {"t.json": f'{{"version": 1,\n"data": [\n{first},\n5, {last}],\n"licenses": [{{}}]}}'}
    )
    assert [(example.image, example.where) for example in dataset.examples] == [("1.jpg", "t.json:3"), ("3.jpg", "t.json:4")]
    assert problems_of(dataset) == [("malformed row", "t.json:4")]
    damaged = '{"image": "2.jpg", "caption": A cat.}'
    dataset = read(tmp_path / "damaged", {"t.json": f'{{"data": [\n{first},\n{damaged},\n{last}]}}'})
    assert captions_of(dataset) == {"1.jpg": ("A dog.",), "3.jpg": ("A cow.",)}
    assert problems_of(dataset)[0] == ("malformed row", "t.json:3")


def test_a_json_array_that_is_cut_off_is_read_as_far_as_it_goes_and_it_is_said(tmp_path):
    dataset = read(tmp_path, {"t.json": '[{"image": "1.jpg", "caption": "A dog."},\n'})
    assert list(captions_of(dataset)) == ["1.jpg"]
    assert "cut off" in dataset.problems[0].detail


@pytest.mark.parametrize(
    "text",
    [
        '{"image": "1.jpg", "caption": "A dog."}\n{"image": "2.jpg", "caption": "A cat."}\n',  # JSON lines
        '{"version": 1, "data": [{"image": "1.jpg", "caption": "A dog."}, {"image": "2.jpg", "caption": "A cat."}]}',
        '{"1.jpg": "A dog.", "2.jpg": ["A cat."]}',
        '{"1.jpg": {"caption": "A dog."}, "2.jpg": {"caption": "A cat.", "tags": "cat"}}',
    ],
)
def test_json_that_holds_rows_in_another_way_is_read(tmp_path, text):
    assert captions_of(read(tmp_path, {"t.json": text})) == {"1.jpg": ("A dog.",), "2.jpg": ("A cat.",)}


OWN = [
    {"path": "1.jpg", "status": "captioned", "caption": "a dog", "confidence": 0.9,
     "captions": [{"caption": "a dog", "confidence": 0.9, "log_probability": -1.0}], "written": ["1.txt"]},
    {"path": "2.jpg", "status": "unreadable", "caption": None, "confidence": None, "captions": [], "reason": "damaged"},
    {"path": "3.jpg", "status": "low-confidence", "caption": "a cat", "confidence": 0.1,
     "captions": [{"caption": "a cat", "confidence": 0.1, "log_probability": -9.0}]},
]  # fmt: skip


def test_what_capgen_writes_as_json_lines_is_read_but_for_captions_that_it_did_not_write_out(tmp_path):
    dataset = read(tmp_path, {"said.jsonl": "".join(json.dumps(row) + "\n" for row in OWN)})
    assert captions_of(dataset) == {"1.jpg": ("a dog",), "2.jpg": (), "3.jpg": ()}
    assert problems_of(dataset) == []


def test_what_capgen_writes_as_csv_is_read(tmp_path):
    dataset = read(tmp_path, {"said.csv": "path,caption,confidence,rank\n1.jpg,a dog,0.900,1\n1.jpg,a pet,0.050,2\n"})
    assert captions_of(dataset) == {"1.jpg": ("a dog", "a pet")}


@pytest.mark.parametrize("image", ["17", '"a photo of a dog"', "null", '{"height": 5}'])
def test_a_column_named_image_that_holds_something_else_does_not_hide_the_file_name(tmp_path, image):
    rows = [f'{{"image": {image}, "file_name": "{name}", "text": "A dog."}}' for name in ("1.jpg", "2.jpg")]
    dataset = read(tmp_path, {"metadata.jsonl": "\n".join(rows)})
    assert captions_of(dataset) == {"1.jpg": ("A dog.",), "2.jpg": ("A dog.",)}
    assert "file_name and text" in dataset.recognised_by


def test_a_column_of_captions_without_any_text_does_not_hide_another(tmp_path):
    dataset = read(tmp_path, {"t.csv": "image,caption,text\n1.jpg,,A dog.\n2.jpg,,A cat.\n"})
    assert captions_of(dataset) == {"1.jpg": ("A dog.",), "2.jpg": ("A cat.",)}


@pytest.mark.parametrize("key", ["text", "caption", "prompt", "title", "caption_0", "Caption 1"])
def test_captions_are_known_by_several_names(tmp_path, key):
    row = json.dumps({"file_name": "1.jpg", key: "A dog."})
    assert captions_of(read(tmp_path, {"metadata.jsonl": row})) == {"1.jpg": ("A dog.",)}


@pytest.mark.parametrize(
    ("row", "images"),
    [
        ({"photo_file_name": "1.jpg", "text": "A dog."}, ["1.jpg"]),
        ({"image": {"bytes": None, "path": "1.jpg"}, "text": "A dog."}, ["1.jpg"]),
        ({"file_names": ["1.jpg", "2.jpg"], "text": "A dog."}, ["1.jpg", "2.jpg"]),
        ({"frames_file_names": ["1.jpg", "2.jpg"], "text": "A dog."}, ["1.jpg", "2.jpg"]),
    ],
)
def test_images_are_known_by_the_names_of_image_folders(tmp_path, row, images):
    assert captions_of(read(tmp_path, {"metadata.jsonl": json.dumps(row)})) == dict.fromkeys(images, ("A dog.",))


def test_of_several_columns_of_images_nobody_knows_which_is_meant_unless_it_is_said(tmp_path):
    row = {"before_file_name": "1.jpg", "after_file_name": "2.jpg", "text": "A dog."}
    with pytest.raises(DataError, match="has the keys before_file_name, after_file_name, text"):
        read(tmp_path, {"metadata.jsonl": json.dumps(row)})
    dataset = datasets.read(tmp_path, columns=Columns(image="after_file_name"))
    assert captions_of(dataset) == {"2.jpg": ("A dog.",)}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "id,Photo,said,caption\n7,1.jpg,A dog.,other\n"),
        ("t.jsonl", '{"id": "7.jpg", "Photo": "1.jpg", "said": "A dog.", "caption": "other"}'),
        ("t.json", '[{"id": "7.jpg", "Photo": "1.jpg", "said": "A dog.", "caption": "other"}]'),
    ],
)
def test_any_columns_can_be_named(tmp_path, name, text):
    dataset = read(tmp_path, {name: text}, columns=Columns("photo", "said"))
    assert captions_of(dataset) == {"1.jpg": ("A dog.",)}
    assert "Photo and said" in dataset.recognised_by


def test_named_columns_that_are_not_there_are_an_error_that_says_which_are(tmp_path):
    with pytest.raises(DataError, match=r"t\.csv has the columns image, caption"):
        read(tmp_path, {"t.csv": "image,caption\n1.jpg,A dog.\n"}, columns=Columns(image="photo"))


def test_a_layout_without_columns_refuses_named_ones(tmp_path):
    with pytest.raises(UsageError, match="folder layout has no columns"):
        read(tmp_path, {"1.jpg": None, "1.txt": "A dog."}, layout="folder", columns=Columns(image="photo"))


def metadata(suffix, *names):
    if suffix == "csv":
        return "file_name,text\n" + "".join(f"{name},A dog.\n" for name in names)
    return "".join(json.dumps({"file_name": name, "text": "A dog."}) + "\n" for name in names)


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
@pytest.mark.parametrize("above", ["", "data/"])
def test_an_image_folder_has_the_splits_of_its_folders(tmp_path, suffix, above):
    folders = {"train": "train", "validation": "dev", "test": "test"}
    dataset = read(
        tmp_path, {f"{above}{folder}/metadata.{suffix}": metadata(suffix, "1.jpg", "a/2.jpg") for folder in folders}
    )
    assert splits_of(dataset) == {
        f"{above}{folder}/{name}": split for folder, split in folders.items() for name in ("1.jpg", "a/2.jpg")
    }
    assert dataset.layout == suffix


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_one_table_above_the_folders_of_splits_has_their_splits_too(tmp_path, suffix):
    dataset = read(tmp_path, {f"metadata.{suffix}": metadata(suffix, "train/1.jpg", "val/1.jpg", "test/1.jpg")})
    assert splits_of(dataset) == {"train/1.jpg": "train", "val/1.jpg": "dev", "test/1.jpg": "test"}


def test_tables_that_are_named_for_splits_are_read_together(tmp_path):
    files = {f"{name}.csv": f"image,caption\n{name}.jpg,A dog.\n" for name in ("captions_train", "captions_val", "test")}
    dataset = read(tmp_path, {**files, "all.csv": "image,caption\ntest.jpg,A dog.\n"})
    assert splits_of(dataset) == {"captions_train.jpg": "train", "captions_val.jpg": "dev", "test.jpg": "test"}
    assert problems_of(dataset) == [("file not read", "all.csv")]


@pytest.mark.parametrize("damaged", ["", "no json\n", '{"file_name": "1.jpg", "said": "A dog."}\n'])
def test_a_table_of_a_split_of_which_no_row_can_be_used_is_named(tmp_path, damaged):
    files = {f"{folder}/metadata.jsonl": metadata("jsonl", "1.jpg") for folder in ("train", "validation")}
    dataset = read(tmp_path, {**files, "test/metadata.jsonl": damaged})
    assert splits_of(dataset) == {"train/1.jpg": "train", "validation/1.jpg": "dev"}
    assert problems_of(dataset) == [("file not read", "test/metadata.jsonl")]
    assert "test/metadata.jsonl" in dataset.problems[0].detail


def test_images_that_a_table_names_are_never_taken_from_the_folder_of_another_table(tmp_path):
    names = {"cats": ("0", "1", "2"), "dogs": ("1", "2", "3")}
    tables = {f"{folder}/metadata.csv": metadata("csv", *(f"{name}.jpg" for name in of)) for folder, of in names.items()}
    images = dict.fromkeys([*(f"cats/{number}.jpg" for number in range(5)), "dogs/2.jpg"])
    dataset = read(tmp_path, {**tables, **images})
    locator = ImageLocator(dataset)
    located = [locator.locate(example) for example in dataset.examples]
    assert [one.relative_to(tmp_path).as_posix() for one in located if isinstance(one, Path)] == [
        "cats/0.jpg",
        "cats/1.jpg",
        "cats/2.jpg",
        "dogs/2.jpg",
    ]
    assert [one.kind for one in located if not isinstance(one, Path)] == ["missing image"] * 2


@pytest.mark.parametrize("name", ["part-0000{}.csv", "captions-000{}-of-003.csv"])
def test_the_numbered_parts_of_a_table_are_read_together(tmp_path, name):
    files = {name.format(number): f"image,caption\n{number}.jpg,A dog.\n" for number in range(3)}
    dataset = read(tmp_path, {**files, "zzz.csv": "image,caption\n1.jpg,A cat.\n"})
    assert captions_of(dataset) == {f"{number}.jpg": ("A dog.",) for number in range(3)}
    assert problems_of(dataset) == [("file not read", "zzz.csv")]


def test_a_table_hides_no_files_of_captions_without_a_word(tmp_path):
    dataset = read(tmp_path, {"t.csv": "image,caption\n1.jpg,A dog.\n", "1.jpg": None, "1.txt": "A dog of mine."})
    [note] = dataset.notes
    assert "1.jpg has a .txt or .caption file beside it, too, and is not read; `format=folder` reads it" in note


@pytest.mark.parametrize("column", ["Set", "subset", "partition"])
def test_a_column_that_holds_names_of_splits_alone_is_that_of_the_splits(tmp_path, column):
    rows = "1.jpg,A dog.,train\n2.jpg,A cat.,val\n"
    assert splits_of(read(tmp_path, {"t.csv": f"image,caption,{column}\n{rows}"})) == {"1.jpg": "train", "2.jpg": "dev"}
    mixed = f"image,caption,{column}\n{rows}3.jpg,A cow.,farm\n"
    assert set(splits_of(read(tmp_path, {"t.csv": mixed})).values()) == {None}


def test_a_number_in_the_column_of_splits_is_no_split_zero_neither(tmp_path):
    lines = "".join(f'{{"image": "{number}.jpg", "text": "A dog.", "split": {number}}}\n' for number in range(3))
    dataset = read(tmp_path, {"t.jsonl": lines + '{"image": "3.jpg", "text": "A dog.", "split": "train"}\n'})
    assert splits_of(dataset) == {"3.jpg": "train"}
    assert [problem.detail for problem in dataset.problems] == [
        f"'{number}' in split is not the name of a split: train, dev or test" for number in range(3)
    ]


def test_quotation_marks_with_backslashes_are_those_of_the_caption(tmp_path):
    text = 'image,caption,split\n1.jpg,"A \\"big\\" dog, wet",train\n2.jpg,"A ""small"" cat",test\n'
    assert captions_of(read(tmp_path, {"t.csv": text})) == {"1.jpg": ('A "big" dog, wet',), "2.jpg": ('A "small" cat',)}


@pytest.mark.parametrize("delimiter", list(";,|\t"))
def test_the_line_of_excel_that_names_the_delimiter_is_no_row(tmp_path, delimiter):
    text = f"sep={delimiter}\r\nimage{delimiter}caption\r\n1.jpg{delimiter}A dog.\r\n2.jpg\r\n"
    dataset = read(tmp_path, {"t.csv": text})
    assert captions_of(dataset) == {"1.jpg": ("A dog.",)}
    assert problems_of(dataset) == [("malformed row", "t.csv:4")]


def test_an_object_with_a_text_is_a_caption(tmp_path):
    line = json.dumps({"image": "1.jpg", "sentences": {"raw": "A dog.", "tokens": ["a", "dog"]}})
    assert captions_of(read(tmp_path, {"t.jsonl": line})) == {"1.jpg": ("A dog.",)}


def test_named_columns_that_do_not_fit_are_named_in_the_message(tmp_path):
    write(tmp_path, {"t.jsonl": json.dumps({"image": "1.jpg", "conversations": [{"from": "human", "value": "What?"}]})})
    with pytest.raises(DataError, match="a text, or texts, in conversations"):
        datasets.read(tmp_path, columns=Columns(caption="conversations"))


def test_a_single_folder_that_is_named_like_a_split_is_none(tmp_path):
    dataset = read(tmp_path, {"metadata.csv": metadata("csv", "train/1.jpg", "bus/1.jpg", "boat/1.jpg")})
    assert set(splits_of(dataset).values()) == {None}


def test_a_column_of_splits_goes_before_names_of_folders(tmp_path):
    text = "image,caption,split\ntrain/1.jpg,A dog.,test\ntest/2.jpg,A cat.,train\n"
    assert splits_of(read(tmp_path, {"t.csv": text})) == {"train/1.jpg": "test", "test/2.jpg": "train"}


def test_the_metadata_of_an_image_folder_goes_before_other_tables_which_are_named(tmp_path):
    files = {"a.csv": "image,caption\n1.jpg,machine\n", "metadata.csv": metadata("csv", "1.jpg")}
    dataset = read(tmp_path, files)
    assert captions_of(dataset) == {"1.jpg": ("A dog.",)}
    assert problems_of(dataset) == [("file not read", "a.csv")]


def test_it_goes_before_tables_of_another_kind_too(tmp_path):
    said = {"said.csv": "path,caption,confidence\n1.jpg,machine,0.9\n"}
    for name in ("metadata.jsonl", "train/metadata.jsonl"):
        dataset = read(tmp_path / name, {**said, name: metadata("jsonl", "1.jpg")})
        assert list(captions_of(dataset).values()) == [("A dog.",)]


def test_tables_of_another_kind_that_are_not_read_are_named(tmp_path):
    files = {"said.csv": "path,caption\n1.jpg,machine\n", "captions.jsonl": metadata("jsonl", "1.jpg")}
    dataset = read(tmp_path, files)
    assert dataset.layout == "csv"
    assert dataset.notes == ["captions.jsonl has the keys file_name and text, too, and is not read; `format=jsonl` reads it"]
    assert datasets.read(tmp_path, "jsonl").notes in ((), [])


STRAY = {
    "Hinweis.txt": "Fotos für die Übung".encode("latin-1"),
    "notes.csv": "Fotos für die Übung".encode("latin-1"),
    "notes.json": "für".encode("latin-1"),
    "results.csv": "für".encode("latin-1"),
    "captions_old.json": "für".encode("latin-1"),
    "dataset_old.json": "für".encode("latin-1"),
    "desktop.ini": b"\xff\xfe[",
    "._metadata.jsonl": b"\0\5\x16\7",
    ".ipynb_checkpoints/metadata-checkpoint.jsonl": metadata("jsonl", "0.jpg"),
    "__MACOSX/metadata.jsonl": metadata("jsonl", "0.jpg"),
}


@pytest.mark.parametrize("name", STRAY)
def test_a_stray_file_costs_itself_at_most(tmp_path, name):
    dataset = read(tmp_path, {name: STRAY[name], "metadata.jsonl": metadata("jsonl", "1.jpg")})
    assert (dataset.layout, list(captions_of(dataset)), problems_of(dataset)) == ("jsonl", ["1.jpg"], [])


def test_a_pipe_that_is_called_like_a_table_or_like_captions_is_passed_over(tmp_path):
    write(tmp_path, {"1.jpg": None, "1.txt": "A dog.", "2.jpg": None})
    for name in ("captions.csv", "captions.json", "2.txt"):
        os.mkfifo(tmp_path / name)
    assert captions_of(datasets.read(tmp_path)) == {"1.jpg": ("A dog.",), "2.jpg": ()}


def test_a_text_file_of_tags_that_are_called_like_columns_is_no_table(tmp_path):
    files = {f"{number}.jpg": None for number in range(3)} | {f"{number}.txt": "red, dog" for number in range(3)}
    dataset = read(tmp_path, {**files, "1.txt": "path, text\nforest, sign\n", "lost.txt": "path, text\n"})
    assert dataset.layout == "folder"
    assert captions_of(dataset)["1.jpg"] == ("path, text", "forest, sign")


@pytest.mark.parametrize("name", ["{}/1.png", "../images/{}/1.png", "1.png", "images/{}/1.png"])
def test_tables_may_lie_in_a_folder_of_annotations_beside_the_images(tmp_path, name):
    rows = "".join(f"{name.format(split)},Of {split}.,{split}\n" for split in ("train", "val"))
    files = {
        "annotations/captions.csv": f"image,caption,split\n{rows}",
        "images/train/1.png": None,
        "images/val/1.png": None,
    }
    dataset = read(tmp_path, files)
    locator = ImageLocator(dataset)
    assert {locator.locate(example).resolve(): example.captions for example in dataset.examples} == {
        tmp_path / "images/train/1.png": ("Of train.",),
        tmp_path / "images/val/1.png": ("Of val.",),
    }
    assert dataset.examples[0].where == "annotations/captions.csv:2"
