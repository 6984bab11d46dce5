"""Runs that end at any moment, by ``kill -9`` or a full disk: what is written is whole, and the next run goes on.

What is killed is ``capgen caption`` as it is, but for its graphs: every image has a caption made from its pixels, so that
a run spends its time on what is tested, which is reading, deciding and writing. It is forked from a process that has
imported all, so that it begins at once. A few runs of the real command with the captioner that ships are killed, too.

A run kills itself at a moment that is counted and not timed: at a step of a write, or at one of the calls of all its
threads, so that how fast the machine is decides nothing.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image
from support.tools import missing, require_tool

from capgen.outputs import photo_metadata
from capgen.outputs.folder_state import NAME
from capgen.outputs.xmp import XmpSidecar

pytestmark = pytest.mark.slow

IMAGES = 500
KILLS = 25
"""How often runs of each of the four kinds are killed."""

HOOKS = """
import errno, json, os, signal, sys, threading
from functools import cache
from pathlib import Path

from capgen.captioner import captioner
from capgen.storage import files
from capgen.batch import job
from capgen.outputs import manifest
from capgen.captioner.backends import litert_lstm
from capgen.cli import main
from capgen.outputs import csv, jsonl, result_log, sidecar, stream, text, xmp
from capgen.captioner.results import Caption

STEPS = {"fsync": (os, "fsync"), "replace": (Path, "replace"), "put": (manifest.Manifest, "put")}


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def fill():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def at_step(step, when, number, what):
    # Call ``what`` before or after the step of that number of writing, and each that follows.
    owner, name = STEPS[step]
    original, calls = getattr(owner, name), 0

    def call(*arguments):
        nonlocal calls
        calls += 1
        if calls >= number and when == "before":
            what()
        result = original(*arguments)
        if calls >= number and when == "after":
            what()
        return result

    setattr(owner, name, call)


def at_call(number, what):
    # Call ``what`` at the call of that number of any Python or C function, by this thread or those it starts.
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        if event in ("call", "c_call"):
            calls += 1
            if calls == number:
                what()

    threading.setprofile(count)
    sys.setprofile(count)


def prepare(dies=None, fills=None, dies_while_it_begins=None, dies_while_it_writes=None):
    # Arrange for what is to happen in this process.
    if dies:
        at_step(*dies, die)
    if fills:
        at_step(*fills, fill)
    if dies_while_it_begins:
        at_call(dies_while_it_begins, die)
    if dies_while_it_writes:
        step, calls = dies_while_it_writes
        at_step("put", "before", step, cache(lambda: at_call(calls, die)))
"""
"""Lets a process die, or its disk be full, at a moment that is counted."""

ONE_RUN = f"""{HOOKS}
prepare(**json.loads(sys.argv[1]))
sys.argv = ["capgen", *sys.argv[2:]]
main()
"""
"""The real command, to which something happens."""

SERVER = f"""{HOOKS}
# Runs capgen in a fork of its own for each line of stdin: its arguments, and what is to happen on the way.

import zlib

from capgen.captioner import captioner
from capgen.storage import files
from capgen.batch import job
from capgen.captioner.backends import litert_lstm
from capgen.outputs import csv, jsonl, sidecar, stream, text, xmp
from capgen.captioner.results import Caption


def generate(self, images, request, *, output_attention=False):
    return [[Caption(f"an image numbered {{zlib.crc32(image.tobytes())}} on a wall", 0.5, -1.0)] for image in images]


def run(wanted):
    sys.argv = ["capgen", "caption", *wanted["arguments"]]
    os.environ.update(wanted["env"])
    for descriptor, name in ((0, os.devnull), (1, os.devnull), (2, wanted["stderr"])):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC), descriptor)
    prepare(**wanted["happens"])
    try:
        main()
    except SystemExit as end:
        os._exit(end.code or 0)
    os._exit(0)


