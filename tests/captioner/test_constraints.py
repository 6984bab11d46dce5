"""What a captioner with slots and styles may say of a picture, in every way of searching, and the text it becomes."""

import numpy as np
import pytest
from support.random_decoder import RandomDecoder, V, features_of

from capgen.captioner.constraints import EAGER, SURE, Wording
from capgen.captioner.decoding import DecodingOptions, search
from capgen.captioner.slots import CLASSES, VisualWord, VisualWords
from capgen.captioner.vocabulary import SPECIAL, Vocabulary

NAMES = VisualWords(
    [
        VisualWord("elephant", "elephants", "animal", "count", (0,)),
        VisualWord("giraffe", "giraffes", "animal", "count", (1,)),
        VisualWord("fire engine", "fire engines", "vehicle", "count", (2,)),
    ]
)
ANIMAL, ANIMALS, VEHICLE, VEHICLES, ROOM, A, FIELD = range(len(SPECIAL), len(SPECIAL) + 7)
VOCABULARY = Vocabulary((*SPECIAL, *NAMES.slots, "<style room>", "a", "field"))
MARKS = {ANIMAL, ANIMALS, VEHICLE, VEHICLES, ROOM}
WAYS = pytest.mark.parametrize(
    "way",
    [{"num_beams": 1}, {"num_beams": 4, "num_captions": 4}, {"num_beams": 1, "num_captions": 8, "temperature": 1.0}],
    ids=["greedy", "beam", "drawn"],
)


def class_scores(*classes):
    """What a classifier says that gives so much to each of the first classes."""
    probabilities = np.zeros(CLASSES)
    probabilities[: len(classes)] = classes
    return NAMES.class_scores(probabilities)


@pytest.fixture
def decoder():
    """One that would like to say marks above all."""
    return RandomDecoder(3, favoured=dict.fromkeys(MARKS, 6.0), vocabulary_size=len(VOCABULARY))


def said(decoder, class_scores_list, way, names=NAMES, unsaid=()):
    """For each picture the ids in its captions."""
    steps = Wording(VOCABULARY, names).led(decoder, class_scores_list, unsaid)
    options = DecodingOptions(max_words=6, **way)
    found = search(steps, features_of(*range(len(class_scores_list))), options, list(range(len(class_scores_list))))
    return [{index for hypothesis in hypotheses for index in hypothesis.ids} for hypotheses in found]


@WAYS
def test_without_a_wording_the_decoder_would_say_marks(decoder, way):
    (found,) = search(decoder, features_of(0), DecodingOptions(max_words=6, **way), [0])
    assert ROOM in {index for hypothesis in found for index in hypothesis.ids}


@WAYS
def test_a_picture_gets_the_slots_that_it_can_fill_and_no_other_mark(decoder, way):
    pictures = [class_scores(0.9), class_scores(0.01, 0.02), class_scores(0.0, 0.4, 0.4), None, class_scores(0.0, 0.0, 1.0)]
    allowed = [{ANIMAL, ANIMALS}, set(), {ANIMAL, ANIMALS, VEHICLE, VEHICLES}, set(), {VEHICLE, VEHICLES}]
    found = said(decoder, pictures, way)
    for marks, ids in zip(allowed, found, strict=True):
        assert ids & MARKS <= marks
        assert bool(ids & MARKS) == bool(marks)  # the decoder likes to say them


@WAYS
def test_a_slot_is_not_said_if_its_name_has_an_unsaid_word(decoder, way):
    for unsaid, marks in ((["fire"], {ANIMAL, ANIMALS}), (["giraffe"], {VEHICLE, VEHICLES}), (["elephant"], MARKS - {ROOM})):
        (ids,) = said(decoder, [class_scores(0.0, 0.5, 0.5)], way, unsaid=unsaid)
        assert ids & MARKS <= marks
        assert ids & MARKS


@WAYS
def test_without_names_no_mark_is_said(decoder, way):
    assert not set.union(*said(decoder, [None, None], way, names=None)) & MARKS


