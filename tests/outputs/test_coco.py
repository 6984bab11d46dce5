"""COCO's result format: what images are called, what a file keeps, and that ``evaluate`` reads it."""

import json
import threading
from pathlib import Path

import pytest

from capgen.captioner.results import Caption, ImageVersion, Result, SkipReason
from capgen.errors import DataError, Status, StorageError, UsageError
from capgen.inputs.selection import Found
from capgen.outputs import format_of
from capgen.outputs.choices import Existing
from capgen.outputs.coco import CocoFile, CocoFormat, CocoStandardOutput, image_id
from capgen.outputs.manifest import Manifest
from capgen.outputs.merging import merge
from capgen.outputs.policy import OverwriteGuard
from capgen.storage.locations import Url


def write(path, *pairs, existing=Existing.SKIP):
    """Do what a run does with pairs of image and caption; return what the file holds then."""
    manifest = Manifest(path.parent / "data")
    sink = CocoFile(path, OverwriteGuard(manifest, existing))
    for image, text in pairs:
        item = Found(Path(image), Path())
        if sink.skip_reason(item) is None:
            sink.write(item, Result(item.path, Status.CAPTIONED, (Caption(text, 0.5, -1.0),)))
    sink.close()
    manifest.close()
    return json.loads(path.read_bytes())


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (Path("photos/cat.jpg"), "cat.jpg"),
        (Path("42.jpg"), 42),
        (Path("0.png"), 0),
        (Path("000000391895.jpg"), "000000391895.jpg"),
        (Path("²"), "²"),
        (Path("a.v2"), "a.v2"),
        (Url("https://example.org/a/7.jpg?size=big"), 7),
    ],
)
def test_an_image_is_called_by_its_file_name_or_the_number_that_it_is(path, name):
    assert image_id(path) == name


def test_the_file_is_a_list_of_image_ids_and_captions(tmp_path):
    rows = write(tmp_path / "out.json", ("x/b.jpg", "a café"), ("7.jpg", "a cat"))
    assert rows == [{"image_id": "b.jpg", "caption": "a café"}, {"image_id": 7, "caption": "a cat"}]


def test_an_image_that_has_changed_since_it_was_captioned_is_captioned_anew_while_its_folder_is_watched(tmp_path):
    item = Found(tmp_path / "a.jpg", tmp_path)
    item.path.write_bytes(b"half")
    manifest = Manifest(tmp_path / "data")
    sink = CocoFile(tmp_path / "out.json", OverwriteGuard(manifest, Existing.OUTDATED))
    version = ImageVersion.of_file(item.path)
    sink.write(item, Result(item.path, Status.CAPTIONED, (Caption("a half", 0.5, -1.0),), version=version))
    assert sink.skip_reason(item) is SkipReason.HAS_CAPTION
    item.path.write_bytes(b"half and the other half")
    assert sink.skip_reason(item) is None
    manifest.close()


def test_a_later_run_merges_with_what_the_file_holds_and_keeps_what_it_does_not_know(tmp_path):
    other = {"image_id": "other.jpg", "caption": "by others", "score": 0.5}
    (tmp_path / "out.json").write_text(json.dumps([other]))
    rows = write(tmp_path / "out.json", ("other.jpg", "new"), ("b.jpg", "a cat"))
    assert rows == [other, {"image_id": "b.jpg", "caption": "a cat"}]


def test_a_run_without_captions_gives_an_empty_list_and_leaves_one_that_exists(tmp_path):
    assert write(tmp_path / "out.json") == []
    (tmp_path / "old.json").write_text('[{"caption": "a", "image_id": 1}]')
    write(tmp_path / "old.json")
    assert (tmp_path / "old.json").read_text() == '[{"caption": "a", "image_id": 1}]'


@pytest.mark.parametrize("data", ["{}", "words", '[{"image_id": true, "caption": "a"}]', '[{"image_id": 1}]', "[" * 100_000])
def test_a_file_that_is_something_else_is_named_and_left(tmp_path, data):
    (tmp_path / "out.json").write_text(data)
    with pytest.raises(StorageError, match=r"out\.json is not"):
        write(tmp_path / "out.json", ("a.jpg", "a dog"))
    assert (tmp_path / "out.json").read_text() == data


