"""What the tests share: places of their own, a drawn data set, a small captioner trained on it, the command."""

import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image, ImageDraw

# A shell that runs the tests in the background has them ignore Ctrl-C, and the commands that they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("CAPGEN_SHARED", ROOT.parent / "shared"))

COLOURS = {"red": (220, 40, 30), "green": (40, 170, 60), "blue": (40, 70, 210), "yellow": (240, 210, 40)}
SHAPES = ("circle", "square", "triangle")
SETTINGS = (
    "lstm_size=64", "embedding_size=64", "heads=4", "batch_size=4", "minimum_count=1", "dropout=0.2",
    "learning_rate=0.005", "patience=20", "warmup_steps=2", "captions_per_image=2", "guidance=1.1",
)  # fmt: skip
"""Settings of a captioner that learns the drawn data set in seconds."""


LONGEST = (
    "test_train.py", "test_readme.py", "test_distributed.py", "test_ray.py", "test_loop.py", "test_library.py",
    "test_captioner.py", "test_shipped.py", "test_kills.py", "test_encoders.py",
)  # fmt: skip
"""Files that begin first, so that no worker is left with one at the end when the other has nothing to do any more; the first
waits for no captioner that the other worker trains."""


def pytest_collection_modifyitems(items):
    """Put the longest files first; files go to workers in this order."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def shared():
    """The development data; tests that use it are marked ``shared``."""
    if not (SHARED / "data").is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"CI needs the development data at {SHARED}")
        pytest.skip("the development data is not beside this checkout")
    return SHARED / "data"


def draw(path, colour, shape, seed):
    """Draw a shape of a colour on a pale ground."""
    lot = random.Random(seed)
    ground = tuple(lot.randrange(200, 256) for _ in range(3))
    picture = Image.new("RGB", (160, 120), ground)
    pen = ImageDraw.Draw(picture)
    x, y, size = lot.randrange(10, 70), lot.randrange(10, 40), lot.randrange(50, 70)
    box = (x, y, x + size, y + size)
    if shape == "circle":
        pen.ellipse(box, fill=COLOURS[colour])
    elif shape == "square":
        pen.rectangle(box, fill=COLOURS[colour])
    else:
        pen.polygon([(x, y + size), (x + size, y + size), (x + size // 2, y)], fill=COLOURS[colour])
    picture.save(path)


def draw_each(folder, *names):
    """Draw a picture for each name, of another colour and shape than the one before; return the folder."""
    for index, name in enumerate(names):
        (folder / name).parent.mkdir(exist_ok=True)
        draw(folder / name, list(COLOURS)[index % 4], SHAPES[index % 3], index)
    return folder


def draw_dataset(folder, count, first_seed=0):
    """Draw ``count`` pictures with two captions each and an official split; return the folder."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows = []
    for index in range(first_seed, first_seed + count):
        colour, shape = list(COLOURS)[index % 4], SHAPES[index % 3]
        name = f"images/{index:03}.png"
        draw(folder / name, colour, shape, index)
        split = ("dev", "test", "train", "train", "train")[index % 5]
        captions = [f"A {colour} {shape} on a pale ground.", f"There is a {colour} {shape}."]
        rows.append({"image": name, "captions": captions, "split": split})
    with (folder / "captions.jsonl").open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return folder


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A cache and a data folder of the test's own."""
    monkeypatch.setenv("CAPGEN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("CAPGEN_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def without_java(monkeypatch):
    """METEOR's Java would take most of the time; what it says is tested where it is computed."""
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))


def invoked(*arguments):
    """Run the command in this process, which is then as it was."""
    from typer.testing import CliRunner

    from capgen.cli import app

    handler, environment = signal.getsignal(signal.SIGTERM), dict(os.environ)
    try:
        return CliRunner().invoke(app, list(map(str, arguments)))
    finally:
        signal.signal(signal.SIGTERM, handler)
        os.environ.clear()
        os.environ.update(environment)


@pytest.fixture
def caption(places):
    """``capgen caption``, greedy and in this process."""
    return lambda *arguments: invoked("caption", "--beam", "1", *arguments)


def here(*arguments, env=None):
    """Run the command as ``capgen`` does, but in this process, which has imported already what it uses."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (env or {}).items():
            patch.setenv(name, value)
        done = invoked(*arguments)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


def capgen(*arguments, env=None, cwd=None):
    """Run the real command in a process of its own, as a user would."""
    return subprocess.run(
        [Path(sys.executable).with_name("capgen"), *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        check=False,
    )


class Studio:
    """Places with a prepared data set named ``shapes``."""

    def __init__(self, folder, source):
        self.folder = folder
        self.env = {"CAPGEN_CACHE_DIR": str(folder / "cache"), "CAPGEN_DATA_DIR": str(folder / "user")}
        self.source = source

    def run(self, *arguments, **more):
        """Run the command in this process, with more in its environment."""
        return here(*arguments, env={**self.env, **more})

    def process(self, *arguments, **more):
        """Run it as a user would."""
        return capgen(*arguments, env={**self.env, **more})

    def copy(self, folder):
        """The same in another folder; the pictures stay where they are."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Studio(folder, self.source)


def of_all_workers(tmp_path_factory, name, make):
    """A folder that is filled once, by the worker that wants it first; what ``make`` returned lies in it as ``made``."""
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent
    folder = place / name
    with (place / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            shutil.rmtree(folder, ignore_errors=True)  # what one that failed has left
            made = make(folder)
            (folder / "made").write_text(json.dumps(made))
    return folder


@pytest.fixture(scope="session")
def first_studio(tmp_path_factory):
    """The drawn data set, prepared with the smaller encoder and mirrored views."""

    def make(folder):
        made = Studio(folder / "studio", draw_dataset(folder / "shapes", 60))
        done = made.process("prepare", made.source, "--encoder", "efficientnet-lite0", "--views", "flip")
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
def small(places, first_captioner):
    """That small captioner as the one to caption with, where what is said does not matter."""
    (places / "data/models").mkdir(parents=True)
    (places / "data/models/shapes").symlink_to(first_captioner.folder / "user/models/shapes")
    (places / "data/default-captioner").write_text("shapes\n")
    return places
