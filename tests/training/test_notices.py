"""The notices printed before training starts: what the run will not learn from the data."""

from types import SimpleNamespace

import pytest

from capgen.captioner.vocabulary import UNKNOWN
from capgen.training.notices import FEW_IMAGES, notices


def data(captions, *, images=1, language="en", max_words=20):
    """Training data of some images, with the ids of their captions."""
    return SimpleNamespace(
        samples=[SimpleNamespace(captions=captions)] * images,
        language=language,
        config=SimpleNamespace(max_words=max_words, min_count=5),
        dataset=SimpleNamespace(name="mine"),
    )


def said(found, *, continues_captioner=False):
    return list(notices(found, continues_captioner=continues_captioner))


def test_few_images_are_better_learnt_by_the_captioner_that_ships():
    [notice] = said(data([[7, 8]], images=FEW_IMAGES - 1))
    assert "capgen train mine --from photo-en-v1" in notice
    assert not said(data([[7, 8]], images=FEW_IMAGES))
    assert not said(data([[7, 8]]), continues_captioner=True)


@pytest.mark.parametrize("language", ["de", "ru", "und-Latn"])
def test_captions_in_another_language_are_not_sent_to_a_captioner_of_english(language):
    assert not said(data([[7, 8]], language=language))


@pytest.mark.parametrize("language", ["zh", "th"])
def test_captions_without_spaces_between_words_are_learnt_by_characters_which_is_said(language):
    [notice] = said(data([[7, 8]], language=language))
    assert f"character by character, because {language} is written without spaces" in notice


def test_a_vocabulary_that_knows_too_few_words_is_named():
    [notice] = said(data([[7] * 8, [UNKNOWN] * 2]), continues_captioner=True)
    assert "the vocabulary knows 80% of the words" in notice
    assert "min_count below 5" in notice
    assert not said(data([[7] * 9, [UNKNOWN]]), continues_captioner=True)


def test_captions_that_are_cut_are_counted():
    [notice] = said(data([[7] * 5, [7] * 4, [7] * 9], max_words=4), continues_captioner=True)
    assert notice.startswith("2 of 3 training captions are cut after 4 words")
    assert "--set max_words=9" in notice


def test_there_is_nothing_to_say_of_no_captions():
    assert not said(data([]))
