"""What the tests share: user folders of their own, a drawn data set, a small captioner trained on it, the command."""

import json
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import settings
from support.captioners import install_fake
from support.commands import invoked
from support.drawing import draw_dataset
from support.paths import SHARED
from support.studio import SETTINGS, Studio, of_all_workers
from support.tools import missing

# A shell that runs the tests in the background has them ignore Ctrl-C, and the commands that they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No test depends on how fast the machine is: no example has a deadline. In CI Hypothesis draws the same examples each time.
settings.register_profile("all", settings(), deadline=None)
settings.register_profile("fast", settings(), max_examples=20, deadline=None)
settings.load_profile("all")

LONGEST = (
    "test_train.py", "test_commands.py", "test_distributed.py", "test_ray.py", "test_loop.py", "test_library.py",
    "test_captioner.py", "test_shipped.py", "test_kills.py", "test_encoders.py",
)  # fmt: skip
"""Files that begin first, so that no worker is left with one at the end when the other has nothing to do any more; the first
waits for no captioner that the other worker trains."""


# The settings of whoever runs the tests count in none of them.
os.environ["CAPGEN_CONFIG_DIR"] = os.devnull


def pytest_configure(config):
    """Give each worker a processor of its own, as programs take longer whose threads wait for each other on all of them."""
    worker = getattr(config, "workerinput", None)
    if worker is None or not hasattr(os, "sched_setaffinity"):
        return
    processors = sorted(os.sched_getaffinity(0))
    if worker["workercount"] == len(processors):
        os.sched_setaffinity(0, {processors[int(worker["workerid"].removeprefix("gw"))]})


def pytest_collection_modifyitems(items):
    """Put the longest files first, since files go to workers in this order, and mark what is slow by what it starts."""
    for item in items:
        starts = any(item.get_closest_marker(name) for name in ("ray", "jax", "java", "browser"))
        if starts or "first_studio" in item.fixturenames:  # which loads TensorFlow to prepare a data set
            item.add_marker("slow")
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def shared():
    """The development data; tests that use it are marked ``shared``."""
    if not (SHARED / "data").is_dir():
        missing(f"the development data is not at {SHARED}")
    return SHARED / "data"


@pytest.fixture
def user_folders(tmp_path, monkeypatch):
    """Folders for the cache, for data and for settings that are the test's own."""
    monkeypatch.setenv("CAPGEN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("CAPGEN_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CAPGEN_CONFIG_DIR", str(tmp_path / "config"))
    return tmp_path


@pytest.fixture
def without_java(monkeypatch):
    """There is no Java, whose programs would take most of the time; what METEOR says is tested where it is computed."""
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))


@pytest.fixture
def caption(user_folders):
    """``capgen caption``, greedy and in this process."""
    return lambda *arguments: invoked("caption", "--beam", "1", *arguments)


@pytest.fixture(scope="session")
def first_studio(tmp_path_factory):
    """The drawn data set, prepared with the smaller encoder, also mirrored."""

    def make(folder):
        made = Studio(folder / "studio", draw_dataset(folder / "shapes", 60))
        done = made.process("prepare", made.source, "--encoder", "efficientnet-lite0", "--augment", "flip")
        assert done.returncode == 0, done.stderr

    folder = of_all_workers(tmp_path_factory, "prepared", make)
    return Studio(folder / "studio", folder / "shapes")


@pytest.fixture(scope="session")
def first_captioner(first_studio, tmp_path_factory):
    """That studio with a small attention captioner, named ``shapes``, trained on it."""

    def make(folder):
        made = first_studio.copy(folder / "studio")
        settings = [part for setting in SETTINGS for part in ("--set", setting)]
        done = made.process("train", "shapes", "--epochs", "20", *settings)
        assert done.returncode == 0, done.stderr
        return {"stdout": done.stdout, "stderr": done.stderr}

    folder = of_all_workers(tmp_path_factory, "trained", make)
    made = Studio(folder / "studio", first_studio.source)
    made.trained = SimpleNamespace(**json.loads((folder / "made").read_text()))
    return made


@pytest.fixture(scope="module")
def studio(first_studio, tmp_path_factory):
    """A file's own copy of the prepared data set: what its tests leave behind is not there for another file's."""
    return first_studio.copy(tmp_path_factory.mktemp("studio"))


@pytest.fixture(scope="module")
def captioner(first_captioner, tmp_path_factory):
    """A file's own copy of the captioner that was trained on it."""
    made = first_captioner.copy(tmp_path_factory.mktemp("captioner"))
    made.trained = first_captioner.trained
    return made


@pytest.fixture
def small(user_folders, first_captioner):
    """That small captioner as the one to caption with, where what is said does not matter."""
    (user_folders / "data/models").mkdir(parents=True)
    (user_folders / "data/models/shapes").symlink_to(first_captioner.folder / "user/models/shapes")
    (user_folders / "data/default-captioner").write_text("shapes\n")
    return user_folders


@pytest.fixture
def fake(user_folders):
    """Places in which the ``fake`` backend captions."""
    install_fake(user_folders / "data")
    return user_folders
