"""The choice of the epoch: by captions where they tell epochs apart, by the loss where they do not, the last of equals."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capgen.evaluation.metrics import PRIMARY
from capgen.training.choice import MIN_IMAGES, Criterion, EpochChoice, is_clearly_better
from capgen.training.history import Epoch, Phase


def epoch(number, dev_loss=1.0, per_image=(), phase=Phase.CROSS_ENTROPY):
    """An epoch whose captions for dev score so much image by image; without images the score is not defined."""
    scores = {PRIMARY: sum(per_image) / len(per_image)} if per_image else {}
    return Epoch(number, 1.0, dev_loss, scores, 1.0, phase, per_image=tuple(per_image))


def chosen(*epochs, criterion=Criterion.CAPTIONS):
    *_, choice = EpochChoice.successive(epochs, criterion)
    return choice.best.number


LOW, HIGH = [0.2, 0.3] * 10, [0.4, 0.6] * 10
MIXED = [0.0, 0.55] * 10  # a little better than LOW on the whole, and worse on half of the images


def test_captions_that_are_clearly_better_go_before_a_loss_that_is_higher():
    assert chosen(epoch(1, 1.0, LOW), epoch(2, 2.0, HIGH)) == 2
    assert chosen(epoch(1, 2.0, HIGH), epoch(2, 1.0, LOW)) == 1


def test_the_loss_decides_where_captions_cannot_be_told_apart():
    assert chosen(epoch(1, 1.0, LOW), epoch(2, 1.1, MIXED)) == 1
    assert chosen(epoch(1, 1.1, MIXED), epoch(2, 1.0, LOW)) == 2


@pytest.mark.parametrize("per_image", [(), [0.0], [0.0] * 20])
def test_the_loss_decides_where_the_score_is_not_defined_or_0(per_image):
    assert chosen(epoch(1, 3.0, per_image), epoch(2, 1.0, per_image), epoch(3, 2.0, per_image)) == 2


def test_the_last_of_equals_is_taken():
    assert chosen(*(epoch(number, 1.0, LOW) for number in (1, 2, 3))) == 3


def test_a_few_images_tell_no_epochs_apart():
    few = MIN_IMAGES - 1
    assert not is_clearly_better(epoch(2, per_image=HIGH[:few]), epoch(1, per_image=LOW[:few]))
    assert is_clearly_better(epoch(2, per_image=HIGH[:MIN_IMAGES]), epoch(1, per_image=LOW[:MIN_IMAGES]))


def test_small_steps_do_not_lead_to_captions_that_are_clearly_worse_than_the_best():
    steps = [[score - 0.03 * step * (index % 3) for index, score in enumerate(HIGH)] for step in range(12)]
    epochs = [epoch(number, 2.0 - 0.1 * number, scores) for number, scores in enumerate(steps, 1)]
    *_, choice = EpochChoice.successive(epochs)
    assert choice.best.number < len(epochs)
    assert not is_clearly_better(choice.leader, choice.best)


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


def test_while_an_encoder_is_fine_tuned_the_loss_alone_decides():
    assert chosen(epoch(1, 1.0, LOW), epoch(2, 2.0, HIGH), criterion=Criterion.DEV_LOSS) == 1


def test_a_loss_that_is_not_a_number_is_worse_than_any():
    assert chosen(epoch(1, math.nan), epoch(2, 5.0), epoch(3, math.nan)) == 2


# Any epochs

SCORES = st.lists(st.floats(0, 2), min_size=8, max_size=8)
EPOCHS = st.lists(st.tuples(st.floats(0, 9), SCORES), min_size=1, max_size=8).map(
    lambda rows: [epoch(number, loss, scores) for number, (loss, scores) in enumerate(rows, 1)]
)


@given(EPOCHS)
def test_the_chosen_epoch_is_never_clearly_worse_than_the_one_that_scores_highest(epochs):
    for count, choice in enumerate(EpochChoice.successive(epochs), 1):
        assert choice.leader.scores[PRIMARY] == max(other.scores[PRIMARY] for other in epochs[:count])
        assert not is_clearly_better(choice.leader, choice.best)


@given(EPOCHS)
def test_an_epoch_that_is_passed_over_has_a_higher_loss_or_clearly_worse_captions(epochs):
    *before, last = epochs
    for choice in EpochChoice.successive(before):
        following = choice.challenged_by(last)
        if following.best is not last:
            clearly_worse = is_clearly_better(choice.leader, last)
            assert clearly_worse or last.dev_loss > choice.best.dev_loss


@given(st.lists(st.floats(0, 9), min_size=1, max_size=12))
def test_without_a_score_the_last_epoch_of_the_lowest_loss_is_chosen(losses):
    lowest = max(number for number, loss in enumerate(losses, 1) if loss == min(losses))
    assert chosen(*(epoch(number, loss) for number, loss in enumerate(losses, 1))) == lowest


# What is said


def described(*epochs, criterion=Criterion.CAPTIONS):
    *_, choice = EpochChoice.successive(epochs, criterion)
    return choice.describe()


def test_one_line_says_which_epoch_is_taken_by_what_and_how_it_compares_with_the_beginning():
    before = epoch(0, 3.0, LOW, Phase.WARM_START)
    assert described(before, epoch(1, 2.0, HIGH)) == (
        "epoch 1 is taken by its CIDEr-D on dev: dev CIDEr-D 0.5000, dev loss 2.0000; "
        "before training dev CIDEr-D 0.2500, dev loss 3.0000"
    )
    assert described(epoch(1, 2.0, MIXED), epoch(2, 1.0, LOW)) == (
        "epoch 2 is taken by its dev loss, because CIDEr-D cannot tell it from epoch 1 with 0.2750: "
        "dev CIDEr-D 0.2500, dev loss 1.0000"
    )
    assert "because CIDEr-D is 0 for all epochs" in described(epoch(1, 2.0, [0.0]), epoch(2, 1.0, [0.0]))
    assert "because CIDEr-D is not defined for these images of dev" in described(epoch(1, 2.0), epoch(2, 1.0))
    assert "by its dev loss:" in described(epoch(1, 2.0, LOW), criterion=Criterion.DEV_LOSS)


def test_it_is_said_that_nothing_is_better_than_the_captioner_that_training_began_with():
    assert described(epoch(0, 1.0, HIGH, Phase.WARM_START), epoch(1, 1.5, LOW)) == (
        "no epoch is better than the captioner that training began with (dev CIDEr-D 0.5000, dev loss 1.0000); "
        "it stays as it was"
    )
