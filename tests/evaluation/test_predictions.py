"""Predictions as people have them: what names images in them, what is wrong with them, and what is said of that."""

import csv
import json
import os
import random
import re
import unicodedata
from urllib.parse import quote

import pytest
from hypothesis import given, strategies
from support.commands import here
from support.drawing import draw_each
from support.predictions import SAMPLES

from capgen import Captioner
from capgen.errors import CapgenError, DataError
from capgen.evaluation import predictions, references
from capgen.evaluation.predictions.naming import AmbiguousNameError, ImageNames
from capgen.evaluation.references import Reference, Split

pytestmark = pytest.mark.usefixtures("user_folders")

KEYS = [391895, 22, 480023, 7]
SAID = ["a red circle on the grass", "a blue square on the sand", "one green star", "two stars on a road"]


def coco(folder, name="captions.json", keys=KEYS):
    """An annotation file of images that are not here; each image has its caption of ``SAID`` and another."""
    images = [{"id": key, "file_name": f"COCO_val2014_{key:012}.jpg"} for key in keys]
    texts = [(key, text) for key, said in zip(keys, SAID, strict=True) for text in (said, f"there is {said}")]
    annotations = [{"id": number, "image_id": key, "caption": text} for number, (key, text) in enumerate(texts)]
    (folder / name).write_text(json.dumps({"images": images, "annotations": annotations}))
    return folder / name


def evaluated(said, truth, *options):
    """Score a file of captions against human captions; return the run and the scores."""
    scores = said.parent / "scores.json"
    scores.unlink(missing_ok=True)
    done = here("evaluate", "--predictions", said, "--references", truth, "--json", scores, *options)
    return done, json.loads(scores.read_text()) if scores.exists() else None


def pairs(name=lambda key: key):
    return [(name(key), text) for key, text in zip(KEYS, SAID, strict=True)]


def objects(name=lambda key: key):
    return [{"image_id": image, "caption": text} for image, text in pairs(name)]


NAMES = {
    "number": int,
    "text": str,
    "padded": lambda key: f"{key:012}",
    "float": float,
    "float as text": lambda key: f"{key}.0",
    "file name": lambda key: f"COCO_val2014_{key:012}.jpg",
    "stem": lambda key: f"COCO_val2014_{key:012}",
    "file name of 2017": lambda key: f"{key:012}.jpg",
    "path": lambda key: f"val2014/COCO_val2014_{key:012}.jpg",
    "absolute path": lambda key: f"/data/coco/val2014/COCO_val2014_{key:012}.jpg",
    "path of Windows": lambda key: f"C:\\coco\\val2014\\COCO_val2014_{key:012}.jpg",
    "URL": lambda key: f"https://images.example/val2014/COCO_val2014_{key:012}.jpg",
    "upper case": lambda key: f"COCO_VAL2014_{key:012}.JPG",
    "percent signs": lambda key: f"val%2014/COCO%5Fval2014_{key:012}.jpg",
    "space around": lambda key: f" {key} ",
}


@pytest.mark.parametrize("kind", NAMES)
def test_an_image_may_be_named_in_any_of_these_ways(tmp_path, kind):
    truth = references.from_source(coco(tmp_path), "test")
    (tmp_path / "said.json").write_text(json.dumps(objects(NAMES[kind])))
    found = predictions.read(tmp_path / "said.json", truth)
    assert found.captions == {str(key): text for key, text in zip(KEYS, SAID, strict=True)}
    assert not found.problems


