"""The plan of a run: which phases follow each other, when cross-entropy training stops, and the learning rate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capgen.training.choice import Criterion
from capgen.training.config import TrainingConfig
from capgen.training.history import Epoch, EpochStart, Phase
from capgen.training.plan import LearningRatePlan, LoopPlan, RunPlan


def epochs_of(plan, losses):
    """Follow a plan to its end, with the loss of each epoch on dev given."""
    epochs = []
    while phase := plan.next_phase(epochs):
        epochs.append(Epoch(plan.next_number(epochs), 1.0, losses[len(epochs)], {}, 1.0, phase))
    return epochs


def test_self_critical_epochs_follow_those_of_cross_entropy():
    plan = RunPlan.from_config(TrainingConfig(epochs=2, scst_epochs=1), steps_per_epoch=1).decoder
    found = [(epoch.number, epoch.phase) for epoch in epochs_of(plan, [3.0, 2.0, 1.0])]
    assert found == [(1, Phase.CROSS_ENTROPY), (2, Phase.CROSS_ENTROPY), (3, Phase.SELF_CRITICAL)]


def test_an_epoch_knows_how_many_of_its_kind_there_are_and_what_follows_them():
    plan = RunPlan.from_config(
        TrainingConfig(epochs=5, scst_epochs=2, patience=1, schedule="constant"), steps_per_epoch=1, continues_captioner=True
    ).decoder
    starts, epochs = [], []
    for loss in (4.0, 3.0, 3.5, 3.5, 3.5):  # patience ends cross-entropy training after two of five epochs
        phase = plan.next_phase(epochs)
        starts.append(plan.start(epochs, phase))
        epochs.append(Epoch(plan.next_number(epochs), 1.0, loss, {}, 1.0, phase))
    assert starts == [
        EpochStart(0, 0),
        EpochStart(1, 5, "self-critical epochs"),
        EpochStart(2, 5, "self-critical epochs"),
        EpochStart(3, 4),
        EpochStart(4, 4),
    ]
    encoder = RunPlan.from_config(TrainingConfig(epochs=1, encoder_epochs=3), steps_per_epoch=1).encoder
    assert encoder.start([], Phase.CROSS_ENTROPY) == EpochStart(1, 3, "the decoder")


def test_a_captioner_that_is_continued_is_validated_first_as_epoch_0():
    plan = RunPlan.from_config(TrainingConfig(epochs=1, encoder_epochs=3), steps_per_epoch=1, continues_captioner=True)
    assert plan.encoder is None
    found = [(epoch.number, epoch.phase) for epoch in epochs_of(plan.decoder, [2.0, 1.0])]
    assert found == [(0, Phase.WARM_START), (1, Phase.CROSS_ENTROPY)]


def test_a_fine_tuned_encoder_has_a_loop_of_its_own_which_is_validated_by_the_loss():
    plan = RunPlan.from_config(TrainingConfig(epochs=0, encoder_epochs=20, scst_epochs=1), steps_per_epoch=40)
    assert plan.encoder == LoopPlan(False, 20, 0, TrainingConfig().patience, warmup_epochs=3, criterion=Criterion.DEV_LOSS)
    assert [epoch.phase for epoch in epochs_of(plan.decoder, [2.0, 1.0])] == [Phase.WARM_START, Phase.SELF_CRITICAL]


def test_patience_ends_cross_entropy_training_and_self_critical_training_follows():
    plan = LoopPlan(warm_start=False, cross_entropy_epochs=9, self_critical_epochs=1, patience=2)
    phases = [epoch.phase for epoch in epochs_of(plan, [3.0, 1.0, 2.0, 2.0, 0.1])]
    assert phases == [Phase.CROSS_ENTROPY] * 4 + [Phase.SELF_CRITICAL]


def test_a_run_in_its_self_critical_phase_is_not_sent_back_although_its_patience_has_not_run_out():
    plan = LoopPlan(warm_start=False, cross_entropy_epochs=9, self_critical_epochs=2, patience=2)
    epochs = [Epoch(1, 1.0, 2.0, {}, 1.0), Epoch(2, 1.0, 1.0, {}, 1.0), Epoch(3, 1.0, 3.0, {}, 1.0, Phase.SELF_CRITICAL)]
    assert not plan.is_exhausted(epochs)
    assert plan.next_phase(epochs) == Phase.SELF_CRITICAL
    assert plan.next_phase([*epochs, epochs[-1]]) is None


def test_the_warm_up_does_not_count_against_patience():
    plan = LoopPlan(warm_start=False, cross_entropy_epochs=9, self_critical_epochs=0, patience=2, warmup_epochs=3)
    assert len(epochs_of(plan, [1.0, 2.0, 3.0, 4.0, 5.0, 0.1])) == 5


def test_training_goes_on_while_the_loss_falls_although_the_captions_get_worse():
    better, worse = [0.5] * 20, [0.1] * 20
    plan = LoopPlan(warm_start=True, cross_entropy_epochs=9, self_critical_epochs=0, patience=2)
    epochs = [Epoch(0, 1.0, 3.0, {"CIDEr-D": 0.5}, 1.0, Phase.WARM_START, per_image=tuple(better))]
    losses = iter([9.0, 8.0, 7.0, 7.5, 7.5, 1.0])
    while plan.next_phase(epochs):
        epochs.append(Epoch(len(epochs), 1.0, next(losses), {"CIDEr-D": 0.1}, 1.0, per_image=tuple(worse)))
    assert [epoch.dev_loss for epoch in epochs] == [3.0, 9.0, 8.0, 7.0, 7.5, 7.5]
    assert plan.choice(epochs).best is epochs[0]


@given(st.lists(st.floats(0, 9), min_size=1, max_size=30), st.integers(1, 5), st.integers(0, 5))
def test_training_never_stops_within_patience_of_the_lowest_loss(losses, patience, warmup):
    plan = LoopPlan(False, len(losses), 0, patience, warmup_epochs=warmup)
    trained = len(epochs_of(plan, losses))
    lowest = 1 + losses[:trained].index(min(losses[:trained]))
    assert trained == len(losses) or trained - max(lowest, warmup) >= patience


@pytest.mark.parametrize(("steps", "warmup", "decay"), [(1000, 100, 900), (50, 25, 25), (0, 0, 1)])
def test_the_warm_up_takes_at_most_half_of_the_steps(steps, warmup, decay):
    plan = LearningRatePlan.from_config(TrainingConfig(warmup_steps=100), steps)
    assert (plan.warmup_steps, plan.decay_steps) == (warmup, decay)
    assert plan.encoder_warmup_steps == max(1, steps // 5)
