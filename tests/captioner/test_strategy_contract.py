"""What every search strategy and every logits processor keeps to; any that is added runs through these, too."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import examples
from support.random_decoder import FIRST_WORD, RandomDecoder, V, features_of

from capgen.captioner.constraints import RepeatPenalty, SlotBonus
from capgen.captioner.decoding import STRATEGIES, Guidance, Prefixes, search
from capgen.captioner.decoding.processors import (
    ForcedPrompt,
    MaxWords,
    MinWords,
    NoImmediateRepetition,
    SuppressedIds,
    SuppressedSpecialTokens,
)
from capgen.captioner.vocabulary import END, START
from capgen.errors import UnknownNameError

OPTIONS = {name: replace(STRATEGIES[name].example, max_words=5) for name in STRATEGIES}
"""For each strategy options that choose it."""

IMAGES = 3

every_strategy = pytest.mark.parametrize("name", STRATEGIES)
few = settings(max_examples=examples(20), deadline=None)


def random_scores(seed, images, rows):
    """Log-probabilities (A, K, V) of words and the end token alone."""
    scores = np.log(np.random.default_rng(seed).dirichlet(np.ones(V), size=(images, rows)))
    scores[..., [0, 1, 3]] = -np.inf
    return scores


def random_prefixes(seed, images, rows, length):
    ids = np.random.default_rng(seed).integers(FIRST_WORD, V, size=(images, rows, length + 1)).astype(np.int32)
    ids[..., 0] = START
    return Prefixes(np.arange(images), ids)


def searched(strategy, images, seed=0):
    """What a strategy finds of images with random scores."""
    strategy.reset(images)
    prefixes = Prefixes.first(images, strategy.rows)
    while len(prefixes.images):
        assert prefixes.position <= strategy.options.max_words
        scores = random_scores([seed, prefixes.position], len(prefixes.images), strategy.rows)
        prefixes = prefixes.extended(strategy.advance(scores, prefixes))
    return strategy.finalize()


# Strategies


@every_strategy
def test_its_options_choose_it_by_name(name):
    assert OPTIONS[name].strategy == name


def test_an_unknown_strategy_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="greedy"):
        STRATEGIES["gready"]


@every_strategy
def test_it_chooses_one_word_a_row_and_who_is_finished(name):
    strategy = STRATEGIES[name](OPTIONS[name])
    strategy.reset(IMAGES)
    prefixes = Prefixes.first(IMAGES, strategy.rows)
    choice = strategy.advance(random_scores(0, IMAGES, strategy.rows), prefixes)
    assert choice.words.shape == (IMAGES, strategy.rows)
    assert choice.words.dtype == np.int32
    assert choice.finished.shape == (IMAGES,)
    assert choice.finished.dtype == bool
    assert choice.parents is None or ((choice.parents >= 0).all() and (choice.parents < strategy.rows).all())


@every_strategy
@few
@given(seed=st.integers(0, 10_000))
def test_every_image_is_finished_after_the_most_words(name, seed):
    assert len(searched(STRATEGIES[name](OPTIONS[name]), IMAGES, seed)) == IMAGES


@every_strategy
@few
@given(seed=st.integers(0, 10_000))
def test_its_captions_are_different_and_the_best_comes_first(name, seed):
    options = OPTIONS[name]
    for found in search(RandomDecoder(seed), features_of(0, 1, 2), options, seeds=[1, 2, 3]):
        assert 1 <= len({one.ids for one in found}) == len(found) <= options.num_captions
        scores = [one.score(options.length_penalty) for one in found]
        assert scores == sorted(scores, reverse=True)


@every_strategy
@few
@given(seed=st.integers(0, 10_000))
def test_a_log_probability_is_that_of_the_decoder(name, seed):
    decoder = RandomDecoder(seed)
    for image, found in enumerate(search(decoder, features_of(0, 1, 2), OPTIONS[name], seeds=[1, 2, 3])):
        for one in found:
            assert one.log_probability == pytest.approx(decoder.log_probability(image, one.ids))


@every_strategy
def test_it_searches_anew_after_a_reset(name):
    strategy = STRATEGIES[name](OPTIONS[name])
    first = searched(strategy, IMAGES)
    assert len(searched(strategy, 1)) == 1
    assert searched(strategy, IMAGES) == first


@every_strategy
def test_a_search_of_numbers_that_are_not_finite_ends(name):
    class Broken(RandomDecoder):
        def step(self, words, memory, state):
            output = super().step(words, memory, state)
            output.log_probabilities[...] = np.nan
            return output

    assert len(search(Broken(0), features_of(0, 1), OPTIONS[name])) == 2


# Logits processors

PROCESSORS = {
    "never said": SuppressedSpecialTokens,
    "suppressed": lambda: SuppressedIds([4, 6]),
    "no immediate repetition": NoImmediateRepetition,
    "min words": lambda: MinWords(3),
    "max words": lambda: MaxWords(2),
    "prompt": lambda: ForcedPrompt([5, 3, 4]),
    "slot bonus": lambda: SlotBonus(
        np.isin(np.arange(V), [4, 5]), np.array([[1.0, -np.inf], [0.5, 2.0], [0.0, 0.0]], np.float32)
    ),
    "repeat penalty": lambda: RepeatPenalty(
        np.arange(V) > 4, np.array([[*range(V - 1), 5], [*range(V)], [*range(V - 1), 6]]), -50.0
    ),
    "guidance": lambda: Guidance(RandomDecoder(1), features_of(9)[0], 1.5),
}
every_processor = pytest.mark.parametrize("name", PROCESSORS)
positions = pytest.mark.parametrize("length", [0, 2, 3])


def processed(name, scores, prefixes):
    """What a processor makes of scores, after it has followed the search to that position."""
    processor = PROCESSORS[name]()
    if name == "guidance":  # which keeps the state of its own pass
        for length in range(prefixes.position):
            processor.process(scores.copy(), Prefixes(prefixes.images, prefixes.ids[..., : length + 1]))
    return processor.process(scores.copy(), prefixes)


@every_processor
@positions
def test_a_processor_changes_scores_and_not_their_shape(name, length):
    scores = random_scores(1, IMAGES, 2)
    found = processed(name, scores, random_prefixes(2, IMAGES, 2, length))
    assert found.shape == scores.shape
    assert not np.isnan(found).any()


@every_processor
@positions
def test_an_image_is_processed_in_a_batch_as_alone(name, length):
    scores, prefixes = random_scores(1, IMAGES, 2), random_prefixes(2, IMAGES, 2, length)
    together = processed(name, scores, prefixes)
    for image in range(IMAGES):
        alone = Prefixes(prefixes.images[[image]], prefixes.ids[[image]])
        np.testing.assert_allclose(processed(name, scores[[image]], alone)[0], together[image])


@every_processor
@positions
def test_no_probabilities_add_up_to_more_than_one(name, length):
    found = processed(name, random_scores(1, IMAGES, 2), random_prefixes(2, IMAGES, 2, length))
    assert (np.exp(found).sum(axis=-1) <= 1 + 1e-6).all()


def allowed(name, length, previous):
    """What each processor that rules entries out leaves, written plainly."""
    everything = set(range(V))
    return {
        "never said": everything - {0, 1, 3},
        "suppressed": everything - {4, 6},
        "no immediate repetition": everything - {previous},
        "min words": everything - {END} if length < 3 else everything,
        "max words": {0, 1, 2} if length == 2 else everything,
        "prompt": {[5, 3, 4][length]} if length < 3 else everything,
    }[name]


@pytest.mark.parametrize("name", ["never said", "suppressed", "no immediate repetition", "min words", "max words", "prompt"])
@positions
def test_what_is_ruled_out_is_and_what_is_not_keeps_its_score(name, length):
    scores = np.log(np.random.default_rng(3).dirichlet(np.ones(V), size=(IMAGES, 2)))
    prefixes = random_prefixes(2, IMAGES, 2, length)
    found = processed(name, scores, prefixes)
    for image, row in np.ndindex(IMAGES, 2):
        left = allowed(name, length, int(prefixes.ids[image, row, -1]))
        expected = [scores[image, row, entry] if entry in left else -np.inf for entry in range(V)]
        if name == "prompt" and length < 3:
            expected = [0.0 if entry in left else -np.inf for entry in range(V)]  # a given word costs nothing
        assert found[image, row].tolist() == expected