FORMS = {
    "dictionary.json": lambda: json.dumps({str(key): text for key, text in pairs()}),
    "dictionary of lists.json": lambda: json.dumps({str(key): [text] for key, text in pairs()}),
    "as coco-caption takes it.json": lambda: json.dumps({str(key): [{"caption": text}] for key, text in pairs()}),
    "in lists.json": lambda: json.dumps([{"image_id": key, "caption": [text]} for key, text in pairs()]),
    "columns.json": lambda: json.dumps({"image_id": [key for key, _ in pairs()], "caption": [text for _, text in pairs()]}),
    "data frame.json": lambda: json.dumps(
        {
            "image_id": {str(row): key for row, (key, _) in enumerate(pairs())},
            "caption": {str(row): text for row, (_, text) in enumerate(pairs())},
        }
    ),
    "pairs.json": lambda: json.dumps(pairs()),
    "annotations.json": lambda: json.dumps({"info": {"year": 2014}, "annotations": objects()}),
    "other keys.json": lambda: json.dumps([{"file_name": f"{key:012}.jpg", "text": text} for key, text in pairs()]),
    "lines.jsonl": lambda: "".join(json.dumps(one) + "\n" for one in objects()),
    "lines.json": lambda: "".join(json.dumps(one) + "\n" for one in objects()),
    "table.csv": lambda: "image_id,caption\n" + "".join(f'{key},"{text}"\n' for key, text in pairs()),
    "semicolons.csv": lambda: "\ufeffimage_id;caption\r\n" + "".join(f"{key};{text}\r\n" for key, text in pairs()),
    "lists in cells.csv": lambda: "image_id,caption\n" + "".join(f"{key},\"['{text}']\"\n" for key, text in pairs()),
    "table.tsv": lambda: "image_id\tcaption\n" + "".join(f"{key}\t{text}\n" for key, text in pairs()),
    "text.txt": lambda: "".join(f"val2014/COCO_val2014_{key:012}.jpg\t{text}\n" for key, text in pairs()),
}


@pytest.mark.parametrize("name", FORMS)
def test_captions_may_be_written_in_any_of_these_ways(tmp_path, name):
    (tmp_path / name).write_text(FORMS[name]())
    done, scores = evaluated(tmp_path / name, coco(tmp_path))
    assert done.returncode == 0, done.stderr
    assert (scores["images"], scores["BLEU-4"]) == (4, pytest.approx(1.0))
    assert not done.stderr


def test_a_file_that_is_no_json_says_where_and_one_in_no_form_says_which_are_known(tmp_path):
    truth = coco(tmp_path)
    for content, words in (
        ('[{"image_id": 1, "caption": "a dog"}', "is not JSON"),
        ('["a dog", "a cat"]', "COCO's result format"),
        ("a dog\na cat\n", "begins with 'a dog"),
        ('{"model": "x", "scores": [1, 2]}', 'read as {"42": "...", ...},'),
        ('{"scores": [1, 2]}', "known are"),
        ("", "known are"),
    ):
        (tmp_path / "said.json").write_text(content)
        done, _ = evaluated(tmp_path / "said.json", truth)
        assert done.returncode == 1
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "said.jsonl")
    done, _ = evaluated(tmp_path / "said.jsonl", coco(tmp_path))
    assert done.returncode == 1
    assert "is not a regular file" in done.stderr


@pytest.mark.parametrize("name", ["x" * 5000, "x" * 5000 + ".json", "no\0name.json", "file.json/said.json"])
def test_a_path_that_nothing_can_have_is_an_error_of_one_line(tmp_path, name):
    (tmp_path / "file.json").touch()
    done = here("evaluate", f"{tmp_path}/{name}", "--references", coco(tmp_path))
    assert done.returncode in {1, 2}
    assert len(done.stderr.splitlines()) == 1


def test_a_caption_that_is_null_is_named(tmp_path):
    rows = objects()
    rows[2]["caption"] = None
    (tmp_path / "said.json").write_text(json.dumps(rows))
    done, _ = evaluated(tmp_path / "said.json", coco(tmp_path))
    assert done.returncode == 1
    assert "1 of 4 predictions is without a caption ('480023')" in done.stderr
    done, scores = evaluated(tmp_path / "said.json", coco(tmp_path), "--allow-missing")
    assert (scores["images"], scores["images missing"]) == (3, 1)
    assert "3 of 4 images, NOT the whole split" in done.stdout


def test_marks_that_a_captioner_left_in_its_captions_are_named(tmp_path):
    rows = [{"image_id": key, "caption": f"startseq {text} endseq"} for key, text in pairs()]
    rows[0]["caption"] = "the <end> of a road"
    rows[1]["caption"] = "starts at the end"
    (tmp_path / "said.json").write_text(json.dumps(rows))
    found = predictions.read(tmp_path / "said.json", references.from_source(coco(tmp_path), "test"))
    assert len(found.captions) == 4
    assert found.notes[0].startswith("3 of 4 predictions are captions with marks such as <end> or endseq")


