"""The training loop itself: going on bit for bit, phases, patience, what it begins with; features are made up in place."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from capgen.captioner.constraints import ConstraintConfig
from capgen.captioner.vocabulary import START
from capgen.datasets.prepared import PreparedDataset, PreparedImage
from capgen.errors import TrainingError
from capgen.evaluation import metrics
from capgen.training.encoders import ENCODERS
from capgen.training.features import FeatureStore, feature_key
from capgen.training.history import TrainingReporter
from capgen.training.loop import BEST, CHECKPOINT, decoder_loop
from capgen.training.settings import load_settings
from capgen.training.validation import Validation

pytestmark = pytest.mark.slow

SETTINGS = (
    "lstm_size=16", "embedding_size=16", "heads=2", "batch_size=4", "min_count=1", "captions_per_image=2", "epochs=4",
    "warmup_steps=1", "num_beams=2", "patience=10",
)  # fmt: skip


ELEPHANT = 386


class Silence(TrainingReporter):
    """Shows nothing."""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Images whose features are noise, with captions of their own."""
    names = ["red circle", "green square", "blue triangle", "yellow circle"]
    images = tuple(
        PreparedImage(f"{i}.png", f"hash{i}", "dev" if i % 4 == 0 else "train", (f"a {names[i % 4]}", f"one {names[i % 4]}"))
        for i in range(16)
    )
    store = FeatureStore(tmp_path_factory.mktemp("features"))
    random = np.random.default_rng(0)
    augmentations = ("plain", "flip")
    keys = [feature_key(image.image_hash, augmentation) for image in images for augmentation in augmentations]
    shown = np.zeros((len(keys), 1, 1000))  # every other image is surely an elephant
    shown[2::4, 0, ELEPHANT] = shown[3::4, 0, ELEPHANT] = 0.9
    store.write(keys, {"grid": random.random((len(keys), 49, 1280)), "probabilities": shown})
    return PreparedDataset("noise", images, "efficientnet-lite0", "", augmentations, ("here",)), store


def training_loop(data, folder, *settings, **more):
    folder.mkdir(exist_ok=True)
    dataset, store = data
    config = load_settings(settings=[*SETTINGS, *settings]).with_defaults()
    return decoder_loop(config, dataset, ENCODERS["efficientnet-lite0"], store, folder, **more)


def arrays(path):
    with np.load(path) as found:
        return {name: found[name] for name in found.files if name != "progress"}


def goes_on_bit_for_bit(start, folder, stops):
    """Whether runs that are stopped after so many epochs each, and go on, end where one that nothing stops ends."""
    whole = [epoch.to_mapping() | {"seconds": 0} for epoch in start(folder / "whole").run(Silence())]
    expected = arrays(folder / "whole" / CHECKPOINT)
    assert len([name for name in expected if name.startswith("optimizer/")]) > 10
    for stop in stops:
        first = start(folder / f"parts{stop}").run(Silence())
        parts = [next(first) for _ in range(stop)]
        first.close()
        again = start(folder / f"parts{stop}")
        keras.utils.set_random_seed(987)  # the random numbers of the new process must not matter
        for variable in again.network.model.variables:
            if "seed" not in variable.path:
                variable.assign(np.random.default_rng(1).random(variable.shape))
        parts += again.run(Silence())
        assert [epoch.to_mapping() | {"seconds": 0} for epoch in parts] == whole
        found = arrays(folder / f"parts{stop}" / CHECKPOINT)
        assert expected.keys() == found.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(array, found[name], err_msg=name)
    return [epoch["phase"] for epoch in whole]


@pytest.mark.parametrize("decoder", ["attention", "merge", "inject"])
def test_a_run_that_goes_on_elsewhere_ends_at_the_same_state_bit_for_bit(data, tmp_path, decoder):
    goes_on_bit_for_bit(lambda folder: training_loop(data, folder, f"decoder={decoder}"), tmp_path, [2])


SAMPLING = ("scst.images=8", "scst.samples=3", "scst.learning_rate=0.001")


def test_a_run_with_slots_goes_on_bit_for_bit_between_its_phases_and_in_the_second(data, tmp_path):
    settings = ("epochs=2", "scst.epochs=2", "slots_below=100", *SAMPLING)
    phases = goes_on_bit_for_bit(lambda folder: training_loop(data, folder, *settings), tmp_path, [2, 3])
    assert phases == ["cross-entropy", "cross-entropy", "self-critical", "self-critical"]


