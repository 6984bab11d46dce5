"""Attention: the weights of each step along a caption, laid on the grid, word by word as people read them."""

from types import SimpleNamespace

import numpy as np
import pytest

from capgen import Captioner
from capgen.captioner import decoding
from capgen.captioner.backends.litert_lstm import EncodedImage, LiteRTCaptionModel, LiteRTDecoder
from capgen.captioner.decoding import DecoderOutput, DecodingOptions, Hypothesis
from capgen.captioner.request import CaptionRequest
from capgen.captioner.slots import VisualWord, VisualWords
from capgen.captioner.text import CaptionText
from capgen.captioner.vocabulary import SPECIAL, START, Vocabulary
from capgen.errors import UsageError


class Echo:
    """A decoder of four cells that attends to the cell of the word before, and counts its steps."""

    def init_state(self, features):
        return {"grid": features}, {"step": np.zeros((1, 1), np.float32)}

    def step(self, words, memory, state):
        assert memory["grid"].shape == (1, 4, 2)
        weights = np.zeros((len(words), 4), np.float32)
        weights[np.arange(len(words)), words % 4] = state["step"][:, 0] + 1
        scores = np.tile(np.log(np.arange(1, 9) / 36).astype(np.float32), (len(words), 1))
        return DecoderOutput(scores, {"step": state["step"] + 1}, weights)


def test_a_words_attention_is_that_of_the_step_that_predicts_it():
    first, second = decoding.attention_weights(Echo(), np.zeros((1, 4, 2), np.float32), [[6, 4, 7], [5]])
    np.testing.assert_array_equal(first.argmax(axis=1), [START % 4, 6 % 4, 4 % 4])
    np.testing.assert_array_equal(first.max(axis=1), [1, 2, 3])
    np.testing.assert_array_equal(second, [[0, 1, 0, 0]])


def test_likelihoods_are_those_of_the_words_and_the_end():
    (found,) = decoding.log_likelihoods(Echo(), np.zeros((1, 4, 2), np.float32), [[6, 4]])
    np.testing.assert_allclose(found, np.log([7 / 36, 5 / 36, 3 / 36]), rtol=1e-6)


@pytest.fixture(scope="module")
def shapes(captioner):
    return Captioner.load(captioner.folder / "user/models/shapes", threads=1)


def test_the_words_are_those_of_the_caption_and_each_map_sums_to_one(shapes, captioner):
    for photograph in sorted(captioner.source.glob("images/*.png"))[:3]:
        found = shapes.caption(photograph, output_attention=True)
        assert found == shapes.caption(photograph)
        assert " ".join(found.attention.words) == found.text
        assert found.attention.maps.shape == (len(found.attention.words), 7, 7)
        assert found.attention.maps.dtype == np.float32
        np.testing.assert_allclose(found.attention.maps.sum(axis=(1, 2)), 1, atol=1e-4)
    assert shapes.caption(photograph).attention is None


def test_the_attention_of_many_is_that_of_one(shapes, captioner):
    photographs = sorted(captioner.source.glob("images/*.png"))[:3]
    results = shapes.caption_many([*photographs, __file__], output_attention=True)
    for photograph, result in zip(photographs, results, strict=False):
        alone = shapes.caption(photograph, output_attention=True).attention
        np.testing.assert_allclose(result.captions[0].attention.maps, alone.maps, atol=0.01, err_msg=str(photograph))
    assert [result.status for result in shapes.caption_many([__file__], output_attention=True)] == ["unsupported"]


def test_a_prompt_has_attention_as_it_was_typed(shapes, captioner):
    found = shapes.caption(captioner.source / "images/000.png", CaptionRequest(prompt="A zzyzzx red"), output_attention=True)
    assert found.attention.words[:3] == ("a", "zzyzzx", "red")
    assert len(found.attention.maps) == len(found.attention.words) == len(found.text.split())


def test_every_word_of_a_name_has_the_map_of_its_slot_and_the_cell_of_classes_none():
    names = VisualWords([VisualWord("ice bear", "ice bears", "animal", "count", (8,))])
    class_scores = names.class_scores(np.eye(1000)[8])
    vocabulary = Vocabulary((*SPECIAL, *names.slots, "a", "in"))
    text = CaptionText(vocabulary, names, 0.15)
    ids = vocabulary.ids(["in", "a", "<animal>", "in"])
    assert text.decode(ids, class_scores) == "in an ice bear in"
    weights = np.full((4, 5), 0.1, np.float32)  # four cells and the class-probability token
    weights[[0, 1, 2, 3], [0, 1, 2, 3]] = 0.5
    weights[2, 4] = 0.9
    stub = SimpleNamespace(text=text)
    found = LiteRTCaptionModel._attention(
        stub, Hypothesis(tuple(ids), -1.0), weights, EncodedImage(np.zeros(0), class_scores), DecodingOptions()
    )
    assert found.words == ("in", "an", "ice", "bear", "in")
    np.testing.assert_array_equal(found.maps.reshape(5, 4).argmax(axis=1), [0, 1, 2, 2, 3])
    np.testing.assert_allclose(found.maps.sum(axis=(1, 2)), 1, rtol=1e-6)
    np.testing.assert_array_equal(found.maps[2], found.maps[3])


def test_a_captioner_without_attention_says_so_in_one_line(monkeypatch, shapes, captioner):
    monkeypatch.setattr(LiteRTDecoder, "has_attention", False)
    assert not shapes.has_attention
    with pytest.raises(UsageError, match=r"shapes cannot return attention weights: .* train it again"):
        shapes.caption(captioner.source / "images/000.png", output_attention=True)
    monkeypatch.setitem(shapes.bundle.description.decoder, "family", "merge")
    with pytest.raises(UsageError, match="its decoder, merge, gives no attention weights"):
        shapes.caption_many([captioner.source / "images/000.png"], output_attention=True)
