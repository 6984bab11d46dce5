"""Reports as files: what the page holds, and what cannot get into it."""

import base64
import hashlib
import json
import re

import numpy as np
import pytest
from PIL import Image
from support.drawing import draw
from support.report_pages import data_of

from capgen.captioner.results import Attention
from capgen.errors import StorageError
from capgen.evaluation import report
from capgen.evaluation.evaluate import evaluate
from capgen.evaluation.predictions import Predictions
from capgen.evaluation.references import Reference, Split
from capgen.evaluation.report import evaluation_page, thumbnails

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)> {{data}} {{script}} <!-- & \u2028 'a\" 犬"


def made(captions, **more):
    """Describe an evaluation of captions, by image id, against one reference each."""
    references = [Reference(key, more.get("paths", {}).get(key), (f"a {key} on snow", "it runs")) for key in captions]
    system = Predictions("title", captions, attention=more.get("attention", {}))
    (evaluated,) = evaluate([system], Split("test", references, []))
    return evaluation_page.describe("subtitle", evaluated, evaluation_page.cards(system, references, evaluated))


def test_what_people_wrote_stays_data_and_reads_back_as_it_was():
    values = {"title": HOSTILE, "gallery": {"total": 1, "cards": [{"caption": HOSTILE, "name": HOSTILE}]}}
    page = report.page(values)
    assert data_of(page) == values
    assert page.count("<script") == page.count("</script>") == 2
    assert "<img src=x" not in page.replace('<img id="image"', "")
    assert "<title>&lt;/script&gt;" in page


def test_nothing_but_the_pages_own_style_and_script_may_run_and_nothing_is_fetched(tmp_path):
    draw(tmp_path / "dog.png", "red", "circle", 1)
    page = report.page(made({"dog": "a dog"}, paths={"dog": tmp_path / "dog.png"}))
    assert not re.search(r"https?:|\burl\(|@import|\bsrc=\"(?!data:)|href=\"(?!#)|fetch\(|XMLHttp|innerHTML", page)
    for kind, part in (("style-src", "style"), ("script-src", "script")):
        text = re.search(rf"<{part}>(.*?)</{part}>", page, re.DOTALL).group(1)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in page
    assert "default-src 'none'; img-src data:;" in page


def test_numbers_that_json_does_not_know_become_null_and_strange_file_names_stay(tmp_path):
    name = "caf\udce9.jpg"  # a file name that is no UTF-8
    values = {"title": "t", "curves": [{"points": [(1, float("nan")), (2, float("inf"))]}], "name": name}
    report.write(tmp_path / "deep/report.html", values)
    found = data_of((tmp_path / "deep/report.html").read_text(encoding="utf-8"))
    assert found["curves"][0]["points"] == [[1, None], [2, None]]
    assert found["name"] == name


def test_an_image_is_upright_small_and_in_its_own_proportions(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (800, 400), "red").save(tmp_path / "turned.jpg", exif=exif)
    found = thumbnails.thumbnail(tmp_path / "turned.jpg")
    assert found["size"] == [128, 256]
    assert found["image"].startswith("data:image/jpeg;base64,/9j/")
    Image.new("L", (30, 20)).save(tmp_path / "small.png")
    assert thumbnails.thumbnail(tmp_path / "small.png")["size"] == [30, 20]
    assert thumbnails.thumbnail(tmp_path / "none.jpg") == thumbnails.thumbnail(None) == {}


def test_attention_is_a_byte_a_cell_and_255_where_a_word_looked_most_beyond_the_others():
    maps = np.array([[[0.1, 0.2], [0.3, 0.4]], [[0, 0], [1, 0]]], np.float32)
    found = thumbnails.attention_maps(Attention(("a", "dog"), maps))
    assert found["words"] == ["a", "dog"]
    assert [list(base64.b64decode(text)) for text in found["maps"]] == [[255, 255, 59, 255], [0, 0, 255, 0]]
    assert thumbnails.attention_maps(None) == {}


def test_cards_have_caption_references_and_their_own_cider_d():
    values = made({"dog": "a dog on snow", "cat": "nothing of it", "bird": "a bird runs"})
    cards = values["gallery"]["cards"]
    assert [card["caption"] for card in cards] == ["a dog on snow", "nothing of it", "a bird runs"]
    assert cards[0]["references"] == ["a dog on snow", "it runs"]
    assert cards[0]["score"] > cards[2]["score"] > cards[1]["score"]
    scores = {score["name"]: score["value"] for score in values["scores"]}
    assert np.mean([card["score"] for card in cards]) == pytest.approx(scores["CIDEr-D"], abs=1e-3)
    lengths, of_scores = values["histograms"]
    assert lengths["labels"] == ["2", "3", "4"]
    assert lengths["series"][0]["values"] == [0, 66.7, 33.3]
    assert sum(of_scores["series"][0]["values"]) == 3


