"""What every captioner backend promises: see ``CaptionModel``. A new backend runs through the same tests."""

from dataclasses import replace

import numpy as np
import pytest
from support.bundles import DESCRIPTION
from support.paths import ROOT

from capgen import Captioner, CaptionRequest, images
from capgen.captioner import bundle, catalogue
from capgen.captioner.backends import BACKENDS
from capgen.captioner.backends.model import Capability
from capgen.captioner.bundle import Bundle
from capgen.errors import BundleError, UsageError

REQUESTS = {
    Capability.PROMPT: CaptionRequest(prompt="a photo of"),
    Capability.SUPPRESSION: CaptionRequest(suppressed_words=("a", "on")),
    Capability.LENGTHS: CaptionRequest(min_words=3, max_words=4),
    Capability.ALTERNATIVES: CaptionRequest(num_captions=3),
    Capability.BEAMS: CaptionRequest(num_beams=1),
    Capability.SAMPLING: CaptionRequest(temperature=1.0, seed=3),
}
EXAMPLES = [ROOT / "examples" / name for name in ("cat.jpg", "coffee.jpg", "astronaut.jpg")]


@pytest.fixture(scope="module", params=BACKENDS)
def opened(request, tmp_path_factory):
    """A captioner of each backend; the one that ships is of the first."""
    if request.param == "litert-lstm":
        return Bundle(catalogue.find("photo-en-v1"))
    path = tmp_path_factory.mktemp("backend") / request.param
    bundle.write(path, replace(DESCRIPTION, name=request.param, backend=request.param), {})
    return Bundle(path)


@pytest.fixture(scope="module")
def model(opened):
    return BACKENDS[opened.description.backend](opened, 1)


@pytest.fixture(scope="module")
def pixels(model):
    return [images.read(path, model.preprocessing) for path in EXAMPLES]


def texts(found):
    return [[caption.text for caption in captions] for captions in found]


def supports(model, request):
    return all(model.why_not(capability) is None for capability, each in REQUESTS.items() if each is request)


def test_each_image_has_captions_with_a_confidence_the_best_first(model, pixels):
    request = REQUESTS[Capability.ALTERNATIVES]
    found = model.generate(pixels, request if supports(model, request) else CaptionRequest())
    assert len(found) == len(pixels)
    for captions in found:
        confidences = [caption.confidence for caption in captions]
        assert confidences == sorted(confidences, reverse=True)
        assert all(0 <= confidence <= 1 for confidence in confidences)
        assert all(caption.text and caption.text == caption.text.strip() for caption in captions)
        assert all(caption.attention is None for caption in captions)


def test_no_images_have_no_captions(model):
    assert model.generate([], CaptionRequest()) == []


@pytest.mark.parametrize("capability", REQUESTS)
def test_a_request_is_honoured_or_refused_by_name_before_any_work(opened, model, capability):
    request, captioner = REQUESTS[capability], Captioner(opened, threads=1)
    reason = model.why_not(capability)
    if reason is not None:
        with pytest.raises(UsageError, match=f"{opened.description.name} cannot {capability}"):
            captioner.caption_many(iter(EXAMPLES), request)
        return
    [result] = captioner.caption_many(EXAMPLES[:1], request)
    said = result.captions[0].text.split()
    assert result.caption.startswith(request.prompt)
    assert not set(said) & set(request.suppressed_words)
    assert request.min_words <= len(said) <= (request.max_words or len(said))
    assert len(result.captions) == request.num_captions
    assert captioner.decoding(request).sampling == request.sampling


@pytest.mark.parametrize("request_", [CaptionRequest(), REQUESTS[Capability.SAMPLING]], ids=["searched", "sampled"])
def test_captions_are_the_same_in_any_batch_and_with_any_number_of_threads(opened, model, pixels, request_):
    if not supports(model, request_):
        return
    together = texts(model.generate(pixels, request_))
    assert texts(model.generate(pixels, request_)) == together
    assert [texts(model.generate([each], request_))[0] for each in pixels] == together
    other = BACKENDS[opened.description.backend](opened, 2)
    assert texts(other.generate(pixels[::-1], request_)) == together[::-1]


def test_attention_is_given_for_every_word_or_refused(opened, model):
    captioner = Captioner(opened, threads=1)
    assert captioner.has_attention == (model.why_not(Capability.ATTENTION) is None)
    if not captioner.has_attention:
        with pytest.raises(UsageError, match="cannot return attention weights"):
            captioner.caption(EXAMPLES[0], output_attention=True)
        return
    found = captioner.caption(EXAMPLES[0], output_attention=True)
    assert " ".join(found.attention.words) == found.text
    np.testing.assert_allclose(found.attention.maps.sum(axis=(1, 2)), 1, atol=1e-4)


def test_captions_are_scored_or_that_is_refused(opened, model):
    captioner, given = Captioner(opened, threads=1), ["a cat", "a dog on a beach"]
    if model.why_not(Capability.SCORING) is not None:
        with pytest.raises(UsageError, match="cannot score captions"):
            captioner.score(EXAMPLES[0], given)
        return
    found = captioner.score(EXAMPLES[0], given)
    assert [likelihood.caption for likelihood in found] == given
    assert all(likelihood.total < 0 for likelihood in found)


def test_a_backend_that_does_not_exist_is_a_fault_of_the_bundle(tmp_path):
    bundle.write(tmp_path / "tiny", replace(DESCRIPTION, backend="litert-lstn"), {})
    with pytest.raises(BundleError, match="no captioner backend named 'litert-lstn'; did you mean litert-lstm"):
        Bundle(tmp_path / "tiny")