@WAYS
def test_captions_without_slots_keep_their_log_probabilities(decoder, way):
    steps = Wording(VOCABULARY, NAMES).led(decoder, [class_scores(0.1), class_scores(0.0)])
    options = DecodingOptions(max_words=4, **way)
    for image, hypotheses in enumerate(search(steps, features_of(0, 1), options, [0, 1])):
        for hypothesis in hypotheses:
            expected = decoder.log_probability(image, hypothesis.ids)
            assert hypothesis.log_probability == pytest.approx(expected, abs=1e-4)


def test_a_slot_is_favoured_by_its_chance_until_one_is_said_and_all_chances_still_add_up(decoder):
    decoder = RandomDecoder(3, vocabulary_size=len(VOCABULARY))  # that likes no mark above others
    steps = Wording(VOCABULARY, NAMES).led(decoder, [class_scores(0.9, 0.0, 0.5)])
    plain, memory = decoder.begin(features_of(0)), steps.begin(features_of(0))
    words = np.array([1], np.int32)
    outputs = decoder.step({"words": words, **plain})
    before = outputs.pop("log_probabilities")[0]
    plain.update(outputs)
    outputs = steps.step({"words": words, **memory})
    first = outputs.pop("log_probabilities")[0]
    odds = (first - first[A]) - (before - before[A])
    for index, chance in {ANIMAL: 0.9, ANIMALS: 0.9, VEHICLE: 0.5, VEHICLES: 0.5}.items():
        assert odds[index] == pytest.approx(EAGER * chance**SURE, abs=1e-5)
    assert odds[FIELD] == pytest.approx(0.0, abs=1e-5)
    assert np.exp(first[ANIMAL:ROOM]).sum() > np.exp(before[ANIMAL:ROOM]).sum()
    assert np.exp(first).sum() <= np.exp(before).sum() + 1e-5
    memory.update(outputs)
    slot, word = np.array([ANIMAL], np.int32), np.array([A], np.int32)
    after_slot, after_word = (steps.step({"words": said, **memory})["log_probabilities"][0] for said in (slot, word))
    plain_slot, plain_word = (decoder.step({"words": said, **plain})["log_probabilities"][0] for said in (slot, word))
    assert after_slot[VEHICLE] - after_slot[A] == pytest.approx(plain_slot[VEHICLE] - plain_slot[A], abs=1e-5)
    assert after_word[VEHICLE] - after_word[FIELD] > plain_word[VEHICLE] - plain_word[FIELD] + 0.1


@pytest.mark.parametrize("repeated", ["a", "ab", ""])
@WAYS
def test_a_word_that_people_do_not_repeat_is_said_once(way, repeated):
    entries = (*SPECIAL, *"abcdefghijkl")
    decoder = RandomDecoder(3, favoured={4: 4.0, 5: 4.0}, vocabulary_size=len(entries))
    steps = Wording(Vocabulary(entries, frozenset(repeated)), None).led(decoder, [None, None, None])
    options = DecodingOptions(max_words=6, min_words=4, **way)
    found = [hypothesis.ids for each in search(steps, features_of(0, 1, 2), options, [1, 2, 3]) for hypothesis in each]
    for index, word in enumerate(entries):
        assert any(ids.count(index) > 1 for ids in found) == (word in repeated)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("horses", "horse"),
        ("<animal>", "<animals>"),
        ("<animals>", "elephant"),
        ("elephants", "<animal>"),
        ("engines", "<vehicle>"),
    ],
)
@WAYS
def test_a_thing_is_said_once_in_either_number_and_by_word_or_slot(way, one, other):
    entries = (*SPECIAL, *NAMES.slots, *"abcdefghijkl", "horse", "horses", "elephant", "elephants", "engines")
    ids = {entries.index(one), entries.index(other)}
    decoder = RandomDecoder(3, favoured=dict.fromkeys(ids, 9.0), vocabulary_size=len(entries))
    options = DecodingOptions(max_words=6, min_words=4, **way)
    for repeated, most in ((frozenset(), 1), (frozenset({one, other}), 2)):
        steps = Wording(Vocabulary(entries, repeated), NAMES).led(decoder, [class_scores(0.9, 0.0, 0.9)])
        (found,) = search(steps, features_of(0), options, [1])
        assert max(len(ids.intersection(hypothesis.ids)) for hypothesis in found) == most