def test_two_images_of_one_name_cannot_both_be_in_it(tmp_path):
    sink = CocoFile(tmp_path / "out.json", OverwriteGuard(Manifest(tmp_path / "data")))
    assert sink.skip_reason(Found(Path("x/a.jpg"), Path())) is None
    with pytest.raises(StorageError, match=r"x/a\.jpg is called 'a\.jpg'"):
        sink.skip_reason(Found(Path("y/a.jpg"), Path()))


def test_an_image_that_failed_for_its_name_is_left_out_and_the_others_are_kept(tmp_path):
    sink = CocoFile(tmp_path / "out.json", OverwriteGuard(Manifest(tmp_path / "data")))
    first, second = Found(Path("x/a.jpg"), Path()), Found(Path("y/a.jpg"), Path())
    sink.skip_reason(first)
    sink.write(first, Result(first.path, Status.CAPTIONED, (Caption("a dog", 0.5, -1.0),)))
    assert sink.write(second, Result(second.path, Status.WRITE_FAILED, reason="its name is taken")) is None
    sink.close()
    assert json.loads((tmp_path / "out.json").read_text()) == [{"image_id": "a.jpg", "caption": "a dog"}]


def test_two_runs_at_once_lose_no_caption(tmp_path):
    path = tmp_path / "out.json"
    runs = [threading.Thread(target=write, args=(path, (f"{number}.jpg", "a dog"))) for number in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert sorted(row["image_id"] for row in json.loads(path.read_bytes())) == [0, 1, 2, 3]


def test_standard_output_is_one_list_also_without_captions(capsysbinary):
    CocoStandardOutput().close()
    assert json.loads(capsysbinary.readouterr().out) == []
    sink = CocoStandardOutput()
    for name in ("a.jpg", "2.jpg"):
        item = Found(Path(name), Path())
        sink.write(item, Result(item.path, Status.CAPTIONED, (Caption("a dog", 0.5, -1.0),)))
        sink.write(item, Result(item.path, Status.UNREADABLE, reason="its data is damaged"))
    sink.close()
    expected = [{"image_id": "a.jpg", "caption": "a dog"}, {"image_id": 2, "caption": "a dog"}]
    assert json.loads(capsysbinary.readouterr().out) == expected


def test_files_merge_to_one_in_which_the_last_caption_counts(tmp_path):
    write(tmp_path / "1.json", ("a.jpg", "a dog"), ("b.jpg", "a cat"))
    write(tmp_path / "2.json", ("a.jpg", "two dogs"))
    assert merge([tmp_path / "1.json", tmp_path / "2.json"], tmp_path / "all.json", CocoFormat(several=True)) == 2
    rows = json.loads((tmp_path / "all.json").read_bytes())
    assert rows == [{"image_id": "b.jpg", "caption": "a cat"}, {"image_id": "a.jpg", "caption": "two dogs"}]


@pytest.mark.parametrize("data", [None, "words"])
def test_a_source_that_cannot_be_merged_is_named_and_nothing_is_written(tmp_path, data):
    if data:
        (tmp_path / "1.json").write_text(data)
    with pytest.raises(DataError, match=r"1\.json"):
        merge([tmp_path / "1.json"], tmp_path / "all.json", CocoFormat(several=True))
    assert not (tmp_path / "all.json").exists()


@pytest.mark.parametrize("name", ["out.json", "OUT.JSON"])
def test_the_ending_json_stands_for_it(name):
    assert isinstance(format_of(Path(name), None), CocoFormat)


@pytest.mark.parametrize("name", ["out.parquet", "out.tar"])
@pytest.mark.parametrize("form", [None, "jsonl", "coco"])
def test_an_ending_of_shards_says_to_name_a_folder(name, form):
    with pytest.raises(UsageError, match="give `output` a folder, ending in /"):
        format_of(Path(name), form)


@pytest.mark.parametrize("name", ["out.xlsx", "out.v2", "out.jsn"])
def test_an_ending_that_nobody_knows_is_refused_and_the_known_ones_are_named(name):
    with pytest.raises(UsageError, match=r"known are \.txt, \.tsv, \.jsonl, \.csv, \.json"):
        format_of(Path(name), None)
    assert format_of(Path(name), "jsonl")
