"""Training on several devices and in several processes, for real on one machine: the same losses, and a clean end."""

import io
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.studio import SETTINGS

from capgen.captioner.bundle import Bundle
from capgen.errors import ConfigError, UsageError
from capgen.training import jax_process_group as groups
from capgen.training import run_folder
from capgen.training.batches import padded_batch, teacher_forced
from capgen.training.config import TrainingConfig
from capgen.training.jax_process_group import JaxProcessGroup
from capgen.training.settings import load_settings

QUICK = {"XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"}
"""Half of the time would be spent on compiling programs that run a few times."""

DRIVER = """
import json, os, sys
from pathlib import Path
from capgen.training import jax_process_group, run
from capgen.training.history import TrainingReporter
from capgen.training.jax_process_group import JaxProcessGroup, joined

jax_process_group.HEARTBEAT_TIMEOUT = 2

class Recorder(TrainingReporter):
    def __init__(self, last): self.last, self.means = last, []
    def on_step(self, epoch, step, steps, loss): self.means.append(loss)
    def on_epoch(self, epoch, *, best):
        if epoch.number == self.last:
            print(json.dumps({"means": self.means, "losses": losses, "dev": epoch.dev_loss}), flush=True)
            if not group: os._exit(0)

losses, train_step = [], JaxProcessGroup.train_step
def recorded(*arguments):
    losses.append(train_step(*arguments))
    return losses[-1]
JaxProcessGroup.train_step = recorded
folder, last, group = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
if group:
    with joined(JaxProcessGroup(**group)) as joint:
        run.train_in_group(folder, Recorder(last), joint)
else:
    run.train(folder, Recorder(last))
"""
"""Trains a run up to an epoch, and prints the loss of each step, the means reported on the way and the loss on dev."""


@pytest.fixture(scope="module")
def together(studio):
    """The drawn data set under a name of its own."""
    done = studio.run("prepare", studio.source, "--encoder", "efficientnet-lite0", "--augment", "flip", "--name", "together")
    assert done.returncode == 0, done.stderr
    return studio


@pytest.fixture
def begin(together, monkeypatch, tmp_path):
    """A function that begins a run with settings and returns its folder."""
    for name, value in together.env.items():
        monkeypatch.setenv(name, value)
    made = []

    def begin(*settings):
        made.append(run_folder.begin("together", load_settings(settings=[*SETTINGS, *settings]), tmp_path / "out"))
        return made[-1]

    yield begin
    for folder in made:
        shutil.rmtree(folder)


def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def pair():
    """Two processes of one device each."""
    address = f"127.0.0.1:{port()}"
    return [{"coordinator": address, "processes": 2, "process": index} for index in range(2)]


