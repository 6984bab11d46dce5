"""The feature cache: keyed by content, whole or not there, going on after a stop."""

import dataclasses
import hashlib
from types import SimpleNamespace

import numpy as np
import pytest
from support.drawing import draw

from capgen import images
from capgen.captioner.backends.litert import LiteRTSession
from capgen.training import encoder_graph, extraction, features
from capgen.training.encoders import ENCODERS
from capgen.training.litert_export import to_litert


@pytest.fixture
def ready(studio, monkeypatch):
    """The studio's converted encoder."""
    monkeypatch.setenv("CAPGEN_CACHE_DIR", str(studio.folder / "cache"))
    return encoder_graph.encoder_graph(ENCODERS["efficientnet-lite0"])


@pytest.fixture
def files(tmp_path):
    found = []
    for index in range(10):
        path = tmp_path / f"{index}.png"
        draw(path, "red", "circle", 1000 + index)
        found.append((hashlib.sha256(path.read_bytes()).hexdigest(), path))
    return found


def test_what_is_cached_is_what_the_graph_says(ready, files, tmp_path):
    store = features.FeatureStore(tmp_path / "store")
    extraction.extract(ready, store, files, ["plain", "flip"], workers=2)
    graph = LiteRTSession(ready.path, threads=1)
    for image_hash, path in files:
        pixels = images.read(path, ready.encoder.preprocessing)
        for augmentation, seen in (("plain", pixels), ("flip", pixels[:, ::-1])):
            fresh = graph.run("encode", {"image": seen[None].astype(np.float32)})["grid"][0]
            cached = store.row(features.feature_key(image_hash, augmentation), "grid")
            assert cached.dtype == np.float16
            np.testing.assert_allclose(cached, fresh, atol=0.01)


def test_a_stopped_extraction_goes_on_where_it_was(ready, files, tmp_path, monkeypatch):
    monkeypatch.setattr(extraction, "SHARD_ROWS", 4)

    def stop(done, total):
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extraction.extract(ready, features.FeatureStore(tmp_path), files, ["plain"], workers=2, on_progress=stop)
    again = features.FeatureStore(tmp_path)
    assert sum(image_hash in again for image_hash, _ in files) == 4
    computed = []
    extraction.extract(ready, again, files, ["plain"], workers=2, on_progress=lambda *counts: computed.append(counts))
    assert computed[-1] == (6, 6)
    assert all(image_hash in features.FeatureStore(tmp_path) for image_hash, _ in files)


def test_a_shard_without_its_list_of_keys_does_not_exist(tmp_path):
    store = features.FeatureStore(tmp_path)
    store.write(["a", "b"], {"grid": np.ones((2, 3, 4), np.float32)})
    next(tmp_path.glob("*.json")).unlink()
    assert "a" not in features.FeatureStore(tmp_path)


def test_rows_come_back_in_the_order_asked_for(tmp_path):
    store = features.FeatureStore(tmp_path)
    store.write(["a", "b"], {"grid": np.arange(24).reshape(2, 3, 4)})
    np.testing.assert_array_equal(store.rows(["b", "a"], "grid")[:, 0, 0], [12, 0])


def test_an_image_that_cannot_be_decoded_is_returned_with_its_reason(ready, files, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"nothing")
    failed = extraction.extract(ready, features.FeatureStore(tmp_path / "s"), [*files, ("x", broken)], ["plain"], workers=2)
    assert list(failed) == ["x"]


def test_other_weights_make_another_key(ready, tmp_path):
    other = tmp_path / "weights.npz"
    other.write_bytes(b"other")
    assert encoder_graph._fingerprint(ready.encoder, ready.encoder.weights_file) == ready.fingerprint
    assert encoder_graph._fingerprint(ready.encoder, other) != ready.fingerprint


def test_the_encoder_inside_a_captioner_takes_images_as_that_captioner_does(studio, files, tmp_path, monkeypatch):
    monkeypatch.setenv("CAPGEN_CACHE_DIR", str(tmp_path / "cache"))
    small = images.Preprocessing(size=96)
    model = dataclasses.replace(ENCODERS["efficientnet-lite0"], preprocessing=small).build()
    to_litert({"encode": model}, tmp_path / "graph")
    captioner = SimpleNamespace(
        description=SimpleNamespace(encoder={"name": "efficientnet-lite0"}, preprocessing=small),
        read=lambda name: (tmp_path / "graph").read_bytes(),
    )
    with encoder_graph.use_captioner_encoder(captioner) as own:
        assert own.encoder.outputs == {"grid": (9, 1280), "middle": (9, 192), "probabilities": (1, 1000)}
        store = features.FeatureStore(own.store_folder)
        assert extraction.extract(own, store, files[:1], ["plain"], workers=1) == {}
        assert store.row(files[0][0], "grid").shape == (9, 1280)
