"""Sampled captions and what can be asked of captions, against searches written plainly over a random decoder."""

import math
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.chi_square import SAMPLES, assert_as_likely
from support.examples import examples
from support.random_decoder import FIRST_WORD, RandomDecoder, V, features_of

from capgen.captioner.decoding import DecodingOptions, search
from capgen.captioner.vocabulary import END, PAD, START, UNKNOWN
from capgen.errors import UsageError

WORDS = range(FIRST_WORD, V)

seeds = st.integers(0, 10_000)
searches = settings(max_examples=examples(25), deadline=None)
ways = pytest.mark.parametrize(
    "way",
    [{"num_beams": 1}, {"num_beams": 4, "num_captions": 4}, {"num_beams": 1, "num_captions": 6, "temperature": 1.0}],
    ids=["greedy", "beam", "sample"],
)


def allowed(ids, options):
    """What may follow ``ids``, the end token included."""
    if len(ids) < len(options.prompt_ids):
        return [options.prompt_ids[len(ids)]]
    last = ids[-1:]
    words = [word for word in WORDS if last != (word,) and word not in options.suppressed_ids]
    if len(ids) < max(options.min_words, 1):
        return words
    return [END] if len(ids) == options.max_words else [*words, END]


def cost(decoder, image, ids, options):
    """The log-probability of a caption and its end, after the prompt."""
    said = (*ids, END)
    return sum(
        decoder.after(image, said[:position])[said[position]] for position in range(len(options.prompt_ids), len(said))
    )


def score(decoder, image, ids, options):
    return cost(decoder, image, ids, options) / (len(ids) - len(options.prompt_ids) + 1) ** options.length_penalty


def next_probabilities(decoder, image, ids, options):
    """The probability of each thing that may follow, as temperature and top_p make it, written plainly."""
    choices = allowed(ids, options)
    if len(choices) == 1:
        return {choices[0]: 1.0}
    weights = {word: math.exp(decoder.after(image, ids)[word]) ** (1 / options.temperature) for word in choices}
    whole, kept, sum_ = sum(weights.values()), {}, 0.0
    for word in sorted(weights, key=lambda word: -weights[word]):
        if sum_ >= options.top_p * whole:
            break
        kept[word] = weights[word]
        sum_ += weights[word]
    return {word: weight / sum_ for word, weight in kept.items()}


def caption_probabilities(decoder, image, options, ids=()):
    """The probability of every caption that can be sampled."""
    found = Counter()
    for word, probability in next_probabilities(decoder, image, ids, options).items():
        if word == END:
            found[ids] += probability
        else:
            for caption, more in caption_probabilities(decoder, image, options, (*ids, word)).items():
                found[caption] += probability * more
    return found


def plain_greedy(decoder, image, options):
    ids = ()
    while True:
        word = max(allowed(ids, options), key=lambda choice: decoder.after(image, ids)[choice])
        if word == END:
            return ids
        ids = (*ids, word)


def plain_beam(decoder, image, options):
    """Extend the best prefixes until the longest length; each may end where it is allowed to."""
    prefixes, ended = [()], []
    while prefixes:
        ended += [ids for ids in prefixes if END in allowed(ids, options)]
        longer = [(*ids, word) for ids in prefixes for word in allowed(ids, options) if word != END]
        running = {ids: cost(decoder, image, ids, options) - decoder.after(image, ids)[END] for ids in longer}
        prefixes = sorted(longer, key=lambda ids: -running[ids])[: options.num_beams]
    return sorted(ended, key=lambda ids: -score(decoder, image, ids, options))[: options.num_captions]


def sampled_ids(decoder, options, image_seeds, image=0):
    """One caption for each seed, all of the same image."""
    return [found[0].ids for found in search(decoder, features_of(*[image] * len(image_seeds)), options, seeds=image_seeds)]


@st.composite
def constraints(draw):
    """What can be asked of a caption."""
    start = tuple(draw(st.lists(st.sampled_from([*WORDS, UNKNOWN]), max_size=3)))
    shortest = draw(st.integers(1, 4))
    return {
        "prompt_ids": start,
        "min_words": shortest,
        "max_words": draw(st.integers(max(shortest, len(start)), 5)),
        "suppressed_ids": tuple(draw(st.sets(st.sampled_from(WORDS), max_size=2))),
    }


