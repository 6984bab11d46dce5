"""The plan of a run: which phases follow each other, when cross-entropy training stops, and the learning rate."""

import pytest

from capgen.training.config import TrainingConfig
from capgen.training.history import Epoch, Phase
from capgen.training.plan import Criterion, LearningRatePlan, LoopPlan, RunPlan


def epochs_of(plan, scores):
    """Follow a plan to its end, with the CIDEr-D of each epoch given."""
    epochs = []
    while phase := plan.next_phase(epochs):
        epochs.append(Epoch(plan.next_number(epochs), 1.0, 1.0, {"CIDEr-D": scores[len(epochs)]}, 1.0, phase))
    return epochs


def test_self_critical_epochs_follow_those_of_cross_entropy():
    plan = RunPlan.from_config(TrainingConfig(epochs=2, scst_epochs=1)).decoder
    found = [(epoch.number, epoch.phase) for epoch in epochs_of(plan, [0.1, 0.2, 0.3])]
    assert found == [(1, Phase.CROSS_ENTROPY), (2, Phase.CROSS_ENTROPY), (3, Phase.SELF_CRITICAL)]


def test_a_captioner_that_is_continued_is_validated_first_as_epoch_0():
    plan = RunPlan.from_config(TrainingConfig(epochs=1, encoder_epochs=3), continues_captioner=True)
    assert plan.encoder is None
    found = [(epoch.number, epoch.phase) for epoch in epochs_of(plan.decoder, [0.1, 0.2])]
    assert found == [(0, Phase.WARM_START), (1, Phase.CROSS_ENTROPY)]


def test_a_fine_tuned_encoder_has_a_loop_of_its_own_which_is_judged_by_the_loss():
    plan = RunPlan.from_config(TrainingConfig(epochs=0, encoder_epochs=2, scst_epochs=1))
    assert plan.encoder == LoopPlan(False, 2, 0, TrainingConfig().patience, Criterion.DEV_LOSS)
    assert [epoch.phase for epoch in epochs_of(plan.decoder, [0.1, 0.2])] == [Phase.WARM_START, Phase.SELF_CRITICAL]
    low, high = Epoch(1, 1.0, 0.5, {"CIDEr-D": 0.0}, 1.0), Epoch(2, 1.0, 0.9, {"CIDEr-D": 1.0}, 1.0)
    assert plan.encoder.is_best(low, [high])
    assert not plan.encoder.is_best(high, [low])


def test_patience_ends_cross_entropy_training_and_self_critical_training_follows():
    plan = LoopPlan(warm_start=False, cross_entropy_epochs=9, self_critical_epochs=1, patience=2)
    phases = [epoch.phase for epoch in epochs_of(plan, [0.1, 0.3, 0.2, 0.2, 0.9])]
    assert phases == [Phase.CROSS_ENTROPY] * 4 + [Phase.SELF_CRITICAL]


def test_an_epoch_that_is_as_good_as_an_earlier_one_is_not_better():
    plan = LoopPlan(False, 3, 0, 3)
    first, second = (Epoch(number, 1.0, 1.0, {"CIDEr-D": 0.5}, 1.0) for number in (1, 2))
    assert plan.is_best(first, [])
    assert not plan.is_best(second, [first])


@pytest.mark.parametrize(("steps", "warmup", "decay"), [(1000, 100, 900), (50, 25, 25), (0, 0, 1)])
def test_the_warm_up_takes_at_most_half_of_the_steps(steps, warmup, decay):
    plan = LearningRatePlan.from_config(TrainingConfig(warmup_steps=100), steps)
    assert (plan.warmup_steps, plan.decay_steps) == (warmup, decay)
    assert plan.encoder_warmup_steps == max(1, steps // 5)