@pytest.mark.parametrize("column", ["prediction", "generated_text"])
def test_where_human_captions_stand_beside_those_of_a_system_these_are_scored(tmp_path, column):
    (tmp_path / "said.csv").write_text(f"image,caption,{column}\n1.png,a dog,a cat\n")
    found = predictions.read(tmp_path / "said.csv", Split("test", of("1.png"), []))
    assert list(found.captions.values()) == ["a cat"]


def test_a_line_that_is_not_utf8_costs_that_line(tmp_path):
    names = [f"{number}.png" for number in range(20)]
    split = Split("test", of(*names), [])
    for form, line in (("jsonl", '{{"image": "{}", "caption": "a café"}}\n'), ("tsv", "{}\ta café\n")):
        lines = [line.format(name).encode("latin-1" if name == "7.png" else "utf-8") for name in names]
        (tmp_path / f"said.{form}").write_bytes(b"".join(lines))
        found = predictions.read(tmp_path / f"said.{form}", split, allow_missing=True)
        assert set(found.captions) == set(names) - {"7.png"}
        assert found.problems == ["1 of 20 predictions is not UTF-8 text ('7.png')"]


def test_several_captions_of_an_image_are_named_and_the_first_may_be_scored(tmp_path):
    rows = [{"image_id": key, "caption": [text, "nothing"]} for key, text in pairs()]
    (tmp_path / "said.json").write_text(json.dumps(rows))
    done, _ = evaluated(tmp_path / "said.json", coco(tmp_path))
    assert "4 of 4 predictions are for an image that is captioned twice" in done.stderr
    _, scores = evaluated(tmp_path / "said.json", coco(tmp_path), "--allow-missing")
    assert scores["BLEU-4"] == pytest.approx(1.0)


# Which image is meant


def of(*paths, image=None):
    return [Reference(path, None, (f"caption of {path}",), image or "") for path in paths]


def captions(rows, split, folder, **options):
    (folder / "said.json").write_text(json.dumps(rows))
    return predictions.read(folder / "said.json", split, **options).captions


def test_equal_names_in_different_folders_are_distinguished_by_their_folders(tmp_path):
    split = Split("dev", of("train/1.jpg", "val/1.jpg"), [])
    rows = [["/other/machine/val/1.jpg", "of val"], ["train\\1.jpg", "of train"]]
    assert captions(rows, split, tmp_path) == {"val/1.jpg": "of val", "train/1.jpg": "of train"}


def test_a_bare_name_that_several_images_have_is_refused_with_both(tmp_path):
    split = Split("dev", of("data/train/1.jpg", "data/val/1.jpg"), [])
    for name in ("1.jpg", "1", "elsewhere/1.jpg"):
        with pytest.raises(DataError, match=r"share a name.*train/1.jpg and val/1.jpg"):
            captions([[name, "a dog"]], split, tmp_path)


def test_an_image_of_another_split_does_not_lend_its_caption_to_one_of_the_same_name(tmp_path):
    split = Split("dev", of("data/val/1.jpg", "data/val/2.jpg"), [], others=of("data/train/1.jpg", "data/train/3.jpg"))
    rows = [["/x/train/1.jpg", "of train"], ["/x/val/1.jpg", "of val"], ["/x/val/2.jpg", "two"], ["/x/train/3.jpg", "three"]]
    assert captions(rows, split, tmp_path) == {"data/val/1.jpg": "of val", "data/val/2.jpg": "two"}
    with pytest.raises(DataError, match="share a name"):
        captions([["1.jpg", "a dog"]], split, tmp_path)
    found = predictions.read(tmp_path / "said.json", Split("dev", of("1.jpg"), []))
    assert found.captions == {"1.jpg": "a dog"}


def test_predictions_for_other_splits_are_counted_and_do_no_harm(tmp_path):
    split = Split("dev", of("1.jpg"), [], others=of("2.jpg", "3.jpg"))
    (tmp_path / "said.json").write_text(json.dumps({"1.jpg": "one", "2.jpg": "two", "3.jpg": "three"}))
    found = predictions.read(tmp_path / "said.json", split)
    assert found.captions == {"1.jpg": "one"}
    assert found.problems == ["2 of 3 predictions are for images of other splits or without references ('2.jpg', '3.jpg')"]