# Sampling


@pytest.mark.parametrize("options", [
    {}, {"temperature": 0.5}, {"temperature": 2.0}, {"top_p": 0.6}, {"temperature": 1.5, "top_p": 0.8}, {"top_p": 0.05},
    {"min_words": 2}, {"suppressed_ids": (5,)}, {"prompt_ids": (6,)},
    {"prompt_ids": (UNKNOWN, 4), "temperature": 0.7, "top_p": 0.9},
])  # fmt: skip
def test_captions_are_sampled_as_often_as_they_are_likely(options):
    decoder = RandomDecoder(11)
    asked = DecodingOptions(**{"temperature": 1.0, "max_words": 3, **options})
    counts = Counter(sampled_ids(decoder, asked, range(SAMPLES)))
    assert_as_likely(counts, caption_probabilities(decoder, 0, asked))


def test_the_samples_of_one_image_are_sampled_as_often_as_they_are_likely():
    decoder, asked = RandomDecoder(12), DecodingOptions(temperature=1.0, num_captions=2, max_words=1, top_p=0.8)
    probabilities = caption_probabilities(decoder, 0, asked)
    pairs = Counter()
    for one in probabilities:
        for two in probabilities:
            pairs[frozenset([one, two])] += probabilities[one] * probabilities[two]
    found = search(decoder, features_of(*[0] * SAMPLES), asked, seeds=range(SAMPLES))
    assert_as_likely(Counter(frozenset(one.ids for one in samples) for samples in found), pairs)


def test_the_seed_samples_as_the_seed_of_an_image_does():
    decoder = RandomDecoder(13)
    options = DecodingOptions(temperature=1.0, max_words=2)
    counts = Counter(sampled_ids(decoder, replace(options, seed=seed), [7])[0] for seed in range(1000))
    assert_as_likely(counts, caption_probabilities(decoder, 0, options), 1000)


@searches
@given(seeds, st.floats(0.05, 1), st.sampled_from([0.3, 1.0, 3.0]), constraints(), st.integers(0, 100))
def test_what_is_sampled_can_be_sampled(seed, top_p, temperature, constraints, image_seed):
    decoder = RandomDecoder(seed)
    options = DecodingOptions(temperature=temperature, top_p=top_p, num_captions=5, **constraints)
    for image, found in enumerate(search(decoder, features_of(0, 1), options, seeds=[image_seed, image_seed + 1])):
        for hypothesis in found:
            said = (*hypothesis.ids, END)
            for position in range(len(said)):
                assert said[position] in next_probabilities(decoder, image, said[:position], options)


@searches
@given(seeds, constraints(), st.integers(0, 100))
def test_the_coldest_samples_and_the_narrowest_are_greedy_ones(seed, constraints, image_seed):
    decoder = RandomDecoder(seed)
    greedy = search(decoder, features_of(0, 1), DecodingOptions(num_beams=1, **constraints))
    for cold in ({"temperature": 1e-9}, {"temperature": 1e-300}, {"temperature": 5e-324}, {"temperature": 1, "top_p": 1e-9}):
        options = DecodingOptions(num_captions=4, **cold, **constraints)
        found = search(decoder, features_of(0, 1), options, seeds=[image_seed, image_seed])
        assert [[one.ids for one in captions] for captions in found] == [[one.ids for one in best] for best in greedy]


def test_the_hottest_samples_take_every_word_alike():
    decoder, options = RandomDecoder(14), DecodingOptions(temperature=1e9, max_words=1)
    assert_as_likely(Counter(sampled_ids(decoder, options, range(SAMPLES))), {(word,): 0.25 for word in WORDS})


class Float32Decoder(RandomDecoder):
    """Answers in single precision, as a graph does."""

    def step(self, words, memory, state):
        output = super().step(words, memory, state)
        return replace(output, log_probabilities=output.log_probabilities.astype(np.float32))


@pytest.mark.parametrize("temperature", [1e-320, 1e-50, 1e-8, 1.0, 1e30, 1e300])
@pytest.mark.parametrize("top_p", [1e-300, 0.5, 1.0])
def test_no_temperature_is_too_small_or_too_large_for_single_precision(temperature, top_p):
    options = DecodingOptions(temperature=temperature, top_p=top_p, num_captions=5, max_words=6, suppressed_ids=(4,))
    for captions in search(Float32Decoder(3), features_of(0, 1), options, seeds=[0, 1]):
        for hypothesis in captions:
            assert set(hypothesis.ids) <= {5, 6, 7}
            assert hypothesis.ids
            assert math.isfinite(hypothesis.log_probability)