def recorded(folder, last, *members):
    """What the processes of a group say of a run's steps."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", DRIVER, folder, str(last), json.dumps(member)],
            env={**os.environ, **QUICK},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for member in members
    ]
    ended = [process.communicate(timeout=600) for process in started]
    assert [process.returncode for process in started] == [0] * len(members), ended
    return [json.loads(said) for said, _ in ended]


@pytest.mark.jax
def test_the_loss_of_every_step_is_that_of_one_process_with_the_same_batches(begin, tmp_path):
    folder = begin(
        "batch_size=8", "epochs=1", "beam=1"
    )  # of 36 images: the second half of each last batch is nothing but filling
    ways = {"one": [{"devices": 1}], "devices": [{"devices": 2}], "processes": pair()}
    said = {}
    for name, members in ways.items():
        shutil.copytree(folder, tmp_path / name)
        said[name] = recorded(tmp_path / name, 1, *members)
    (one,), others = said["one"], [*said["devices"], *said["processes"]]
    assert len(one["losses"]) == 5
    assert len(others) == 3
    for other in others:
        np.testing.assert_allclose(other["losses"], one["losses"], atol=1e-4)
        np.testing.assert_allclose(other["means"], one["means"], atol=1e-4)
        assert other["dev"] == pytest.approx(one["dev"], abs=1e-4)
    assert (tmp_path / "processes/history.csv").exists()


@pytest.mark.jax
def test_a_run_that_starts_with_tensorflow_goes_on_with_jax_as_it_would_have_gone_on(begin, tmp_path):
    folder = begin("dropout=0", "batch_size=8", "epochs=2", "beam=1")
    recorded(folder, 1, None)
    shutil.copytree(folder, tmp_path / "jax")
    (by_tensorflow,), (by_jax,) = recorded(folder, 2, None), recorded(tmp_path / "jax", 2, {"devices": 2})
    np.testing.assert_allclose(by_jax["means"], by_tensorflow["means"], atol=1e-4)
    assert by_jax["dev"] == pytest.approx(by_tensorflow["dev"], abs=1e-4)


@pytest.mark.jax
def test_a_killed_process_ends_the_run_with_a_line_and_one_process_goes_on(together, tmp_path):
    out, address = tmp_path / "out", f"127.0.0.1:{port()}"
    settings = [part for setting in (*SETTINGS, "epochs=3") for part in ("--set", setting)]
    command = [Path(sys.executable).with_name("capgen"), "train", "together", "--out", str(out), *settings]
    command += ["--coordinator", address, "--processes", "2", "--process-id"]
    first, second = (
        subprocess.Popen(
            [*command, str(index)], env={**os.environ, **together.env, **QUICK}, stderr=subprocess.PIPE, text=True
        )
        for index in range(2)
    )
    for line in first.stderr:
        if line.startswith("epoch 1 of "):
            break
    second.kill()
    _, said = first.communicate(timeout=600)
    assert first.returncode == 1
    assert said.splitlines()[-1] == f"capgen: {groups.LOST}"
    assert "Traceback" not in said
    assert not second.communicate()[1].count("Traceback")
    done = together.process("train", "together", "--resume", "--devices", "1", **QUICK)
    assert done.returncode == 0, done.stderr
    assert "\nepoch 1 of " not in done.stderr
    assert "going on after epoch 1;" in done.stderr
    assert "\nepoch 3 of " in done.stderr
    assert Bundle(out).description.training["epochs"] == 3
    caption = together.run("caption", "--model", out, together.source / "images/000.png")
    assert caption.returncode == 0
    assert caption.stdout.strip()


def test_options_that_do_not_fit_together_are_one_line_and_leave_nothing(together):
    before = list((together.folder / "user/runs").rglob("*"))
    for arguments, words in (
        (["--processes", "2"], "need all of --coordinator, --processes and --process-id"),
        (["--coordinator", "here", "--processes", "2", "--process-id", "0"], "not of the form HOST:PORT"),
        (["--coordinator", "here:1", "--processes", "2", "--process-id", "2"], "numbered 0 to 1"),
        (["--devices", "3", "--set", "batch_size=4"], "batch_size = 4 cannot be divided among 3 devices"),
        (["--devices", "64"], "cannot be divided among 64 devices"),  # the size of a batch follows from the data
        (["--devices", "2", "--set", "encoder.epochs=1"], "set encoder_epochs=0"),
        (["--devices", "0"], "greater than or equal to 1"),
    ):
        done = together.run("train", "together", *arguments)
        assert done.returncode == 2, arguments
        assert words in done.stderr
        assert "Traceback" not in done.stderr
    assert list((together.folder / "user/runs").rglob("*")) == before


def test_without_jax_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(groups.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'capgen\[jax\]'"), groups.joined(JaxProcessGroup(2)):
        pass


def test_a_run_with_a_batch_that_cannot_be_divided_is_refused_when_it_goes_on():
    with pytest.raises(ConfigError, match="cannot be divided among 6 devices"):
        JaxProcessGroup(devices=3, coordinator="here:1", processes=2).check(TrainingConfig(batch_size=4))


def test_a_filled_batch_has_the_means_that_it_had():
    inputs, targets = teacher_forced([[[7, 8]], [[5]], [[6, 9, 7]]], count=1, steps=4)
    inputs["features"] = np.arange(3.0).reshape(3, 1, 1)
    whole, labels, weights = padded_batch(inputs, targets, images=4)
    assert whole["features"].reshape(-1).tolist() == [0, 1, 2, 2]
    assert whole["words"].shape == (4, 1, 4)
    assert len(whole["positions"]) == len(labels) == len(weights) == 12  # a multiple of four rows that holds nine words
    values = np.random.default_rng(0).random(12)
    assert (values * weights).mean() == pytest.approx(values[:9].mean())
    asked = np.arange(9, dtype=np.float32)
    *_, weights = padded_batch(inputs, targets, 4, asked)
    assert (values * weights).mean() == pytest.approx((values[:9] * asked).mean())


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text().filter(lambda name: name != "<array>"), inner),
)


@given(plain)
def test_what_process_0_tells_the_others_arrives_as_it_was(value):
    assert groups._unpacked(groups._packed(value)) == value


def test_arrays_that_process_0_tells_the_others_keep_their_types():
    reported = ({"a": np.arange(3, dtype=np.float16), "b": np.zeros((2, 0), np.int32)}, np.array([1.5]), 0.25)
    inputs, targets, reward = groups._unpacked(groups._packed(reported))
    assert [(array.dtype, array.shape) for array in inputs.values()] == [(np.float16, (3,)), (np.int32, (2, 0))]
    assert (targets.tolist(), reward) == ([1.5], 0.25)


def test_nothing_that_is_broadcast_is_unpickled():
    buffer = io.BytesIO()
    np.savez(buffer, np.array([print], dtype=object))
    with pytest.raises(ValueError, match="pickle"):
        groups._unpacked(buffer.getvalue())


@pytest.mark.jax
def test_a_port_that_is_taken_is_one_line(together):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = together.process("train", "together", "--coordinator", address, "--processes", "2", "--process-id", "0")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"capgen: cannot listen at {address}")
    assert "Traceback" not in done.stderr
