"""The three decoders: one step at a time is the same as a whole caption, and all of it runs on LiteRT alike."""

import keras
import numpy as np
import pytest

from capgen.captioner import decoding
from capgen.captioner.backends.litert import LiteRTSession
from capgen.captioner.backends.litert_lstm import LiteRTDecoder
from capgen.captioner.decoding.decoder import repeated
from capgen.training.decoders import DECODERS
from capgen.training.decoders.decoder import DecoderConfig
from capgen.training.keras_steps import KerasSteps
from capgen.training.litert_export import to_litert

SHAPE = DecoderConfig(cells=6, channels=10, vocabulary=23, embedding=16, state=16, heads=4, dropout=0.3)


@pytest.fixture(params=list(DECODERS))
def decoder(request):
    keras.utils.set_random_seed(3)
    return DECODERS[request.param](SHAPE)


def inputs(images=3, captions=2, steps=5):
    random = np.random.default_rng(0)
    features = random.normal(size=(images, SHAPE.cells, SHAPE.channels)).astype(np.float32)
    return features, random.integers(4, SHAPE.vocabulary, size=(images, captions, steps)).astype(np.int32)


def logits(model, features, words, places=None):
    """Score every next word, (N, K, T, V), or those of some places."""
    every = np.arange(words.size, dtype=np.int32)
    found = np.asarray(model({"features": features, "words": words, "positions": every if places is None else places}))
    return found.reshape(*words.shape, -1) if places is None else found


def test_one_word_at_a_time_gives_the_scores_of_the_whole_caption(decoder):
    features, words = inputs()
    whole = keras.ops.convert_to_numpy(keras.ops.log_softmax(logits(decoder.training_model(5), features, words)))
    steps = KerasSteps(decoder)
    memory, state = steps.init_state(features)
    state = repeated(state, 2)
    for position in range(5):
        output = steps.step(words[:, :, position].reshape(-1), memory, state)
        found = output.log_probabilities.reshape(3, 2, -1)
        np.testing.assert_allclose(found, whole[:, :, position], atol=2e-5)
        state = output.state


def test_only_the_places_asked_for_are_scored(decoder):
    features, words = inputs()
    model = decoder.training_model(5)
    places = np.array([0, 7, 29], np.int32)
    whole = logits(model, features, words).reshape(-1, SHAPE.vocabulary)
    np.testing.assert_allclose(logits(model, features, words, places), whole[places], atol=1e-6)


def test_no_word_sees_what_comes_after_it(decoder):
    features, words = inputs()
    model = decoder.training_model(5)
    changed = words.copy()
    changed[:, :, 3:] = 4
    first, second = (logits(model, features, w)[:, :, :3] for w in (words, changed))
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_other_pictures_give_other_scores(decoder):
    features, words = inputs()
    model = decoder.training_model(5)
    first, second = (logits(model, f, words) for f in (features, features[::-1].copy()))
    assert np.abs(first - second)[0].max() > 1e-4


def test_litert_captions_like_keras_for_every_batch_and_beam(decoder, tmp_path):
    for variable in decoder.training_model(2).weights:  # what a bundle holds is rounded
        if "seed" not in variable.path:
            variable.assign(np.asarray(variable).astype(np.float16).astype(np.float32))
    by_keras = KerasSteps(decoder)
    path = tmp_path / "decoder.tflite"
    to_litert({"begin": by_keras.init_model, "step": by_keras.step_model}, path)
    by_litert = LiteRTDecoder(LiteRTSession(path, threads=1))
    for images, beam in ((1, 1), (3, 2), (2, 5)):
        features, _ = inputs(images)
        options = decoding.DecodingOptions(num_beams=beam, max_words=6)
        expected, found = (decoding.search(steps, features, options) for steps in (by_keras, by_litert))
        for one, other in zip(expected, found, strict=True):
            assert one[0].log_probability == pytest.approx(other[0].log_probability, abs=1e-4)


def test_a_picture_of_zeros_is_captioned(decoder, tmp_path):
    steps = KerasSteps(decoder)
    to_litert({"begin": steps.init_model, "step": steps.step_model}, tmp_path / "decoder.tflite")
    zeros = np.zeros((1, SHAPE.cells, SHAPE.channels), np.float32)
    found = decoding.search(
        LiteRTDecoder(LiteRTSession(tmp_path / "decoder.tflite", 1)), zeros, decoding.DecodingOptions(num_beams=2)
    )
    assert np.isfinite(found[0][0].log_probability)


def test_the_attention_decoder_says_where_it_looked(tmp_path):
    keras.utils.set_random_seed(3)
    steps = KerasSteps(DECODERS["attention"](SHAPE))
    to_litert({"begin": steps.init_model, "step": steps.step_model}, tmp_path / "decoder.tflite")
    by_litert = LiteRTDecoder(LiteRTSession(tmp_path / "decoder.tflite", threads=1))
    features, _ = inputs(images=2)
    memory, state = by_litert.init_state(features)
    shares = by_litert.step(np.full(6, 5, np.int32), memory, repeated(state, 3)).attention
    assert shares.shape == (6, SHAPE.cells)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-4)
    assert np.abs(shares[0] - shares[3]).max() > 1e-3, "two pictures are looked at differently"
    np.testing.assert_allclose(shares[0], shares[2], atol=1e-6)
