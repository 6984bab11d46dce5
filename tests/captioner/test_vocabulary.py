"""Captions to word ids and back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capgen.captioner.vocabulary import END, PAD, SPECIAL, START, UNKNOWN, Vocabulary, domain_token, words

CAPTIONS = ["A dog runs.", "A dog and a cat", "The cat sleeps, the dog doesn't!"]


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A Dog runs.", ["a", "dog", "runs"]),
        ("the dog's T-shirt", ["the", "dog's", "t-shirt"]),
        ("the dog’s ball", ["the", "dog's", "ball"]),
        ("'quoted' -dash- dogs'", ["quoted", "dash", "dogs"]),
        ("2 dogs, 1 ball;and a_stick", ["2", "dogs", "1", "ball", "and", "a", "stick"]),
        ("Ein Café in Zürich", ["ein", "café", "in", "zürich"]),
        ("...", []),
        ("", []),
    ],
)
def test_words_are_lower_case_without_punctuation(caption, expected):
    assert words(caption) == expected


@given(st.text())
def test_splitting_words_again_changes_nothing(text):
    assert words(" ".join(words(text))) == words(text)


@given(st.text())
def test_no_word_is_a_special_entry(text):
    assert not set(words(text)) & set(SPECIAL)


def test_the_special_entries_come_first():
    vocabulary = Vocabulary.build(map(words, CAPTIONS), 1)
    assert vocabulary.entries[:4] == SPECIAL
    assert [vocabulary.entries[index] for index in (PAD, START, END, UNKNOWN)] == ["<pad>", "<start>", "<end>", "<unknown>"]


def test_the_most_frequent_words_come_first_and_ties_in_alphabetical_order():
    assert Vocabulary.build(map(words, CAPTIONS), 1).entries[4:] == (
        "a",
        "dog",
        "cat",
        "the",
        "and",
        "doesn't",
        "runs",
        "sleeps",
    )


@pytest.mark.parametrize(("minimum", "kept"), [(2, ("a", "dog", "cat", "the")), (3, ("a", "dog")), (4, ())])
def test_words_rarer_than_the_minimum_count_are_left_out(minimum, kept):
    assert Vocabulary.build(map(words, CAPTIONS), minimum).entries == (*SPECIAL, *kept)


@given(st.lists(st.text().map(words)))
def test_the_order_of_the_captions_makes_no_difference(captions):
    assert Vocabulary.build(captions, 1) == Vocabulary.build(reversed(captions), 1)


@given(st.lists(st.text()))
def test_captions_of_known_words_come_back(captions):
    vocabulary = Vocabulary.build(map(words, captions), 1)
    for caption in captions:
        assert vocabulary.decode(vocabulary.encode(caption)) == " ".join(words(caption))


@given(st.lists(st.text()), st.text())
def test_every_word_has_an_id_and_only_known_ones_their_own(captions, other):
    vocabulary = Vocabulary.build(map(words, captions), 1)
    for word, index in zip(words(other), vocabulary.encode(other), strict=True):
        assert (index != UNKNOWN) == (word in vocabulary)
        assert index == UNKNOWN or vocabulary.entries[index] == word


def test_an_unknown_word_gets_the_id_of_the_unknown_word():
    vocabulary = Vocabulary.build([["a", "dog"]], 1)
    assert vocabulary.encode("a zebra") == [4, UNKNOWN]
    assert vocabulary.decode([4, UNKNOWN]) == "a <unknown>"


def test_nothing_after_the_end_token_is_said():
    assert Vocabulary.build([["a", "dog"]], 1).decode([4, 5, END, 4, PAD]) == "a dog"


def test_padding_and_the_start_token_are_not_said():
    assert Vocabulary.build([["a", "dog"]], 1).decode([START, 4, PAD, 5, PAD]) == "a dog"


def test_its_length_counts_the_special_entries():
    assert len(Vocabulary.build([["a", "dog"]], 1)) == 6


def test_it_can_be_made_again_from_its_entries():
    vocabulary = Vocabulary.build(map(words, CAPTIONS), 1)
    assert Vocabulary(tuple(vocabulary.entries)).encode("the dog runs") == vocabulary.encode("the dog runs")


def test_tokens_are_kept_and_never_counted():
    vocabulary = Vocabulary.build([["a", "<animal>"]] * 3, 2, ["<animal>", "<food>"])
    assert vocabulary.entries == (*SPECIAL, "<animal>", "<food>", "a")
    assert vocabulary.ids(["a", "<food>", "dog"]) == [6, 5, UNKNOWN]


def test_words_that_captions_have_twice_often_enough_may_be_repeated():
    captions = [["a", "dog", "and", "a", "dog"], *([["a", "dog", "in", "a", "field"]] * 18), ["a", "bed", "<thing>"]]
    often = Vocabulary.build([*captions, ["dog", "dog"]], 1, ["<thing>"])
    assert often.repeated == {"a", "dog"}  # 2 of 20
    assert Vocabulary.build([*captions, *[["dog"]] * 5], 1).repeated == {"a"}  # 1 of 24
    assert Vocabulary.build([["<thing>", "and", "<thing>"]], 1, ["<thing>"]).repeated == {"<thing>"}
    assert Vocabulary(("a",)).repeated is None


def test_an_extended_vocabulary_repeats_what_either_does_if_that_was_known():
    old, new = Vocabulary(("a", "b"), frozenset("a")), Vocabulary(("b", "c"), frozenset("c"))
    assert old.extended(new) == Vocabulary(("a", "b", "c"), frozenset("ac"))
    assert Vocabulary(("a",)).extended(new).repeated is None
    assert Vocabulary(("a",), frozenset()).extended(new).repeated == {"c"}


@pytest.mark.parametrize("repeated", [None, frozenset(), frozenset(["a"])])
def test_it_survives_json(repeated):
    vocabulary = Vocabulary((*SPECIAL, "a", "b"), repeated)
    assert Vocabulary.from_plain(json.loads(json.dumps(vocabulary.plain()))) == vocabulary


@pytest.mark.parametrize(
    "values",
    [{"words": "ab"}, {"words": [1]}, {"words": ["\x1b"]}, {"words": [], "repeated": "a"}, {"words": [], "repeated": [2]}],
)
def test_what_is_not_a_vocabulary_is_refused(values):
    with pytest.raises(TypeError):
        Vocabulary.from_plain(values)


def test_it_says_which_entries_are_slots_or_domain_tokens():
    vocabulary = Vocabulary((*SPECIAL, "<animal>", "<domain room>", "a"))
    assert vocabulary.is_token == (False, False, False, False, True, True, False)


def test_it_says_which_entries_a_caption_may_have_again():
    assert Vocabulary((*SPECIAL, "a", "bed"), frozenset("a")).is_repeatable == (True, True, True, True, True, False)
    assert all(Vocabulary((*SPECIAL, "a", "bed")).is_repeatable)


def test_domain_tokens_of_earlier_versions_are_read_as_those_of_today():
    found = Vocabulary.from_plain({"words": [*SPECIAL, "<animal>", "<style room>", "style"], "repeated": ["<style room>"]})
    assert found.entries[len(SPECIAL) :] == ("<animal>", domain_token("room"), "style")
    assert found.repeated == {"<domain room>"}
