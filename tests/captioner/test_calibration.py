"""Confidences: a logistic function fitted to what came true, against plain gradient descent and sums done by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import examples

from capgen.captioner.calibration import Calibration
from capgen.training.calibration import FOLDS, calibrate, is_close, measure

scores_and_truths = st.lists(st.tuples(st.floats(-20, 0), st.booleans()), min_size=1, max_size=40)
sets = settings(max_examples=examples(60), deadline=None)


def logistic(x):
    return 1 / (1 + np.exp(-x))


def simulated(slope, offset, count, seed=0):
    """Scores, and what came true of them by a known logistic function."""
    generator = np.random.default_rng(seed)
    scores = generator.normal(-2.0, 0.5, count)
    return scores, generator.random(count) < logistic(slope * scores + offset)


def descended(scores, truths):
    """Slope and offset by plain gradient descent on the cross-entropy with Platt's targets."""
    hits, misses = truths.sum(), (~truths).sum()
    targets = np.where(truths, (hits + 1) / (hits + 2), 1 / (misses + 2))
    centre, spread = scores.mean(), scores.std()
    x, slope, offset = (scores - centre) / spread, 0.0, 0.0
    for _ in range(20_000):
        wrong = logistic(slope * x + offset) - targets
        slope, offset = slope - 0.5 * np.mean(wrong * x), offset - 0.5 * np.mean(wrong)
    return slope / spread, offset - slope * centre / spread


def fitted(pairs):
    scores, truths = zip(*pairs, strict=True)
    return calibrate(np.array(scores), np.array(truths))


def held_out(scores, truths):
    """The confidence of each image from the function fitted without its fold, from what ``calibrate`` measures."""
    from capgen.training import calibration

    return calibration._held_out(scores, truths)


# The function


def test_a_confidence_is_the_logistic_of_the_score():
    calibration = Calibration(2.0, 1.0, {})
    assert calibration.confidence(-0.5) == 0.5
    assert calibration.confidence(0.0) == pytest.approx(math.e / (1 + math.e))


@given(st.floats(0, 1e6), st.floats(-1e6, 1e6), st.floats(-1e6, 0), st.floats(-1e6, 0))
def test_a_better_score_is_never_a_lower_confidence(slope, offset, one, two):
    calibration = Calibration(slope, offset, {})
    low, high = (calibration.confidence(score) for score in sorted((one, two)))
    assert 0 <= low <= high <= 1


@pytest.mark.parametrize("score", [-1e308, -math.inf, 0.0])
def test_the_worst_scores_have_a_confidence_too(score):
    assert 0 <= Calibration(1.0, 0.0, {}).confidence(score) <= 1


# Fitting


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 2.0), (3.0, 6.0), (4.0, 5.0), (0.5, -1.0)])
def test_fitting_finds_the_function_that_made_the_data(slope, offset):
    scores, truths = simulated(slope, offset, 100_000)
    found = calibrate(scores, truths)
    assert found.slope == pytest.approx(slope, abs=0.1)
    for score in (-3.0, -2.0, -1.0):
        assert found.confidence(score) == pytest.approx(logistic(slope * score + offset), abs=0.01)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [30, 300])
def test_fitting_finds_what_gradient_descent_finds(seed, count):
    scores, truths = simulated(3.0, 6.0, count, seed)
    found = calibrate(scores, truths)
    assert (found.slope, found.offset) == pytest.approx(descended(scores, truths), rel=2e-3, abs=2e-3)


@sets
@given(scores_and_truths)
def test_a_fit_is_finite_and_a_better_score_is_never_a_lower_confidence(pairs):
    found = fitted(pairs)
    assert math.isfinite(found.slope)
    assert math.isfinite(found.offset)
    assert found.slope >= 0
    confidences = [found.confidence(score) for score in (-1000.0, -20.0, -2.0, -1.0, 0.0)]
    assert confidences == sorted(confidences)
    assert 0 <= confidences[0] <= confidences[-1] <= 1