def test_a_path_within_the_data_set_tells_images_apart_wherever_their_files_were_unpacked(tmp_path):
    unpacked = [
        Reference(name, tmp_path / f"cache/{folder}/1.jpg", ("a",), name)
        for folder, name in (("x", "a.tar/1.jpg"), ("y", "b.tar/1.jpg"))
    ]
    rows = [["/mine/b.tar/1.jpg", "of b"], ["/mine/a.tar/1.jpg", "of a"]]
    assert captions(rows, Split("dev", unpacked, []), tmp_path) == {"a.tar/1.jpg": "of a", "b.tar/1.jpg": "of b"}


def test_two_files_of_one_name_cannot_both_be_the_one_image_that_has_it(tmp_path):
    split = Split("dev", of("1.jpg", "2.jpg"), [])
    rows = [["a/1.jpg", "of a"], ["b/1.jpg", "of b"], ["a/2.jpg", "two"]]
    with pytest.raises(DataError, match=r"2 of 3 predictions are for images of one name.*'a/1.jpg', 'b/1.jpg'"):
        captions(rows, split, tmp_path)
    assert captions(rows, split, tmp_path, allow_missing=True) == {"2.jpg": "two"}
    split = Split("dev", of("data/b/1.jpg", "2.jpg"), [])
    assert captions(rows, split, tmp_path, allow_missing=True) == {"data/b/1.jpg": "of b", "2.jpg": "two"}


FOLDERS, FILES = ("", "train/", "val/", "a/val/"), ("1.jpg", "01.jpg", "1.png", "1 2.jpg", "É.jpg")
PATHS = strategies.sampled_from([folder + file for folder in FOLDERS for file in FILES])
RENDERINGS = strategies.tuples(
    strategies.sampled_from(("", "/mnt/copy/", "C:\\copy\\", "https://host/")),  # of another machine
    strategies.integers(0, 2),  # folders that are left out
    strategies.booleans(),  # whether the ending is left out
    strategies.sampled_from((str, quote, lambda name: unicodedata.normalize("NFD", name))),
)


@given(strategies.lists(PATHS, min_size=1, unique=True), strategies.data())
def test_a_name_never_means_another_image_than_the_one_that_it_was_made_of(paths, data):
    held_out = data.draw(strategies.integers(1, len(paths)))
    images = ImageNames(of(*paths[:held_out]), of(*paths[held_out:]))
    path, (before, dropped, without_ending, spelling) = data.draw(strategies.sampled_from(paths)), data.draw(RENDERINGS)
    parts = path.split("/")
    name = "/".join(parts[min(dropped, len(parts) - 1) :])
    try:
        found = images.find(before + spelling(name.rpartition(".")[0] if without_ending else name))
    except AmbiguousNameError:
        assert len(paths) > 1
    else:
        assert (found.reference.id, found.is_other) == (path, path not in paths[:held_out])


def test_accents_may_be_composed_or_not(tmp_path):
    split = Split("dev", of("caf\u00e9.jpg"), [])
    assert captions({"cafe\u0301.jpg": "a dog"}, split, tmp_path) == {"caf\u00e9.jpg": "a dog"}


def test_a_number_is_an_id_before_it_is_the_name_of_a_file_and_that_is_said_where_they_differ(tmp_path):
    split = Split("dev", [*of("1", image="2.jpg"), *of("2", image="1.jpg")], [])
    (tmp_path / "said.json").write_text(json.dumps([[1, "first"], [2, "second"]]))
    found = predictions.read(tmp_path / "said.json", split)
    assert found.captions == {"1": "first", "2": "second"}
    assert "2 of 2 predictions are named by numbers, which are taken for ids" in found.notes[0]
    assert captions([["1.jpg", "first"], ["2.jpg", "second"]], split, tmp_path) == {"2": "first", "1": "second"}


# What was left out of the human captions


