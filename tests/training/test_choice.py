"""The choice of the epoch: the last of those that neither captions nor loss show to be clearly worse than the best."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capgen.evaluation.metrics import PRIMARY
from capgen.training.choice import LOSS_DEVIATION, MIN_IMAGES, Criterion, EpochChoice, is_clearly_better, is_clearly_higher
from capgen.training.history import Epoch, Phase


def epoch(number, dev_loss=1.0, per_image=(), phase=Phase.CROSS_ENTROPY):
    """An epoch whose captions for dev score so much image by image; without images the score is not defined."""
    scores = {PRIMARY: sum(per_image) / len(per_image)} if per_image else {}
    return Epoch(number, 1.0, dev_loss, scores, 1.0, phase, per_image=tuple(per_image))


def chosen(*epochs, criterion=Criterion.CAPTIONS_AND_LOSS):
    *_, choice = EpochChoice.successive(epochs, criterion)
    return choice.best.number


LOW, HIGH = [0.2, 0.3] * 10, [0.4, 0.6] * 10
MIXED = [0.0, 0.55] * 10  # a little better than LOW on the whole, and worse on half of the images


def test_captions_that_are_clearly_better_go_before_a_loss_that_is_higher():
    assert chosen(epoch(1, 1.0, LOW), epoch(2, 2.0, HIGH)) == 2
    assert chosen(epoch(1, 2.0, HIGH), epoch(2, 1.0, LOW)) == 1


def test_captions_that_are_better_on_95_of_100_samples_of_the_images_go_before_a_loss_that_is_higher():
    level = [0.3] * 100
    mostly, hardly = ([0.6] * better + [0.0] * (100 - better) for better in (60, 55))  # on 97 and 84 of 100 samples
    assert chosen(epoch(1, 1.0, level), epoch(2, 2.0, mostly)) == 2
    assert chosen(epoch(1, 1.0, level), epoch(2, 2.0, hardly)) == 1


def test_a_loss_that_is_clearly_higher_decides_where_captions_do_not_differ_clearly():
    assert chosen(epoch(1, 1.0, LOW), epoch(2, 1.2, MIXED)) == 1
    assert chosen(epoch(1, 1.2, MIXED), epoch(2, 1.0, LOW)) == 2


def test_of_epochs_that_do_not_differ_clearly_the_last_is_taken():
    assert chosen(*(epoch(number, 1.0, LOW) for number in (1, 2, 3))) == 3
    assert chosen(epoch(1, 1.0, MIXED), epoch(2, 1.1, LOW), epoch(3, 1.05, LOW)) == 3


def test_the_loss_on_more_images_tells_finer_differences():
    many = LOW * 50
    assert chosen(epoch(1, 1.0, many), epoch(2, 1.05, many)) == 1
    assert chosen(epoch(1, 1.0, LOW), epoch(2, 1.05, LOW)) == 2


@pytest.mark.parametrize("per_image", [(), [0.0], [0.0] * 20])
def test_the_loss_decides_where_the_score_is_not_defined_or_0(per_image):
    assert chosen(epoch(1, 3.0, per_image), epoch(2, 1.0, per_image), epoch(3, 2.0, per_image)) == 2


def test_a_few_images_tell_no_epochs_apart():
    few = MIN_IMAGES - 1
    assert not is_clearly_better(epoch(2, per_image=HIGH[:few]), epoch(1, per_image=LOW[:few]))
    assert is_clearly_better(epoch(2, per_image=HIGH[:MIN_IMAGES]), epoch(1, per_image=LOW[:MIN_IMAGES]))


def test_of_epochs_whose_images_have_no_known_scores_the_highest_score_decides_as_in_earlier_versions():
    best, lower, later = (Epoch(number, 1.0, 1.0, {PRIMARY: score}, 1.0) for number, score in ((1, 0.6), (2, 0.5), (3, 0.4)))
    assert chosen(best, lower) == 1
    assert chosen(best, lower, replace(later, per_image=tuple(HIGH))) == 1
    assert chosen(best, lower, replace(later, per_image=tuple(HIGH), scores={PRIMARY: 0.7})) == 3


def test_the_loss_is_a_mean_of_all_dev_images_also_where_the_score_is_not_defined():
    first, second = epoch(1, 1.0), epoch(2, 1.2)
    assert chosen(first, second) == 2
    assert chosen(*(replace(one, dev_images=100) for one in (first, second))) == 1


def test_small_steps_do_not_lead_to_epochs_that_are_clearly_worse_than_the_best():
    steps = [[score - 0.03 * step for score in HIGH] for step in range(12)]
    assert chosen(*(epoch(number, 1.0, scores) for number, scores in enumerate(steps, 1))) == 1
    assert chosen(*(epoch(number, 1.0 + 0.02 * number, HIGH) for number in range(12))) < 11


def test_a_self_critical_epoch_is_chosen_by_its_score_although_its_loss_rises():
    cross_entropy = epoch(1, 1.0, LOW)
    better, worse = (epoch(2, 3.0, [score + by for score in LOW], Phase.SELF_CRITICAL) for by in (0.001, -0.001))
    assert chosen(cross_entropy, better) == 2
    assert chosen(cross_entropy, worse) == 1
    assert chosen(cross_entropy, epoch(2, 3.0, LOW, Phase.SELF_CRITICAL)) == 2


def test_no_epoch_that_scores_less_than_the_captioner_that_training_began_with_is_taken():
    before, less, equal = epoch(0, 9.0, MIXED, Phase.WARM_START), epoch(1, 1.0, LOW), epoch(2, 2.0, MIXED)
    assert chosen(before, less) == 0
    assert chosen(before, less, equal) == 2
    assert chosen(before, equal, epoch(3, 0.5, LOW)) == 2
    assert chosen(epoch(0, 9.0, (), Phase.WARM_START), epoch(1, 1.0)) == 1
    assert chosen(epoch(0, 1.0, (), Phase.WARM_START), epoch(1, 2.0)) == 0


def test_an_epoch_that_is_not_clearly_better_by_score_or_loss_leaves_the_captioner_that_training_began_with():
    before = epoch(0, 3.0, LOW, Phase.WARM_START)
    assert chosen(before, epoch(1, 2.95, MIXED)) == 0  # within chance on 20 images, by both measures
    assert chosen(before, epoch(1, 2.8, LOW)) == 1
    assert chosen(before, epoch(1, 3.2, HIGH)) == 1
    assert chosen(before, epoch(1, 2.8, LOW), epoch(2, 2.95, MIXED)) == 1
    assert chosen(before, epoch(1, 4.0, MIXED, Phase.SELF_CRITICAL)) == 1  # its steps are too small to differ clearly


def test_while_an_encoder_is_fine_tuned_the_loss_alone_decides():
    assert chosen(epoch(1, 1.0, LOW), epoch(2, 1.001, HIGH), criterion=Criterion.DEV_LOSS) == 1


def test_a_loss_that_is_not_a_number_is_worse_than_any():
    assert chosen(epoch(1, math.nan), epoch(2, 5.0), epoch(3, math.nan)) == 2


# Any epochs

SCORES = st.lists(st.floats(0, 2), min_size=8, max_size=8)
EPOCHS = st.lists(st.tuples(st.floats(0, 9), SCORES), min_size=1, max_size=8).map(
    lambda rows: [epoch(number, loss, scores) for number, (loss, scores) in enumerate(rows, 1)]
)


@settings(deadline=None)
@given(EPOCHS)
def test_the_chosen_epoch_was_not_clearly_worse_than_the_best_when_it_came(epochs):
    for count, choice in enumerate(EpochChoice.successive(epochs), 1):
        assert choice.leader.scores[PRIMARY] == max(other.scores[PRIMARY] for other in epochs[:count])
        assert choice.lowest.dev_loss == min(other.dev_loss for other in epochs[:count])
        for earlier in epochs[: choice.best.number]:
            if earlier.scores[PRIMARY] >= max(other.scores[PRIMARY] for other in epochs[: choice.best.number]):
                assert not is_clearly_better(earlier, choice.best)


@settings(deadline=None)
@given(EPOCHS)
def test_an_epoch_that_is_passed_over_is_clearly_worse_than_the_best_of_its_past(epochs):
    *before, last = epochs
    for choice in EpochChoice.successive(before):
        if choice.challenged_by(last).best is not last:
            assert is_clearly_better(choice.leader, last) or is_clearly_higher(last, choice.lowest)


@settings(deadline=None)
@given(st.lists(st.floats(0, 9), min_size=1, max_size=12))
def test_without_a_score_the_chosen_epoch_is_within_chance_of_the_lowest_loss_so_far(losses):
    number = chosen(*(epoch(number, loss) for number, loss in enumerate(losses, 1)))
    assert losses[number - 1] <= min(losses[:number]) + LOSS_DEVIATION
    assert number == len(losses) or losses[-1] > min(losses) + LOSS_DEVIATION


# What is said


def described(*epochs, criterion=Criterion.CAPTIONS_AND_LOSS):
    *_, choice = EpochChoice.successive(epochs, criterion)
    return choice.describe()


def test_one_line_says_which_epoch_is_taken_by_what_and_how_it_compares_with_the_beginning():
    before = epoch(0, 3.0, LOW, Phase.WARM_START)
    assert described(before, epoch(1, 2.0, HIGH)) == (
        "epoch 1 is taken by dev CIDEr-D and dev loss: dev CIDEr-D 0.5000, dev loss 2.0000; "
        "before training dev CIDEr-D 0.2500, dev loss 3.0000; gained 0.2500 in CIDEr-D"
    )
    assert described(epoch(1, 1.0, MIXED), epoch(2, 1.1, LOW)) == (
        "epoch 2 is taken by dev CIDEr-D and dev loss: dev CIDEr-D 0.2500, dev loss 1.1000, "
        "not clearly below the 0.2750 of epoch 1, not clearly above the loss of 1.0000 of epoch 1"
    )
    assert "dev loss, because CIDEr-D is 0 for all epochs" in described(epoch(1, 2.0, [0.0]), epoch(2, 1.0, [0.0]))
    assert "dev loss, because CIDEr-D is not defined for these images of dev" in described(epoch(1, 2.0), epoch(2, 1.0))
    assert "by dev loss:" in described(epoch(1, 2.0, LOW), criterion=Criterion.DEV_LOSS)
    assert "by dev CIDEr-D:" in described(epoch(1, 2.0, LOW), epoch(2, 2.5, HIGH, Phase.SELF_CRITICAL))


def test_it_is_said_that_nothing_is_better_than_the_captioner_that_training_began_with():
    assert described(epoch(0, 1.0, HIGH, Phase.WARM_START), epoch(1, 1.5, LOW)) == (
        "no epoch is clearly better than the captioner that training began with (dev CIDEr-D 0.5000, dev loss 1.0000); "
        "nothing was gained, and it stays as it was"
    )


def test_an_epoch_that_is_taken_for_its_loss_alone_has_gained_nothing_in_the_score():
    start = epoch(0, 3.0, LOW, Phase.WARM_START)
    assert described(start, epoch(1, 1.0, LOW)).endswith("dev loss 3.0000; nothing was gained in CIDEr-D")
    undefined = described(epoch(0, 3.0, phase=Phase.WARM_START), epoch(1, 1.0))
    assert "gained" not in undefined