@searches
@given(seeds, st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5)), min_size=1, max_size=6), st.integers(1, 5))
def test_an_image_has_in_any_batch_the_samples_that_it_has_alone(seed, images, count):
    decoder = RandomDecoder(seed)
    options = DecodingOptions(temperature=1.0, num_captions=count, max_words=6, seed=seed)
    numbers, image_seeds = zip(*images, strict=True)
    together = search(decoder, features_of(*numbers), options, seeds=image_seeds)
    alone = [search(decoder, features_of(number), options, seeds=[image_seed])[0] for number, image_seed in images]
    assert together == alone


def test_the_same_seed_samples_the_same_and_others_differ():
    decoder = RandomDecoder(15)
    options = DecodingOptions(temperature=1.0, num_captions=3, max_words=8)
    first = search(decoder, features_of(0), options, seeds=[5])
    assert search(decoder, features_of(0), options, seeds=[5]) == first
    assert search(decoder, features_of(0), options, seeds=[6]) != first
    assert search(decoder, features_of(0), replace(options, seed=1), seeds=[5]) != first


def test_without_seeds_all_images_are_sampled_alike():
    decoder, options = RandomDecoder(15), DecodingOptions(temperature=1.0, num_captions=3, max_words=8)
    assert search(decoder, features_of(0, 1), options) == search(decoder, features_of(0, 1), options, seeds=[0, 0])


@searches
@given(seeds, st.integers(1, 12), st.sampled_from([0.0, 0.7, 2.0]), constraints())
def test_sampled_captions_are_distinct_at_most_as_many_as_asked_for_and_the_best_comes_first(
    seed, count, power, constraints
):
    decoder = RandomDecoder(seed)
    options = DecodingOptions(temperature=1.0, num_captions=count, length_penalty=power, **constraints)
    for image, found in enumerate(search(decoder, features_of(0, 1), options, seeds=[1, 2])):
        captions = [hypothesis.ids for hypothesis in found]
        assert 1 <= len(set(captions)) == len(captions) <= count
        scores = [score(decoder, image, ids, options) for ids in captions]
        assert scores == sorted(scores, reverse=True)


@searches
@given(seeds, constraints(), st.sampled_from([0.2, 1.0, 4.0]), st.sampled_from([0.3, 1.0]))
def test_a_sampled_log_probability_is_the_models_own_whatever_the_temperature(seed, constraints, temperature, top_p):
    decoder = RandomDecoder(seed)
    options = DecodingOptions(temperature=temperature, top_p=top_p, num_captions=5, **constraints)
    for image, found in enumerate(search(decoder, features_of(0, 1), options, seeds=[1, 2])):
        for hypothesis in found:
            assert hypothesis.log_probability == pytest.approx(cost(decoder, image, hypothesis.ids, options), abs=1e-9)


# What can be asked of any caption


@searches
@given(seeds, constraints())
def test_greedy_takes_the_best_word_that_is_allowed(seed, constraints):
    decoder, options = RandomDecoder(seed), DecodingOptions(num_beams=1, **constraints)
    found = search(decoder, features_of(0, 1, 2), options)
    assert [[one.ids for one in captions] for captions in found] == [[plain_greedy(decoder, n, options)] for n in (0, 1, 2)]


@searches
@given(seeds, constraints(), st.integers(2, 6), st.sampled_from([0.0, 0.7, 2.0]), st.data())
def test_a_beam_finds_what_a_plain_one_finds_of_what_is_allowed(seed, constraints, beam, power, data):
    decoder = RandomDecoder(seed)
    options = DecodingOptions(
        num_beams=beam, num_captions=data.draw(st.integers(1, beam)), length_penalty=power, **constraints
    )
    found = search(decoder, features_of(0, 1), options)
    assert [[one.ids for one in captions] for captions in found] == [plain_beam(decoder, n, options) for n in (0, 1)]


