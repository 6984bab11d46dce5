"""Captioning and extracting features on Ray: on this machine, and on two nodes of which a worker and then a node is lost."""

import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from support.commands import capgen, here
from support.drawing import COLOURS, draw

pytestmark = pytest.mark.ray

IMAGES = 80
MANY = 900
"""Enough to be in the middle of them when something is killed, while a worker that takes its place is still starting."""

RAY = Path(sys.executable).with_name("ray")
SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Drawn images in two folders, and three files that are none."""
    folder = tmp_path_factory.mktemp("photographs")
    for index in range(IMAGES):
        target = folder / ("a", "b")[index % 2]
        target.mkdir(exist_ok=True)
        draw(target / f"{index:03} é.png", list(COLOURS)[index % 4], "circle", index)
    (folder / "a/no image.jpg").write_text("words")
    (folder / "b/empty.png").touch()
    whole = (folder / "a/000 é.png").read_bytes()
    (folder / "b/cut.png").write_bytes(whole[: len(whole) // 2])
    return folder


class Nodes:
    """Ray nodes on loopback, in a folder of their own.

    Args:
        processors: How many each node has.
        settings: Variables of the environment that are different for them.
    """

    def __init__(self, *processors, **settings):
        self.settings = {**SETTINGS, **settings}
        self.folder = Path(tempfile.mkdtemp(prefix="r"))  # a short path: sockets lie in it
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        head = ("--head", f"--port={self.address.rpartition(':')[2]}", "--include-dashboard=false")
        for number, count in enumerate(processors, 1):
            joining = (f"--address={self.address}",) if number > 1 else head
            usual = (f"--num-cpus={count}", "--object-store-memory=100000000")
            self.start(*joining, f"--node-ip-address=127.0.0.{number}", *usual)

    def start(self, *options):
        temporary = [f"--temp-dir={self.folder}"] if "--head" in options else []
        done = subprocess.run(
            [RAY, "start", *options, *temporary],
            env={**os.environ, **self.settings},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def processes(self):
        """Process id, parent and command line of all that belongs to the nodes."""
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
            found[entry.name] = (parent, words)
        own = {pid for pid, (_, words) in found.items() if str(self.folder) in words}
        return {int(pid): each for pid, each in found.items() if pid in own or str(each[0]) in own}

    def workers(self):
        return [pid for pid, (_, words) in self.processes().items() if words.startswith("ray::MapWorker")]

    def kill_second(self):
        """Kill the second node at once, its workers first."""
        everything = self.processes()
        (raylet,) = [pid for pid, (_, words) in everything.items() if "raylet/raylet" in words and "127.0.0.2" in words]
        for pid in [*(pid for pid, (parent, _) in everything.items() if parent == raylet), raylet]:
            os.kill(pid, signal.SIGKILL)

    def end(self):
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def nodes():
    made = Nodes(1, 1)
    yield made
    made.end()


@pytest.fixture(scope="module")
def cluster():
    """A Ray of two processors that is there already, as starting one takes longer than most of what is done on it."""
    made = Nodes(2)
    yield made
    made.end()


@pytest.fixture
def run(user_folders, cluster):
    """Run the command, by default on that Ray."""

    def run(*arguments, engine=("--engine", "ray", "--address", cluster.address)):
        return capgen(*arguments, *engine, env=SETTINGS)

    return run


def test_captions_statuses_and_report_are_those_of_a_local_run_byte_for_byte(run, photographs, user_folders, monkeypatch):
    monkeypatch.chdir(photographs)  # so that paths are relative
    arguments = (
        "caption",
        "-r",
        "a",
        "b",
        "-f",
        "jsonl",
        "--num",
        "2",
        "--max-words",
        "6",
        "--suppress",
        "a",
        "--prefix",
        "x:",
    )
    here = run(*arguments, "--report", user_folders / "here.jsonl", engine=())
    there = run(*arguments, "--report", user_folders / "there.jsonl")
    assert (there.returncode, there.stdout) == (here.returncode, here.stdout)
    assert here.returncode == 3
    assert here.stdout.count("\n") == IMAGES + 3
    assert here.stdout.startswith('{"path": "a/000 é.png"')
    assert (user_folders / "there.jsonl").read_bytes() == (user_folders / "here.jsonl").read_bytes()
    failures = [[line for line in done.stderr.splitlines() if line.startswith("capgen:")] for done in (here, there)]
    assert failures[0] == failures[1]
    assert len(failures[0]) == 3
    assert len(there.stderr.splitlines()) == 4


def test_a_program_prints_while_the_engine_is_entered_and_the_threads_of_ray_do_not(cluster, user_folders):
    program = f"""