@pytest.fixture(scope="module")
def source(data, tmp_path_factory):
    """A short run on the data set that has ended."""
    running = training_loop(data, tmp_path_factory.mktemp("source"), "epochs=1")
    list(running.run(Silence()))
    return running


def test_a_run_from_a_captioner_keeps_its_constraints(data, tmp_path, source):
    constraints = ConstraintConfig(slot_bonus=1.0, repeat_penalty=-2.0, min_class_probability=1.1)
    warm_start = replace(source.trained().warm_start(), constraints=constraints)
    loop = training_loop(data, tmp_path, "epochs=1", warm_start=warm_start)
    assert loop.generator.constraints.config == constraints
    assert loop.trained().warm_start().constraints == constraints
    slots = {index for index, entry in enumerate(loop.data.vocabulary.entries) if entry.startswith("<")}
    said = {index for sample in loop.data.samples for caption in sample.captions for index in caption}
    assert not said & slots  # nothing is more likely than certain, so that no name becomes a slot


def test_a_captioner_may_say_more_words_than_its_captions_are_cut_to(data, tmp_path):
    loop = training_loop(data, tmp_path, "max_words=3", "generation_max_words=9")
    assert loop.generator.options.max_words == 9


def test_a_run_from_a_captioner_goes_on_bit_for_bit(data, tmp_path, source):
    warm_start, settings = source.trained().warm_start(), ("epochs=1", "scst.epochs=1", *SAMPLING)
    phases = goes_on_bit_for_bit(
        lambda folder: training_loop(data, folder, *settings, warm_start=warm_start), tmp_path, [1, 2]
    )
    assert phases == ["warm-start", "cross-entropy", "self-critical"]


def test_the_seeds_of_dropout_are_part_of_a_checkpoint(data, tmp_path):
    running = training_loop(data, tmp_path / "run").run(Silence())
    next(running)
    before = arrays(tmp_path / "run" / CHECKPOINT)
    next(running)
    after = arrays(tmp_path / "run" / CHECKPOINT)
    whole_numbers = [name for name, array in before.items() if name.startswith("model/") and array.dtype.kind in "iu"]
    changed = [name for name in whole_numbers if not np.array_equal(before[name], after[name])]
    assert len(changed) == 4  # the attention decoder has four dropouts


def scripted(monkeypatch, scores):
    """Give the dev captions of successive epochs these scores, each image alike, and the same loss on dev."""
    reported = iter(scores)

    def score_of(captions, *_, **__):
        value = next(reported)
        return {"CIDEr-D": metrics.Score(value, np.full(6, value)), "BLEU-4": metrics.Score(0.0, np.zeros(6))}

    monkeypatch.setattr(metrics, "scores", score_of)
    monkeypatch.setattr(Validation, "_loss", lambda self: 1.0)


def test_it_stops_when_patience_runs_out(data, tmp_path, monkeypatch):
    scripted(monkeypatch, [0.1, 0.3, 0.2, 0.2, 0.9])
    epochs = list(training_loop(data, tmp_path / "run", "epochs=5", "patience=2").run(Silence()))
    assert [epoch.scores["CIDEr-D"] for epoch in epochs] == [0.1, 0.3, 0.2, 0.2]


def test_it_ends_with_the_weights_of_the_epoch_that_captioned_best(data, tmp_path, monkeypatch):
    scripted(monkeypatch, [0.1, 0.3, 0.2])
    running = training_loop(data, tmp_path / "run", "epochs=3")
    list(running.run(Silence()))
    best = arrays(tmp_path / "run" / BEST)
    last = arrays(tmp_path / "run" / CHECKPOINT)
    weights = [np.asarray(variable) for variable in running.network.model.variables]
    np.testing.assert_array_equal(weights[0], best["model/0"])
    assert not np.array_equal(best["model/0"], last["model/0"])


def test_it_goes_on_with_the_same_choice_of_the_epoch(data, tmp_path, monkeypatch):
    chosen = []
    reporter = Silence()
    reporter.on_choice = lambda choice: chosen.append(choice.describe())
    for stop in (0, 2):
        scripted(monkeypatch, [0.1, 0.3, 0.29, 0.2])
        first = training_loop(data, tmp_path / f"run{stop}", "epochs=4").run(reporter)
        for _ in range(stop):
            next(first)
        first.close()
        list(training_loop(data, tmp_path / f"run{stop}", "epochs=4").run(reporter))
    assert len(chosen) == 2
    assert chosen[0] == chosen[1]
    assert chosen[0].startswith("epoch 2 is taken by dev CIDEr-D")


