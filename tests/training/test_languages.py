"""Captioners of other languages than English, from the captions that people have to the captions that they write."""

import json

import pytest
from support.drawing import COLOURS, SHAPES, draw
from support.studio import SETTINGS

from capgen.captioner.bundle import Bundle
from capgen.captioner.vocabulary import SPECIAL

FLAGS = [part for setting in SETTINGS for part in ("--set", setting)]

HINDI = {
    "red": "लाल", "green": "हरा", "blue": "नीला", "yellow": "पीला",
    "circle": "गोला", "square": "चौकोर", "triangle": "त्रिकोण",
}  # fmt: skip
CHINESE = {
    "red": "红色", "green": "绿色", "blue": "蓝色", "yellow": "黄色",
    "circle": "圆形", "square": "方形", "triangle": "三角形",
}  # fmt: skip


def write_source(folder, caption, count=40):
    """Draw images with a caption each, which is made of their colour and shape."""
    (folder / "images").mkdir(parents=True)
    rows = []
    for index in range(count):
        colour, shape = list(COLOURS)[index % 4], SHAPES[index % 3]
        draw(folder / f"images/{index:03}.png", colour, shape, index)
        split = "train" if index % 5 else "dev"
        rows.append({"image": f"images/{index:03}.png", "captions": [caption(colour, shape)], "split": split})
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "captions.jsonl").write_text(text, encoding="utf-8")
    return folder


def prepare(studio, source, *arguments):
    return studio.run("prepare", source, "--encoder", "efficientnet-lite0", "--name", source.name, *arguments)


@pytest.fixture(scope="module")
def hindi(studio, tmp_path_factory):
    source = write_source(tmp_path_factory.mktemp("hi") / "hindi", lambda c, s: f"बर्फ़ पर एक {HINDI[c]} {HINDI[s]} है।")
    prepared = prepare(studio, source, "--augment", "flip")
    assert prepared.returncode == 0, prepared.stderr
    trained = studio.run("train", "hindi", "--epochs", "20", "--set", "slots_below=100", *FLAGS)
    assert trained.returncode == 0, trained.stderr
    return source, prepared, Bundle(studio.folder / "user/models/hindi")


@pytest.fixture(scope="module")
def chinese(studio, tmp_path_factory):
    source = write_source(
        tmp_path_factory.mktemp("zh") / "chinese", lambda c, s: f"雪地上有一个{CHINESE[c]}的{CHINESE[s]}。"
    )
    prepared = prepare(studio, source)
    assert prepared.returncode == 0, prepared.stderr
    trained = studio.run("train", "chinese", "--epochs", "20", *FLAGS)
    assert trained.returncode == 0, trained.stderr
    assert trained.stderr.count("character by character") == 1
    return source, prepared, Bundle(studio.folder / "user/models/chinese")


def said(studio, model, source, *arguments):
    done = studio.run("caption", "--model", model, source / "images/000.png", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().rpartition("\t")[2]


def test_a_hindi_vocabulary_holds_whole_words(hindi):
    _, prepared, captioner = hindi
    assert "language: und-Deva, words by Unicode's rules" in prepared.stderr
    assert set(captioner.vocabulary.entries) == {*SPECIAL, "बर्फ़", "पर", "एक", "है", *HINDI.values()}
    assert captioner.vocabulary.language == "und-Deva"
    assert "`und-Deva`" in captioner.read("MODEL_CARD.md").decode()


def test_a_hindi_caption_is_made_of_whole_words(studio, hindi):
    source, *_ = hindi
    caption = said(studio, "hindi", source)
    assert set(caption.split()) <= {"बर्फ़", "पर", "एक", "है", *HINDI.values()}
    assert said(studio, "hindi", source, "--prompt", "बर्फ़ पर एक काला").startswith("बर्फ़ पर एक काला ")
    assert "एक" not in said(studio, "hindi", source, "--suppress", "एक").split()


def test_english_names_are_not_said_through_slots_in_another_language(hindi):
    _, _, captioner = hindi
    assert captioner.visual_words is None


def test_without_words_for_left_and_right_no_image_is_mirrored(studio, hindi):
    _, prepared, _ = hindi
    assert "no mirror images: the words for left and right are not known" in prepared.stderr
    described = json.loads((studio.folder / "user/datasets/hindi.json").read_text())
    assert described["augmentations"] == ["plain"]


def test_chinese_is_learnt_character_by_character_which_is_said_once(chinese):
    _, prepared, captioner = chinese
    assert prepared.stderr.count("without spaces between words, so that captions are learnt character by character") == 1
    assert "红" in captioner.vocabulary
    assert all(len(entry) == 1 for entry in captioner.vocabulary.entries[len(SPECIAL) :])


def test_a_chinese_caption_has_no_spaces_and_goes_on_from_a_prompt_without_one(studio, chinese):
    source, *_ = chinese
    caption = said(studio, "chinese", source)
    assert caption
    assert " " not in caption
    prompted = said(studio, "chinese", source, "--prompt", "雪地上有")
    assert prompted.startswith("雪地上有")
    assert " " not in prompted


def test_the_score_of_a_chinese_caption_counts_characters(studio, chinese):
    source, *_ = chinese
    caption = "雪地上有一个红色的圆形"
    done = studio.run("score", "--model", "chinese", source / "images/000.png", caption, "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (found,) = found if isinstance(found, list) else [found]
    assert len(found["words"]) == len(caption) + 1


def test_its_scores_on_dev_are_those_of_evaluate(studio, chinese, tmp_path):
    _, _, captioner = chinese
    done = studio.run("evaluate", "chinese", "--data", "chinese", "--split", "dev", "--json", tmp_path / "scores.json")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "scores.json").read_text())
    assert found["CIDEr-D"] == pytest.approx(captioner.description.scores["dev"]["CIDEr-D"])
    assert found["tokenizer"] == "unicode-characters (zh)"


def test_a_captioner_is_not_continued_in_another_language(studio, hindi, chinese):
    done = studio.run("train", "hindi", "--from", "chinese", "--epochs", "1", "--overwrite")
    assert done.returncode == 2
    assert "chinese writes in another language (zh) than the captions of 'hindi' (und-Deva)" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_language_that_is_given_goes_before_one_that_is_recognised(studio, tmp_path):
    source = write_source(tmp_path / "turkish", lambda c, s: f"Işık {c} {s}", count=8)
    done = prepare(studio, source, "--language", "TR")
    assert done.returncode == 0, done.stderr
    assert "language: tr, words by Unicode's rules\n" in done.stderr
    assert json.loads((studio.folder / "user/datasets/turkish.json").read_text())["language"] == "tr"


def test_english_is_recognised_and_said(studio):
    done = studio.run("prepare", studio.source, "--encoder", "efficientnet-lite0", "--augment", "flip")
    assert "language: en, split into words by the English rule (recognised; --language TAG" in done.stderr
    assert "no mirror images" not in done.stderr
