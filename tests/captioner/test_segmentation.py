"""Words of captions in other languages than English, by Unicode's rules, and captions made of words again."""

import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capgen.captioner import segmentation
from capgen.captioner.vocabulary import SPECIAL, Vocabulary, words

SPACED = {
    "hi": "एक आदमी लाल साइकिल पर बर्फ़ में काला त्रिकोण देख रहा है",
    "bn": "একটি ছেলে সবুজ ক্ষেতে দৌড়াচ্ছে এবং হাসছে",
    "ta": "ஒரு சிறுவன் கடற்கரையில் பந்துடன் விளையாடுகிறான்",
    "te": "ఒక బాలుడు మైదానంలో క్రికెట్ ఆడుతున్నాడు",
    "ml": "അവന്‍ പുഴയുടെ തീരത്ത് നില്‍ക്കുന്നു",
    "si": "ශ්‍රී ලංකාවේ ළමයෙක් සෙල්ලම් කරයි",
    "ar": "وَلَدٌ يَلْعَبُ بِالْكُرَةِ فِي الْحَدِيقَةِ",
    "fa": "یک مرد در پارک می‌دود و سگ‌ها او را می‌بینند",
    "he": "יֶלֶד מְשַׂחֵק בְּכַדּוּר עַל הַדֶּשֶׁא",
    "yo": "ọmọkùnrin kan ń gun ẹṣin lẹ́gbẹ̀ẹ́ òkun",
    "vi": "một người đàn ông đang cưỡi ngựa trên bãi biển",
    "ru": "мальчик играет с мячом на берегу моря",
    "el": "ένα αγόρι παίζει με μια μπάλα στην παραλία",
    "ko": "한 소년이 해변에서 공을 가지고 놀고 있다",
    "am": "አንድ ልጅ በኳስ እየተጫወተ ነው",
}
"""Captions whose words are what spaces stand between."""

SPACELESS = {
    "zh": ("草地上有一个红色的圆形。", "草 地 上 有 一 个 红 色 的 圆 形"),
    "ja": ("男の子が、公園で犬と遊ぶ。", "男 の 子 が 公 園 で 犬 と 遊 ぶ"),
    "th": ("เด็กผู้ชายกำลังเล่นน้ำ", "เ ด็ ก ผู้ ช า ย กำ ลั ง เ ล่ น น้ำ"),
    "km": ("ក្មេងប្រុសម្នាក់កំពុងលេង។", "ក្មេ ង ប្រុ ស ម្នា ក់ កំ ពុ ង លេ ង"),
    "lo": ("ເດັກນ້ອຍຫຼິ້ນນ້ຳ", "ເ ດັ ກ ນ້ ອ ຍ ຫຼິ້ ນ ນ້ຳ"),
    "my": ("ကလေးတစ်ယောက်ကစားနေသည်။", "က လေး တ စ် ယော က် က စား နေ သ ည်"),
}
"""A caption with its punctuation, and its characters as a reader tells them apart."""


@pytest.mark.parametrize(("language", "caption"), SPACED.items())
def test_marks_and_joiners_belong_to_their_letters(language, caption):
    expected = unicodedata.normalize("NFC", caption).split()
    assert words(f"«{caption}»!", language) == expected


@pytest.mark.parametrize(("language", "caption"), SPACED.items())
def test_decomposed_text_has_the_same_words(language, caption):
    assert words(unicodedata.normalize("NFD", caption), language) == words(caption, language)


@pytest.mark.parametrize(("language", "caption"), SPACED.items())
def test_words_with_spaces_are_joined_with_spaces(language, caption):
    assert segmentation.join(words(caption, language)) == " ".join(words(caption, language))


@pytest.mark.parametrize(("language", "caption", "expected"), [(key, *both) for key, both in SPACELESS.items()])
def test_scripts_without_spaces_are_split_into_characters_and_joined_without(language, caption, expected):
    found = words(caption, language)
    assert found == expected.split()
    assert segmentation.join(found) == expected.replace(" ", "")


