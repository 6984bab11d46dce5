"""The contract of decoders, for every entry of the registry: captions, single words and LiteRT give the same numbers."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from capgen.captioner import decoding
from capgen.captioner.backends.litert import LiteRTSession
from capgen.captioner.backends.litert_lstm import LiteRTDecoder
from capgen.captioner.decoding.decoder import repeated
from capgen.training.batches import teacher_forced
from capgen.training.decoders import DECODERS
from capgen.training.decoders.decoder import DecoderConfig
from capgen.training.keras_decoder import KerasDecoder
from capgen.training.litert_export import to_litert
from capgen.training.losses import CaptionLoss

pytestmark = pytest.mark.slow

CONFIG = DecoderConfig(cells=6, channels=10, vocabulary=23, embedding=16, state=16, heads=4, dropout=0.3)
STEPS = 5


@pytest.fixture(scope="module", params=list(DECODERS))
def made(request, tmp_path_factory):
    """A small decoder, its training model, the decoder in Keras word by word and the same exported to LiteRT."""
    keras.utils.set_random_seed(3)
    decoder = DECODERS[request.param](CONFIG)
    model = decoder.training_model(STEPS)
    for variable in model.weights:  # a bundle keeps float16 numbers
        if "seed" not in variable.path:
            variable.assign(np.asarray(variable).astype(np.float16).astype(np.float32))
    stepwise = KerasDecoder(decoder)
    graph = tmp_path_factory.mktemp(request.param) / "decoder.tflite"
    to_litert({"begin": stepwise.init_model, "step": stepwise.step_model}, graph)
    exported = LiteRTDecoder(LiteRTSession(graph, threads=1))
    return SimpleNamespace(name=request.param, decoder=decoder, model=model, stepwise=stepwise, exported=exported)


def inputs(images=3, captions=2):
    """Features (N, C, D) and words (N, K, T)."""
    random = np.random.default_rng(0)
    features = random.normal(size=(images, CONFIG.cells, CONFIG.channels)).astype(np.float32)
    return features, random.integers(4, CONFIG.vocabulary, size=(images, captions, STEPS)).astype(np.int32)


def logits(model, features, words, positions=None):
    """Score every next word, (N, K, T, V), or those at some positions, (P, V)."""
    every = np.arange(words.size, dtype=np.int32)
    found = model({"features": features, "words": words, "positions": every if positions is None else positions})
    return np.asarray(found).reshape(*words.shape, -1) if positions is None else np.asarray(found)


def test_it_names_the_encoder_output_that_it_prefers(made):
    assert made.decoder.preferred_output in {"grid", "vector"}


def test_every_position_of_every_caption_gets_a_score_for_every_word(made):
    features, words = inputs()
    assert logits(made.model, features, words).shape == (3, 2, STEPS, CONFIG.vocabulary)


def test_one_word_at_a_time_gives_the_log_probabilities_of_the_whole_caption(made):
    features, words = inputs()
    whole = keras.ops.convert_to_numpy(keras.ops.log_softmax(logits(made.model, features, words)))
    memory, state = made.stepwise.init_state(features)
    assert all(len(array) == 3 for array in (*memory.values(), *state.values()))
    state = repeated(state, 2)
    for position in range(STEPS):
        output = made.stepwise.step(words[:, :, position].reshape(-1), memory, state)
        np.testing.assert_allclose(output.log_probabilities.reshape(3, 2, -1), whole[:, :, position], atol=2e-5)
        assert {name: array.shape for name, array in output.state.items()} == {n: a.shape for n, a in state.items()}
        state = output.state


def test_only_the_positions_asked_for_are_scored(made):
    features, words = inputs()
    positions = np.array([0, 7, 29], np.int32)
    whole = logits(made.model, features, words).reshape(-1, CONFIG.vocabulary)
    np.testing.assert_allclose(logits(made.model, features, words, positions), whole[positions], atol=1e-6)


def test_no_word_depends_on_what_comes_after_it(made):
    features, words = inputs()
    changed = words.copy()
    changed[:, :, 3:] = 4
    first, second = (logits(made.model, features, w)[:, :, :3] for w in (words, changed))
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_other_images_give_other_scores(made):
    features, words = inputs()
    first, second = (logits(made.model, f, words) for f in (features, features[::-1].copy()))
    assert np.abs(first - second)[0].max() > 1e-4


@pytest.mark.parametrize(("images", "beams"), [(1, 1), (3, 2), (2, 5)])
def test_litert_captions_like_keras_for_every_batch_and_beam(made, images, beams):
    features, _ = inputs(images)
    options = decoding.DecodingOptions(num_beams=beams, max_words=6)
    expected, found = (decoding.search(each, features, options) for each in (made.stepwise, made.exported))
    for one, other in zip(expected, found, strict=True):
        assert one[0].log_probability == pytest.approx(other[0].log_probability, abs=1e-4)


def test_an_image_of_zeros_is_captioned(made):
    zeros = np.zeros((1, CONFIG.cells, CONFIG.channels), np.float32)
    [[found, *_]] = decoding.search(made.exported, zeros, decoding.DecodingOptions(num_beams=2))
    assert np.isfinite(found.log_probability)


def test_attention_weights_are_a_distribution_over_the_cells_of_each_image(made):
    features, _ = inputs(images=2)
    memory, state = made.exported.init_state(features)
    weights = made.exported.step(np.full(6, 5, np.int32), memory, repeated(state, 3)).attention
    if made.name != "attention" and weights is None:
        return  # a decoder need not have attention
    assert weights.shape == (6, CONFIG.cells)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-4)
    assert np.abs(weights[0] - weights[3]).max() > 1e-3, "two images have the same attention weights"
    np.testing.assert_allclose(weights[0], weights[2], atol=1e-6)


def test_a_step_of_training_lowers_the_loss():
    """This changes weights, so that each decoder is made anew; without dropout the loss falls for certain."""
    for name in DECODERS:
        keras.utils.set_random_seed(3)
        decoder = DECODERS[name](CONFIG)
        for dropout in decoder.dropouts.values():
            dropout.rate = 0.0
        model = decoder.training_model(STEPS)
        model.compile(keras.optimizers.Adam(0.003), CaptionLoss(0.0), jit_compile=False)
        features, _ = inputs()
        batch, targets = teacher_forced([[[4, 5, 6], [7, 8]], [[9], [10, 11]], [[12], [13]]], 2, STEPS)
        first, second = (float(model.train_on_batch({"features": features, **batch}, targets)) for _ in range(2))
        assert second < first, name
