"""What a captioner with slots and domain tokens may say of an image, in every way of searching, and the text it becomes."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.random_decoder import RandomDecoder, features_of

from capgen.captioner.constraints import ConstraintConfig, Constraints, RepeatPenalty, SlotBonus
from capgen.captioner.decoding import DecodingOptions, Prefixes, search
from capgen.captioner.slots import CLASSES, VisualWord, VisualWords
from capgen.captioner.text import CaptionText
from capgen.captioner.vocabulary import SPECIAL, START, UNKNOWN, Vocabulary

NAMES = VisualWords(
    [
        VisualWord("elephant", "elephants", "animal", "count", (0,)),
        VisualWord("giraffe", "giraffes", "animal", "count", (1,)),
        VisualWord("fire engine", "fire engines", "vehicle", "count", (2,)),
    ]
)
ANIMAL, ANIMALS, VEHICLE, VEHICLES, ROOM, A, FIELD = range(len(SPECIAL), len(SPECIAL) + 7)
DEFAULT = ConstraintConfig.default()
VOCABULARY = Vocabulary((*SPECIAL, *NAMES.slots, "<domain room>", "a", "field"))
TOKENS = {ANIMAL, ANIMALS, VEHICLE, VEHICLES, ROOM}
WAYS = pytest.mark.parametrize(
    "way",
    [{"num_beams": 1}, {"num_beams": 4, "num_captions": 4}, {"num_beams": 1, "num_captions": 8, "temperature": 1.0}],
    ids=["greedy", "beam", "sample"],
)


def class_scores(*classes):
    """What a classifier says that gives so much to each of the first classes."""
    probabilities = np.zeros(CLASSES)
    probabilities[: len(classes)] = classes
    return NAMES.class_scores(probabilities)


@pytest.fixture
def decoder():
    """One that would like to say tokens above all."""
    return RandomDecoder(3, favoured=dict.fromkeys(TOKENS, 6.0), vocabulary_size=len(VOCABULARY))


def said(decoder, class_scores_list, way, names=NAMES, suppressed=()):
    """For each image the ids in its captions."""
    processors = Constraints(VOCABULARY, names, DEFAULT).processors(class_scores_list, suppressed)
    options, images = DecodingOptions(max_words=6, **way), range(len(class_scores_list))
    found = search(decoder, features_of(*images), options, processors, list(images))
    return [{index for hypothesis in hypotheses for index in hypothesis.ids} for hypotheses in found]


@WAYS
def test_without_constraints_the_decoder_would_say_domain_tokens(decoder, way):
    (found,) = search(decoder, features_of(0), DecodingOptions(max_words=6, **way), seeds=[0])
    assert ROOM in {index for hypothesis in found for index in hypothesis.ids}


@WAYS
def test_an_image_gets_the_slots_that_it_can_fill_and_no_other_token(decoder, way):
    images = [class_scores(0.9), class_scores(0.01, 0.02), class_scores(0.0, 0.4, 0.4), None, class_scores(0.0, 0.0, 1.0)]
    allowed = [{ANIMAL, ANIMALS}, set(), {ANIMAL, ANIMALS, VEHICLE, VEHICLES}, set(), {VEHICLE, VEHICLES}]
    found = said(decoder, images, way)
    for tokens, ids in zip(allowed, found, strict=True):
        assert ids & TOKENS <= tokens
        assert bool(ids & TOKENS) == bool(tokens)  # the decoder likes to say them


@WAYS
def test_a_slot_is_not_said_if_its_name_has_a_suppressed_word(decoder, way):
    for suppressed, tokens in (
        (["fire"], {ANIMAL, ANIMALS}),
        (["giraffe"], {VEHICLE, VEHICLES}),
        (["elephant"], TOKENS - {ROOM}),
    ):
        (ids,) = said(decoder, [class_scores(0.0, 0.5, 0.5)], way, suppressed=suppressed)
        assert ids & TOKENS <= tokens
        assert ids & TOKENS


@WAYS
def test_without_visual_words_no_token_is_said(decoder, way):
    assert not set.union(*said(decoder, [None, None], way, names=None)) & TOKENS


@WAYS
def test_captions_without_slots_keep_their_log_probabilities(decoder, way):
    processors = Constraints(VOCABULARY, NAMES, DEFAULT).processors([class_scores(0.1), class_scores(0.0)])
    options = DecodingOptions(max_words=4, **way)
    for image, hypotheses in enumerate(search(decoder, features_of(0, 1), options, processors, [0, 1])):
        for hypothesis in hypotheses:
            expected = decoder.log_probability(image, hypothesis.ids)
            assert hypothesis.log_probability == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("repeated", ["a", "ab", ""])
@WAYS
def test_a_word_that_people_do_not_repeat_is_said_once(way, repeated):
    entries = (*SPECIAL, *"abcdefghijkl")
    decoder = RandomDecoder(3, favoured={4: 4.0, 5: 4.0}, vocabulary_size=len(entries))
    processors = Constraints(Vocabulary(entries, frozenset(repeated)), None, DEFAULT).processors([None, None, None])
    options = DecodingOptions(max_words=6, min_words=4, **way)
    found = [
        hypothesis.ids
        for each in search(decoder, features_of(0, 1, 2), options, processors, [1, 2, 3])
        for hypothesis in each
    ]
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
        processors = Constraints(Vocabulary(entries, repeated), NAMES, DEFAULT).processors([class_scores(0.9, 0.0, 0.9)])
        (found,) = search(decoder, features_of(0), options, processors, [1])
        assert max(len(ids.intersection(hypothesis.ids)) for hypothesis in found) == most


@pytest.mark.parametrize("beam", [1, 3])
def test_what_fills_a_slot_is_that_of_its_own_image_in_every_row(beam):
    entries = (*SPECIAL, *NAMES.slots, *"abcdefghijkl", "elephant", "giraffe", "engine")
    slots, words = [entries.index(slot) for slot in NAMES.slots], [entries.index(word) for word in entries[-3:]]
    decoder = RandomDecoder(3, favoured=dict.fromkeys([*slots, *words], 9.0), vocabulary_size=len(entries))
    images = [class_scores(0.9), class_scores(0.0, 0.9), class_scores(0.0, 0.0, 0.9), class_scores(0.9, 0.0, 0.0)]
    processors = Constraints(Vocabulary(entries, frozenset()), NAMES, DEFAULT).processors(images)
    options = DecodingOptions(num_beams=beam, num_captions=beam, max_words=5, min_words=4)
    found = search(decoder, features_of(*range(4)), options, processors)
    for own, hypotheses in zip([0, 1, 2, 0], found, strict=True):
        for ids in (hypothesis.ids for hypothesis in hypotheses):
            assert len({*slots, words[own]}.intersection(ids)) == 1
            assert {*words[:own], *words[own + 1 :]} <= set(ids)  # which are not those that fill its slots


def test_a_thing_that_people_say_again_in_one_number_may_be_said_in_the_other():
    entries = (*SPECIAL, *"abcdefghijkl", "horse", "horses")
    ids = {entries.index("horse"), entries.index("horses")}
    decoder = RandomDecoder(3, favoured=dict.fromkeys(ids, 9.0), vocabulary_size=len(entries))
    for repeated in (frozenset({"horse"}), frozenset({"horses"})):
        processors = Constraints(Vocabulary(entries, repeated), None, DEFAULT).processors([None])
        options = DecodingOptions(num_beams=1, max_words=6, min_words=4)
        ((found,),) = search(decoder, features_of(0), options, processors)
        assert ids <= set(found.ids)


def test_a_long_caption_of_few_words_says_them_again_rather_than_nothing():
    processors = Constraints(Vocabulary(VOCABULARY.entries, frozenset()), None, DEFAULT).processors([None])
    decoder = RandomDecoder(3, vocabulary_size=len(VOCABULARY))
    for beam in (1, 3):
        options = DecodingOptions(num_beams=beam, max_words=6, min_words=5)
        ((found, *_),) = search(decoder, features_of(0), options, processors)
        assert len(found.ids) >= 5


@WAYS
def test_an_image_gets_in_a_batch_what_it_gets_alone(decoder, way):
    images = [class_scores(0.9), class_scores(0.0), class_scores(0.0, 0.4, 0.4)]
    constraints, options = Constraints(VOCABULARY, NAMES, DEFAULT), DecodingOptions(max_words=5, **way)
    together = search(decoder, features_of(0, 1, 2), options, constraints.processors(images), [7, 8, 9])
    alone = [
        search(decoder, features_of(index), options, constraints.processors([image]), [7 + index])[0]
        for index, image in enumerate(images)
    ]
    assert together == alone


def test_a_vocabulary_without_slots_and_of_words_that_people_repeat_has_no_constraints():
    assert Constraints(Vocabulary((*SPECIAL, *"abcd")), None, DEFAULT).processors([None, None]) == []


def test_the_text_has_what_the_image_shows_in_place_of_slots():
    text, ids = CaptionText(VOCABULARY, NAMES, DEFAULT.min_class_probability), [A, ANIMAL, A, FIELD, VEHICLES, 2, A]
    assert text.decode(ids, class_scores(0.5, 0.0, 0.5)) == "an elephant a field fire engines"
    assert text.decode(ids, class_scores(0.0, 0.5, 0.5)) == "a giraffe a field fire engines"
    assert text.decode([A, FIELD], None) == "a field"
    assert text.decode_with_positions([A, ANIMALS, FIELD], class_scores(0.9), skip=1) == [("elephant", 1), ("field", 2)]
    assert CaptionText(VOCABULARY, None, DEFAULT.min_class_probability).decode([A, FIELD], None) == "a field"


def test_a_text_becomes_the_ids_that_say_it():
    text = CaptionText(VOCABULARY, NAMES, DEFAULT.min_class_probability)
    assert text.encode("A giraffe, a field!", class_scores(0.0, 0.9)) == [A, ANIMAL, A, FIELD]
    assert text.encode("a giraffe", class_scores(0.9)) == [A, UNKNOWN]
    assert text.encode("a giraffe", class_scores(0.0, 0.14)) == [A, UNKNOWN]
    assert CaptionText(VOCABULARY, NAMES, 0.1).encode("a giraffe", class_scores(0.0, 0.14)) == [A, ANIMAL]
    assert CaptionText(VOCABULARY, None, DEFAULT.min_class_probability).encode("a field", None) == [A, FIELD]


def test_only_slots_and_domain_tokens_make_a_caption_depend_on_its_image():
    text = CaptionText(VOCABULARY, NAMES, DEFAULT.min_class_probability)
    assert [text.has_slots(ids) for ids in ([A, FIELD], [A, VEHICLES], [])] == [False, True, False]


# The formulas, against references written plainly


def prefixes_of(*rows):
    """Prefixes of one image."""
    return Prefixes(np.zeros(1, np.int64), np.array([[(START, *row) for row in rows]], np.int32))


def plain_slot_bonus(scores, row, tokens, bonuses):
    """What becomes of the scores of one row, computed with probabilities, entry by entry."""
    said = any(word in tokens for word in row)
    bonus = dict(zip(tokens, (min(b, 0.0) if said else b for b in bonuses), strict=True))
    z = 1 + sum(math.exp(scores[token]) * (math.exp(b) - 1) for token, b in bonus.items() if b > 0)
    weights = {token: math.exp(scores[token]) * math.exp(b) for token, b in bonus.items()}
    return [weights.get(index, math.exp(score)) / z for index, score in enumerate(scores)]


@given(st.integers(0, 10_000), st.lists(st.sampled_from([0.0, 0.3, 5.5, -math.inf]), min_size=3, max_size=3))
def test_the_slot_bonus_is_that_of_its_formula(seed, bonuses):
    tokens, rows = [4, 5, 7], [(6, 8), (6, 5), (8, 9)]
    scores = np.log(np.random.default_rng(seed).dirichlet(np.ones(10), size=(1, 3)))
    expected = [plain_slot_bonus(each, row, tokens, bonuses) for each, row in zip(scores[0], rows, strict=True)]
    processor = SlotBonus(np.isin(np.arange(10), tokens), np.array([bonuses], np.float32))
    found = np.exp(processor.process(scores.copy(), prefixes_of(*rows)))[0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)
    assert (found.sum(axis=1) <= 1 + 1e-6).all()


@given(st.lists(st.lists(st.integers(4, 9), min_size=3, max_size=3), min_size=2, max_size=2), st.sets(st.integers(4, 9)))
def test_the_repeat_penalty_is_that_of_its_formula(rows, repeatable):
    nouns = [0, 1, 2, 3, 4, 4, 6, 7, 6, 9]  # 5 is said as 4, and 8 as 6
    once = [index >= 4 and index not in repeatable for index in range(10)]
    processor = RepeatPenalty(np.array(once), np.array([nouns]), -50.0)
    found = processor.process(np.zeros((1, 2, 10)), prefixes_of(*rows))[0]
    for row, scores in zip(rows, found.tolist(), strict=True):
        said = {nouns[word] for word in row if once[word]}
        assert scores == [-50.0 if nouns[index] in said else 0.0 for index in range(10)]


def test_a_slot_has_a_bonus_by_the_probability_of_its_name_and_the_config():
    scores = np.log(np.full((1, 1, len(VOCABULARY)), 1 / len(VOCABULARY)))
    config = ConstraintConfig(slot_bonus=2.0, slot_bonus_power=2.0, min_class_probability=0.4)
    for constraints, bonuses in (
        (Constraints(VOCABULARY, NAMES, DEFAULT), {ANIMAL: 5.5 * 0.9**3, VEHICLE: 5.5 * 0.3**3}),
        (Constraints(VOCABULARY, NAMES, config), {ANIMAL: 2 * 0.9**2, VEHICLE: -math.inf}),
    ):
        (processor,) = constraints.processors([class_scores(0.9, 0.0, 0.3)])
        found = processor.process(scores.copy(), prefixes_of(()))[0, 0]
        for token, bonus in bonuses.items():
            assert found[token] - found[A] == pytest.approx(bonus, abs=1e-5)
        assert found[ROOM] == -math.inf


def test_the_constants_survive_json():
    config = ConstraintConfig.default()
    assert ("horse", "horses") in config.plurals
    assert ConstraintConfig.from_plain(json.loads(json.dumps(config.plain()))) == config


@pytest.mark.parametrize(
    "change",
    [
        {"slot_bonus": None}, {"slot_bonus": math.inf}, {"repeat_penalty": "low"}, {"plurals": 5}, {"plurals": [["a"]]},
        {"plurals": [["a", 5]]}, {"plurals": [["a", "\x1b"]]}, {"more": 1},
    ],
)  # fmt: skip
def test_what_are_not_the_constants_is_refused(change):
    with pytest.raises((TypeError, ValueError)):
        ConstraintConfig.from_plain({**ConstraintConfig.default().plain(), **change})
    with pytest.raises(KeyError):
        ConstraintConfig.from_plain({})