def test_a_loss_that_is_not_finite_says_what_to_do(data, tmp_path):
    with pytest.raises(TrainingError, match="smaller learning_rate"):
        list(training_loop(data, tmp_path / "run", "learning_rate=1e30", "clip_norm=1e30", "warmup_steps=0").run(Silence()))


def test_a_checkpoint_of_another_model_is_refused(data, tmp_path):
    next(training_loop(data, tmp_path / "run").run(Silence()))
    with pytest.raises(TrainingError, match="does not fit this run"):
        next(training_loop(data, tmp_path / "run", "lstm_size=32").run(Silence()))


def test_weights_decide_how_often_an_image_is_seen(data):
    from capgen.training.batches import CaptionBatches, Sample
    from capgen.training.features import CachedFeatures

    _, store = data
    samples = [Sample("hash0", [[4]], 2.5), Sample("hash1", [[4]], 0.5), Sample("hash2", [[4]])]
    seen = {sample.image_hash: 0 for sample in samples}
    for epoch in range(200):
        made = CaptionBatches(
            samples, CachedFeatures(store, "grid"), captions_per_image=1, max_words=3, batch_size=2, seed=1, epoch=epoch
        )
        for key, _, _ in (example for batch in made.batches for example in batch):
            seen[key] += 1
    assert seen["hash2"] == 200
    assert 2.3 < seen["hash0"] / 200 < 2.7
    assert 0.3 < seen["hash1"] / 200 < 0.7


def test_a_mirror_image_comes_with_its_own_captions_and_without_them_the_image_is_not_mirrored(data):
    from capgen.training.batches import CaptionBatches, Sample
    from capgen.training.features import CachedFeatures

    samples = [Sample("hash0", [[4]], mirrored_captions=[[5]]), Sample("hash1", [[6]])]
    seen = set()
    for epoch in range(20):
        made = CaptionBatches(
            samples,
            CachedFeatures(data[1], "grid"),
            augmentations=("plain", "flip"),
            captions_per_image=1,
            max_words=3,
            batch_size=2,
            seed=1,
            epoch=epoch,
        )
        seen |= {(key, *caption) for batch in made.batches for key, _, (caption,) in batch}
    assert seen == {("hash0", 4), (feature_key("hash0", "flip"), 5), ("hash1", 6)}


def test_captions_that_name_a_side_are_turned_for_the_mirror_image_and_unclear_ones_are_left_out(data):
    from capgen.training.features import CachedFeatures
    from capgen.training.training_data import build_training_data

    dataset, store = data
    texts = {
        "hash1": ("on the left", "on the right"),
        "hash2": ("on the left", "right here"),
        "hash3": ("a dog", "a left"),
        "hash5": ("the rightmost one", "one"),  # no caption has the word "leftmost"
    }
    images = tuple(replace(image, captions=texts.get(image.image_hash, image.captions)) for image in dataset.images)
    config = load_settings(settings=SETTINGS).with_defaults()
    made = build_training_data(config, replace(dataset, images=images), CachedFeatures(store, "grid"))
    mirrored = {sample.image_hash: sample.mirrored_captions for sample in made.samples}
    assert [made.vocabulary.decode(ids) for ids in mirrored["hash1"]] == ["on the right", "on the left"]
    assert (mirrored["hash2"], mirrored["hash3"], mirrored["hash5"]) == ((), (), ())
    assert mirrored["hash6"] == next(sample.captions for sample in made.samples if sample.image_hash == "hash6")
    assert not any(sample.mirrored_captions for sample in made.dev_samples)
    unknown = build_training_data(
        config, replace(dataset, images=images, language="und-Latn"), CachedFeatures(store, "grid")
    )
    assert not any(sample.mirrored_captions for sample in unknown.samples)


@pytest.mark.parametrize("many", [(), (0,), (11,), range(5)])
def test_the_first_two_batches_show_whether_the_number_of_captions_varies(data, many):
    from capgen.training.batches import CaptionBatches, Sample
    from capgen.training.features import CachedFeatures

    samples = [Sample(f"hash{index}", [[4 + index]] * (2 if index in many else 1)) for index in range(12)]
    for epoch in range(20):
        made = CaptionBatches(
            samples, CachedFeatures(data[1], "grid"), captions_per_image=2, max_words=3, batch_size=2, seed=1, epoch=epoch
        )
        counts = [made[index][0]["words"].shape[1] for index in range(len(made))]
        assert set(counts[:2]) == set(counts) == ({1, 2} if many else {1})
        seen = [key for batch in made.batches for key, *_ in batch]
        assert sorted(seen) == sorted(sample.image_hash for sample in samples)


