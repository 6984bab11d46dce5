"""What a captioner with slots and styles may say of a picture, in every way of searching, and the text it becomes."""

import numpy as np
import pytest
from test_decoding import RandomDecoder, V, features_of

from capgen.decoding import DecodingOptions, search
from capgen.names import CLASSES, Name, Names
from capgen.vocabulary import SPECIAL, Vocabulary
from capgen.wording import Wording

NAMES = Names(
    [
        Name("elephant", "elephants", "animal", "count", (0,)),
        Name("giraffe", "giraffes", "animal", "count", (1,)),
        Name("fire engine", "fire engines", "vehicle", "count", (2,)),
    ]
)
ANIMAL, ANIMALS, VEHICLE, VEHICLES, ROOM, A, FIELD = range(len(SPECIAL), len(SPECIAL) + 7)
VOCABULARY = Vocabulary((*SPECIAL, *NAMES.slots, "<style room>", "a", "field"))
MARKS = {ANIMAL, ANIMALS, VEHICLE, VEHICLES, ROOM}
WAYS = pytest.mark.parametrize(
    "way",
    [{"beam": 1}, {"beam": 4, "count": 4}, {"beam": 1, "count": 8, "temperature": 1.0}],
    ids=["greedy", "beam", "drawn"],
)


def guess(*classes):
    """What a classifier says that gives so much to each of the first classes."""
    probabilities = np.zeros(CLASSES)
    probabilities[: len(classes)] = classes
    return NAMES.guess(probabilities)


@pytest.fixture
def decoder(monkeypatch):
    """One that would like to say marks above all."""
    import test_decoding

    monkeypatch.setattr(test_decoding, "V", len(VOCABULARY))
    return RandomDecoder(3, favoured=dict.fromkeys(MARKS, 6.0))


def said(decoder, guesses, way, names=NAMES, unsaid=()):
    """For each picture the ids in its captions."""
    steps = Wording(VOCABULARY, names).allowing(decoder, guesses, unsaid)
    options = DecodingOptions(maximum_words=6, **way)
    found = search(steps, features_of(*range(len(guesses))), options, list(range(len(guesses))))
    return [{index for hypothesis in hypotheses for index in hypothesis.ids} for hypotheses in found]


@WAYS
def test_without_a_wording_the_decoder_would_say_marks(decoder, way):
    (found,) = search(decoder, features_of(0), DecodingOptions(maximum_words=6, **way), [0])
    assert ROOM in {index for hypothesis in found for index in hypothesis.ids}


@WAYS
def test_a_picture_gets_the_slots_that_it_can_fill_and_no_other_mark(decoder, way):
    pictures = [guess(0.9), guess(0.01, 0.02), guess(0.0, 0.4, 0.4), None, guess(0.0, 0.0, 1.0)]
    allowed = [{ANIMAL, ANIMALS}, set(), {ANIMAL, ANIMALS, VEHICLE, VEHICLES}, set(), {VEHICLE, VEHICLES}]
    found = said(decoder, pictures, way)
    for marks, ids in zip(allowed, found, strict=True):
        assert ids & MARKS <= marks
        assert bool(ids & MARKS) == bool(marks)  # the decoder likes to say them


@WAYS
def test_a_slot_is_not_said_if_its_name_has_an_unsaid_word(decoder, way):
    for unsaid, marks in ((["fire"], {ANIMAL, ANIMALS}), (["giraffe"], {VEHICLE, VEHICLES}), (["elephant"], MARKS - {ROOM})):
        (ids,) = said(decoder, [guess(0.0, 0.5, 0.5)], way, unsaid=unsaid)
        assert ids & MARKS <= marks
        assert ids & MARKS


@WAYS
def test_without_names_no_mark_is_said(decoder, way):
    assert not set.union(*said(decoder, [None, None], way, names=None)) & MARKS


@WAYS
def test_other_words_keep_their_log_probabilities(decoder, way):
    steps = Wording(VOCABULARY, NAMES).allowing(decoder, [guess(1.0), guess(0.0)])
    options = DecodingOptions(maximum_words=4, **way)
    for image, hypotheses in enumerate(search(steps, features_of(0, 1), options, [0, 1])):
        for hypothesis in hypotheses:
            expected = decoder.log_probability(image, hypothesis.ids)
            assert hypothesis.log_probability == pytest.approx(expected, abs=1e-4)


@WAYS
def test_a_picture_gets_in_a_batch_what_it_gets_alone(decoder, way):
    pictures = [guess(0.9), guess(0.0), guess(0.0, 0.4, 0.4)]
    wording, options = Wording(VOCABULARY, NAMES), DecodingOptions(maximum_words=5, **way)
    together = search(wording.allowing(decoder, pictures), features_of(0, 1, 2), options, [7, 8, 9])
    alone = [
        search(wording.allowing(decoder, [picture]), features_of(index), options, [7 + index])[0]
        for index, picture in enumerate(pictures)
    ]
    assert together == alone


def test_a_vocabulary_without_marks_leaves_the_decoder_as_it_is():
    decoder = RandomDecoder(0)
    plain = Vocabulary((*SPECIAL, *"abcd"))
    assert len(plain) == V
    assert Wording(plain, None).allowing(decoder, [None, None]) is decoder


def test_the_text_has_what_the_picture_shows_in_place_of_slots():
    wording, ids = Wording(VOCABULARY, NAMES), [A, ANIMAL, A, FIELD, VEHICLES, 2, A]
    assert wording.text(ids, guess(0.5, 0.0, 0.5)) == "an elephant a field fire engines"
    assert wording.text(ids, guess(0.0, 0.5, 0.5)) == "a giraffe a field fire engines"
    assert wording.text([A, FIELD], None) == "a field"
    assert Wording(VOCABULARY, None).text([A, FIELD], None) == "a field"
