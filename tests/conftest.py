"""What the tests share: places of their own, a drawn data set, a small captioner trained on it, the command."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

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


LONGEST = ("test_ray.py", "test_train.py", "test_distributed.py", "test_readme.py", "test_loop.py")
"""Files that begin first, so that no worker is left with one at the end when the other has nothing to do any more."""


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
def caption(places):
    """``capgen caption``, greedy and in this process."""
    from typer.testing import CliRunner

    from capgen.cli import app

    before = signal.getsignal(signal.SIGTERM)
    yield lambda *arguments: CliRunner().invoke(app, ["caption", "--beam", "1", *map(str, arguments)])
    signal.signal(signal.SIGTERM, before)


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
    """A session's places with a prepared data set named ``shapes``."""

    def __init__(self, folder):
        self.folder = folder
        self.env = {"CAPGEN_CACHE_DIR": str(folder / "cache"), "CAPGEN_DATA_DIR": str(folder / "user")}
        self.source = draw_dataset(folder / "shapes", 60)

    def run(self, *arguments, **more):
        return capgen(*arguments, env={**self.env, **more})


@pytest.fixture(scope="session")
def studio(tmp_path_factory):
    """The drawn data set, prepared with the smaller encoder and mirrored views."""
    made = Studio(tmp_path_factory.mktemp("studio"))
    done = made.run("prepare", made.source, "--encoder", "efficientnet-lite0", "--views", "flip")
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture(scope="session")
def captioner(studio):
    """The studio with a small attention captioner, named ``shapes``, trained on it."""
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    done = studio.run("train", "shapes", "--epochs", "20", *settings)
    assert done.returncode == 0, done.stderr
    studio.trained = done
    return studio
