"""``capgen train``, as a command: it learns, it is stopped and goes on, it writes a captioner that says the same."""

import csv
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from support.drawing import draw
from support.studio import SETTINGS

from capgen.captioner import bundle
from capgen.captioner.bundle import Bundle
from capgen.captioner.catalogue import SHIPPED
from capgen.errors import UsageError

FLAGS = [part for setting in SETTINGS for part in ("--set", setting)]


def weights(folder):
    with np.load(folder / "weights.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


def latest_run(studio, name="shapes"):
    return max((studio.folder / "user/runs" / name).iterdir())


def test_it_learns_and_writes_its_history(captioner):
    run = min((captioner.folder / "user/runs/shapes").iterdir())
    with (run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == [str(n) for n in range(1, len(rows) + 1)]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"]) * 0.6
    assert max(float(row["cider_d"]) for row in rows) > 3.0
    assert (run / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert list((run / "events").glob("events.out.tfevents.*"))
    assert not list(run.glob("*.npz"))


def test_it_shows_plain_lines_with_sample_captions_when_stderr_is_no_terminal(captioner):
    lines = captioner.trained.stderr.splitlines()
    assert any(line.startswith("epoch 20 of 20: loss") and "dev CIDEr-D" in line for line in lines)
    assert any(line.startswith("  0") and ".png: " in line for line in lines)
    assert captioner.trained.stdout == ""


def test_the_bundle_is_whole_and_says_what_it_is(captioner):
    opened = Bundle(captioner.folder / "user/models/shapes")
    opened.verify()
    assert opened.description.decoder["family"] == "attention"
    assert opened.description.training["images"] == 36
    assert "circle" in opened.vocabulary
    assert opened.description.scores["dev"]["images"] == 12
    assert "dev" in opened.read("MODEL_CARD.md").decode()


@pytest.mark.parametrize("decoder", ["merge", "inject"])
def test_the_other_decoders_train_and_caption(studio, tmp_path, decoder):
    out = tmp_path / f"{decoder}.capgen"
    done = studio.run("train", "shapes", "--decoder", decoder, "--epochs", "1", "--out", out, *FLAGS)
    assert done.returncode == 0, done.stderr
    said = studio.run("caption", "--model", out, studio.source / "images/000.png")
    assert said.returncode == 0
    assert said.stdout.strip()


def killed_after_first_epoch(studio, *arguments, how):
    """Start a run and stop it in the middle of its second epoch; return its exit code and what it said then."""
    command = [Path(sys.executable).with_name("capgen"), "train", *map(str, arguments)]
    with subprocess.Popen(command, env={**os.environ, **studio.env}, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if line.startswith("epoch 1 of "):
                break
        time.sleep(0.2)
        process.send_signal(how)
        rest = process.stderr.read()
    return process.returncode, rest


@pytest.fixture(scope="module")
def whole(studio, tmp_path_factory):
    """The captioner of a run that nothing stopped."""
    path = tmp_path_factory.mktemp("runs") / "whole"
    assert studio.run("train", "shapes", "--epochs", "3", "--seed", "5", "--out", path, *FLAGS).returncode == 0
    return path


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_goes_on_to_the_same_weights_bit_for_bit(studio, whole, tmp_path, how):
    stopped = tmp_path / "stopped"
    flags = ("--epochs", "3", "--seed", "5", "--out", stopped, *FLAGS)
    code, said = killed_after_first_epoch(studio, "shapes", *flags, how=how)
    assert code == (-signal.SIGKILL if how == signal.SIGKILL else 130)
    assert "Traceback" not in said
    assert "capgen train shapes --resume" in said or how == signal.SIGKILL
    assert not stopped.exists()
    done = studio.process("train", "shapes", "--resume", PYTHONHASHSEED="77")
    assert done.returncode == 0, done.stderr
    assert "\nepoch 1 of " not in done.stderr
    assert "going on after epoch 1;" in done.stderr
    expected, found = weights(whole), weights(stopped)
    assert expected.keys() == found.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(array, found[name], err_msg=name)
    assert json.loads((latest_run(studio) / "config.json").read_text())["config"]["seed"] == 5


def test_bad_requests_are_one_line_each_and_say_what_to_do(studio, tmp_path):
    (tmp_path / "broken.toml").write_text("epochs = ")
    for arguments, words in (
        (["shape"], "did you mean shapes"),
        (["shapes", "--set", "dropuot=0.5"], "did you mean dropout"),
        (["shapes", "--set", "dropout=2"], "dropout = 2.0: it must be at most"),
        (["shapes", "--set", "epochs=many"], "it takes a whole number"),
        (["shapes", "--set", "heads=3"], "does not divide"),
        (["shapes", "--decoder", "attenion"], "'attenion' is not one of 'attention', 'merge', 'inject'"),
        (["shapes", "--from", "shapes", "--decoder", "merge", "--set", "heads=2"], "leave out --decoder and --set heads"),
        (["shapes", "--config", tmp_path / "none.toml"], "the recipes that ship are"),
        (["shapes", "--config", tmp_path / "broken.toml"], "cannot be read as TOML"),
        (["shapes", "--out", tmp_path / "broken.toml"], "is not a captioner"),
    ):
        done = studio.run("train", *arguments)
        assert done.returncode in {1, 2}, arguments
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_the_settings_are_listed_with_their_meaning(studio):
    done = studio.run("train", "shapes", "--set", "dropout=0.25", "--show-settings")
    assert "dropout = 0.25  #" in done.stdout


def test_features_lost_from_the_cache_are_asked_for_again(studio, tmp_path):
    done = studio.run("train", "shapes", "--epochs", "1", *FLAGS, CAPGEN_CACHE_DIR=str(tmp_path))
    assert done.returncode == 1
    assert "run capgen prepare again" in done.stderr
    assert not (tmp_path / "encoders").exists()  # it is refused before the conversion


def test_an_empty_split_is_one_line(studio, tmp_path):
    source = tmp_path / "nodev"
    (source / "images").mkdir(parents=True)
    (source / "images/0.png").write_bytes((studio.source / "images/000.png").read_bytes())
    (source / "captions.jsonl").write_text('{"image": "images/0.png", "caption": "a circle", "split": "train"}\n')
    assert studio.run("prepare", source, "--encoder", "efficientnet-lite0").returncode == 0
    done = studio.run("train", "nodev", *FLAGS)
    assert done.returncode == 1
    assert "no images in its dev split" in done.stderr


def test_what_is_not_set_follows_from_the_data_and_is_kept_with_the_run(studio, tmp_path, monkeypatch):
    from capgen.training import run_folder
    from capgen.training.settings import load_settings

    for name, value in studio.env.items():
        monkeypatch.setenv(name, value)
    chosen = load_settings(settings=["min_count=2"])
    folder = run_folder.begin("shapes", chosen, tmp_path / "out")
    try:
        kept = run_folder.RunSettings.read(folder).config
        assert kept == run_folder.config_for("shapes", chosen)
        assert (kept.min_count, kept.batch_size, kept.epochs) == (2, 4, 60)
    finally:
        shutil.rmtree(folder)


def own_data(studio, folder, rows):
    """Prepare rows about images of the studio under the name of a folder."""
    folder.mkdir()
    (folder / "images").symlink_to(studio.source / "images")
    (folder / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = studio.run("prepare", folder, "--encoder", "efficientnet-lite0")
    assert done.returncode == 0, done.stderr


def test_with_one_image_of_dev_the_loss_chooses_the_epoch_and_says_so(studio, tmp_path):
    rows = [json.loads(line) for line in (studio.source / "captions.jsonl").read_text().splitlines()]
    dev = [row for row in rows if row["split"] == "dev"][:1]
    own_data(studio, tmp_path / "onedev", [*(row for row in rows if row["split"] == "train"), *dev])
    done = studio.run("train", "onedev", "--epochs", "6", *FLAGS)
    assert done.returncode == 0, done.stderr
    [taken] = [line for line in done.stderr.splitlines() if " is taken " in line]
    assert "by dev loss, because CIDEr-D is not defined" in taken
    assert int(taken.split()[1]) > 1


def test_captions_are_said_to_their_end_however_long_those_of_the_data_are(studio, tmp_path):
    tail = "seen on a pale ground in this plain and simple drawing made by a small program for a test of long captions"
    rows = [json.loads(line) for line in (studio.source / "captions.jsonl").read_text().splitlines()]
    for index, row in enumerate(rows):
        row["captions"] = [f"{row['captions'][0]} {tail}"] if index else [f"{row['captions'][0]} {tail} " + "and on " * 20]
    own_data(studio, tmp_path / "long", rows)
    out = tmp_path / "out"
    done = studio.run("train", "long", "--epochs", "15", "--out", out, *FLAGS)
    assert done.returncode == 0, done.stderr
    longest = max(len(row["captions"][0].split()) for row in rows[1:])
    assert Bundle(out).description.decoding.max_words == longest
    said = studio.run("caption", "--model", out, studio.source / rows[1]["image"])
    assert said.stdout.strip().endswith("for a test of long captions")
    cut = [line for line in done.stderr.splitlines() if "training captions are cut" in line]
    assert len(cut) == (rows[0]["split"] == "train")


def test_the_encoder_trains_along_and_captions_are_sampled_and_scored(studio, tmp_path):
    out = tmp_path / "tuned"
    settings = (
        "encoder.epochs=2", "epochs=1", "scst.epochs=1", "scst.images=8", "captions_per_image=2",
        "common_caption_penalty=0.1",
    )  # fmt: skip
    flags = [part for setting in settings for part in ("--set", setting)]
    done = studio.run("train", "shapes", "--out", out, *FLAGS, *flags)
    assert done.returncode == 0, done.stderr
    run = latest_run(studio)
    with (run / "history.csv").open() as file:
        phases = [row["phase"] for row in csv.DictReader(file)]
    assert phases == ["warm-start", "cross-entropy", "self-critical"]
    with (run / "encoder/history.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2
    encoder = Bundle(out).description.encoder
    assert "trained further" in encoder["origin"]
    said = studio.run("caption", "--model", out, studio.source / "images/000.png")
    assert said.returncode == 0, said.stderr
    assert said.stdout.strip()


def test_training_goes_on_from_a_captioner_and_learns_new_words(captioner, tmp_path):
    out = tmp_path / "more"
    done = captioner.run("train", "shapes", "--from", "shapes", "--out", out, "--epochs", "1", "--set", "min_count=1")
    assert done.returncode == 0, done.stderr
    run = latest_run(captioner)
    with (run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    before = Bundle(captioner.folder / "user/models/shapes")
    assert rows[0]["phase"] == "warm-start"
    assert float(rows[0]["cider_d"]) == pytest.approx(before.description.scores["dev"]["CIDEr-D"], abs=0.3)
    after = Bundle(out)
    searches = [dataclasses.replace(found.description.decoding, max_words=20) for found in (before, after)]
    assert searches[0] == searches[1]
    assert after.vocabulary.entries[: len(before.vocabulary)] == before.vocabulary.entries
    assert after.description.decoder["state"] == before.description.decoder["state"]


def test_with_a_common_caption_penalty_what_is_said_of_many_training_images_is_counted_and_said_less(captioner, tmp_path):
    out, scores, source = tmp_path / "penalised", tmp_path / "scores.json", tmp_path / "uneven"
    rows = [json.loads(line) for line in (captioner.source / "captions.jsonl").read_text().splitlines()]
    source.mkdir()
    (source / "images").symlink_to(captioner.source / "images")
    for row in rows[::3]:
        row["captions"].pop()  # too few to be sampled for, but counted
    (source / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = captioner.run("prepare", source, "--encoder", "efficientnet-lite0")
    assert done.returncode == 0, done.stderr
    settings = (
        "epochs=0", "scst.epochs=1", "scst.images=4", "scst.learning_rate=0", "captions_per_image=2",
        "common_caption_penalty=5",
    )  # fmt: skip
    flags = [part for setting in settings for part in ("--set", setting)]
    done = captioner.run("train", "uneven", "--from", "shapes", "--out", out, *flags)
    assert done.returncode == 0, done.stderr
    penalised = Bundle(out)
    plain = rewritten(
        out, tmp_path / "plain", decoding=dataclasses.replace(penalised.description.decoding, common_caption_penalty=0.0)
    )
    train = [captioner.source / row["image"] for row in rows if row["split"] == "train"]
    usual, other = (
        [line.partition("\t")[2] for line in captioner.run("caption", "--model", path, *train).stdout.splitlines()]
        for path in (plain, out)
    )
    several = {caption: times for caption, times in Counter(usual).items() if times > 1}
    assert several
    assert {penalised.vocabulary.decode(ids): times for ids, times in penalised.common.items()} == several
    assert not set(other) & set(several)
    done = captioner.run("evaluate", out, "--data", "uneven", "--split", "dev", "--json", scores)
    assert done.returncode == 0, done.stderr
    found, stated = json.loads(scores.read_text()), penalised.description.scores["dev"]
    assert {name: found[name] for name in ("BLEU-4", "CIDEr-D")} == pytest.approx(
        {name: stated[name] for name in ("BLEU-4", "CIDEr-D")}
    )


def rewritten(source, path, **changes):
    """Copy a captioner with another description."""
    opened = Bundle(source)
    contents = {name: data for name, data in opened.contents().items() if name != bundle.DESCRIPTION}
    bundle.write(path, dataclasses.replace(opened.description, **changes), contents)
    return path


def test_a_run_that_cannot_reach_its_end_is_one_line_and_leaves_nothing(studio, tmp_path):
    old = rewritten(SHIPPED / "photo-en-v1", tmp_path / "old", training={"data": "flickr8k"})
    before = list((studio.folder / "user/runs").rglob("*"))
    for arguments, words in (
        (["--from", "photo-en-v2"], "did you mean photo-en-v1"),
        (["--from", tmp_path / "none"], "there is no captioner at"),
        (["--from", tmp_path], "is not a captioner"),
        (["--from", old], "does not say the sizes of its decoder, so that it cannot be continued"),
        (
            ["--from", "everyday", "--set", "encoder.epochs=1"],
            "of everyday cannot be fine-tuned; set encoder_epochs=0",
        ),
        (
            ["--set", "epochs=0", "--set", "scst.epochs=1"],
            "no trained decoder to sample captions with; continue a captioner",
        ),
        (["--set", "scst.epochs=1", "--set", "captions_per_image=50"], "no training image has 50 captions"),
    ):
        done = studio.run("train", "shapes", *arguments)
        assert done.returncode in {1, 2}, arguments
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert list((studio.folder / "user/runs").rglob("*")) == before


def test_a_run_does_not_go_on_from_a_captioner_that_has_changed(captioner, tmp_path, monkeypatch):
    from capgen.cli.training_display import Silence
    from capgen.training import run, run_folder
    from capgen.training.settings import load_settings

    for name, value in captioner.env.items():
        monkeypatch.setenv(name, value)
    source = rewritten(captioner.folder / "user/models/shapes", tmp_path / "source")
    folder = run_folder.begin("shapes", load_settings(), tmp_path / "out", str(source))
    try:
        rewritten(captioner.folder / "user/models/shapes", source, name="other")
        with pytest.raises(UsageError, match=r"the captioner .*source is not what it was"):
            run.train(folder, Silence())
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def naming(studio, tmp_path_factory):
    """A captioner of balls and envelopes, as the encoder sees them, and of some images of another domain."""
    folder = tmp_path_factory.mktemp("naming")
    for index in range(36):
        source, name = ("rooms" if index >= 30 else "things"), f"{index:02}.png"
        (folder / source).mkdir(exist_ok=True)
        colour, shape, said = (("red", "circle", "a ping-pong ball"), ("green", "square", "an envelope"))[index % 2]
        draw(folder / source / name, colour, shape, index * 12)
        captions = [f"{said} on a pale ground", f"there is {said}"] if index < 30 else ["cosy room", "cosy light room"]
        row = {"image": name, "captions": captions, "split": "dev" if index < 6 else "train"}
        with (folder / source / "captions.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
    domains = ("--domain", "", "--domain", "room", "--use", "all", "--use", "train")
    sources = (folder / "things", folder / "rooms")
    done = studio.run("prepare", *sources, *domains, "--encoder", "efficientnet-lite0", "--name", "naming")
    assert done.returncode == 0, done.stderr
    slots = ("--set", "slots_below=100", "--set", "min_count=10")  # the encoder is unsure of three balls
    done = studio.run("train", "naming", "--epochs", "15", *FLAGS, *slots, "--out", folder / "named")
    assert done.returncode == 0, done.stderr
    return folder


def test_rare_names_are_said_through_slots_of_what_the_encoder_sees(studio, naming):
    opened = Bundle(naming / "named")
    assert {"sport", "container"} <= set(opened.visual_words.groups)
    assert {"<sport>", "<container>", "<domain room>", "cosy", "ground"} <= set(opened.vocabulary.entries)
    assert not {"ping-pong", "ball", "envelope"} & set(opened.vocabulary.entries)
    said = studio.run("caption", "--model", naming / "named", naming / "things/00.png", naming / "things/01.png")
    assert said.returncode == 0, said.stderr
    ball, envelope = (line.partition("\t")[2] for line in said.stdout.splitlines())
    assert "a ping-pong ball" in ball
    assert "an envelope" in envelope
    assert opened.description.scores["dev"]["CIDEr-D"] > 1.0


def test_a_name_that_is_to_be_suppressed_is_not_said_through_a_slot(studio, naming):
    done = studio.run("caption", "--model", naming / "named", "--suppress", "ping-pong", naming / "things/00.png")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert "ball" not in done.stdout
    assert "<" not in done.stdout


def test_the_domain_of_a_source_does_not_become_the_captioners_own(studio, naming):
    done = studio.run("caption", "--model", naming / "named", naming / "rooms/30.png", naming / "rooms/31.png")
    assert done.returncode == 0, done.stderr
    said = [line.partition("\t")[2] for line in done.stdout.splitlines()]
    assert all("on a pale ground" in caption or "there is" in caption for caption in said), said


# Where a captioner is already


def test_a_captioner_that_is_there_is_replaced_only_with_overwrite(captioner, monkeypatch):
    from capgen.training import run_folder
    from capgen.training.run_folder import RunSettings

    before = list((captioner.folder / "user/runs").rglob("*"))
    done = captioner.run("train", "shapes", *FLAGS)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "already; replace it with --overwrite, or name another with --out" in done.stderr
    assert list((captioner.folder / "user/runs").rglob("*")) == before
    for name, value in captioner.env.items():
        monkeypatch.setenv(name, value)
    from capgen.training.settings import load_settings

    folder = run_folder.begin("shapes", load_settings(), None, overwrite=True)
    try:
        assert RunSettings.read(folder).overwrite
        assert run_folder.free_target(folder) == captioner.folder / "user/models/shapes"
    finally:
        shutil.rmtree(folder)


def test_a_captioner_that_appears_during_the_training_is_kept_beside_the_new_one(captioner, tmp_path, monkeypatch):
    from capgen.training import run_folder
    from capgen.training.settings import load_settings

    for name, value in captioner.env.items():
        monkeypatch.setenv(name, value)
    for out, beside in (("new", "new-2"), ("new.capgen", "new-2.capgen"), ("v1.2", "v1.2-2")):
        target = tmp_path / out
        folder = run_folder.begin("shapes", load_settings(), target)
        try:
            assert run_folder.free_target(folder) == target
            rewritten(captioner.folder / "user/models/shapes", target, training={"data": "shapes", "run": "another"})
            assert run_folder.free_target(folder) == tmp_path / beside
            own = {"data": "shapes", "run": folder.name}  # the run was killed before it could note that it has finished
            rewritten(captioner.folder / "user/models/shapes", target, training=own)
            assert run_folder.free_target(folder) == target
        finally:
            shutil.rmtree(folder)