@pytest.mark.parametrize("count", [1, 2, 10, 1000])
@pytest.mark.parametrize("truth", [True, False])
def test_if_all_came_true_or_none_a_confidence_is_what_so_many_images_can_say(count, truth):
    found = calibrate(np.linspace(-3, -1, count), np.full(count, truth))
    share = (count + 1) / (count + 2)  # Laplace's rule
    assert found.confidence(-2.0) == pytest.approx(share if truth else 1 - share, abs=1e-6)
    assert found.slope == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("truth", [True, False])
def test_of_one_image_a_confidence_is_no_certainty(truth):
    found = calibrate(np.array([-2.0]), np.array([truth]))
    assert found.confidence(-2.0) == pytest.approx(2 / 3 if truth else 1 / 3)
    assert found.reliability["images"] == 1


def test_of_images_with_one_score_all_have_the_share_that_came_true():
    found = calibrate(np.full(98, -2.0), np.arange(98) % 2 == 0)
    assert (found.slope, found.confidence(-2.0)) == (0.0, pytest.approx(0.5))
    third = calibrate(np.full(298, -2.0), np.arange(298) < 99)
    assert third.confidence(-2.0) == pytest.approx(1 / 3)


def test_scores_that_differ_by_rounding_alone_tell_nothing_apart():
    scores = -2.0 + np.arange(10) * 1e-12
    assert calibrate(scores, scores > scores.mean()).slope == 0


def test_images_separated_perfectly_have_a_finite_slope_and_no_certainty():
    scores = np.linspace(-3, -1, 40)
    found = calibrate(scores, scores > -2)
    assert 0 < found.slope < 1000
    assert 0.9 < found.confidence(-1.0) < 1
    assert 0 < found.confidence(-3.0) < 0.1


def test_scores_that_say_the_opposite_say_nothing():
    scores = np.linspace(-3, -1, 98)
    found = calibrate(scores, scores < -2)
    assert (found.slope, found.confidence(-1.0)) == (0.0, pytest.approx(0.5))


@sets
@given(scores_and_truths, st.randoms())
def test_the_order_of_the_images_makes_no_difference_to_the_function(pairs, generator):
    shuffled = generator.sample(pairs, len(pairs))
    one, two = fitted(pairs), fitted(shuffled)
    for score in (-20.0, -5.0, -1.0):
        assert one.confidence(score) == pytest.approx(two.confidence(score), abs=1e-6)


@pytest.mark.parametrize(("factor", "shift"), [(1000.0, 0.0), (1e-3, -5.0), (1.0, 100.0)])
def test_the_unit_of_the_scores_makes_no_difference(factor, shift):
    scores, truths = simulated(3.0, 6.0, 300)
    one, two = calibrate(scores, truths), calibrate(scores * factor + shift, truths)
    for score in (-3.0, -2.0, -1.0):
        assert two.confidence(score * factor + shift) == pytest.approx(one.confidence(score), abs=1e-6)


# Measuring


def test_a_measure_is_what_a_hand_calculates():
    confidences = np.array([0.9, 0.1, 0.3, 0.2, 0.6, 0.8, 0.7, 0.4, 0.5, 1.0])
    truths = np.array([True, False, False, True, True, True, False, False, False, True])
    found = measure(confidences, truths)
    # in order: 0.1 F, 0.2 T | 0.3 F, 0.4 F | 0.5 F, 0.6 T | 0.7 F, 0.8 T | 0.9 T, 1.0 T
    squares = 0.01 + 0.64 + 0.09 + 0.16 + 0.25 + 0.16 + 0.49 + 0.04 + 0.01 + 0.0
    assert found["images"] == 10
    assert found["close"] == 0.5
    assert found["brier"] == pytest.approx(squares / 10)
    assert [entry["images"] for entry in found["bins"]] == [2] * 5
    assert [entry["confidence"] for entry in found["bins"]] == pytest.approx([0.15, 0.35, 0.55, 0.75, 0.95])
    assert [entry["close"] for entry in found["bins"]] == [0.5, 0.0, 0.5, 0.5, 1.0]
    assert found["error"] == pytest.approx((0.35 + 0.35 + 0.05 + 0.25 + 0.05) / 5)