def test_latin_words_and_numbers_among_chinese_stay_whole():
    found = words("穿T恤的3个人在 Nike 商店", "zh")
    assert found == ["穿", "t", "恤", "的", "3", "个", "人", "在", "nike", "商", "店"]
    assert segmentation.join(found) == "穿t恤的3个人在nike商店"
    assert segmentation.join(["red", "bull", "罐"]) == "red bull罐"
    assert segmentation.join([]) == ""


@pytest.mark.parametrize("language", ["tr", "az", "tr-TR"])
def test_a_turkish_i_keeps_its_dot_or_its_lack_of_one(language):
    assert words("IŞIK İki", language) == ["ışık", "iki"]
    assert words("I\u0307ki", language) == ["iki"]


def test_german_capitals_become_small_and_an_i_without_a_dot_is_turkish_only():
    assert words("Im Schnee. INSEL", "de") == ["im", "schnee", "insel"]


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("L’homme est au-dessus d'un arbre", ["l'homme", "est", "au-dessus", "d'un", "arbre"]),
        ("am Strand.Ein Hund", ["am", "strand", "ein", "hund"]),
        ("Straße:Haus, ein_zwei", ["straße", "haus", "ein", "zwei"]),
        ("die 20's - 'quoted' dogs'", ["die", "20's", "quoted", "dogs"]),
        ("3,5 Meter um 10.30", ["3,5", "meter", "um", "10.30"]),
        ("un mot\u202f! et\u00a0deux", ["un", "mot", "et", "deux"]),
        ("paral·lel", ["paral·lel"]),
        ("„Hund“ – (Katze) …", ["hund", "katze"]),
        ("Hund\u200b\u00adewetter \ufeffa", ["hund", "ewetter", "a"]),
        ("שלום\u200f (שלום)", ["שלום", "שלום"]),
        ("a🐕b ❤️ 👩‍🚀", ["a", "b"]),
        ("...", []),
        ("", []),
    ],
)
def test_words_end_where_a_reader_ends_them(caption, expected):
    assert words(caption, "und") == expected


@given(st.text())
def test_words_are_printable_without_spaces_and_never_a_special_entry(text):
    found = words(text, "und")
    assert all(map(segmentation.is_printable, found))
    assert not any(character.isspace() for word in found for character in word)
    assert not set(found) & set(SPECIAL)


@given(st.text(st.characters(categories=["L", "M", "N", "Zs", "Po"])))
def test_a_caption_that_is_joined_has_the_same_words(text):
    found = words(text, "und")
    assert "".join(words(segmentation.join(found), "und")) == "".join(found)


@pytest.mark.parametrize(("language", "caption"), [*SPACED.items(), *((key, both[0]) for key, both in SPACELESS.items())])
def test_a_vocabulary_reads_and_writes_its_language_and_survives_json(language, caption):
    made = Vocabulary.build([words(caption, language)], 1, language=language)
    read = Vocabulary.from_plain(made.plain())
    assert read == made
    assert read.decode(read.encode(caption)) == segmentation.join(words(caption, language))


def test_an_english_vocabulary_is_stored_as_ever():
    made = Vocabulary.build([["a", "dog"]], 1)
    assert made.plain().keys() == {"words", "repeated"}
    assert Vocabulary.from_plain({"words": ["a"]}).language == "en"


def test_a_character_may_come_again_in_a_caption():
    assert Vocabulary.build([list("红色的")], 1, language="zh").repeated is None
    assert Vocabulary.build([["लाल", "घास"]], 1, language="hi").repeated == frozenset()


def test_english_does_not_load_the_library_for_other_languages():
    program = (
        "import sys; from capgen.captioner.vocabulary import words; words('A dog'); assert 'regex' not in sys.modules;"
        " words('घास', 'hi'); assert 'regex' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
