"""The encoders: what the shipped ones know of real photographs, preprocessing, and files that are not their weights."""

import dataclasses

import keras
import numpy as np
import pytest
from support.paths import ROOT

from capgen import images
from capgen.errors import DataError
from capgen.training.encoders import ENCODERS

pytestmark = pytest.mark.slow

# Rows of ImageNet-1k's label list.
TABBY_CATS = {281, 282, 285}
ESPRESSO_OR_CUP = {967, 968, 504}


@pytest.mark.parametrize("name", [name for name in ENCODERS if ENCODERS[name].shipped])
def test_a_shipped_encoder_names_the_photographs_as_its_imagenet_head_should(name):
    model = ENCODERS[name].build()
    photographs = [
        images.read(ROOT / "examples" / f"{what}.jpg", ENCODERS[name].preprocessing) for what in ("cat", "coffee")
    ]
    outputs = model.predict(np.stack(photographs).astype(np.float32), verbose=0)
    cat, coffee = np.argsort(-outputs["probabilities"][:, 0], axis=1)[:, :3]
    assert TABBY_CATS & set(cat.tolist())
    assert ESPRESSO_OR_CUP & set(coffee.tolist())


def test_the_logit_scale_is_a_factor_of_the_logits():
    plain = dataclasses.replace(ENCODERS["efficientnet-lite0"], preprocessing=images.Preprocessing(size=64))
    image = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype(np.float32)
    before, after = (
        dataclasses.replace(plain, logit_scale=logit_scale).build().predict(image, verbose=0)["probabilities"]
        for logit_scale in (1.0, 1.5)
    )
    np.testing.assert_allclose(after, before**1.5 / (before**1.5).sum(), rtol=1e-4)
    keras.backend.clear_session()


def test_vgg16_prepares_images_as_keras_does():
    from capgen.training.encoders.applications import _caffe

    image = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 3)).astype(np.float32)
    ours = np.asarray(_caffe(keras.ops.convert_to_tensor(image)))
    np.testing.assert_allclose(ours, keras.applications.vgg16.preprocess_input(image.copy()), atol=1e-4)


def test_a_file_that_holds_no_weights_says_so(tmp_path):
    file = tmp_path / "weights.h5"
    file.write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"weights\.h5 does not hold the weights of mobilenetv3"):
        ENCODERS["mobilenetv3"].build(file)


@pytest.mark.parametrize("content", [b"", b"nothing", "one array"], ids=["empty", "text", "one array"])
def test_a_file_that_holds_no_arrays_says_so(tmp_path, content):
    file = tmp_path / "weights.npz"
    with file.open("wb") as opened:
        np.save(opened, np.zeros(3)) if content == "one array" else opened.write(content)
    with pytest.raises(DataError, match=r"weights\.npz does not hold the weights of efficientnet_lite0"):
        ENCODERS["efficientnet-lite0"].build(file)


def test_arrays_of_another_encoder_are_refused():
    with pytest.raises(DataError, match="does not hold the weights"):
        ENCODERS["efficientnet-lite2"].build(ENCODERS["efficientnet-lite0"].weights_file)


def test_vgg16_runs_on_litert_with_its_grid_and_its_vector(tmp_path):
    from capgen.captioner.backends.litert import LiteRTSession
    from capgen.training.litert_export import to_litert

    # At 224 pixels its first fully connected layer alone has 100 million weights, whose conversion takes a minute.
    small = dataclasses.replace(ENCODERS["vgg16"], preprocessing=images.Preprocessing(size=64))
    model = small.build("random")
    to_litert({"encode": model}, tmp_path / "vgg16.tflite")
    image = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype(np.float32)
    found = LiteRTSession(tmp_path / "vgg16.tflite", threads=2).run("encode", {"image": image})
    expected = model.predict(image, verbose=0)
    assert {name: array.shape for name, array in found.items()} == {"grid": (1, 4, 512), "vector": (1, 1, 4096)}
    for name, array in found.items():
        scale = np.abs(expected[name]).max()
        np.testing.assert_allclose(array / scale, expected[name] / scale, atol=0.01)
