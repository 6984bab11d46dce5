"""``capgen cache``: who needs what, what goes, and that nothing goes under a running job."""

import fcntl
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support.archives import tar
from support.commands import capgen, here
from support.drawing import draw_dataset, drawn
from support.studio import SETTINGS
from support.tools import require_tool

from capgen.errors import StorageError
from capgen.storage import files, locks
from capgen.training import cache
from capgen.training.encoders import ENCODERS
from capgen.training.features import FeatureStore

COMMAND = Path(sys.executable).with_name("capgen")
SMALL = ("--encoder", "efficientnet-lite0")


@pytest.fixture
def shapes(studio, user_folders):
    """Places of the test's own with the studio's encoder and a small prepared data set, named ``shapes``."""
    graphs = user_folders / "cache/encoders"
    graphs.mkdir(parents=True)
    shutil.copy(next((studio.folder / "cache/encoders").glob("efficientnet-lite0-*.tflite")), graphs)
    assert here("prepare", draw_dataset(user_folders / "shapes", 10), *SMALL).returncode == 0
    return user_folders


def store(user_folders):
    """Return the folder of the one store."""
    return next((user_folders / "cache/features").iterdir())


def contents(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def forget(user_folders, name):
    (user_folders / f"data/datasets/{name}.json").unlink()


def is_held(folder):
    try:
        with locks.lock(folder / ".lock"):
            return False
    except StorageError:
        return True


def started(*arguments):
    return subprocess.Popen([COMMAND, *map(str, arguments)], stderr=subprocess.PIPE, text=True)


def wait_until(condition, process):
    deadline = time.monotonic() + 600
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def on_a_terminal(answer, *arguments):
    """Run the command with a terminal on which ``answer`` is typed."""
    command = [require_tool("script"), "-qec", " ".join([str(COMMAND), *arguments]), "/dev/null"]
    return subprocess.run(command, input=answer, capture_output=True, text=True, check=False)


def test_dir_is_the_folder_of_the_cache(user_folders):
    done = capgen("cache", "dir")
    assert (done.stdout, done.stderr) == (f"{user_folders}/cache\n", "")


def test_size_names_images_bytes_and_the_data_sets_that_use_them(shapes):
    here("prepare", shapes / "shapes", *SMALL, "--name", "again", "--augment", "flip")
    header, row, total = here("cache", "size").stdout.splitlines()
    assert header.split() == ["store", "images", "size", "used", "by"]
    assert row.split()[:2] == [store(shapes).name, "10"]
    assert row.endswith("again, shapes")
    size = files.size_text(sum(path.stat().st_size for path in contents(shapes / "cache")))
    assert total.split() == ["total", *size.split()]
    assert size in row


def test_the_size_of_an_empty_cache_is_nothing(user_folders):
    assert here("cache", "size").stdout.splitlines()[-1].split() == ["total", "0", "B"]


def test_pruning_leaves_what_a_data_set_needs(shapes):
    before = contents(shapes)
    done = here("cache", "prune")
    assert (done.returncode, done.stdout, done.stderr) == (0, "freed 0 B\n", "")
    assert contents(shapes) == before


def test_pruning_removes_the_store_that_no_data_set_uses_with_its_encoder(shapes):
    size = files.size_text(sum(path.stat().st_size for path in contents(shapes / "cache")))
    name = store(shapes).name
    forget(shapes, "shapes")
    done = here("cache", "prune")
    assert done.stdout == f"removed {size} of {name}: no prepared data set uses it\nfreed {size}\n"
    assert not contents(shapes / "cache")
    assert not (shapes / "cache/features" / name).exists()


def test_pruning_removes_the_shards_of_which_no_row_is_needed(shapes):
    here("prepare", draw_dataset(shapes / "other", 5, first_seed=100), *SMALL)
    here("prepare", draw_dataset(draw_dataset(shapes / "shapes", 5, first_seed=200), 5, first_seed=300), *SMALL)
    assert len(list(store(shapes).glob("*.json"))) == 3
    forget(shapes, "other")
    done = here("cache", "prune")
    assert "1 shard that no data set needs\n" in done.stdout
    kept = contents(shapes / "cache")
    assert len(list(store(shapes).glob("*.json"))) == 2
    for output in ENCODERS["efficientnet-lite0"].outputs:
        assert len(list(store(shapes).glob(f"*.{output}.npy"))) == 2
    assert here("prepare", shapes / "shapes", *SMALL).returncode == 0
    assert contents(shapes / "cache") == kept, "the data set that stays was computed again"


def test_pruning_removes_what_interrupted_writes_left(shapes):
    graph = next((shapes / "cache/encoders").iterdir())
    leftovers = [
        store(shapes) / ".0123.grid.npy.x1y2.part",
        store(shapes) / f"{'0' * 24}.grid.npy",  # its list of keys would have come next
        graph.with_name(f".{graph.name}.x1y2.part"),
        graph.with_name(".efficientnet-lite2-0123456789abcdef.tflite.x1y2.part"),
    ]
    before = contents(shapes / "cache")
    for path in leftovers:
        path.write_bytes(b"12345")
    done = here("cache", "prune")
    assert "3 leftovers of interrupted writes\n" in done.stdout
    assert done.stdout.splitlines()[-1] == "freed 20 B"
    assert contents(shapes / "cache") == before


def test_unpacked_archives_are_kept_while_a_data_set_needs_them(shapes):
    archives = [tar(shapes / f"{name}.tar", [("1.png", drawn(n)), ("1.txt", b"One.")]) for n, name in enumerate("ab")]
    for archive in archives:
        assert here("prepare", archive, *SMALL, "--use", "train").returncode == 0
    row = next(line for line in here("cache", "size").stdout.splitlines() if line.startswith("unpacked"))
    assert row.split()[1] == "2"
    assert row.endswith("a, b")
    forget(shapes, "b")
    assert "of unpacked: 1 archive that no data set needs\n" in here("cache", "prune").stdout
    [kept] = (path for path in (shapes / "cache/unpacked").iterdir() if path.is_dir())
    assert (kept / "images/1.png").read_bytes() == drawn(0)
    forget(shapes, "a")
    assert "of unpacked: no prepared data set uses it\n" in here("cache", "prune").stdout
    assert not (shapes / "cache/unpacked").exists()


def test_an_archive_that_is_being_read_is_left_alone(shapes):
    assert here("prepare", tar(shapes / "a.tar", [("1.png", drawn(1)), ("1.txt", b"One.")]), *SMALL).returncode == 0
    with locks.lock(shapes / "cache/unpacked/.lock", shared=True):
        done = here("cache", "clear", "--yes")
    assert done.returncode == 3
    assert "unpacked is left as it is" in done.stderr
    assert list((shapes / "cache/unpacked").rglob("1.png"))


def test_a_dry_run_says_the_same_and_removes_nothing(shapes):
    forget(shapes, "shapes")
    before = contents(shapes)
    announced = here("cache", "prune", "--dry-run").stdout
    assert contents(shapes) == before
    done = here("cache", "prune").stdout
    assert announced == done.replace("removed", "would remove").replace("freed", "would free")


def test_a_data_set_whose_encoder_weights_are_not_here_keeps_its_features(shapes):
    file = shapes / "data/datasets/shapes.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"encoder_weights": "/media/gone/weights.npz"}))
    before = contents(shapes)
    assert here("cache", "prune").returncode == 0
    assert contents(shapes) == before


def test_a_damaged_data_set_stops_pruning_because_its_needs_are_unknown(shapes):
    (shapes / "data/datasets/shapes.json").write_text("{")
    before = contents(shapes)
    done = here("cache", "prune")
    assert done.returncode == 1
    assert "shapes.json is damaged" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert contents(shapes) == before


def test_clearing_removes_features_and_encoders_and_nothing_else(shapes):
    (shapes / "cache/features/notes").mkdir()
    mine = [shapes / "cache/features/notes/mine.npy", shapes / "cache/encoders/mine.txt", shapes / "cache/mine.txt"]
    for path in mine:
        path.write_text("not capgen's")
    user = contents(shapes / "data")
    done = here("cache", "clear", "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("freed ")
    assert set(contents(shapes / "cache")) == set(mine)
    assert contents(shapes / "data") == user


def test_without_a_terminal_clearing_needs_yes(shapes):
    before = contents(shapes)
    done = here("cache", "clear")
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert contents(shapes) == before


@pytest.mark.slow
def test_on_a_terminal_clearing_asks(shapes):
    before = contents(shapes)
    for answer in ("n\n", "\n"):
        done = on_a_terminal(answer, "cache", "clear")
        assert done.returncode == 1
        assert "nothing was removed" in done.stdout
        assert contents(shapes) == before
    assert on_a_terminal("y\n", "cache", "clear").returncode == 0
    assert not contents(shapes / "cache")


@pytest.mark.slow
def test_a_running_prepare_keeps_its_store_until_it_ends(shapes):
    forget(shapes, "shapes")
    process = started("prepare", draw_dataset(shapes / "many", 60, first_seed=1000), *SMALL)
    folder = store(shapes)
    wait_until(lambda: is_held(folder), process)
    process.send_signal(signal.SIGSTOP)
    before = contents(shapes / "cache")
    for arguments in (["prune"], ["clear", "--yes"]):
        done = here("cache", *arguments)
        assert done.returncode == 3
        assert f"{folder.name} is left as it is" in done.stderr
        assert "in use" in done.stderr
        assert contents(shapes / "cache") == before
    process.send_signal(signal.SIGCONT)
    assert process.wait() == 0, process.stderr.read()
    process.stderr.close()
    assert here("cache", "prune").returncode == 0
    assert "many" in here("cache", "size").stdout


@pytest.mark.slow
def test_a_killed_prepare_keeps_nothing(shapes):
    process = started("prepare", draw_dataset(shapes / "many", 60, first_seed=1000), *SMALL)
    folder = store(shapes)
    wait_until(lambda: is_held(folder), process)
    process.send_signal(signal.SIGSTOP)
    assert here("cache", "clear", "--yes").returncode == 3
    process.kill()
    process.wait()
    process.stderr.close()
    assert here("cache", "clear", "--yes").returncode == 0
    assert not contents(shapes / "cache")


@pytest.mark.slow
def test_a_running_training_keeps_its_store_and_its_encoder(shapes):
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    process = started("train", "shapes", "--epochs", "100", "--set", "patience=100", *settings)
    wait_until(lambda: list((shapes / "data/runs").rglob("checkpoint.npz")), process)
    before = contents(shapes / "cache")
    done = here("cache", "clear", "--yes")
    process.kill()
    process.wait()
    process.stderr.close()
    assert done.returncode == 3
    assert contents(shapes / "cache") == before
    assert here("cache", "clear", "--yes").returncode == 0


def test_one_stores_job_does_not_keep_another(shapes):
    other = FeatureStore(shapes / "cache/features/vgg16-0123456789abcdef")
    other.write(["a"], {"grid": np.ones((1, 2, 3))})
    with locks.lock(store(shapes) / ".lock", shared=True):
        assert here("cache", "clear", "--yes").returncode == 3
    assert not other.folder.exists()
    assert list(store(shapes).glob("*.npy"))


def test_jobs_share_a_store(shapes):
    with locks.lock(store(shapes) / ".lock", shared=True):
        assert here("prepare", shapes / "shapes", *SMALL).returncode == 0


@pytest.mark.slow
def test_a_job_waits_while_its_store_is_pruned(shapes):
    with locks.lock(store(shapes) / ".lock"):
        process = started("prepare", shapes / "shapes", *SMALL)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1)
    assert process.wait() == 0
    process.stderr.close()


def test_a_lock_whose_file_is_removed_before_it_is_held_is_taken_anew(tmp_path, monkeypatch):
    held, removed, flock = tmp_path / "store/.lock", [], fcntl.flock

    def late(file, kind):
        if not removed:
            removed.append(held.unlink())
            held.parent.rmdir()
        flock(file, kind)

    monkeypatch.setattr(fcntl, "flock", late)
    with locks.lock(held, shared=True):
        assert is_held(held.parent)


def test_a_removal_that_stops_anywhere_leaves_whole_shards(user_folders, monkeypatch):
    folder = user_folders / "cache/features/vgg16-0123456789abcdef"
    arrays = {"grid": np.arange(12).reshape(2, 3, 2), "vector": np.arange(8).reshape(2, 1, 4)}
    unlink = Path.unlink

    def stopping_after(count):
        left = iter(range(count))

        def stopping(path, **more):
            if next(left, None) is None:
                raise KeyboardInterrupt
            unlink(path, **more)

        return stopping

    for stop in range(7):  # three files a shard and the lock
        filled = FeatureStore(folder)
        for keys in (["a", "b"], ["c", "d"]):
            filled.write(keys, arrays)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", stopping_after(stop))
            with pytest.raises(KeyboardInterrupt):
                for removal in cache.unneeded():
                    cache.remove(removal)
        left = FeatureStore(folder)
        for key in filter(left.__contains__, "abcd"):
            assert left.row(key, "grid").shape == (3, 2)
            assert left.row(key, "vector").shape == (1, 4)
        assert not is_held(folder)
    for removal in cache.unneeded():
        cache.remove(removal)
    assert not folder.exists()


def test_an_interrupted_clearing_is_made_good_by_prepare(shapes):
    before = {path: path.read_bytes() for path in store(shapes).glob("*.npy")}
    next(store(shapes).glob("*.json")).unlink()  # what goes first
    assert here("prepare", shapes / "shapes", *SMALL).returncode == 0
    assert {path: path.read_bytes() for path in store(shapes).glob("*.npy")} == before


def test_a_cache_that_is_not_there_is_empty(user_folders):
    (user_folders / "file").write_text("")
    for path in (user_folders / "none", user_folders / "file/cache"):
        for arguments in (["size"], ["prune"], ["clear", "--yes"]):
            done = here("cache", *arguments, env={"CAPGEN_CACHE_DIR": str(path)})
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout.splitlines()[-1].endswith(" 0 B")
        assert not path.exists()