def test_padding_has_no_place_and_a_cut_caption_no_end():
    from capgen.captioner.vocabulary import END
    from capgen.training.batches import teacher_forced

    inputs, targets = teacher_forced([[[7, 8]], [[5, 6, 7, 8], [9]]], count=2, steps=4)
    assert inputs["words"].tolist() == [
        [[START, 7, 8, 0], [0, 0, 0, 0]],
        [[START, 5, 6, 7], [START, 9, 0, 0]],
    ]
    assert inputs["positions"].tolist() == [0, 1, 2, 8, 9, 10, 11, 12, 13]
    assert targets.tolist() == [7, 8, END, 5, 6, 7, 8, 9, END]


# Where a run begins


def weights_of(running):
    return {variable.path: np.array(variable) for variable in running.network.model.variables if "seed" not in variable.path}


def said_on_dev(running):
    return running.generator.captions(running.data.dev_images)


def test_a_run_from_a_captioner_begins_with_what_that_says(data, tmp_path, source):
    epochs = training_loop(data, tmp_path / "more", "epochs=1", warm_start=source.trained().warm_start()).run(Silence())
    first = next(epochs)
    assert (first.number, first.phase, first.loss) == (0, "warm-start", 0.0)
    assert [caption for _, caption in first.samples] == [said_on_dev(source)[index] for index in (0, 1, 3)]
    assert first.scores == source.epochs[-1].scores
    assert next(epochs).number == 1


def test_new_words_come_after_those_of_the_captioner_which_keep_their_vectors(data, tmp_path, source):
    dataset, store = data
    more = tuple(replace(p, captions=("a purple circle", "one circle"), domain="web") for p in dataset.images)
    running = training_loop(
        (replace(dataset, images=more), store), tmp_path / "more", warm_start=source.trained().warm_start()
    )
    known = len(source.data.vocabulary)
    assert running.data.vocabulary.entries[:known] == source.data.vocabulary.entries
    assert set(running.data.vocabulary.entries[known:]) == {"purple", "<domain web>"}
    found = weights_of(running)
    for path, array in weights_of(source).items():
        np.testing.assert_array_equal(found[path][tuple(map(slice, array.shape))], array, err_msg=path)
    assert said_on_dev(running)


def test_a_run_from_a_captioner_need_not_have_cross_entropy_epochs(data, tmp_path, source):
    warm_start = source.trained().warm_start()
    running = training_loop(
        data, tmp_path / "more", "epochs=0", "encoder.epochs=1", "scst.epochs=1", *SAMPLING, warm_start=warm_start
    )
    assert [(epoch.number, epoch.phase) for epoch in running.run(Silence())] == [(0, "warm-start"), (1, "self-critical")]


def test_weights_of_another_decoder_are_refused(data, tmp_path, source):
    for settings in (["lstm_size=32"], ["lstm_size=8"], ["embedding_size=32"], ["decoder=merge"]):
        with pytest.raises(TrainingError, match=r"the captioner to go on from has no .* that fits"):
            training_loop(data, tmp_path / "more", *settings, warm_start=source.trained().warm_start())


# Sampled captions


def test_sampling_begins_from_the_best_weights_without_dropout_and_reports_rewards(data, tmp_path, monkeypatch):
    scripted(monkeypatch, [0.3, 0.1, 0.2])
    running = training_loop(data, tmp_path / "run", "epochs=2", "scst.epochs=1", *SAMPLING, "scst.learning_rate=0")
    reported = []
    reporter = Silence()
    reporter.on_step = lambda *step: reported.append(step)
    *_, last = running.run(reporter)
    assert {dropout.rate for dropout in running.network.decoder.dropouts.values()} == {0.0}
    best, end = arrays(tmp_path / "run" / BEST), arrays(tmp_path / "run" / CHECKPOINT)
    np.testing.assert_array_equal(best["model/0"], end["model/0"])  # a step of no size leaves them as they were
    assert [step[:3] for step in reported[-2:]] == [(3, 1, 2), (3, 2, 2)]  # eight images, four a step
    assert last.loss == reported[-1][3] < 0


def test_sampled_captions_get_better(data, tmp_path):
    settings = ("epochs=1", "scst.epochs=4", "scst.images=12", "scst.samples=6", "scst.learning_rate=0.001")
    _, first, *_, last = training_loop(data, tmp_path / "run", *settings).run(Silence())
    assert last.loss < first.loss - 0.1  # the negative mean reward


