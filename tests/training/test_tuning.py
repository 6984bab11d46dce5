"""Fine-tuning an encoder's last blocks: its learning rate, the class-probability token beside the grid, the weights."""

import math
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from support.drawing import draw

from capgen import images
from capgen.captioner.slots import with_class_token
from capgen.training.encoders import ENCODERS
from capgen.training.encoders.efficientnet_lite import TUNED, build_last_blocks, fine_tuned_weights
from capgen.training.encoders.encoder import MIDDLE, PROBABILITIES
from capgen.training.fine_tuning import DiscriminativeAdamW, encoder_tail

pytestmark = pytest.mark.slow

LITE0 = ENCODERS["efficientnet-lite0"]
GRADIENTS = [np.array([0.3, -2.0], np.float32), np.array([[1e-3, 5.0]], np.float32)]


def variables():
    return [keras.Variable(np.array([1.0, -2.0]), name="decoder"), keras.Variable(np.array([[0.5, 4.0]]), name="encoder")]


def moved(make, steps):
    """How far each step moves two variables, the second of which is the encoder's."""
    both = variables()
    optimizer, path = make(both[1]), []
    for _ in range(steps):
        before = [np.array(variable) for variable in both]
        optimizer.apply(GRADIENTS, both)
        path.append([np.array(variable) - old for variable, old in zip(both, before, strict=True)])
    return path


def test_the_encoders_step_is_the_decoders_times_the_multiplier():
    plain = moved(lambda _: keras.optimizers.AdamW(0.01, weight_decay=0.0), 3)
    discriminative = moved(lambda encoder: DiscriminativeAdamW(0.01, [encoder], 0.1, 0, weight_decay=0.0), 3)
    for (decoder, encoder), (its_decoder, its_encoder) in zip(plain, discriminative, strict=True):
        assert np.abs(encoder).min() > 0.009
        np.testing.assert_allclose(its_decoder, decoder, rtol=1e-6)
        np.testing.assert_allclose(its_encoder, 0.1 * encoder, rtol=1e-3, atol=1e-7)


def test_the_multiplier_rises_over_its_warm_up_and_then_stays():
    plain = moved(lambda _: keras.optimizers.AdamW(0.01, weight_decay=0.0), 6)
    discriminative = moved(lambda encoder: DiscriminativeAdamW(0.01, [encoder], 0.5, 4, weight_decay=0.0), 6)
    multipliers = [(its[1] / full[1]).mean() for its, full in zip(discriminative, plain, strict=True)]
    np.testing.assert_allclose(multipliers, [0.125, 0.25, 0.375, 0.5, 0.5, 0.5], rtol=1e-3)


def test_a_schedule_is_multiplied_like_a_number():
    schedule = keras.optimizers.schedules.PolynomialDecay(0.02, 4)
    plain = moved(lambda _: keras.optimizers.AdamW(schedule, weight_decay=0.0), 3)
    discriminative = moved(lambda encoder: DiscriminativeAdamW(schedule, [encoder], 0.1, 0, weight_decay=0.0), 3)
    for (_, encoder), (_, its_encoder) in zip(plain, discriminative, strict=True):
        np.testing.assert_allclose(its_encoder, 0.1 * encoder, rtol=2e-3)


def test_training_a_model_moves_the_layer_of_the_encoder_by_its_multiplier():
    def trained(make):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((3,))
        first, second = keras.layers.Dense(4, name="first"), keras.layers.Dense(2, name="second")
        model = keras.Model(inputs, second(first(inputs)))
        before = [np.array(first.kernel), np.array(second.kernel)]
        model.compile(make(first.trainable_variables), "mse", jit_compile=False)
        model.train_on_batch(np.ones((2, 3), np.float32), np.ones((2, 2), np.float32))
        return [np.array(layer.kernel) - old for layer, old in zip((first, second), before, strict=True)]

    plain = trained(lambda _: keras.optimizers.AdamW(0.01, weight_decay=0.0))
    discriminative = trained(lambda encoder: DiscriminativeAdamW(0.01, encoder, 0.1, 0, weight_decay=0.0))
    np.testing.assert_allclose(discriminative[1], plain[1], rtol=1e-5)
    np.testing.assert_allclose(discriminative[0], 0.1 * plain[0], rtol=1e-3, atol=1e-7)


# The class-probability token beside the grid


def test_the_last_blocks_take_the_grid_and_the_token_goes_past_them():
    last_blocks = keras.Sequential([keras.Input((4, 3)), keras.layers.Dense(5)])
    random = np.random.default_rng(0)
    grids, cells = random.normal(size=(2, 4, 3)).astype(np.float32), random.normal(size=(2, 7)).astype(np.float32)
    cached = np.stack([with_class_token(grid, cell) for grid, cell in zip(grids, cells, strict=True)])
    found = encoder_tail(last_blocks, (4, 5), 7).predict(cached, verbose=0)
    encoded = last_blocks.predict(grids, verbose=0)
    expected = np.stack([with_class_token(grid, cell) for grid, cell in zip(encoded, cells, strict=True)])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_without_a_token_the_last_blocks_are_all_there_is():
    last_blocks = keras.Sequential([keras.Input((4, 3)), keras.layers.Dense(5)])
    assert encoder_tail(last_blocks, (4, 5), 0) is last_blocks