@searches
@given(seeds, constraints(), st.integers(1, 6))
def test_the_prompt_comes_first_and_cost_nothing(seed, constraints, beam):
    assume(constraints["prompt_ids"])
    decoder = RandomDecoder(seed)
    for options in (
        DecodingOptions(num_beams=beam, num_captions=beam, **constraints),
        DecodingOptions(num_beams=1, num_captions=beam, temperature=1.0, **constraints),
    ):
        for image, found in enumerate(search(decoder, features_of(0, 1), options)):
            for hypothesis in found:
                prompt_length = len(constraints["prompt_ids"])
                assert hypothesis.prompt_length == prompt_length
                assert hypothesis.ids[:prompt_length] == constraints["prompt_ids"]
                assert hypothesis.log_probability == pytest.approx(cost(decoder, image, hypothesis.ids, options), abs=1e-9)
                assert hypothesis.score(0.7) == pytest.approx(
                    hypothesis.log_probability / (len(hypothesis.ids) - prompt_length + 1) ** 0.7
                )


@ways
@pytest.mark.parametrize("suppressed", [(4,), (5, 6), (4, 7)])
def test_a_suppressed_word_is_never_said_even_if_it_is_likeliest(way, suppressed):
    decoder = RandomDecoder(3, favoured=dict.fromkeys(suppressed, 30))
    for captions in search(decoder, features_of(*range(20)), DecodingOptions(suppressed_ids=suppressed, max_words=6, **way)):
        assert captions
        assert not {word for hypothesis in captions for word in hypothesis.ids} & set(suppressed)


@ways
def test_a_word_of_the_prompt_is_said_even_if_it_is_suppressed_but_only_there(way):
    decoder = RandomDecoder(3, favoured={4: 30})
    for captions in search(
        decoder, features_of(*range(10)), DecodingOptions(suppressed_ids=(4,), prompt_ids=(4,), max_words=6, **way)
    ):
        assert all(hypothesis.ids[0] == 4 and 4 not in hypothesis.ids[1:] for hypothesis in captions)


@ways
@pytest.mark.parametrize("shortest", [1, 2, 5])
def test_a_caption_has_at_least_the_fewest_words_even_if_the_end_is_likeliest(way, shortest):
    decoder = RandomDecoder(3, favoured={END: 30})
    for captions in search(decoder, features_of(*range(10)), DecodingOptions(min_words=shortest, max_words=8, **way)):
        assert [len(hypothesis.ids) for hypothesis in captions][:1] == [shortest]
        assert all(len(hypothesis.ids) >= shortest for hypothesis in captions)


@ways
@pytest.mark.parametrize("longest", [1, 2, 5])
def test_a_caption_has_at_most_the_most_words_even_if_the_end_is_unlikely(way, longest):
    decoder = RandomDecoder(3, favoured={END: -30})
    for captions in search(decoder, features_of(*range(10)), DecodingOptions(max_words=longest, **way)):
        assert all(1 <= len(hypothesis.ids) <= longest for hypothesis in captions)


@ways
def test_a_caption_may_have_exactly_so_many_words(way):
    options = DecodingOptions(min_words=3, max_words=3, **way)
    for captions in search(RandomDecoder(3), features_of(*range(10)), options):
        assert {len(hypothesis.ids) for hypothesis in captions} == {3}


@ways
def test_the_words_of_the_prompt_count_among_the_words(way):
    options = DecodingOptions(prompt_ids=(4, 5, UNKNOWN), max_words=3, **way)
    for [hypothesis] in search(RandomDecoder(3), features_of(0, 1), options):
        assert hypothesis.ids == (4, 5, UNKNOWN)


@ways
def test_only_words_of_the_prompt_may_follow_themselves_or_be_unknown(way):
    decoder = RandomDecoder(3, favoured={PAD: 20, START: 20, UNKNOWN: 20}, echo=20)
    for captions in search(decoder, features_of(*range(10)), DecodingOptions(prompt_ids=(UNKNOWN, 4, 4), **way)):
        for hypothesis in captions:
            assert hypothesis.ids[:3] == (UNKNOWN, 4, 4)
            assert all(first != second for first, second in pairwise(hypothesis.ids[2:]))
            assert min(hypothesis.ids[3:], default=FIRST_WORD) >= FIRST_WORD


@ways
def test_two_words_are_enough_for_captions(way):
    for captions in search(
        RandomDecoder(3), features_of(*range(10)), DecodingOptions(suppressed_ids=(4, 5), min_words=4, **way)
    ):
        assert {word for hypothesis in captions for word in hypothesis.ids} == {6, 7}