litert_lstm.LiteRTCaptionModel.generate = generate
for line in sys.stdin:
    pid = os.fork()
    if not pid:
        run(json.loads(line))
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Workshop:
    """The process that runs are forked from."""

    def __init__(self, location):
        self.location = location
        (location / "server.py").write_text(SERVER)
        self._process = subprocess.Popen(
            [sys.executable, location / "server.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, *arguments, env, **happens):
        """Do a run to its end; return its exit code, which is negative if it was killed."""
        expected = {
            "arguments": list(map(str, arguments)),
            "env": env,
            "stderr": str(self.location / "stderr"),
            "happens": happens,
        }
        self._process.stdin.write(json.dumps(expected) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def said(self):
        """Return what the last run said."""
        return (self.location / "stderr").read_text()

    def close(self):
        self._process.communicate()
        assert self._process.returncode == 0


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    made = Workshop(tmp_path_factory.mktemp("workshop"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder of small images that differ, in ten folders."""
    folder = tmp_path_factory.mktemp("images")
    generator = random.Random(1)
    for number in range(IMAGES):
        (folder / str(number % 10)).mkdir(exist_ok=True)
        Image.frombytes("RGB", (3, 3), generator.randbytes(27)).save(folder / f"{number % 10}/{number:03}.png")
    return folder


@pytest.fixture(scope="module")
def known(workshop, images, tmp_path_factory):
    """The caption of each image, from a run that nothing happens to."""
    location = tmp_path_factory.mktemp("known")
    env = {"CAPGEN_DATA_DIR": str(location)}
    assert workshop.run("-r", images, "--output", location / "all.jsonl", env=env) == 0
    rows = [json.loads(line) for line in (location / "all.jsonl").read_text().splitlines()]
    found = {os.path.relpath(row["path"], images)[:-4]: row["caption"] for row in rows}
    assert len(set(found.values())) == IMAGES
    return found


@pytest.fixture
def env(tmp_path):
    return {"CAPGEN_DATA_DIR": str(tmp_path / "data")}


class Sidecars:
    """Text files in a folder of their own, filled by a person or not."""

    def __init__(self, location, known, existing):
        self.folder, self.known = location / "out", known
        self.flags = ("--sidecar", ".txt", "--output-dir", self.folder, "--existing", existing)
        self.by_hand = "by hand, " if existing == "append" else ""
        for name in known if self.by_hand else ():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / f"{name}.txt").write_text("by hand\n")

    def done(self):
        """Return how many captions are there, each of which is whole, or as it was."""
        texts = {path: path.read_text() for path in self.folder.rglob("*.txt")}
        names = {path: path.relative_to(self.folder).with_suffix("").as_posix() for path in texts}
        wrong = [text for path, text in texts.items() if text not in self._right(names[path])]
        assert wrong == []
        return sum(text != "by hand\n" for text in texts.values())

    def left_over(self):
        """Return the files that are no captions."""
        return [path for path in self.folder.rglob("*") if path.is_file() and path.suffix != ".txt" and path.name != NAME]

    def _right(self, name):
        return (f"{self.by_hand}{self.known[name]}\n", *(["by hand\n"] if self.by_hand else []))


class XmpFiles(Sidecars):
    """XMP files in a folder of their own."""

    def __init__(self, location, known):
        super().__init__(location, known, "skip")
        self.flags = ("--xmp", "--output-dir", self.folder)

    def done(self):
        """See ``Sidecars``."""
        reader = XmpSidecar(None)
        found = {path.relative_to(self.folder).with_suffix(""): reader.read(path) for path in self.folder.rglob("*.xmp")}
        assert all(caption == self.known[name.as_posix()] for name, caption in found.items())
        return len(found)

    def left_over(self):
        """See ``Sidecars``."""
        return [path for path in self.folder.rglob("*") if path.is_file() and path.suffix != ".xmp" and path.name != NAME]


class Lines:
    """A file of JSON lines."""

    def __init__(self, location, known, images):
        self.path, self.known, self._images = location / "captions.jsonl", known, images
        self.flags = ("--output", self.path)

    def done(self):
        """See ``Sidecars``."""
        data = self.path.read_text() if self.path.exists() else ""
        assert data == "" or data.endswith("\n")
        rows = list(map(json.loads, data.splitlines()))
        names = [os.path.relpath(row["path"], self._images)[:-4] for row in rows]
        assert max(Counter(names).values(), default=1) == 1
        assert all(row["caption"] == self.known[name] for name, row in zip(names, rows, strict=True))
        return len(rows)

    def left_over(self):
        """See ``Sidecars``."""
        return [path for path in self.path.parent.iterdir() if path.is_file() and path != self.path]


def made(kind, location, known, images):
    """Make what a kind of run writes to."""
    location.mkdir()
    if kind in ("skip", "append"):
        return Sidecars(location, known, kind)
    return XmpFiles(location, known) if kind == "xmp" else Lines(location, known, images)


@pytest.mark.parametrize("kind", ["skip", "append", "xmp", "output"])
def test_whenever_a_run_is_killed_all_captions_are_whole_and_the_next_goes_on(workshop, images, known, env, tmp_path, kind):
    generator = random.Random(kind)
    target, before, hits, kills, rounds = None, 0, 0, 0, 0
    while kills < KILLS:
        if target is None:
            rounds += 1
            target, before = made(kind, tmp_path / str(rounds), known, images), 0
        code = workshop.run("-r", images, *target.flags, env=env, **some_moment(generator))
        assert code in (0, -signal.SIGKILL), workshop.said()
        after = target.done()
        assert after >= before  # nothing that was written is ever lost
        kills += code != 0
        hits += code != 0 and after > before
        before = after
        if after == IMAGES:
            finish(workshop, images, env, target)
            target = None
    assert hits > KILLS // 2
    if target is not None:
        finish(workshop, images, env, target)


def some_moment(generator):
    """Choose when a run dies: before its first caption (some 500,000 calls), or within the writing of one of the next."""
    if generator.random() < 0.25:
        return {"dies_while_it_begins": generator.randrange(1, 500_000)}
    return {"dies_while_it_writes": (generator.randrange(1, 200), generator.randrange(1, 1000))}


def finish(workshop, images, env, target):
    """Let the last run end; all captions are there, and a further run changes nothing."""
    assert workshop.run("-r", images, *target.flags, env=env) == 0, workshop.said()
    assert target.done() == IMAGES
    assert workshop.run("-r", images, *target.flags, env=env) == 0, workshop.said()
    assert f"; {IMAGES} skipped: " in workshop.said()
    assert target.done() == IMAGES
    assert all(path.name.startswith(".") and path.name.endswith(".part") for path in target.left_over())


class Photographs:
    """Photographs with a second name each, an access-control list and in half of them a person's words."""

    def __init__(self, location, few, known):
        self.folder, self.known = location / "photos", known
        self.folder.mkdir(parents=True)
        (location / "other names").mkdir()
        for path in few.iterdir():
            os.link(shutil.copy(path, self.folder), location / "other names" / path.name)
        self.files = sorted(self.folder.iterdir())
        words = ["exiftool", "-q", "-overwrite_original_in_place", "-XMP-dc:Description=by hand"]
        subprocess.run([*words, *self.files[::2]], check=True)
        subprocess.run(["setfacl", "-m", "u:1:r", *self.files], check=True)
        self._kept = [self._state(path) for path in self.files]

    def done(self):
        """Return how many captions are there, each of which is whole, or as it was, in a file that has all it had."""
        assert [self._state(path) for path in self.files] == self._kept
        found = {path: photo_metadata.read(path).fields.description for path in self.files}
        words = [("by hand" if path in self.files[::2] else None) for path in self.files]
        captions = [
            f"{before}, {self.known[path.stem]}" if before else self.known[path.stem]
            for path, before in zip(self.files, words, strict=True)
        ]
        assert [path for path, *either in zip(self.files, words, captions, strict=True) if found[path] not in either] == []
        return sum(found[path] == caption for path, caption in zip(self.files, captions, strict=True))

    def _state(self, path):
        status = path.stat()
        acl = os.getxattr(path, "system.posix_acl_access")
        return status.st_ino, status.st_nlink, status.st_mode, acl, Image.open(path).tobytes()


def wait_for_writers(folder):
    """Wait for the processes that finish what killed runs had begun to write into files of a folder."""
    while any(b"write_into" in words and os.fsencode(folder) in words for words in command_lines()):
        time.sleep(0.01)


def command_lines():
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield path.read_bytes()


def test_whenever_embedding_is_killed_photographs_are_as_before_or_after_and_keep_names_and_rights(
    workshop, few, known, env, tmp_path
):
    require_tool("exiftool")
    require_tool("setfacl")
    known = {name.split("/")[1]: caption for name, caption in known.items() if name.startswith("0/")}
    generator = random.Random("embed")
    target, before, hits, kills, rounds = None, 0, 0, 0, 0
    while kills < KILLS:
        if target is None:
            rounds += 1
            target, before = Photographs(tmp_path / str(rounds), few, known), 0
        moment = {"dies_while_it_writes": (generator.randrange(1, 40), generator.randrange(1, 3000))}
        code = workshop.run(target.folder, "--embed", "--existing", "append", env=env, **moment)
        assert code in (0, -signal.SIGKILL), workshop.said()
        wait_for_writers(target.folder)
        after = target.done()
        assert after >= before
        kills += code != 0
        hits += code != 0 and after > before
        before = after
        if after == len(known):
            target = None
    assert hits > KILLS // 4


MOMENTS = [
    ("put", "before", 1), ("put", "after", 1), ("fsync", "before", 1), ("fsync", "after", 1), ("replace", "before", 1),
    ("replace", "after", 1), ("put", "before", 2), ("put", "after", 2), ("put", "after", 7), ("replace", "before", 4),
]  # fmt: skip
"""Where a run dies: each step of writing one caption, and later ones."""


@pytest.fixture
def few(images):
    """A folder of fifty of the images."""
    return images / "0"


def of_few(target, known):
    """Let a target be about the fifty images alone."""
    target.known = {name.split("/")[1]: caption for name, caption in known.items() if name.startswith("0/")}
    return target


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: "-".join(map(str, moment)))
def test_at_each_step_of_a_write_a_kill_leaves_the_old_caption_or_the_new_one(workshop, few, known, env, tmp_path, moment):
    target = of_few(Sidecars(tmp_path, {}, "append"), known)
    target.folder.mkdir()
    for name in target.known:
        (target.folder / f"{name}.txt").write_text("by hand\n")
    assert workshop.run("-r", few, *target.flags, env=env, dies=moment) == -signal.SIGKILL
    target.done()
    assert workshop.run("-r", few, *target.flags, env=env) == 0, workshop.said()
    assert target.done() == len(target.known)


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: "-".join(map(str, moment)))
def test_after_a_kill_capgen_still_knows_its_captions_from_those_of_a_person(workshop, few, known, env, tmp_path, moment):
    target = of_few(Sidecars(tmp_path, {}, "overwrite"), known)
    assert workshop.run("-r", few, *target.flags, env=env) == 0
    edited = target.folder / f"{max(target.known)}.txt"
    edited.write_text("changed by a person\n")
    assert workshop.run("-r", few, *target.flags, "--prefix", "new:", env=env, dies=moment) == -signal.SIGKILL
    assert workshop.run("-r", few, *target.flags, "--prefix", "new:", env=env) == 0
    texts = {path.stem: path.read_text() for path in target.folder.glob("*.txt")}
    assert texts.pop(edited.stem) == "changed by a person\n"
    assert texts == {name: f"new: {caption}\n" for name, caption in target.known.items() if name != edited.stem}


def test_half_written_files_of_killed_runs_do_not_pile_up(workshop, few, known, env, tmp_path):
    target = of_few(Sidecars(tmp_path, {}, "skip"), known)
    for _ in range(3):
        assert workshop.run("-r", few, *target.flags, env=env, dies=("fsync", "after", 1)) == -signal.SIGKILL
    assert workshop.run("-r", few, *target.flags, env=env) == 0
    assert target.left_over() == []


def test_the_real_command_can_be_killed_and_goes_on(images, tmp_path):
    env = {**os.environ, "CAPGEN_DATA_DIR": str(tmp_path / "data"), "CAPGEN_CACHE_DIR": str(tmp_path / "cache")}
    out = tmp_path / "out"
    arguments = ["caption", "--beam", "1", "-r", images / "0"]
    program = [Path(sys.executable).with_name("capgen"), *arguments]
    flags = ["--sidecar", ".txt", "--output-dir", out]
    alone = subprocess.run([*program, "--format", "jsonl"], env=env, capture_output=True, check=True).stdout.splitlines()
    captions = {Path(row["path"]).stem: row["caption"] for row in map(json.loads, alone)}
    moments = [{"dies_while_it_begins": calls} for calls in (1_000, 300_000)]
    moments += [{"dies_while_it_writes": moment} for moment in ((1, 50), (2, 1), (4, 200), (9, 600), (12, 300), (5, 100))]
    for moment in moments:
        run = [sys.executable, "-c", ONE_RUN, json.dumps(moment), *arguments, *flags]
        done = subprocess.run(run, env=env, capture_output=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        for path in out.glob("*.txt"):
            assert path.read_text() == f"{captions[path.stem]}\n"
    assert 0 < len(list(out.glob("*.txt"))) < len(captions)
    subprocess.run([*program, *flags], env=env, capture_output=True, check=True)
    assert {path.stem: path.read_text() for path in out.glob("*.txt")} == {
        name: f"{caption}\n" for name, caption in captions.items()
    }


# Full disks


@pytest.mark.parametrize("kind", ["skip", "append"])
def test_when_the_disk_is_full_nothing_is_partial_and_with_space_the_next_run_completes(
    workshop, few, known, env, tmp_path, kind
):
    target = of_few(Sidecars(tmp_path, {}, kind), known)
    for name in target.known if kind == "append" else ():
        target.folder.mkdir(exist_ok=True)
        (target.folder / f"{name}.txt").write_text("by hand\n")
    assert workshop.run("-r", few, *target.flags, env=env, fills=("fsync", "before", 11)) == 3
    assert "the disk is full" in workshop.said()
    assert f"10 captioned, {len(target.known) - 10} write-failed in" in workshop.said()
    assert target.done() == 10
    assert target.left_over() == []
    assert workshop.run("-r", few, *target.flags, env=env) == 0
    assert target.done() == len(target.known)


class Disk:
    """A small disk of its own."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()

    def mount(self, *options):
        done = subprocess.run(["mount", "-t", "tmpfs", *options, "none", self.folder], capture_output=True, check=False)
        return done.returncode == 0

    def grow(self):
        """Make space."""
        assert self.mount("-o", "remount,size=16m")


@pytest.fixture
def disk(tmp_path):
    made = Disk(tmp_path / "disk")
    if not sys.platform.startswith("linux") or not shutil.which("mount") or not made.mount("-o", "size=80k"):
        missing("no file system can be mounted here")
    yield made
    subprocess.run(["umount", made.folder], check=True)


def test_a_disk_that_is_really_full_is_named_and_with_space_the_next_run_completes(workshop, few, known, env, disk):
    target = of_few(Sidecars(disk.folder, {}, "skip"), known)
    assert workshop.run("-r", few, *target.flags, env=env) == 3
    assert "the disk is full; free some space and run it again" in workshop.said()
    assert 0 < target.done() < len(target.known)
    assert target.left_over() == []
    disk.grow()
    assert workshop.run("-r", few, *target.flags, env=env) == 0
    assert target.done() == len(target.known)


def test_a_file_of_lines_on_a_full_disk_has_whole_lines_and_is_gone_on_with(workshop, images, known, env, disk):
    target = Lines(disk.folder, known, images)
    assert workshop.run("-r", images, *target.flags, env=env) == 1
    assert workshop.said() == f"capgen: cannot write {target.path}: the disk is full; free some space and run it again\n"
    assert 0 < target.done() < IMAGES
    disk.grow()
    assert workshop.run("-r", images, *target.flags, env=env) == 0
    assert target.done() == IMAGES


def test_a_full_disk_under_the_manifest_stops_writing_and_doubles_nothing(workshop, images, known, tmp_path, disk):
    target = Sidecars(tmp_path, known, "append")
    env = {"CAPGEN_DATA_DIR": str(disk.folder / "data")}
    assert workshop.run("-r", images, *target.flags, env=env) == 3
    assert "see that its folder can be written to and its disk is not full" in workshop.said()
    assert target.done() < IMAGES
    disk.grow()
    assert workshop.run("-r", images, *target.flags, env=env) == 0, workshop.said()
    assert target.done() == IMAGES


KILLED_WRITES = f"""{HOOKS}
# Writes files in forks of this process, each of which is killed at a later call, until one comes to its end; prints kills
# and what was neither as before nor as after.

import ctypes
from pathlib import Path

ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: what a killed one has begun is waited for


def killed(path, data, call):
    pid = os.fork()
    if not pid:
        at_call(call, die)
        files.write_bytes(path, data)
        os._exit(0)
    codes = {{}}
    try:
        while True:
            one, status = os.wait()
            codes[one] = status
    except ChildProcessError:
        return codes[pid] != 0


folder = Path(sys.argv[1])
long, short = b"what a person wrote " * 1000, b"a caption\\n"
kills, wrong = 0, []
for names in (1, 2):
    path = folder / f"{{names}}.txt"
    path.write_bytes(long)
    path.chmod(0o640)
    if names == 2:
        os.link(path, folder / "other")
    os.setxattr(path, "user.note", b"mine")
    before, after, call = long, short, 1
    while killed(path, after, call):
        kills, call = kills + 1, call + 1
        held, status = path.read_bytes(), path.stat()
        kept = (status.st_nlink, status.st_mode, os.getxattr(path, "user.note")) == (names, 0o100640, b"mine")
        if held not in (before, after) or not kept:
            wrong.append((names, call, held[:40].decode()))
        if held == after:
            before, after = after, before
print(json.dumps([kills, wrong]))
"""


def test_a_kill_at_any_call_of_a_write_leaves_a_file_with_all_that_it_has_as_before_or_as_after(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED_WRITES, tmp_path], capture_output=True, text=True, check=True)
    kills, wrong = json.loads(done.stdout)
    assert wrong == []
    assert kills >= 200