def test_bins_of_unequal_size_weigh_by_their_images():
    found = measure(np.array([0.0, 0.0, 0.5, 0.5, 0.5, 1.0, 1.0]), np.array([False, True, False, True, False, True, True]))
    # 0 F, 0 T | 0.5 F, 0.5 T | 0.5 F | 1 T | 1 T
    assert [entry["images"] for entry in found["bins"]] == [2, 2, 1, 1, 1]
    assert found["error"] == pytest.approx((2 * 0.5 + 2 * 0.0 + 1 * 0.5 + 0 + 0) / 7)


@pytest.mark.parametrize("count", [1, 2, 4, 5, 6])
def test_few_images_have_few_bins_and_none_is_empty(count):
    found = measure(np.linspace(0, 1, count), np.arange(count) % 2 == 0)
    assert len(found["bins"]) == min(count, 5)
    assert sum(entry["images"] for entry in found["bins"]) == count
    assert all(entry["images"] for entry in found["bins"])


def test_perfect_confidences_have_no_error():
    truths = np.arange(20) % 3 == 0
    found = measure(truths.astype(float), truths)
    assert (found["brier"], found["error"]) == (0.0, 0.0)


@sets
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_a_measure_is_between_0_and_1_and_its_bins_hold_all_images(pairs):
    confidences, truths = (np.array(values) for values in zip(*pairs, strict=True))
    found = measure(confidences, truths)
    assert 0 <= found["brier"] <= 1
    assert 0 <= found["error"] <= 1
    assert sum(entry["images"] * entry["close"] for entry in found["bins"]) == pytest.approx(truths.sum())
    assert [entry["confidence"] for entry in found["bins"]] == sorted(entry["confidence"] for entry in found["bins"])


# Held out


@sets
@given(scores_and_truths, st.data())
def test_no_images_confidence_depends_on_what_came_true_of_it(pairs, data):
    scores, truths = (np.array(values) for values in zip(*pairs, strict=True))
    which = data.draw(st.integers(0, len(pairs) - 1))
    flipped = truths.copy()
    flipped[which] ^= True
    fold = np.arange(len(pairs)) % min(FOLDS, len(pairs)) == which % min(FOLDS, len(pairs))
    before, after = held_out(scores, truths), held_out(scores, flipped)
    assert before[which] == after[which]
    assert np.array_equal(before[fold], after[fold])


@sets
@given(scores_and_truths)
def test_held_out_confidences_are_those_of_a_function_fitted_to_the_other_folds(pairs):
    scores, truths = (np.array(values) for values in zip(*pairs, strict=True))
    folds = min(FOLDS, len(pairs))
    for index, confidence in enumerate(held_out(scores, truths)):
        others = [pair for position, pair in enumerate(pairs) if position % folds != index % folds]
        if others:
            assert confidence == pytest.approx(fitted(others).confidence(scores[index]), abs=1e-12)
        else:
            assert confidence == 0.5  # nothing is known


def test_the_reliability_of_a_calibration_is_that_of_the_held_out_confidences():
    scores, truths = simulated(3.0, 6.0, 53)
    assert calibrate(scores, truths).reliability == measure(held_out(scores, truths), truths)


def test_of_data_that_follow_the_function_the_confidences_come_true():
    reliability = calibrate(*simulated(3.0, 6.0, 20_000)).reliability
    assert reliability["error"] < 0.02
    for entry in reliability["bins"]:
        assert entry["confidence"] == pytest.approx(entry["close"], abs=0.03)


# Close captions


@pytest.mark.parametrize(
    ("caption", "human", "expected"),
    [
        ("a dog runs", ["a dog runs"], True),
        ("a dog runs", ["two cats", "a dog runs"], True),
        ("A dog runs.", ["a dog runs"], True),
        ("a dog runs", ["two cats asleep"], False),
        ("a dog", ["a cat"], True),  # precision and recall a half each
        ("a dog runs", ["a cat sits"], False),  # a third each
        ("a b c d", ["d c b a"], False),  # only in order
    ],
)
def test_a_caption_is_close_if_it_shares_half_of_its_words_in_order(caption, human, expected):
    assert is_close([caption], [human]).tolist() == [expected]


def test_each_caption_is_held_against_the_human_ones_of_its_own_image():
    captions, human = ["a dog runs", "a dog runs"], [["two cats asleep"], ["a dog runs fast"]]
    assert is_close(captions, human).tolist() == [False, True]