def test_an_image_that_nobody_captioned_is_counted_and_a_prediction_for_it_does_no_harm(tmp_path):
    truth = coco(tmp_path)
    values = json.loads(truth.read_text())
    values["images"].append({"id": 5, "file_name": "five.jpg"})
    truth.write_text(json.dumps(values))
    (tmp_path / "said.json").write_text(json.dumps([*objects(), {"image_id": 5, "caption": "a dog"}]))
    done, scores = evaluated(tmp_path / "said.json", truth)
    assert done.returncode == 0, done.stderr
    assert (scores["images"], scores["references left out"]) == (4, {"image without a caption": 1})
    assert "1 of 5 predictions is for images of other splits or without references ('5')" in done.stderr


def lined(folder, name, breaks):
    """A table of human captions, the last of each image over two lines if there are ``breaks``."""
    with (folder / name).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "caption"])
        for number, text in enumerate(SAID):
            writer.writerow([f"{number}.png", f"there is {text}"])
            writer.writerow([f"{number}.png", text.replace(" ", "\n", 1) if breaks else text])
    return folder / name


def test_human_captions_that_are_left_out_are_counted_in_the_table_the_json_and_on_stderr(tmp_path):
    rows = [{"image": f"{number}.png", "caption": text} for number, text in enumerate(SAID)]
    lines = [json.dumps(row) for row in rows] + ["no json", json.dumps({"image": "0.png", "caption": " ... "})]
    (tmp_path / "captions.jsonl").write_text("\n".join(lines))
    (tmp_path / "said.json").write_text(json.dumps({row["image"]: row["caption"] for row in rows}))
    done, scores = evaluated(tmp_path / "said.json", tmp_path / "captions.jsonl")
    assert done.returncode == 0, done.stderr
    assert scores["references left out"] == {"malformed row": 1, "empty caption": 1}
    assert "4 images; left out of the references: malformed row (1), empty caption (1)" in done.stdout
    assert re.search(r"captions.jsonl: left out: malformed row, 1 \(the first: captions.jsonl:5: .*JSON", done.stderr)
    assert "left out: empty caption, 1 (the first: captions.jsonl:6: 0.png)" in done.stderr


def test_whole_references_are_not_said_to_be_less(tmp_path):
    (tmp_path / "said.json").write_text(json.dumps({f"{number}.png": text for number, text in enumerate(SAID)}))
    done, scores = evaluated(tmp_path / "said.json", lined(tmp_path, "whole.csv", breaks=False))
    assert "references left out" not in scores
    assert "left out" not in done.stdout + done.stderr


def test_where_images_are_not_found_a_captioner_cannot_be_scored_and_the_folders_are_named(tmp_path):
    done = here("evaluate", "photo-en-v1", "--references", coco(tmp_path))
    assert done.returncode == 1
    assert f"4 of 4 images were not found, the first '391895' (missing image, not in {tmp_path}" in done.stderr
    assert "--predictions" in done.stderr


# One image, and few


def test_of_one_image_cider_is_not_defined_and_nothing_has_an_interval(tmp_path):
    truth = [{"id": 7, "file_name": "7.jpg"}], [{"id": n, "image_id": 7, "caption": text} for n, text in enumerate(SAID)]
    (tmp_path / "truth.json").write_text(json.dumps(dict(zip(("images", "annotations"), truth, strict=True))))
    (tmp_path / "said.json").write_text(json.dumps([{"image_id": 7, "caption": SAID[0]}]))
    (tmp_path / "other.json").write_text(json.dumps([{"image_id": 7, "caption": SAID[1]}]))
    page = tmp_path / "page.html"
    done, scores = evaluated(tmp_path / "said.json", tmp_path / "truth.json", "--report", page)
    assert done.returncode == 0, done.stderr
    assert scores["CIDEr-D"] is scores["CIDEr"] is scores["CIDEr-D low"] is scores["BLEU-4 high"] is None
    assert (scores["BLEU-4"], scores["ROUGE-L"]) == (pytest.approx(1.0), pytest.approx(1.0))
    assert re.search(r"CIDEr-D +│ +n/a", done.stdout)
    assert "CIDEr-D, CIDEr: not computed (it is not defined for one image" in done.stdout
    assert "one image has no intervals" in done.stdout
    assert '"CIDEr-D"' in page.read_text()
    done, scores = evaluated(tmp_path / "said.json", tmp_path / "truth.json", tmp_path / "other.json")
    assert done.returncode == 0, done.stderr
    assert scores["said.json"]["CIDEr-D difference"] is scores["said.json"]["BLEU-1 difference p"] is None