import threading
from capgen.batch.engines.ray import RayEngine
with RayEngine({cluster.address!r}):
    print("mine")
    lost = threading.Thread(target=print, args=("a worker was lost",), name="ray_print_logs")
    lost.start()
    lost.join()
"""
    environment = {**os.environ, **SETTINGS}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "mine\n"), done.stderr


@pytest.mark.usefixtures("small")
def test_sidecars_that_are_there_stay_and_a_second_run_does_nothing(run, photographs, user_folders):
    folder = user_folders / "library"
    shutil.copytree(photographs / "b", folder)
    (folder / "001 é.txt").write_text("by a person\n")
    first = run("caption", "-r", folder, "--sidecar", "txt")
    assert first.returncode == 3
    assert f"{IMAGES // 2 - 1} captioned, 1 unreadable, 1 unsupported in " in first.stderr
    assert "; 1 skipped: it has a .txt" in first.stderr
    assert (folder / "001 é.txt").read_text() == "by a person\n"
    written = {path: path.stat().st_mtime_ns for path in folder.glob("*.txt")}
    assert len(written) == IMAGES // 2
    second = run("caption", "-r", folder, "--sidecar", "txt")
    assert "1 unreadable, 1 unsupported in " in second.stderr
    assert f"; {IMAGES // 2} skipped: they have a .txt" in second.stderr
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*.txt")} == written


def paths_in(file):
    return [json.loads(line)["path"] for line in file.read_text().splitlines()]


def wait_for_lines(file, count, process, seconds=600):
    """Wait until a growing file has so many lines."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        if file.exists() and file.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.05)
    pytest.fail(f"it ended or came no further: {process.poll()}")


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Links to a few drawn images, under many names."""
    folder = tmp_path_factory.mktemp("many")
    source = folder / "source"
    source.mkdir()
    for index in range(20):
        draw(source / f"{index}.png", "blue", "square", index)
    (folder / "images").mkdir()
    for index in range(MANY):
        (folder / f"images/{index:04}.png").hardlink_to(source / f"{index % 20}.png")
    return folder / "images"


def begin(*arguments, **more):
    return subprocess.Popen(
        [Path(sys.executable).with_name("capgen"), *map(str, arguments)],
        env={**os.environ, **SETTINGS, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.usefixtures("small")
def test_what_ctrl_c_interrupts_goes_on_also_on_a_ray_of_its_own_beside_another(run, cluster, many, user_folders):
    output = user_folders / "captions.jsonl"
    wanted = ("-o", output, "--engine", "ray", "--workers", "2")
    running = begin("caption", "-r", many, *wanted, RAY_ADDRESS=cluster.address)
    wait_for_lines(output, 1, running)
    assert not cluster.workers()
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=600)
    assert running.returncode == 130, said
    assert "interrupted; run it again, it goes on" in said
    done = paths_in(output)
    assert 0 < len(done) < MANY
    again = run("caption", "-r", many, "-o", output, engine=())
    assert again.returncode == 0
    assert f"{len(done)} skipped" in again.stderr
    assert sorted(paths_in(output)) == sorted(map(str, many.iterdir()))


@pytest.mark.usefixtures("small")
def test_a_run_that_loses_a_worker_and_then_a_node_captions_every_file_once_as_a_local_run(nodes, many, user_folders):
    output, expected = user_folders / "captions.jsonl", user_folders / "expected.jsonl"
    running = begin("caption", "-r", many, "-o", output, "--engine", "ray", "--address", nodes.address)
    wait_for_lines(output, 1, running)
    os.kill(nodes.workers()[0], signal.SIGKILL)
    so_far = output.read_bytes().count(b"\n")
    wait_for_lines(output, so_far + 1, running)
    nodes.kill_second()
    assert output.read_bytes().count(b"\n") < MANY
    printed, said = running.communicate(timeout=600)
    assert running.returncode == 0, said
    assert (printed, len(said.splitlines())) == ("", 1), said
    assert capgen("caption", "-r", many, "-o", expected).returncode == 0
    assert output.read_bytes() == expected.read_bytes()


@pytest.mark.usefixtures("small")
def test_shards_are_those_of_a_local_run(run, photographs, user_folders, monkeypatch):
    monkeypatch.chdir(user_folders)
    for name in ("a", "b"):
        with tarfile.open(f"{name}.tar", "w") as archive:
            for path in sorted((photographs / name).iterdir()):
                archive.add(path, path.name)
    for output, engine in (("here/", {"engine": ()}), ("there/", {})):
        done = run("caption", "{a,b}.tar", "-o", output, "--report", f"{output[:-1]}.jsonl", **engine)
        assert done.returncode == 3, done.stderr
    here, there = (sorted(Path(folder).iterdir()) for folder in ("here", "there"))
    assert [path.name for path in there] == ["a.jsonl", "a_stats.json", "b.jsonl", "b_stats.json"]
    for expected, found in zip(here, there, strict=True):
        if found.suffix == ".json":
            assert json.loads(found.read_text()) | {"seconds": 0} == json.loads(expected.read_text()) | {"seconds": 0}
        else:
            assert found.read_bytes() == expected.read_bytes()
    assert Path("there.jsonl").read_bytes() == Path("here.jsonl").read_bytes()
    again = run("caption", "{a,b}.tar", "-o", "there/")
    assert (again.returncode, again.stderr.strip()) == (0, "2 of 2 shards were there before")


def stored(cache):
    """All features in a cache: key and output to the row."""
    rows = {}
    for listing in cache.glob("features/*/*.json"):
        for output in listing.parent.glob(f"{listing.stem}.*.npy"):
            rows |= dict(
                zip(((key, output.suffixes[0]) for key in json.loads(listing.read_text())), np.load(output), strict=True)
            )
    return rows


def test_prepare_extracts_the_features_that_a_local_run_does(cluster, studio, tmp_path):
    here, there = studio.folder / "cache", tmp_path / "cache"
    shutil.copytree(here / "encoders", there / "encoders")  # which it would make again
    user_folders = {"CAPGEN_CACHE_DIR": str(there), "CAPGEN_DATA_DIR": str(tmp_path / "data")}
    wanted = ("--encoder", "efficientnet-lite0", "--augment", "flip", "--engine", "ray", "--address", cluster.address)
    done = capgen("prepare", studio.source, *wanted, env={**SETTINGS, **user_folders})
    assert done.returncode == 0, done.stderr
    expected, found = stored(here), stored(there)
    assert len(found) >= 120
    assert all(np.array_equal(found[key], expected[key]) for key in found)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--address", "auto"], 2, "--address is about --engine ray; add it"),
        (["--workers", "2"], 2, "--workers is about --engine ray; add it"),
        (["--engine", "ray", "x.tar"], 2, "with the engine ray archives are captioned into shards: give --output a folder"),
        (["--engine", "rya"], 2, "'rya' is not one of 'local', 'ray'"),
        (["--engine", "ray", "--address", "127.0.0.1:9"], 1, "nothing answers at 127.0.0.1:9"),
    ],
)
def test_what_cannot_be_is_one_line(photographs, user_folders, options, code, said):
    done = here("caption", photographs / "a/000 é.png", *options)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_ray_of_this_run_leaves_no_token_and_one_that_is_there_is_sent_to_a_cluster_that_asks(
    photographs, user_folders, monkeypatch, tmp_path
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    image = photographs / "a/000 é.png"
    local = capgen("caption", image, image.with_name("002 é.png"), "--engine", "ray", "--workers", "1")
    assert local.returncode == 0, local.stderr
    assert not (tmp_path / ".ray").exists()
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray/auth_token").write_text("0123456789abcdef" * 2)
    nodes = Nodes(1, RAY_AUTH_MODE="token")
    try:
        done = capgen("caption", image, image.with_name("002 é.png"), "--engine", "ray", "--address", nodes.address)
    finally:
        nodes.end()
    assert (done.returncode, done.stdout) == (0, local.stdout)
    assert f"Ray's token was sent to {nodes.address}" in done.stderr


def test_an_unknown_engine_is_refused_in_a_dry_run_too_and_leaves_no_file(photographs, user_folders):
    output = user_folders / "captions.csv"
    for more in (["--dry-run"], []):
        done = here("caption", photographs / "a/000 é.png", "-o", output, "--engine", "rya", *more)
        assert (done.returncode, output.exists()) == (2, False)


def test_an_image_that_is_lost_during_extraction_is_reported_as_in_a_local_run(photographs, user_folders):
    from capgen.errors import ImageError

    reported = pickle.loads(pickle.dumps(ImageError("missing", "it has changed")))
    assert (reported.status, str(reported)) == ("missing", "it has changed")


def test_without_ray_it_says_how_to_get_it(photographs, user_folders, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    done = here("caption", photographs / "a/000 é.png", "--engine", "ray")
    assert (done.returncode, done.stderr) == (2, "capgen: the engine ray needs Ray: pip install 'capgen[ray]'\n")
