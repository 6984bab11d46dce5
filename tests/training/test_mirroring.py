"""Captions of mirror images."""

import pytest

from capgen.captioner.vocabulary import words
from capgen.training.mirroring import language_sides, mirrored

BOTH_WAYS = {
    "en": [
        ("on the left a red circle", "on the right a red circle"),
        ("the man on the left looks to his right", "the man on the right looks to his left"),
        ("the leftmost of three, upper left corner", "the rightmost of three, upper right corner"),
        ("a left-handed batter with a ball in left hand", "a right-handed batter with a ball in right hand"),
        ("in the top-left corner, far left", "in the top-right corner, far right"),
        ("a dog to the left of a man, from left side", "a dog to the right of a man, from right side"),
        ("a dog on the grass", "a dog on the grass"),
    ],
    "de": [
        ("links steht ein Hund", "rechts steht ein Hund"),
        ("auf der linken Seite der linke Mann", "auf der rechten Seite der rechte Mann"),
        ("ein rechteckiges Haus", "ein rechteckiges Haus"),
    ],
    "fr": [
        ("l'homme à gauche", "l'homme à droite"),
        ("le bras gauche et la main gauche", "le bras droit et la main droite"),
        ("de gauche à droite", "de droite à gauche"),
    ],
    "es": [("a la izquierda, con el brazo izquierdo; lado derecho", "a la derecha, con el brazo derecho; lado izquierdo")],
    "it": [("a sinistra, il braccio destro", "a destra, il braccio sinistro")],
    "pt": [("à esquerda, o braço direito", "à direita, o braço esquerdo")],
    "nl": [("links een hond aan de linkerkant", "rechts een hond aan de rechterkant"), ("rechthoek", "rechthoek")],
}


def captions(texts):
    return [(language, *pair) for language, pairs in texts.items() for pair in pairs]


@pytest.mark.parametrize(("language", "caption", "other"), captions(BOTH_WAYS))
def test_left_and_right_change_places_and_back(language, caption, other):
    sides = language_sides(language)
    assert mirrored(words(caption, language), sides) == words(other, language)
    assert mirrored(words(other, language), sides) == words(caption, language)


@pytest.mark.parametrize(
    ("language", "caption"),
    [
        ("en", "a dog right next to a boy"),
        ("en", "a man looking right at the camera"),
        ("en", "he has left the house"),
        ("en", "leftovers on the plate"),
        ("en", "the right way up"),
        ("en", "the right side up"),
        ("en", "an animal rights sign"),
        ("de", "im rechten Winkel"),
        ("de", "eine Linkskurve"),
        ("fr", "elle se tient droite"),
        ("fr", "un homme gauche"),
        ("es", "sigue derecho"),
        ("pt", "é direito"),
        ("nl", "de rechter zit"),
    ],
)
def test_a_word_that_may_mean_something_else_has_no_mirrored_caption(language, caption):
    assert mirrored(words(caption, language), language_sides(language)) is None


def test_slots_stay_as_they_are():
    assert mirrored(["a", "<animal>", "on", "the", "left"], language_sides("en-GB")) == [
        "a",
        "<animal>",
        "on",
        "the",
        "right",
    ]


@pytest.mark.parametrize("language", ["und", "und-Latn", "hi", "tr", "zh"])
def test_a_language_without_a_table_has_no_sides(language):
    assert language_sides(language) is None