def test_where_people_say_the_same_of_all_images_cider_is_not_defined(tmp_path):
    split = Split("test", [Reference(name, None, ("a dog", "a cat")) for name in "ab"], [])
    from capgen.evaluation.evaluate import evaluate
    from capgen.evaluation.predictions import Predictions

    (found,) = evaluate([Predictions("s", {"a": "a dog", "b": "a cat"})], split)
    assert "CIDEr-D" not in found.scores
    assert "the same of all images" in found.unavailable["CIDEr-D"]


def test_of_few_images_it_is_said_where_the_weights_of_words_come_from(tmp_path):
    (tmp_path / "said.json").write_text(json.dumps(objects()))
    done, scores = evaluated(tmp_path / "said.json", coco(tmp_path))
    assert "CIDEr-D, CIDEr: the weights of words come from the human captions of these 4 images" in done.stdout
    assert "words are split by the coco-caption tokenizer" in done.stdout
    assert scores["tokenizer"] == "coco-caption"


def test_a_language_that_is_not_recognised_is_said_and_may_be_given(tmp_path):
    rows = [{"image": f"{number}.png", "caption": text} for number, text in enumerate(("red circle", "blue square"))]
    (tmp_path / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "said.json").write_text(json.dumps({row["image"]: row["caption"] for row in rows}))
    done, scores = evaluated(tmp_path / "said.json", tmp_path / "captions.jsonl")
    assert "the language of the captions is not known for certain; --language TAG says it" in done.stderr
    assert scores["tokenizer"] != "coco-caption"
    done, scores = evaluated(tmp_path / "said.json", tmp_path / "captions.jsonl", "--language", "en")
    assert not done.stderr
    assert scores["tokenizer"] == "coco-caption"
    assert evaluated(tmp_path / "said.json", tmp_path / "captions.jsonl", "--language", "in English")[0].returncode == 2
    done = here("evaluate", tmp_path / "said.json", "--data", "any", "--language", "en")
    assert (done.returncode, "knows its own" in done.stderr) == (2, True)


# What capgen wrote

DRAWN = ("a/10.png", "a/11.png", "b/012.png", "b/a dog.png")