@pytest.mark.parametrize("beam", [1, 3])
def test_what_fills_a_slot_is_that_of_its_own_picture_in_every_row(beam):
    entries = (*SPECIAL, *NAMES.slots, *"abcdefghijkl", "elephant", "giraffe", "engine")
    slots, words = [entries.index(slot) for slot in NAMES.slots], [entries.index(word) for word in entries[-3:]]
    decoder = RandomDecoder(3, favoured=dict.fromkeys([*slots, *words], 9.0), vocabulary_size=len(entries))
    pictures = [class_scores(0.9), class_scores(0.0, 0.9), class_scores(0.0, 0.0, 0.9), class_scores(0.9, 0.0, 0.0)]
    steps = Wording(Vocabulary(entries, frozenset()), NAMES).led(decoder, pictures)
    options = DecodingOptions(num_beams=beam, num_captions=beam, max_words=5, min_words=4)
    for own, hypotheses in zip([0, 1, 2, 0], search(steps, features_of(*range(4)), options, list(range(4))), strict=True):
        for ids in (hypothesis.ids for hypothesis in hypotheses):
            assert len({*slots, words[own]}.intersection(ids)) == 1
            assert {*words[:own], *words[own + 1 :]} <= set(ids)  # which are not those that fill its slots


def test_a_thing_that_people_say_again_in_one_number_may_be_said_in_the_other():
    entries = (*SPECIAL, *"abcdefghijkl", "horse", "horses")
    ids = {entries.index("horse"), entries.index("horses")}
    decoder = RandomDecoder(3, favoured=dict.fromkeys(ids, 9.0), vocabulary_size=len(entries))
    for repeated in (frozenset({"horse"}), frozenset({"horses"})):
        steps = Wording(Vocabulary(entries, repeated), None).led(decoder, [None])
        ((found,),) = search(steps, features_of(0), DecodingOptions(num_beams=1, max_words=6, min_words=4), [1])
        assert ids <= set(found.ids)


def test_a_long_caption_of_few_words_says_them_again_rather_than_nothing():
    words = Vocabulary(VOCABULARY.entries, frozenset())
    steps = Wording(words, None).led(RandomDecoder(3, vocabulary_size=len(VOCABULARY)), [None])
    for beam in (1, 3):
        ((found, *_),) = search(steps, features_of(0), DecodingOptions(num_beams=beam, max_words=6, min_words=5))
        assert len(found.ids) >= 5


@WAYS
def test_a_picture_gets_in_a_batch_what_it_gets_alone(decoder, way):
    pictures = [class_scores(0.9), class_scores(0.0), class_scores(0.0, 0.4, 0.4)]
    wording, options = Wording(VOCABULARY, NAMES), DecodingOptions(max_words=5, **way)
    together = search(wording.led(decoder, pictures), features_of(0, 1, 2), options, [7, 8, 9])
    alone = [
        search(wording.led(decoder, [picture]), features_of(index), options, [7 + index])[0]
        for index, picture in enumerate(pictures)
    ]
    assert together == alone


def test_a_vocabulary_without_marks_leaves_the_decoder_as_it_is():
    decoder = RandomDecoder(0)
    plain = Vocabulary((*SPECIAL, *"abcd"))
    assert len(plain) == V
    assert Wording(plain, None).led(decoder, [None, None]) is decoder


def test_the_text_has_what_the_picture_shows_in_place_of_slots():
    wording, ids = Wording(VOCABULARY, NAMES), [A, ANIMAL, A, FIELD, VEHICLES, 2, A]
    assert wording.text(ids, class_scores(0.5, 0.0, 0.5)) == "an elephant a field fire engines"
    assert wording.text(ids, class_scores(0.0, 0.5, 0.5)) == "a giraffe a field fire engines"
    assert wording.text([A, FIELD], None) == "a field"
    assert wording.placed([A, ANIMALS, FIELD], class_scores(0.9), given=1) == [("elephant", 1), ("field", 2)]
    assert Wording(VOCABULARY, None).text([A, FIELD], None) == "a field"