@ways
def test_too_few_words_are_refused(way):
    with pytest.raises(UsageError, match="leave it some"):
        search(RandomDecoder(3), features_of(0), DecodingOptions(suppressed_ids=(4, 5, 6), **way))


@ways
def test_no_images_give_no_captions(way):
    assert search(RandomDecoder(0), np.zeros((0, 1, 1), np.float32), DecodingOptions(**way)) == []


# Options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_beams": 0}, "at least 1"),
        ({"temperature": 1.0, "num_captions": 0}, "at least 1"),
        ({"min_words": 0}, "at least 1"),
        ({"length_penalty": -0.1}, "not negative"),
        ({"length_penalty": math.nan}, "not negative"),
        ({"common_caption_penalty": -0.1}, "not negative"),
        ({"common_caption_penalty": math.inf}, "not negative"),
        ({"common_caption_penalty": math.nan}, "not negative"),
        ({"guidance": 0.9}, "guidance must be a number and at least 1"),
        ({"guidance": math.inf}, "guidance must be a number and at least 1"),
        ({"temperature": -1.0}, "not negative"),
        ({"temperature": math.inf}, "not negative"),
        ({"temperature": math.nan}, "not negative"),
        ({"temperature": 1.0, "seed": -1}, "not negative"),
        ({"top_p": 0.0}, "more than 0 and at most 1"),
        ({"top_p": 1.1}, "more than 0 and at most 1"),
        ({"top_p": math.nan}, "more than 0 and at most 1"),
        ({"max_words": 0}, "at most 0 words cannot have 1 or more"),
        ({"max_words": 3, "min_words": 4}, "at most 3 words cannot have 4 or more"),
        ({"max_words": 2, "prompt_ids": (4, 5, 6)}, "begin with a prompt of 3 words"),
        ({"num_beams": 2, "num_captions": 3}, "use `num_beams=3` or more"),
    ],
)
def test_options_that_make_no_sense_are_refused_with_what_is_wrong(options, message):
    with pytest.raises(UsageError, match=message):
        DecodingOptions(**options)


def test_more_captions_than_beams_may_be_sampled():
    assert DecodingOptions(num_beams=1, num_captions=9, temperature=0.5).sampling
    assert not DecodingOptions(num_beams=9, num_captions=9).sampling


def test_plain_options_are_those_that_are_not_as_usual():
    assert DecodingOptions().plain() == {"num_beams": 5, "num_captions": 1, "length_penalty": 0.7, "max_words": 20}
    assert DecodingOptions(prompt_ids=(4,), prompt="A", suppressed_ids=(5, 6), temperature=0.5, seed=3).plain() == {
        "num_beams": 5, "num_captions": 1, "length_penalty": 0.7, "max_words": 20,
        "prompt_ids": [4], "prompt": "A", "suppressed_ids": [5, 6], "temperature": 0.5, "seed": 3,
    }  # fmt: skip


@given(constraints(), st.sampled_from([0.0, 0.5]), st.integers(0, 9))
def test_plain_options_make_the_same_again(constraints, temperature, seed):
    options = DecodingOptions(temperature=temperature, seed=seed, **constraints)
    assert DecodingOptions.from_plain(options.plain()) == options


def test_options_that_an_earlier_version_stored_are_read():
    stored = {
        "beam": 3, "count": 2, "length_power": 0.75, "guidance": 1.18, "variety": 0.07, "maximum_words": 20,
        "minimum_words": 2, "start": [4], "opening": "A", "avoid": [5], "unsaid": ["cat"], "seed": 3,
    }  # fmt: skip
    assert DecodingOptions.from_plain(stored) == DecodingOptions(
        num_beams=3, num_captions=2, length_penalty=0.75, guidance=1.18, common_caption_penalty=0.07, max_words=20,
        min_words=2, prompt_ids=(4,), prompt="A", suppressed_ids=(5,), suppressed_words=("cat",), seed=3,
    )  # fmt: skip


@pytest.mark.parametrize("values", [{"beam": 3, "num_beams": 3}, {"beams": 3}, [], None])
def test_stored_options_that_are_none_are_refused(values):
    with pytest.raises(TypeError):
        DecodingOptions.from_plain(values)