def test_titles_are_sentences_axes_are_named_and_scores_have_their_scale():
    values = made({"dog": "a dog on snow", "cat": "nothing of it", "bird": "a bird runs"})
    assert values["title"] == "Captions of title, compared with people's"
    lengths, of_scores = values["histograms"]
    assert lengths["title"] == "These captions have 3.3 words on average, people's 3.0."
    assert (lengths["axis"], lengths["unit"]) == ("words of a caption", "% of captions")
    median = np.median([card["score"] for card in values["gallery"]["cards"]])
    assert of_scores["title"] == f"Half of the images have a CIDEr-D above {median:.2f}."
    assert (of_scores["axis"], of_scores["unit"]) == ("CIDEr-D of an image, from 0 to 10", "images")
    assert values["scores"][0]["name"] == "CIDEr-D"
    assert values["scale"].startswith(
        "Scores are from 0 to 1, CIDEr-D and CIDEr from 0 to 10; more is better. Below each is"
    )


def test_what_is_said_of_several_scores_is_said_once():
    facts = [name for name, _ in made({"dog": "a dog on snow", "cat": "nothing of it"})["facts"]]
    assert "about CIDEr-D, CIDEr" in facts
    assert "about CIDEr" not in facts


def test_of_one_image_scores_that_are_not_defined_have_no_value_and_none_has_an_interval():
    values = made({"dog": "a dog on snow"})
    scores = {score["name"]: score for score in values["scores"]}
    assert scores["CIDEr-D"] == {"name": "CIDEr-D", "value": None, "low": None, "high": None}
    assert (scores["BLEU-1"]["value"], scores["BLEU-1"]["low"]) == (pytest.approx(1.0), None)
    assert [card["score"] for card in values["gallery"]["cards"]] == [None]
    assert [histogram["axis"] for histogram in values["histograms"]] == ["words of a caption"]
    assert "interval" not in values["scale"]
    facts = dict(values["facts"])
    assert "not defined for one image" in facts["CIDEr-D, CIDEr"]
    assert facts["tokenizer"] == "coco-caption"


def test_of_very_many_images_the_worst_the_best_and_those_between_are_shown():
    cards = [evaluation_page.Card(Reference(str(index), None, ("a",)), "a", float(-index % 7)) for index in range(100)]
    kept = evaluation_page.spread(cards, 10)
    assert len(kept) == 10
    assert {min(card.score for card in kept), max(card.score for card in kept)} == {0.0, 6.0}
    assert [int(card.reference.id) for card in kept] == sorted(int(card.reference.id) for card in kept)
    assert evaluation_page.spread(cards, 100) is cards


def test_a_path_that_cannot_be_written_is_known_before(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="it is a folder; name a file in it"):
        report.check_target(tmp_path)
    with pytest.raises(StorageError, match="a part of its path is a file"):
        report.check_target(tmp_path / "file/report.html")
    report.check_target(tmp_path / "new/report.html")
    assert (tmp_path / "new").is_dir()


# As commands


def test_evaluate_writes_a_page_with_every_image_and_the_attention_of_each_word(captioner, tmp_path):
    page = tmp_path / "report.html"
    done = captioner.run("evaluate", "shapes", "--data", "shapes", "--split", "dev", "--report", page)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == f"report: {page}"
    values = data_of(page.read_text())
    assert values["title"] == "Captions of shapes-beam5, compared with people's"
    assert all(f"{score['value']:.4f}" in done.stdout for score in values["scores"])
    cards = values["gallery"]["cards"]
    assert len(cards) == values["gallery"]["total"] == 12
    for card in cards:
        assert " ".join(card["words"]) == card["caption"]
        assert [len(base64.b64decode(text)) for text in card["maps"]] == [49] * len(card["words"])
        assert card["size"] == [160, 120]
        assert len(card["references"]) == 2


def test_predictions_of_images_that_are_not_here_have_cards_without_them(captioner, tmp_path):
    rows = [{"image": f"gone/{index}.jpg", "captions": ["A dog runs.", "A brown dog."]} for index in range(3)]
    (tmp_path / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "said.json").write_text(json.dumps([{"image_id": f"{index}.jpg", "caption": "a dog"} for index in range(3)]))
    page = tmp_path / "report.html"
    done = captioner.run(
        "evaluate", "--predictions", tmp_path / "said.json", "--references", tmp_path / "captions.jsonl", "--report", page
    )
    assert done.returncode == 0, done.stderr
    cards = data_of(page.read_text())["gallery"]["cards"]
    assert [card["name"] for card in cards] == ["0.jpg", "1.jpg", "2.jpg"]
    assert not any({"image", "maps"} & card.keys() for card in cards)


def test_a_report_that_cannot_be_written_is_one_line_before_anything_is_captioned(captioner, tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file/report.html"):
        done = captioner.run("evaluate", "shapes", "--data", "shapes", "--report", path)
        assert done.returncode == 1
        assert done.stderr.startswith(f"capgen: cannot write {tmp_path}")
        assert len(done.stderr.splitlines()) == 1