# The last blocks of a real encoder


@pytest.fixture(scope="module")
def pixels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    draw(folder / "0.png", "red", "circle", 0)
    draw(folder / "1.png", "blue", "triangle", 1)
    read = [images.read(path, LITE0.preprocessing) for path in sorted(folder.iterdir())]
    return np.stack(read).astype(np.float32)


def outputs(model, pixels):
    return {name: np.asarray(array) for name, array in model.predict(pixels, verbose=0).items()}


def nudged(last_blocks, seed):
    """Train the last blocks, as far as numbers are concerned."""
    random = np.random.default_rng(seed)
    for variable in last_blocks.trainable_variables:
        variable.assign(np.array(variable) * (1 + 0.1 * random.normal(size=variable.shape)))


def saved(path, arrays):
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def tuned(pixels, tmp_path_factory):
    """Last blocks that were trained twice, the second time from what came of the first, and the encoders with each."""
    folder = tmp_path_factory.mktemp("tuned")
    shipped, mirrored = (outputs(LITE0.build(), each) for each in (pixels, pixels[:, :, ::-1]))
    stages, weights = [], None
    for number in (1, 2):
        last_blocks = build_last_blocks(LITE0, weights)
        before = last_blocks.predict(shipped[MIDDLE], verbose=0)
        nudged(last_blocks, number)
        arrays = fine_tuned_weights(LITE0, weights, last_blocks)
        predicted = [last_blocks.predict(each[MIDDLE], verbose=0) for each in (shipped, mirrored)]
        weights = saved(folder / f"{number}.npz", arrays)
        found = outputs(LITE0.build(weights), pixels)
        stages.append(SimpleNamespace(before=before, predicted=predicted, arrays=arrays, encoder=found))
    return SimpleNamespace(shipped=shipped, stages=stages)


def turned(grid):
    """Turn the grid of a mirror image back."""
    side = math.isqrt(grid.shape[1])
    return grid.reshape(len(grid), side, side, -1)[:, :, ::-1].reshape(grid.shape)


def close(found, expected, share):
    """Whether two grids differ by at most a share of the largest number."""
    return np.abs(found - expected).max() <= share * np.abs(expected).max()


def test_the_last_blocks_make_the_encoders_own_grid_of_its_middle(tuned):
    assert {name: array.shape[1:] for name, array in tuned.shipped.items()} == LITE0.outputs
    assert close(tuned.stages[0].before, tuned.shipped["grid"], 1e-4)


def test_an_encoder_with_tuned_weights_gives_the_old_probabilities_and_the_mean_grid_of_both_augmentations(tuned):
    for stage in tuned.stages:
        plain, mirrored = stage.predicted
        assert not close(plain, tuned.shipped["grid"], 0.05)
        assert not close(plain, turned(mirrored), 0.05)
        assert close(stage.encoder["grid"], (plain + turned(mirrored)) / 2, 0.01)  # its weights are rounded to float16
        np.testing.assert_allclose(stage.encoder[PROBABILITIES], tuned.shipped[PROBABILITIES], atol=1e-5)
        np.testing.assert_allclose(stage.encoder[MIDDLE], tuned.shipped[MIDDLE], atol=1e-4)


def test_tuned_weights_can_be_tuned_again(tuned):
    first, second = tuned.stages
    assert close(second.before, first.predicted[0], 0.01)
    assert not close(second.predicted[0], first.predicted[0], 0.05)
    assert second.arrays.keys() == first.arrays.keys()


def test_tuned_weights_hold_the_old_ones_as_they_were(tuned):
    with np.load(LITE0.weights_file) as shipped:
        for stage in tuned.stages:
            added = {name for name in stage.arrays if name.startswith(TUNED)}
            assert stage.arrays.keys() - added == set(shipped.files)
            assert {name.removeprefix(TUNED) for name in added} < set(shipped.files)
            for name in shipped.files:
                np.testing.assert_array_equal(stage.arrays[name], shipped[name])


def test_the_statistics_of_batch_normalisation_are_not_trained():
    last_blocks = build_last_blocks(LITE0, "random")
    kernels = [variable for variable in last_blocks.trainable_variables if "kernel" in variable.path]
    assert kernels == last_blocks.trainable_variables
    before = [np.array(variable) for variable in last_blocks.non_trainable_variables]
    last_blocks.compile("sgd", "mse", jit_compile=False)
    last_blocks.train_on_batch(np.ones((1, *LITE0.outputs[MIDDLE])), np.ones((1, *LITE0.outputs["grid"])))
    after = [np.array(variable) for variable in last_blocks.non_trainable_variables]
    assert len(before) >= 8
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