def test_only_images_with_enough_captions_in_the_target_domain_are_sampled_for(data, tmp_path):
    dataset, store = data
    first, second, *others = [p for p in dataset.images if p.split == "train"]
    images = (replace(first, captions=first.captions[:1]), replace(second, domain="web"), *others)
    dev = tuple(p for p in dataset.images if p.split == "dev")
    chosen = replace(dataset, images=images + dev)
    found = [scored.image_hash for scored in training_loop((chosen, store), tmp_path / "run").data.self_critical_images]
    assert found == [image.image_hash for image in others]
    with pytest.raises(TrainingError, match="set scst_epochs=0"):
        training_loop((chosen, store), tmp_path / "run", "captions_per_image=3", "scst.epochs=1")


# Domain tokens and slots


def test_a_domain_has_a_start_token_of_its_own_which_is_never_said(data, tmp_path):
    dataset, store = data
    images = tuple(
        replace(p, domain="web" if index in (1, 2) else "room" if index == 3 else "")
        for index, p in enumerate(dataset.images)
    )
    running = training_loop((replace(dataset, images=images), store), tmp_path / "run", "epochs=1")
    room, web = running.data.vocabulary.ids(["<domain room>", "<domain web>"])
    assert [room, web] == [4, 5]
    starts = {sample.image_hash: sample.start for sample in running.data.samples}
    assert {key: start for key, start in starts.items() if start != START} == {"hash1": web, "hash2": web, "hash3": room}
    seen = {}
    batches = running.data.train_batches(1)
    for index, batch in enumerate(batches.batches):
        for (key, *_), rows in zip(batch, batches[index][0]["words"], strict=True):
            seen[key.partition("|")[0]] = set(rows[:, 0].tolist())
    assert seen == {key: {start} for key, start in starts.items()}
    list(running.run(Silence()))
    assert not any("<domain" in caption for caption in said_on_dev(running))


def test_rare_names_that_the_encoder_agrees_with_are_learnt_and_said_through_slots(data, tmp_path):
    dataset, store = data
    images = tuple(
        replace(p, captions=("an elephant", "two elephants")) if index % 2 else p for index, p in enumerate(dataset.images)
    )
    images = (*images[:-1], replace(images[-1], captions=("an elephant " * 9,), domain="web"))
    elephants = replace(dataset, images=images)
    running = training_loop((elephants, store), tmp_path / "run", "epochs=30", "slots_below=17", "learning_rate=0.01")
    said = {
        sample.image_hash: [running.data.vocabulary.entries[word] for word in sample.captions[0]]
        for sample in running.data.samples
    }
    assert said["hash1"] == ["a", "<animal>"]
    assert said["hash2"] == ["a", "blue", "triangle"]
    assert "elephant" not in running.data.vocabulary
    assert running.data.features.rows(["hash1"]).shape == (1, 50, 1280 + running.data.visual_words.token_width)
    list(running.run(Silence()))
    captions = running.generator.captions(running.data.train_images)
    shown = {p.image_hash: caption for p, caption in zip(running.data.train_images, captions, strict=True)}
    assert all(("elephant" in caption) == (int(key[4:]) % 2 == 1) for key, caption in shown.items()), shown
    frequent = training_loop(
        (elephants, store), tmp_path / "run", "slots_below=14"
    )  # 14 times in the target domain, 23 in all
    assert "elephant" in frequent.data.vocabulary
    assert "<animal>" in frequent.data.vocabulary  # other animals are rare still


def test_an_encoder_that_knows_no_classes_has_no_slots(data, tmp_path):
    dataset, store = data
    with pytest.raises(TrainingError, match=r"resnet50 does not know ImageNet's classes.*set slots_below=0"):
        config = load_settings(settings=[*SETTINGS, "slots_below=1"]).with_defaults()
        decoder_loop(config, dataset, ENCODERS["resnet50"], store, tmp_path)


def test_images_of_a_batch_have_equally_many_captions_and_the_first_two_batches_differ(data):
    from capgen.training.batches import CaptionBatches, Sample
    from capgen.training.features import CachedFeatures

    _, store = data
    samples = [Sample(f"hash{i}", [[4]] * (1 if i < 3 else 2)) for i in range(16)]
    for epoch in range(30):
        made = CaptionBatches(
            samples, CachedFeatures(store, "grid"), captions_per_image=2, max_words=3, batch_size=2, seed=1, epoch=epoch
        )
        counts = [{len(captions) for _, _, captions in batch} for batch in made.batches]
        assert all(len(found) == 1 for found in counts)
        assert counts[0] != counts[1]
        assert sorted(key.split("|")[0] for batch in made.batches for key, _, _ in batch) == sorted(
            f"hash{i}" for i in range(16)
        )
