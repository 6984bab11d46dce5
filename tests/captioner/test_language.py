"""The tags of languages, and how the language of captions is recognised."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capgen.captioner.language import (
    ENGLISH,
    UNKNOWN_LANGUAGE,
    UNKNOWN_LATIN,
    can_continue,
    checked_tag,
    is_english,
    is_spaceless,
    recognise,
)  # fmt: skip

CAPTIONS = {
    "en": ["A dog runs on the grass.", "Two men are riding their bikes", "on the left a red circle"],
    "de": ["Ein Hund läuft über die Wiese", "Zwei Männer sitzen auf einer Bank neben dem Haus", "Eine Frau mit einem Hut"],
    "fr": ["Un chien court dans l'herbe", "Deux hommes sont assis sur un banc", "Une femme avec un chapeau est à la plage"],
    "es": ["Un perro corre por la hierba", "Dos hombres están sentados en un banco", "Una mujer con el pelo rojo"],
    "it": ["Un cane corre sul prato", "Due uomini sono seduti su una panchina", "Una donna con il cappello nel parco"],
    "pt": ["Um cão corre na relva", "Dois homens estão sentados em um banco", "Uma mulher com um chapéu na praia"],
    "nl": ["Een hond rent over het gras", "Twee mannen zitten op een bank", "Een vrouw met een hoed is op het strand"],
    "tr": ["Bir köpek çimlerin üzerinde koşuyor", "İki adam bir bankta oturuyor", "Şapkalı bir kadın ve bir çocuk"],
    "hu": ["Egy kutya fut a fűben", "Két férfi ül a padon", "Egy nő és egy kalap a parton van"],
    "zh": ["草地上有一个红色的圆形。", "两个男人坐在长椅上, 穿 Nike"],
    "ja": ["男の子が公園で犬と遊ぶ。", "二人の男性がベンチに座っている"],
    "ko": ["한 소년이 해변에서 공을 가지고 놀고 있다"],
    "th": ["เด็กผู้ชายกำลังเล่นน้ำที่ชายหาด"],
    "km": ["ក្មេងប្រុសម្នាក់កំពុងលេង"],
    "my": ["ကလေးတစ်ယောက် ကစားနေသည်။"],
    "ta": ["ஒரு சிறுவன் பந்துடன் விளையாடுகிறான்"],
    "und-Deva": ["घास पर एक लाल त्रिकोण", "T-shirt में एक आदमी"],
    "und-Arab": ["وَلَدٌ يَلْعَبُ بِالْكُرَةِ"],
    "und-Cyrl": ["мальчик играет с мячом"],
    UNKNOWN_LATIN: ["Chłopiec gra w piłkę na plaży", "Dwóch mężczyzn siedzi na ławce"],
    UNKNOWN_LANGUAGE: ["ọmọkùnrin kan ń gun ẹṣin lẹ́gbẹ̀ẹ́ òkun", "ẹ̀gbọ́n mi"],
}


@pytest.mark.parametrize(("language", "captions"), CAPTIONS.items())
def test_a_language_is_recognised_by_its_letters_and_commonest_words(language, captions):
    assert recognise(captions) == language


@pytest.mark.parametrize("captions", [[], [""], ["..."], ["123 ❤"]])
def test_captions_without_letters_are_of_no_known_language(captions):
    assert recognise(captions) == UNKNOWN_LANGUAGE


def test_words_without_any_common_word_are_of_no_known_language_in_latin_letters():
    assert recognise(["lemon", "dog running beach"]) == UNKNOWN_LATIN


def test_latin_captions_with_many_others_among_them_are_not_english():
    assert recognise([*CAPTIONS["en"], *CAPTIONS["und-Deva"]]) == UNKNOWN_LANGUAGE


@given(st.lists(st.text()))
def test_any_text_has_a_language_whose_tag_is_one(captions):
    tag = recognise(captions)
    assert checked_tag(tag) == tag


@pytest.mark.parametrize(
    ("given", "expected"),
    [("EN", "en"), ("pt-br", "pt-BR"), ("ZH-hant-tw", "zh-Hant-TW"), ("yue", "yue"), ("es-419", "es-419")],
)
def test_a_tag_is_written_by_custom(given, expected):
    assert checked_tag(given) == expected


@pytest.mark.parametrize("tag", ["", "e", "english", "x y", "en_US", "en-", "-en", "de\n", "../x"])
def test_what_is_no_tag_is_refused(tag):
    with pytest.raises(ValueError, match="is not the tag of a language"):
        checked_tag(tag)


@pytest.mark.parametrize("tag", ["zh", "zh-Hant", "yue", "ja", "th", "lo", "km", "my", "und-Hani", "ja-JP"])
def test_languages_without_spaces_are_known(tag):
    assert is_spaceless(tag)


@pytest.mark.parametrize("tag", ["en", "hi", "ko", "vi", "und", "und-Latn", "zh-Latn", "thd"])
def test_all_others_have_spaces(tag):
    assert not is_spaceless(tag)


def test_english_is_english_in_any_country():
    assert is_english(ENGLISH)
    assert is_english("en-GB")
    assert not is_english("enm")


def test_a_captioner_is_continued_in_its_own_language_or_with_latin_captions_of_an_unknown_one():
    assert can_continue("en", "en-GB")
    assert can_continue("en", UNKNOWN_LATIN)
    assert not can_continue("en", "de")
    assert not can_continue("en", UNKNOWN_LANGUAGE)
    assert not can_continue("zh", UNKNOWN_LATIN)
