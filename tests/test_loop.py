"""The training loop itself: going on bit for bit, patience, and the best epoch, with features made up in place."""

import keras
import numpy as np
import pytest

from capgen import metrics
from capgen.datasets.prepared import PreparedDataset, PreparedPicture
from capgen.errors import TrainingError
from capgen.training import config as configs
from capgen.training.encoders import encoder
from capgen.training.features import FeatureStore, view_key
from capgen.training.loop import BEST, CHECKPOINT, Trainer

SETTINGS = (
    "lstm_size=16", "embedding_size=16", "heads=2", "batch_size=4", "minimum_count=1", "captions_per_image=2", "epochs=4",
    "warmup_steps=1", "beam=2", "patience=10",
)  # fmt: skip


class Silence:
    def on_step(self, epoch, step, steps, loss):
        pass

    def on_epoch(self, epoch, *, best):
        pass


@pytest.fixture
def data(tmp_path):
    """Pictures whose features are noise, with captions of their own."""
    names = ["red circle", "green square", "blue triangle", "yellow circle"]
    pictures = tuple(
        PreparedPicture(
            f"{i}.png", f"hash{i}", "dev" if i % 4 == 0 else "train", (f"a {names[i % 4]}", f"one {names[i % 4]}")
        )
        for i in range(16)
    )
    store = FeatureStore(tmp_path / "store")
    random = np.random.default_rng(0)
    views = ("plain", "flip")
    keys = [view_key(picture.image_hash, view) for picture in pictures for view in views]
    store.write(keys, {"grid": random.random((len(keys), 49, 1280))})
    return PreparedDataset("noise", pictures, "efficientnet-lite0", "", views, ("here",)), store


def trainer(data, folder, *settings):
    folder.mkdir(exist_ok=True)
    dataset, store = data
    return Trainer(configs.load(settings=[*SETTINGS, *settings]), dataset, encoder("efficientnet-lite0"), store, folder)


def arrays(path):
    with np.load(path) as found:
        return {name: found[name] for name in found.files if name != "progress"}


@pytest.mark.parametrize("decoder", ["attention", "merge", "inject"])
def test_a_run_that_goes_on_elsewhere_ends_at_the_same_state_bit_for_bit(data, tmp_path, decoder):
    whole = [epoch.loss for epoch in trainer(data, tmp_path / "whole", f"decoder={decoder}").run(Silence())]
    first = trainer(data, tmp_path / "parts", f"decoder={decoder}").run(Silence())
    parts = [next(first).loss, next(first).loss]
    first.close()
    again = trainer(data, tmp_path / "parts", f"decoder={decoder}")
    keras.utils.set_random_seed(987)  # whatever the new process would draw must not matter
    for variable in again.model.variables:
        if "seed" not in variable.path:
            variable.assign(np.random.default_rng(1).random(variable.shape))
    parts += [epoch.loss for epoch in again.run(Silence())]
    assert parts == whole
    expected, found = arrays(tmp_path / "whole" / CHECKPOINT), arrays(tmp_path / "parts" / CHECKPOINT)
    assert expected.keys() == found.keys()
    assert len([name for name in expected if name.startswith("optimizer/")]) > 10
    for name, array in expected.items():
        np.testing.assert_array_equal(array, found[name], err_msg=name)


def test_the_seeds_of_dropout_are_part_of_a_checkpoint(data, tmp_path):
    running = trainer(data, tmp_path / "run").run(Silence())
    next(running)
    before = arrays(tmp_path / "run" / CHECKPOINT)
    next(running)
    after = arrays(tmp_path / "run" / CHECKPOINT)
    whole_numbers = [name for name, array in before.items() if name.startswith("model/") and array.dtype.kind in "iu"]
    changed = [name for name in whole_numbers if not np.array_equal(before[name], after[name])]
    assert len(changed) == 4  # the attention decoder has four dropouts


def scripted(monkeypatch, scores):
    """Let the dev captions of successive epochs score as told."""
    told = iter(scores)
    monkeypatch.setattr(metrics, "score", lambda *_: {"CIDEr-D": next(told), "BLEU-4": 0.0})


def test_it_stops_when_patience_runs_out(data, tmp_path, monkeypatch):
    scripted(monkeypatch, [0.1, 0.3, 0.2, 0.2, 0.9])
    epochs = list(trainer(data, tmp_path / "run", "epochs=5", "patience=2").run(Silence()))
    assert [epoch.cider_d for epoch in epochs] == [0.1, 0.3, 0.2, 0.2]


def test_it_ends_with_the_weights_of_the_epoch_that_captioned_best(data, tmp_path, monkeypatch):
    scripted(monkeypatch, [0.1, 0.3, 0.2])
    running = trainer(data, tmp_path / "run", "epochs=3")
    list(running.run(Silence()))
    best = arrays(tmp_path / "run" / BEST)
    last = arrays(tmp_path / "run" / CHECKPOINT)
    weights = [np.asarray(variable) for variable in running.model.variables]
    np.testing.assert_array_equal(weights[0], best["model/0"])
    assert not np.array_equal(best["model/0"], last["model/0"])


def test_a_loss_that_is_not_finite_says_what_to_do(data, tmp_path):
    with pytest.raises(TrainingError, match="smaller learning_rate"):
        list(trainer(data, tmp_path / "run", "learning_rate=1e30", "clip_norm=1e30", "warmup_steps=0").run(Silence()))


def test_a_checkpoint_of_another_model_is_refused(data, tmp_path):
    next(trainer(data, tmp_path / "run").run(Silence()))
    with pytest.raises(TrainingError, match="does not fit this run"):
        next(trainer(data, tmp_path / "run", "lstm_size=32").run(Silence()))


def test_weights_decide_how_often_a_picture_is_seen(data):
    from capgen.training.batches import CaptionBatches, Sample
    from capgen.training.features import CachedFeatures

    _, store = data
    samples = [Sample("hash0", [[4]], 2.5), Sample("hash1", [[4]], 0.5), Sample("hash2", [[4]])]
    seen = {sample.image_hash: 0 for sample in samples}
    for epoch in range(200):
        made = CaptionBatches(
            samples, CachedFeatures(store, "grid"), captions=1, maximum_words=3, batch_size=2, seed=1, epoch=epoch
        )
        for key, _, _ in (draw for batch in made.batches for draw in batch):
            seen[key] += 1
    assert seen["hash2"] == 200
    assert 2.3 < seen["hash0"] / 200 < 2.7
    assert 0.3 < seen["hash1"] / 200 < 0.7


def test_padding_has_no_place_and_a_cut_caption_no_end():
    from capgen.training.batches import teacher_forced
    from capgen.vocabulary import END, START

    inputs, targets = teacher_forced([[[7, 8]], [[5, 6, 7, 8], [9]]], count=2, steps=4)
    assert inputs["words"].tolist() == [
        [[START, 7, 8, 0], [0, 0, 0, 0]],
        [[START, 5, 6, 7], [START, 9, 0, 0]],
    ]
    assert inputs["places"].tolist() == [0, 1, 2, 8, 9, 10, 11, 12, 13]
    assert targets.tolist() == [7, 8, END, 5, 6, 7, 8, 9, END]