def drawn(folder):
    """Images with a file of human captions, and what the default captioner says of each."""
    for name in DRAWN:
        (folder / "drawn/images" / name).parent.mkdir(parents=True, exist_ok=True)
    images = draw_each(folder / "drawn/images", *DRAWN)
    rows = [{"image": f"images/{name}", "captions": [f"caption of {name}", "a drawing"]} for name in DRAWN]
    (folder / "drawn/captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    captioner = Captioner.load()
    return folder / "drawn/captions.jsonl", {f"images/{name}": captioner.caption(images / name).text for name in DRAWN}


def read_back(path, truth):
    """The captions in a source by the names that the human captions give to the images."""
    return predictions.read(path, references.from_source(truth, "test")).captions


@pytest.mark.parametrize("form", ["jsonl", "csv", "json", "tsv", "txt"])
def test_what_capgen_caption_writes_is_scored(fake, tmp_path, form):
    truth, said = drawn(tmp_path)
    done = here("caption", "--recursive", truth.parent / "images", "--output", tmp_path / f"said.{form}")
    assert done.returncode == 0, done.stderr
    assert read_back(tmp_path / f"said.{form}", truth) == said


@pytest.mark.parametrize("form", ["jsonl", "csv", "tsv"])
def test_of_several_captions_that_capgen_wrote_the_best_is_scored(fake, tmp_path, form):
    truth, said = drawn(tmp_path)
    done = here("caption", "-r", truth.parent / "images", "--output", tmp_path / f"said.{form}", "--num", 3, "--beam", 3)
    assert done.returncode == 0, done.stderr
    assert read_back(tmp_path / f"said.{form}", truth).keys() == said.keys()


def test_a_sidecar_is_found_whichever_way_the_accents_of_its_name_are_composed(tmp_path):
    (tmp_path / "said").mkdir()
    (tmp_path / "truth.json").write_text(json.dumps([{"image": "caf\u00e9.jpg", "caption": "a red circle"}]))
    (tmp_path / "said" / unicodedata.normalize("NFD", "caf\u00e9.jpg")).touch()
    (tmp_path / "said/caf\u00e9.txt").write_text("a red circle\n")
    assert read_back(tmp_path / "said", tmp_path / "truth.json") == {"caf\u00e9.jpg": "a red circle"}


@pytest.mark.parametrize("delimiter", list(";,|\t"))
def test_a_table_whose_delimiter_excel_has_named_is_read(tmp_path, delimiter):
    truth, said = coco(tmp_path), tmp_path / "said.csv"
    rows = "".join(f"{delimiter.join(map(str, row))}\r\n" for row in [("image_id", "caption"), *pairs()])
    said.write_text(f"sep={delimiter}\r\n{rows}", newline="")
    done, scores = evaluated(said, truth)
    assert done.returncode == 0, done.stderr
    assert scores["BLEU-4"] == pytest.approx(1)


@pytest.mark.parametrize("form", ["jsonl", "parquet", "tar"])
def test_a_folder_of_shards_is_scored(fake, tmp_path, form):
    truth, said = drawn(tmp_path)
    done = here("caption", "-r", truth.parent / "images", "--output", f"{tmp_path}/shards/", "--format", form)
    assert done.returncode == 0, done.stderr
    assert read_back(tmp_path / "shards", truth) == said


@pytest.mark.parametrize("name", ["stem", "full"])
def test_sidecars_beside_images_and_in_a_folder_of_their_own_are_scored(fake, tmp_path, name):
    truth, said = drawn(tmp_path)
    images = truth.parent / "images"
    for options in (["--output-dir", tmp_path / "texts"], []):
        done = here("caption", "-r", images, "--sidecar", ".txt", "--sidecar-name", name, *options)
        assert done.returncode == 0, done.stderr
    (images / "README.txt").write_text("notes on these images\n")
    assert read_back(tmp_path / "texts", truth) == said
    assert read_back(images, truth) == said
    done = here("evaluate", images, "--references", truth)
    assert done.returncode == 0, done.stderr


# Damage


def mutated(content, random):
    """Content with some bytes changed, removed, doubled or moved."""
    data = bytearray(content)
    for _ in range(random.randint(1, 6)):
        if not data:
            break
        start = random.randrange(len(data))
        end = min(len(data), start + random.choice((1, 1, 2, 8, 40)))
        piece = data[start:end]
        kind = random.randrange(5)
        if kind == 0:
            data[start:end] = random.choice(
                (b'"', b"\n", b"{", b"[", b",", b"\x00", b"\xff", b"null", b"1e999", b"\t", b"-")
            )
        elif kind == 1:
            del data[start:end]
        elif kind == 2:
            data[start:start] = piece * 2
        elif kind == 3:
            data[start:end] = bytes(random.randrange(256) for _ in piece)
        else:
            del data[start:]
    return bytes(data)


MUTATIONS = 60


@pytest.mark.parametrize("form", list(SAMPLES))
def test_damaged_captions_are_read_refused_in_one_line_or_left_out_and_never_put_to_another_image(tmp_path, form):
    seeded, sample = random.Random(form), SAMPLES[form]
    split = Split("test", [Reference(name, None, ("a red circle",)) for name in ("1.png", "2.png")], [])
    path = sample.write(tmp_path)
    for _ in range(MUTATIONS):
        for name, content in sample.files.items():
            (path / name if name else path).write_bytes(mutated(content, seeded))
        try:
            found = predictions.read(path, split, allow_missing=True)
        except CapgenError as error:
            assert "\n" not in str(error)
        else:
            assert set(found.captions) <= {"1.png", "2.png"}


def test_damaged_human_captions_are_read_or_refused_in_one_line(tmp_path):
    seeded = random.Random(0)
    sources = [coco(tmp_path), lined(tmp_path, "captions.csv", breaks=True)]
    contents = [source.read_bytes() for source in sources]
    (tmp_path / "said.json").write_text(json.dumps(objects()))
    for _ in range(MUTATIONS):
        for source, content in zip(sources, contents, strict=True):
            source.write_bytes(mutated(content, seeded))
            try:
                found = predictions.read(tmp_path / "said.json", references.from_source(source, "test"), allow_missing=True)
            except CapgenError as error:
                assert "\n" not in str(error)
            else:
                assert found.captions
