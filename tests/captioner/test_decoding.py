"""Searching captions, against searches written plainly over a decoder whose answers depend on all that was said."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import examples
from support.random_decoder import FIRST_WORD, RandomDecoder, V, features_of

from capgen.captioner.decoding import DecodingOptions, Guidance, search
from capgen.captioner.vocabulary import END, PAD, START, UNKNOWN
from capgen.errors import UsageError


def allowed(ids):
    return [word for word in range(FIRST_WORD, V) if ids[-1:] != (word,)]


def score(decoder, image, ids, options):
    return decoder.log_probability(image, ids) / (len(ids) + 1) ** options.length_penalty


def best_first(decoder, image, captions, options):
    return sorted(captions, key=lambda ids: -score(decoder, image, ids, options))[: options.num_captions]


def all_captions(longest, ids=()):
    """Every caption that may be said."""
    found = [ids] if ids else []
    if len(ids) < longest:
        for word in allowed(ids):
            found += all_captions(longest, (*ids, word))
    return found


def argmax_path(decoder, image, longest):
    ids = ()
    while len(ids) < longest:
        choices = [*allowed(ids), *([END] if ids else [])]
        word = max(choices, key=lambda choice: decoder.after(image, ids)[choice])
        if word == END:
            break
        ids = (*ids, word)
    return ids


def plain_beam(decoder, image, options):
    """Extend the best ``beam`` prefixes until the longest length; each may end at any time."""
    prefixes, ended = [()], []
    for _ in range(options.max_words):
        longer = [(*ids, word) for ids in prefixes for word in allowed(ids)]
        prefixes = sorted(
            longer, key=lambda ids: -sum(decoder.after(image, ids[:position])[word] for position, word in enumerate(ids))
        )[: options.num_beams]
        ended += prefixes
    return best_first(decoder, image, ended, options)


def found_ids(decoder, options, *images):
    return [[hypothesis.ids for hypothesis in found] for found in search(decoder, features_of(*images), options)]


seeds = st.integers(0, 10_000)
lengths = st.integers(1, 4)
powers = st.sampled_from([0.0, 0.7, 1.0, 2.0])
searches = settings(max_examples=examples(25), deadline=None)


@searches
@given(seeds, st.integers(1, 12))
def test_greedy_takes_the_best_word_each_time(seed, longest):
    decoder = RandomDecoder(seed)
    found = found_ids(decoder, DecodingOptions(num_beams=1, max_words=longest), 0, 1, 2)
    assert found == [[argmax_path(decoder, image, longest)] for image in (0, 1, 2)]


@searches
@given(seeds, lengths, powers, st.integers(1, 6))
def test_a_beam_wide_enough_finds_the_best_of_all_captions(seed, longest, power, count):
    decoder = RandomDecoder(seed)
    options = DecodingOptions(num_beams=120, num_captions=count, length_penalty=power, max_words=longest)
    everything = all_captions(longest)
    assert found_ids(decoder, options, 0, 1) == [best_first(decoder, image, everything, options) for image in (0, 1)]


@searches
@given(seeds, st.integers(2, 6), powers, st.integers(1, 6), st.data())
def test_a_narrow_beam_finds_what_a_plain_one_finds(seed, beam, power, longest, data):
    decoder = RandomDecoder(seed)
    count = data.draw(st.integers(1, beam))
    options = DecodingOptions(num_beams=beam, num_captions=count, length_penalty=power, max_words=longest)
    assert found_ids(decoder, options, 0, 1) == [plain_beam(decoder, image, options) for image in (0, 1)]


@searches
@given(seeds, st.integers(1, 5), st.lists(st.integers(0, 50), min_size=1, max_size=6))
def test_an_image_gets_in_a_batch_what_it_gets_alone(seed, beam, images):
    decoder, options = RandomDecoder(seed), DecodingOptions(num_beams=beam, num_captions=beam, max_words=7)
    together = search(decoder, features_of(*images), options)
    assert together == [search(decoder, features_of(image), options)[0] for image in images]


@searches
@given(seeds, st.integers(2, 6), powers)
def test_alternatives_are_distinct_and_the_best_comes_first(seed, beam, power):
    decoder = RandomDecoder(seed)
    options = DecodingOptions(num_beams=beam, num_captions=beam, length_penalty=power, max_words=5)
    for image, captions in enumerate(found_ids(decoder, options, 0, 1, 2)):
        assert len(set(captions)) == len(captions) == beam
        scores = [score(decoder, image, ids, options) for ids in captions]
        assert scores == sorted(scores, reverse=True)


@searches
@given(seeds, st.sampled_from([1, 3, 8]), st.integers(1, 9))
def test_a_log_probability_is_the_sum_over_the_words_and_the_end_token(seed, beam, longest):
    decoder = RandomDecoder(seed)
    options = DecodingOptions(num_beams=beam, num_captions=beam, max_words=longest)
    for image, found in enumerate(search(decoder, features_of(0, 1), options)):
        for hypothesis in found:
            assert hypothesis.log_probability == pytest.approx(decoder.log_probability(image, hypothesis.ids), abs=1e-9)


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize("longest", [1, 2, 6])
def test_no_caption_is_longer_than_allowed_even_if_the_end_is_unlikely(beam, longest):
    decoder = RandomDecoder(3, favoured={END: -30})
    for captions in found_ids(decoder, DecodingOptions(num_beams=beam, max_words=longest), 0, 1, 2):
        assert [len(ids) for ids in captions] == [longest]


@pytest.mark.parametrize("beam", [1, 4])
def test_every_caption_has_a_word_even_if_the_end_is_likeliest(beam):
    decoder = RandomDecoder(3, favoured={END: 30})
    for captions in found_ids(decoder, DecodingOptions(num_beams=beam), 0, 1, 2):
        assert [len(ids) for ids in captions] == [1]


@pytest.mark.parametrize("beam", [1, 4])
def test_padding_start_and_the_unknown_word_are_never_said(beam):
    decoder = RandomDecoder(3, favoured={PAD: 20, START: 20, UNKNOWN: 20})
    for captions in found_ids(decoder, DecodingOptions(num_beams=beam, num_captions=beam), *range(20)):
        assert all(word >= FIRST_WORD for ids in captions for word in ids)


@pytest.mark.parametrize("beam", [1, 4])
def test_no_word_follows_itself_at_once(beam):
    decoder = RandomDecoder(3, echo=20)
    for captions in found_ids(decoder, DecodingOptions(num_beams=beam, num_captions=beam), *range(20)):
        assert all(first != second for ids in captions for first, second in pairwise(ids))


def test_a_word_may_come_again_after_another():
    decoder = RandomDecoder(3, favoured={4: 20, 5: 10, END: -20})
    assert found_ids(decoder, DecodingOptions(num_beams=1, max_words=4), 0) == [[(4, 5, 4, 5)]]


class PlainlyGuidedDecoder(RandomDecoder):
    """What a guided ``RandomDecoder`` gives, computed for each prefix by itself."""

    def __init__(self, seed, average, guidance):
        super().__init__(seed)
        self._average, self._guidance = average, guidance

    def _log_probabilities(self, image, code):
        ours, usual = super()._log_probabilities(image, code), super()._log_probabilities(self._average, code)
        weights = np.exp(ours) ** self._guidance / np.exp(usual) ** (self._guidance - 1)
        return np.log(weights / weights.sum())


@searches
@given(seeds, st.integers(1, 4), st.sampled_from([1.0, 1.2, 3.0]))
def test_guidance_takes_away_what_would_be_said_of_an_average_image(seed, beam, guidance):
    decoder, average = RandomDecoder(seed), 77
    processor = Guidance(decoder, features_of(average)[0], guidance)
    options = DecodingOptions(num_beams=beam, num_captions=beam, max_words=5)
    expected = search(PlainlyGuidedDecoder(seed, average, guidance), features_of(0, 1, 2), options)
    found = search(decoder, features_of(0, 1, 2), options, [processor])
    assert [[one.ids for one in each] for each in found] == [[one.ids for one in each] for each in expected]
    scores = [[one.log_probability for one in each] for each in found]
    assert scores == [pytest.approx([one.log_probability for one in each]) for each in expected]


def test_an_average_image_leaves_nothing_to_be_guided_by():
    decoder = RandomDecoder(5)
    options, guidance = DecodingOptions(num_beams=3), Guidance(decoder, features_of(3)[0], 2.0)
    assert (
        search(decoder, features_of(3), options, [guidance])[0][0].ids == search(decoder, features_of(3), options)[0][0].ids
    )


@searches
@given(seeds, st.floats(0.01, 3), st.data())
def test_with_a_penalty_a_common_caption_gives_way_to_what_is_nearly_as_good_and_said_less_often(seed, penalty, data):
    decoder, longest = RandomDecoder(seed), 3
    captions = all_captions(longest)
    common = data.draw(st.dictionaries(st.sampled_from(captions), st.integers(1, 500), max_size=20))
    options = DecodingOptions(
        num_beams=100, num_captions=5, max_words=longest, length_penalty=0.7, common_caption_penalty=penalty
    )
    worth = {ids: score(decoder, 0, ids, options) - penalty * np.log(common.get(ids, 1)) for ids in captions}
    expected = sorted(captions, key=lambda ids: -worth[ids])[: options.num_captions]
    [found] = search(decoder, features_of(0), options, common_captions=common)
    assert [one.ids for one in found] == expected
    assert [one.log_probability for one in found] == [pytest.approx(decoder.log_probability(0, ids)) for ids in expected]
    assert [one.score(0.7) for one in found] == [pytest.approx(worth[ids]) for ids in expected]


@pytest.mark.parametrize(
    "options",
    [
        {"common_caption_penalty": 0.0, "num_beams": 3},
        {"common_caption_penalty": 1.0, "num_beams": 1},
        {"common_caption_penalty": 1.0, "num_beams": 3, "temperature": 0.5},
    ],
)
def test_common_captions_are_as_good_as_any_without_a_penalty_or_a_beam(options):
    decoder = RandomDecoder(2)
    [[best]] = search(decoder, features_of(0), DecodingOptions(**options))
    assert search(decoder, features_of(0), DecodingOptions(**options), common_captions={best.ids: 100}) == [[best]]


def test_a_higher_length_penalty_gives_longer_captions():
    decoder = RandomDecoder(5)
    short, long = (
        found_ids(decoder, DecodingOptions(num_beams=50, length_penalty=power, max_words=6), *range(30))
        for power in (0.0, 2.0)
    )
    assert sum(len(ids) for [ids] in short) < sum(len(ids) for [ids] in long)


@pytest.mark.parametrize("beam", [1, 3])
def test_no_images_give_no_captions(beam):
    assert search(RandomDecoder(0), np.zeros((0, 1, 1), np.float32), DecodingOptions(num_beams=beam)) == []


@pytest.mark.parametrize("beam", [6, 60])
def test_a_beam_wider_than_the_captions_there_are_gives_those(beam):
    decoder = RandomDecoder(1)
    assert set(found_ids(decoder, DecodingOptions(num_beams=beam, num_captions=6, max_words=1), 0)[0]) == {
        (4,),
        (5,),
        (6,),
        (7,),
    }


def test_more_captions_than_beams_is_refused_and_says_what_to_do():
    with pytest.raises(UsageError, match="`num_beams=6`"):
        DecodingOptions(num_beams=5, num_captions=6)


@pytest.mark.parametrize("options", [{"num_beams": 0}, {"max_words": 0}, {"num_captions": 0}])
def test_options_below_one_are_refused(options):
    with pytest.raises(UsageError):
        DecodingOptions(**options)
