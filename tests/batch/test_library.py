"""A library of photographs and ``capgen caption``: what is written where, by whom, how often, and what is left alone."""

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image, ImageDraw
from support.captioners import install_fake
from support.commands import capgen, here
from support.tools import require_tool

from capgen.batch.request import OutputPolicy
from capgen.captioner.captioner import Captioner
from capgen.captioner.request import CaptionRequest
from capgen.captioner.results import Caption
from capgen.outputs.embedded import Embedded
from capgen.outputs.manifest import Manifest, Record, key
from capgen.outputs.sidecar import Sidecar
from capgen.outputs.xmp import XmpSidecar

PATIENCE = 600
"""Seconds after which a test stops waiting for the command; far more than it takes on a busy machine."""

POLICIES = ("skip", "overwrite", "append", "prepend")
NAMES = ("a.png", "b.png", "c.png", "deep/d.png")


def scrawl(path, seed):
    """Draw an image that is like no other."""
    generator = random.Random(seed)
    image = Image.new("RGB", (64, 48), tuple(generator.randrange(256) for _ in range(3)))
    pen = ImageDraw.Draw(image)
    for _ in range(generator.randrange(1, 6)):
        x, y = generator.randrange(50), generator.randrange(40)
        box = (x, y, x + generator.randrange(4, 40), y + generator.randrange(4, 40))
        generator.choice([pen.ellipse, pen.rectangle])(box, fill=tuple(generator.randrange(256) for _ in range(3)))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, format="PNG")
    return path


def command(*arguments):
    """Return the command line of a fast run."""
    return [Path(sys.executable).with_name("capgen"), "caption", *greedily(arguments), *map(str, arguments)]


def greedily(arguments):
    """Return the options of the fastest search, unless words are sampled."""
    return [] if "--temperature" in arguments else ["--beam", "1"]


class Shelf:
    """A folder of images, with a cache and a data folder of its own."""

    def __init__(self, location):
        self.location, self.folder = location, location / "library"
        self.env = {"CAPGEN_CACHE_DIR": str(location / "cache"), "CAPGEN_DATA_DIR": str(location / "data")}
        self.folder.mkdir(parents=True)
        install_fake(location / "data")

    def fill(self, names=NAMES):
        """Draw images."""
        for seed, name in enumerate(names):
            scrawl(self.folder / name, seed)
        return self

    def run(self, *arguments):
        """Caption the folder."""
        return here("caption", *greedily(arguments), "-r", self.folder, *arguments, env=self.env)

    def reported(self, *arguments):
        """Caption the folder; return what became of each file."""
        report = self.location / "report.jsonl"
        done = self.run("--report", report, *arguments)
        assert "Traceback" not in done.stderr
        rows = [json.loads(line) for line in report.read_text().splitlines()]
        return {os.path.relpath(row["path"], self.folder): row for row in rows}

    def statuses(self, *arguments):
        """Return the statuses alone."""
        return {name: row["status"] for name, row in self.reported(*arguments).items()}

    def start(self, *arguments, **options):
        """Start the command and do not wait for it."""
        return subprocess.Popen(
            command(*arguments), env={**os.environ, **self.env}, stderr=subprocess.PIPE, text=True, **options
        )

    def texts(self):
        """Return the sidecars, by the names of their images."""
        return {os.path.relpath(path, self.folder)[:-4]: path.read_text() for path in self.folder.rglob("*.txt")}


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path)


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """What the captioner says of the images ``NAMES``, in one run over them."""
    shelf = Shelf(tmp_path_factory.mktemp("known")).fill()
    return {name: row["caption"] for name, row in shelf.reported("-q").items()}


class DestinationCase:
    """A kind of destination, as tests see it: what to say on the command line, and what a person reads and edits."""

    def __init__(self, name, shelf):
        self.name, self._shelf = name, shelf
        self.output = shelf.location / "captions.jsonl"
        self.flags = {
            "sidecar": ("--sidecar", ".txt"), "xmp": ("--xmp",), "embed": ("--embed",), "output": ("--output", self.output)
        }[name]  # fmt: skip
        kinds = {"sidecar": lambda: Sidecar(".txt", None), "xmp": lambda: XmpSidecar(None), "embed": Embedded}
        self._destination = kinds[name]() if name in kinds else None

    def read(self):
        """Return the caption of each image that has one."""
        if self._destination is None:
            lines = self.output.read_text().splitlines() if self.output.exists() else []
            rows = [json.loads(line) for line in lines]
            assert len({row["path"] for row in rows}) == len(rows)
            return {os.path.relpath(row["path"], self._shelf.folder): row["caption"] for row in rows if row["caption"]}
        images = sorted(self._shelf.folder.rglob("*.png"))
        found = {os.path.relpath(path, self._shelf.folder): self._destination.read(self._target(path)) for path in images}
        return {name: caption for name, caption in found.items() if caption is not None}

    def edit(self, name, caption):
        """Put a caption there, as a person would."""
        path = self._shelf.folder / name
        if self._destination is not None:
            self._destination.write(self._target(path), caption)
            return
        rows = [json.loads(line) for line in self.output.read_text().splitlines()] if self.output.exists() else []
        row = next((row for row in rows if row["path"] == str(path)), None)
        if row is None:
            row = {"path": str(path), "status": "captioned"}
            rows.append(row)
        row["caption"] = caption
        self.output.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def close(self):
        if self._destination is not None:
            self._destination.close()

    def _target(self, path):
        return self._destination.target(path, self._shelf.folder)


@pytest.fixture(params=["sidecar", "xmp", pytest.param("embed", marks=pytest.mark.slow), "output"])
def location(request, shelf):
    if request.param == "embed":
        require_tool("exiftool")
    made = DestinationCase(request.param, shelf)
    yield made
    made.close()


def snapshot(folder):
    """Return all that can be seen of a folder."""
    seen = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else None
        seen[path] = (status.st_mode, status.st_ino, status.st_size, status.st_mtime_ns, content)
    return seen


def wait_for(condition, run=None):
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert run is None or run.poll() is None, run.communicate()
        assert time.monotonic() < end
        time.sleep(0.002)


# Whose caption is whose


def test_no_caption_is_ever_assigned_to_another_file(shelf, user_folders):
    names = [f"{number:02}.png" for number in range(60)]
    random.Random(7).shuffle(names)
    shelf.fill(names)
    for name in names[::7]:
        (shelf.folder / name).write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    for name in names[1::9]:
        (shelf.folder / name).with_suffix(".txt").write_text(f"by hand of {name}\n")
    captioner = Captioner.load()
    options = CaptionRequest(num_beams=1, temperature=1.5, seed=5)
    paths = [shelf.folder / name for name in names]
    broken, mine = set(paths[::7]), set(paths[1::9])
    alone = {path: captioner.caption(path, options).text for path in paths if path not in broken}
    assert len(set(alone.values())) == len(alone)

    arguments = ("--temperature", "1.5", "--seed", "5", "--sidecar", ".txt", "--output", shelf.location / "o.jsonl")
    here("caption", *paths, *arguments, env=shelf.env)
    rows = [json.loads(line) for line in (shelf.location / "o.jsonl").read_text().splitlines()]
    assert [row["path"] for row in rows] == list(map(str, paths))
    assert {Path(row["path"]): row["caption"] for row in rows if row["caption"]} == alone
    for path in paths:
        text = path.with_suffix(".txt").read_text() if path.with_suffix(".txt").exists() else None
        expected = f"by hand of {path.name}" if path in mine else alone.get(path)
        assert text == (expected and f"{expected}\n")


# Captions that exist


def test_a_caption_that_a_person_has_changed_is_never_replaced_whatever_the_policy(shelf, location, known):
    shelf.fill()
    assert shelf.run(*location.flags).returncode == 0
    assert location.read() == known
    location.edit("b.png", "as a person says it")
    for policy in POLICIES if location.name == "sidecar" else POLICIES[1:3]:
        done = shelf.run(*location.flags, "--existing", policy)
        assert done.returncode == 0, done.stderr
        assert location.read() == {**known, "b.png": "as a person says it"}
        assert ("changed by hand" in done.stderr) == (policy != "skip")  # which looks no further


def test_the_summary_names_a_changed_caption_also_where_another_place_has_capgens(shelf):
    shelf.fill(NAMES[:2])
    flags = ("--sidecar", ".txt", "--xmp")
    assert shelf.run(*flags).returncode == 0
    (shelf.folder / NAMES[0]).with_suffix(".txt").write_text("as a person says it\n")
    done = shelf.run(*flags, "--existing", "append")
    assert done.returncode == 0, done.stderr
    assert "2 skipped: 1 was changed by hand (--force replaces that), 1 has capgen's caption already" in done.stderr


def test_with_force_a_changed_caption_is_treated_like_any_and_only_once(shelf, location, known):
    shelf.fill(NAMES[:2])
    shelf.run(*location.flags)
    location.edit("a.png", "by hand")
    shelf.run(*location.flags, "--existing", "append", "--force")
    assert location.read()["a.png"].startswith(f"by hand, {known['a.png']}")
    location.edit("b.png", "by hand")
    shelf.run(*location.flags, "--existing", "overwrite", "--force")
    assert location.read() == {name: known[name] for name in NAMES[:2]}


@pytest.mark.parametrize("policy", ["append", "prepend"])
def test_what_is_added_to_a_persons_caption_is_added_once(shelf, location, known, policy):
    shelf.fill(NAMES[:3])
    location.edit("a.png", "by hand")
    for _ in range(2):
        done = shelf.run(*location.flags, "--existing", policy)
        assert done.returncode == 0, done.stderr
        joined = f"by hand, {known['a.png']}" if policy == "append" else f"{known['a.png']}, by hand"
        assert location.read() == {"a.png": joined, "b.png": known["b.png"], "c.png": known["c.png"]}
    assert "; 3 skipped: " in done.stderr


def test_overwriting_replaces_captions_of_others_and_capgens_own(shelf, location, known):
    shelf.fill(NAMES[:2])
    location.edit("a.png", "of another program")
    shelf.run(*location.flags, "--existing", "overwrite")
    assert location.read() == {name: known[name] for name in NAMES[:2]}
    shelf.run(*location.flags, "--existing", "overwrite", "--prefix", "photo:")
    assert location.read() == {name: f"photo: {known[name]}" for name in NAMES[:2]}


def test_what_has_a_caption_is_skipped_and_not_touched(shelf, location, known):
    shelf.fill()
    location.edit("a.png", "by hand")
    shelf.run(*location.flags)
    before = snapshot(shelf.folder)
    assert set(shelf.statuses(*location.flags).values()) == {"skipped"}
    assert snapshot(shelf.folder) == before
    assert location.read() == {**known, "a.png": "by hand"}


def test_a_sidecar_that_was_deleted_or_emptied_is_written_again(shelf, known):
    shelf.fill(NAMES[:3])
    shelf.run("--sidecar", ".txt")
    (shelf.folder / "a.txt").unlink()
    (shelf.folder / "b.txt").write_text("\n")
    assert shelf.statuses("--sidecar", ".txt") == {"a.png": "captioned", "b.png": "captioned", "c.png": "skipped"}
    assert shelf.texts() == {name[0]: f"{known[name]}\n" for name in NAMES[:3]}


def test_only_the_destination_that_lacks_a_caption_is_written(shelf, known):
    shelf.fill(NAMES[:1])
    (shelf.folder / "a.txt").write_text("by hand\n")
    row = shelf.reported("--sidecar", ".txt", "--xmp")["a.png"]
    assert row["status"] == "captioned"
    assert row["written"] == [str(shelf.folder / "a.xmp")]
    assert (shelf.folder / "a.txt").read_text() == "by hand\n"
    assert XmpSidecar(None).read(shelf.folder / "a.xmp") == known["a.png"]


def test_an_unknown_policy_is_refused_before_anything_is_read(shelf):
    done = shelf.fill(NAMES[:1]).run("--sidecar", ".txt", "--existing", "replace")
    assert done.returncode == 2
    assert shelf.texts() == {}


def test_an_image_that_is_reached_by_two_names_has_its_caption_added_once(shelf, known):
    require_tool("exiftool")
    shelf.fill(NAMES[:1])
    (shelf.folder / "b.png").symlink_to("a.png")
    shelf.run("--embed", "--existing", "append")
    embedded = Embedded()
    try:
        assert embedded.read(shelf.folder / "a.png") == known["a.png"]
    finally:
        embedded.close()


# Files that two want


def test_two_images_that_want_the_same_file_are_named_before_anything_is_written(shelf, monkeypatch):
    monkeypatch.chdir(shelf.location)
    for name in ("one/a.png", "two/a.png", "two/b.png"):
        scrawl(shelf.location / name, 1)
    before = snapshot(shelf.location)
    done = here("caption", "-r", "one", "two", "--sidecar", "txt", "--output-dir", "out", env=shelf.env)
    assert done.returncode == 2
    assert "one/a.png and two/a.png would share " in done.stderr
    assert "b.png" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert snapshot(shelf.location) == before


def test_of_many_that_want_the_same_file_some_are_named_and_the_rest_are_counted(shelf):
    for number in range(5):
        for folder in ("one", "two"):
            scrawl(shelf.location / f"{folder}/{number}.png", number)
    folders = (shelf.location / "one", shelf.location / "two")
    done = here("caption", "-r", *folders, "--xmp", "--output-dir", shelf.location / "out", env=shelf.env)
    assert done.returncode == 2
    assert done.stderr.count("would share") == 3
    assert "and 2 more" in done.stderr


def test_lines_of_one_file_take_images_of_the_same_name(shelf):
    shelf.fill(["a.png", "a.jpg"])
    assert shelf.statuses("--output", shelf.location / "o.jsonl") == {"a.png": "captioned", "a.jpg": "captioned"}


def test_the_same_name_in_folders_of_one_tree_stays_apart_in_the_output_folder(shelf):
    shelf.fill(["x/a.png", "y/a.png"])
    assert shelf.run("--sidecar", ".txt", "--output-dir", shelf.location / "out").returncode == 0
    out = shelf.location / "out"
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.txt")) == ["x/a.txt", "y/a.txt"]
    assert shelf.texts() == {}


def test_a_sidecar_never_takes_the_place_of_an_image_of_the_run(shelf):
    shelf.fill(["a.png", "a.txt"])
    before = (shelf.folder / "a.txt").read_bytes()
    done = shelf.run("--sidecar", ".txt", "--existing", "overwrite")
    assert (shelf.folder / "a.txt").read_bytes() == before
    assert done.returncode != 0


@pytest.mark.parametrize("option", ["--output", "--report"])
def test_an_image_is_never_written_over_by_lines(shelf, option):
    shelf.fill(NAMES[:2])
    before = snapshot(shelf.folder)
    done = shelf.run(option, shelf.folder / "a.png", "--format", "text")
    assert snapshot(shelf.folder) == before
    assert done.returncode == 2


@pytest.mark.parametrize("option", ["--output", "--report"])
def test_a_sidecar_and_a_file_of_lines_with_one_name_are_refused(shelf, option):
    done = shelf.fill(NAMES[:1]).run("--sidecar", ".txt", option, shelf.folder / "a.txt")
    assert done.returncode == 2
    assert not (shelf.folder / "a.txt").exists()


# A file of lines


def test_a_second_run_goes_on_with_its_output(shelf, known):
    output = shelf.location / "o.jsonl"
    shelf.fill(NAMES[:2])
    shelf.run("--output", output)
    first = output.read_bytes()
    shelf.fill()
    assert shelf.statuses("--output", output) == {
        "a.png": "skipped", "b.png": "skipped", "c.png": "captioned", "deep/d.png": "captioned"
    }  # fmt: skip
    assert output.read_bytes().startswith(first)
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert {os.path.relpath(row["path"], shelf.folder): row["caption"] for row in rows} == known


def test_a_last_line_that_a_lost_disk_cut_off_is_written_anew(shelf, known):
    output = shelf.location / "o.jsonl"
    shelf.fill()
    shelf.run("--output", output)
    whole = output.read_bytes()
    output.write_bytes(whole[:-30])
    manifest = Manifest(shelf.location / "data")  # the run before has not ended well
    manifest.put(key(output), Record("", line=whole.splitlines(keepends=True)[-1]))
    manifest.close()
    assert shelf.statuses("--output", output)["deep/d.png"] == "captioned"
    assert output.read_bytes() == whole


def test_what_failed_is_tried_again_and_has_one_line(shelf):
    output = shelf.location / "o.jsonl"
    shelf.fill(NAMES[:2])
    whole = (shelf.folder / "a.png").read_bytes()
    (shelf.folder / "a.png").write_bytes(whole[:60])
    assert shelf.run("--output", output).returncode == 3
    (shelf.folder / "a.png").write_bytes(whole)
    assert shelf.run("--output", output).returncode == 0
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert sorted((Path(row["path"]).name, row["status"]) for row in rows) == [
        ("a.png", "captioned"),
        ("b.png", "captioned"),
    ]


# A dry run


def seen_outside_the_manifest(shelf):
    return {
        path: seen for path, seen in snapshot(shelf.location).items() if shelf.location / "data" not in (path, path.parent)
    }


def test_a_dry_run_writes_nothing_and_says_what_would_be_done(shelf, location):
    shelf.fill()
    location.edit("a.png", "by hand")
    before = seen_outside_the_manifest(shelf)
    done = shelf.run(*location.flags, "--dry-run")
    assert done.returncode == 0, done.stderr
    first, *others = done.stdout.splitlines()
    assert first.startswith(f"{shelf.folder / 'a.png'}: left as it is: ")
    assert first.endswith(": it has a caption")
    assert [line.split(": would ")[0] for line in others] == [str(shelf.folder / name) for name in NAMES[1:]]
    assert seen_outside_the_manifest(shelf) == before


def test_a_dry_run_makes_no_output_folder(shelf):
    done = shelf.fill(NAMES[:1]).run("--sidecar", ".txt", "--output-dir", shelf.location / "out", "--dry-run")
    assert done.stdout == f"{shelf.folder / 'a.png'}: would write {shelf.location / 'out/a.txt'}\n"
    assert not (shelf.location / "out").exists()


def test_a_dry_run_does_not_mend_an_output_that_was_cut_off(shelf):
    output = shelf.location / "o.jsonl"
    shelf.fill(NAMES[:2])
    shelf.run("--output", output)
    output.write_bytes(output.read_bytes()[:-30])
    before = snapshot(shelf.folder), output.read_bytes()
    shelf.run("--output", output, "--dry-run")
    assert (snapshot(shelf.folder), output.read_bytes()) == before


def test_a_dry_run_makes_no_manifest(shelf):
    shelf.fill(NAMES[:1]).run("--sidecar", ".txt", "--dry-run")
    assert not list((shelf.location / "data").glob("manifest*"))


# What is said


def test_the_summary_says_how_many_files_came_to_what(shelf):
    shelf.fill()
    (shelf.folder / "e.png").write_bytes(b"")
    (shelf.folder / "c.txt").write_text("by hand")
    done = shelf.run("--sidecar", ".txt")
    failed, summary = done.stderr.splitlines()
    assert failed == f"capgen: {shelf.folder / 'e.png'}: it is empty"
    assert summary.startswith("3 captioned, 1 unsupported in ")
    assert summary.endswith(", in .txt files beside them; 1 skipped: it has a .txt")
    assert done.stdout == ""
    assert done.returncode == 3


def test_a_quiet_run_names_only_what_failed(shelf):
    shelf.fill(NAMES[:1])
    (shelf.folder / "e.png").write_bytes(b"")
    done = shelf.run("--sidecar", ".txt", "--quiet")
    assert done.stderr == f"capgen: {shelf.folder / 'e.png'}: it is empty\n"


def test_an_empty_folder_is_no_failure(shelf):
    done = shelf.run("--sidecar", ".txt")
    assert done.returncode == 0
    assert done.stderr.startswith("no photographs found in ")


def test_links_out_of_a_folder_are_not_followed_and_it_says_so(shelf, tmp_path):
    (tmp_path / "blob").write_bytes(b"an image that is not looked at")
    for name in ("a.jpg", "b.jpg"):
        (shelf.folder / name).symlink_to(tmp_path / "blob")
    done = shelf.run("--sidecar", ".txt")
    assert done.returncode == 1
    assert done.stderr == "capgen: no photographs found; passed over: 2 links (--follow-links)\n"


def test_a_sidecar_that_cannot_be_written_fails_alone(shelf, known):
    shelf.fill(NAMES[:3])
    (shelf.folder / "b.txt").mkdir()
    rows = shelf.reported("--sidecar", ".txt")
    assert [row["status"] for row in rows.values()] == ["captioned", "write-failed", "captioned"]
    assert str(shelf.folder / "b.txt") in rows["b.png"]["reason"]
    assert (shelf.folder / "c.txt").read_text() == f"{known['c.png']}\n"


def test_fail_fast_stops_at_the_first_file_that_fails(shelf):
    shelf.fill()
    (shelf.folder / "b.png").write_bytes(b"")
    done = shelf.run("--sidecar", ".txt", "--fail-fast", "--report", shelf.location / "report.jsonl")
    assert done.returncode == 3
    assert shelf.texts().keys() == {"a"}
    rows = [json.loads(line) for line in (shelf.location / "report.jsonl").read_text().splitlines()]
    assert [row["status"] for row in rows] == ["captioned", "unsupported"]
    assert done.stderr.splitlines()[-1].startswith("1 captioned, 1 unsupported in ")


# Which files


def test_paths_come_from_a_list(shelf):
    shelf.fill()
    listed = shelf.location / "list"
    listed.write_text(f"{shelf.folder}/c.png\r\n\n{shelf.folder}/a.png")
    done = here("caption", "--beam", "1", "--from-file", listed, shelf.folder / "b.png", env=shelf.env)
    assert [Path(line.split("\t")[0]).name for line in done.stdout.splitlines()] == ["b.png", "c.png", "a.png"]


def test_paths_come_from_stdin(shelf):
    shelf.fill(NAMES[:2])
    listed = f"{shelf.folder}/b.png\n{shelf.folder}/a.png\n".encode()
    done = subprocess.run(
        command("-"), input=listed, capture_output=True, env={**os.environ, **shelf.env}, cwd=shelf.location, check=True
    )
    assert [line.split(b"\t")[0] for line in done.stdout.splitlines()] == listed.split()


def test_paths_that_end_in_zero_bytes_may_hold_any_other(shelf):
    names = ["new\nline.png", "tab\there.png", "back\\slash.png", os.fsdecode(b"no utf-8 \xff.png")]
    shelf.fill(names)
    listed = b"".join(os.fsencode(shelf.folder / name) + b"\0" for name in names)
    done = subprocess.run(
        command("-0", "-", "--format", "jsonl"),
        input=listed,
        capture_output=True,
        env={**os.environ, **shelf.env},
        check=True,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(row["path"]).name for row in rows] == names
    assert {row["status"] for row in rows} == {"captioned"}


@pytest.mark.parametrize("arguments", [("--from-file", "none"), ("-0", "image.png"), ("a.png", "--shard", "3/2")])
def test_what_makes_no_sense_is_a_usage_error_in_one_line(shelf, arguments):
    done = capgen("caption", *arguments, env=shelf.env, cwd=shelf.location)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 or "Usage" in done.stderr


def test_a_list_on_stdin_cannot_be_watched(shelf):
    run = shelf.start("--watch", "-", stdin=subprocess.DEVNULL)
    try:
        assert run.wait(timeout=PATIENCE) == 2
    finally:
        ended(run)


def test_patterns_choose_among_the_files_of_a_folder(shelf):
    shelf.fill(["a.png", "b.jpg", "raw/c.png", "raw/old/d.png", "thumbs/e.png"])
    found = shelf.statuses("--include", "*.png", "--exclude", "thumbs", "--exclude", "raw/old/**")
    assert {name for name, status in found.items() if status == "captioned"} == {"a.png", "raw/c.png"}
    assert {name for name, status in found.items() if status == "passed-over"} == {"b.jpg", "raw/old/d.png", "thumbs"}


def test_a_file_that_is_named_by_two_arguments_is_captioned_once(shelf):
    shelf.fill(NAMES[:2])
    done = here("caption", "--beam", "1", "-r", shelf.folder, shelf.folder / "a.png", env=shelf.env)
    assert len(done.stdout.splitlines()) == 2


# Shards


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_shards_put_together_are_one_run(shelf, form):
    shelf.fill([f"{number}.png" for number in range(6)] + ['odd, "name"\n\'.png'])
    shelf.run("--output", shelf.location / "one", "--format", form)
    parts = [shelf.location / f"part{number}.{form}" for number in (1, 2)]
    for number, part in enumerate(parts, 1):
        assert shelf.run("--output", part, "--format", form, "--shard", f"{number}/2").returncode == 0
    merged = shelf.location / "merged"
    assert capgen("merge", *parts, "--output", merged, "--format", form).returncode == 0
    lines = sorted((shelf.location / "one").read_text().splitlines())
    header = {"csv": ["path,caption,confidence,rank"]}.get(form, [])
    assert sorted("".join(part.read_text() for part in parts).splitlines()) == sorted([*lines, *header])
    assert sorted(merged.read_text().splitlines()) == lines
    assert all(len(part.read_text().splitlines()) > 1 for part in parts)


@pytest.mark.slow
def test_shards_of_sidecars_share_the_work_without_overlap(shelf):
    names = [f"{number}.png" for number in range(8)]
    shelf.fill(names)
    parts = []
    for number in (1, 2, 3):
        report = shelf.location / f"{number}.jsonl"
        flags = ("--sidecar", ".txt", "--shard", f"{number}/3", "--report", report)
        done = capgen(*command("-r", shelf.folder, *flags)[1:], env={**shelf.env, "PYTHONHASHSEED": str(number)})
        assert done.returncode == 0, done.stderr
        parts += map(json.loads, report.read_text().splitlines())
    assert sorted(os.path.relpath(row["path"], shelf.folder) for row in parts) == names
    assert {row["status"] for row in parts} == {"captioned"}
    assert len(shelf.texts()) == 8


# The wording


@pytest.mark.parametrize(
    ("prefix", "suffix", "expected"),
    [
        ("", "", "a dog runs"),
        ("photo of", "", "photo of a dog runs"),
        ("photo of ", "", "photo of a dog runs"),
        ("sks,", "", "sks, a dog runs"),
        ("first\n", "", "first\na dog runs"),
        ("", ", best quality", "a dog runs, best quality"),
        ("", ".", "a dog runs."),
        ("", "in 2024", "a dog runs in 2024"),
        ("", " in 2024", "a dog runs in 2024"),
        ("photo of", ", high detail", "photo of a dog runs, high detail"),
        ("", "überall", "a dog runs überall"),
    ],
)
def test_a_space_comes_between_words_and_not_before_punctuation(prefix, suffix, expected):
    assert OutputPolicy(prefix=prefix, suffix=suffix).with_affixes(Caption("a dog runs", 0.5, -1.0)).text == expected


def test_prefix_and_suffix_are_put_around_every_caption_wherever_it_goes(shelf, known):
    shelf.fill(NAMES[:2])
    shelf.run("--prefix", "photo of", "--suffix", ", 2024", "--sidecar", ".txt", "--output", shelf.location / "o.jsonl")
    expected = {name: f"photo of {known[name]}, 2024" for name in NAMES[:2]}
    assert shelf.texts() == {name[0]: f"{caption}\n" for name, caption in expected.items()}
    rows = [json.loads(line) for line in (shelf.location / "o.jsonl").read_text().splitlines()]
    assert [row["caption"] for row in rows] == list(expected.values())


def test_a_caption_begins_with_the_prompt_keeps_to_its_length_and_has_no_suppressed_word(shelf):
    shelf.fill()
    rows = shelf.reported("--prompt", "two small children", "--min-words", "6", "--max-words", "8", "--suppress", "a")
    for row in rows.values():
        words = row["caption"].split()
        assert words[:3] == ["two", "small", "children"]
        assert 6 <= len(words) <= 8
        assert "a" not in words


def test_sampled_captions_are_the_same_for_the_same_seed_and_others_for_another(shelf):
    shelf.fill()
    first, other = (
        {
            str(shelf.folder / name): row["caption"]
            for name, row in shelf.reported("--temperature", "1.2", "--seed", seed).items()
        }
        for seed in ("1", "2")
    )
    again = capgen(
        *command("-r", shelf.folder, "--temperature", "1.2", "--seed", "1")[1:], env={**shelf.env, "PYTHONHASHSEED": "7"}
    )
    assert dict(line.split("\t") for line in again.stdout.splitlines()) == first
    assert first != other


def test_alternatives_are_all_in_the_lines_and_the_best_is_in_the_sidecar(shelf):
    shelf.fill(NAMES[:2])
    for name, row in shelf.reported("--num", "3", "--beam", "3", "--sidecar", ".txt").items():
        assert len({entry["caption"] for entry in row["captions"]}) == 3
        assert (shelf.folder / name).with_suffix(".txt").read_text() == f"{row['captions'][0]['caption']}\n"


# Low confidence


def test_a_caption_of_low_confidence_is_not_written(shelf):
    shelf.fill()
    sure = {name: row["confidence"] for name, row in shelf.reported("-q").items()}
    bound = sorted(sure.values())[1] + 1e-6
    done = shelf.run("--sidecar", ".txt", "--min-confidence", bound)
    assert done.returncode == 0
    assert done.stderr.startswith("2 captioned, 2 low-confidence in ")
    assert shelf.texts().keys() == {name[:-4] for name, confidence in sure.items() if confidence >= bound}
    assert list(shelf.statuses("--sidecar", ".txt").values()).count("captioned") == 2
    assert len(shelf.texts()) == 4


def test_a_file_of_low_confidence_has_its_confidence_in_the_report_and_no_line_of_text(shelf):
    shelf.fill(NAMES[:2])
    output = shelf.location / "o.txt"
    for row in shelf.reported("--min-confidence", "1", "--output", output).values():
        assert row["status"] == "low-confidence"
        assert row["confidence"] < 1
        assert "confidence" in row["reason"]
    assert output.read_text() == ""


# Several runs at once, and runs that are interrupted


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["skip", "append"])
def test_two_runs_at_once_write_each_caption_once(shelf, location, known, policy):
    shelf.fill()
    if policy == "append":
        for name in NAMES:
            location.edit(name, "by hand")
    arguments = ("-r", shelf.folder, *location.flags, "--existing", policy)
    runs = [shelf.start(*arguments) for _ in range(2)]
    errors = [run.communicate(timeout=PATIENCE)[1] for run in runs]
    codes = [run.returncode for run in runs]
    if location.name == "output":  # one is told to wait, unless the other has ended
        assert all(
            code == 0 or "is being written by another capgen" in error for code, error in zip(codes, errors, strict=True)
        )
        assert 0 in codes
    else:
        assert codes == [0, 0], errors
    before = "by hand, " if policy == "append" else ""
    assert location.read() == {name: f"{before}{caption}" for name, caption in known.items()}


@pytest.mark.slow
def test_four_runs_that_make_the_manifest_at_once_do_not_fail(shelf):
    shelf.fill()
    runs = [shelf.start("-r", shelf.folder, "--sidecar", ".txt") for _ in range(4)]
    errors = [run.communicate(timeout=PATIENCE)[1] for run in runs]
    assert [run.returncode for run in runs] == [0] * 4, errors
    assert len(shelf.texts()) == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "number"), [("sidecar", signal.SIGINT), ("output", signal.SIGINT), ("output", signal.SIGTERM)]
)
def test_an_interrupted_run_says_so_leaves_whole_captions_and_can_go_on(shelf, kind, number):
    names = [f"{number:03}.png" for number in range(300)]
    shelf.fill(names)
    location = DestinationCase(kind, shelf)
    os.mkfifo(shelf.location / "report")
    run = shelf.start("-r", shelf.folder, *location.flags, "--report", shelf.location / "report")
    with (shelf.location / "report").open() as report:
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            fcntl.fcntl(report, fcntl.F_SETPIPE_SZ, 4096)
        report.readline()
        run.send_signal(number)  # the run cannot be at its end, as nobody reads what it reports
        report.read()
    error = run.communicate(timeout=PATIENCE)[1]
    assert run.returncode == 130
    assert error == "capgen: interrupted; run it again, it goes on\n"
    first = location.read()
    assert 0 < len(first) < len(names)
    done = shelf.run(*location.flags)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(f"{len(names) - len(first)} captioned in ")
    assert f"; {len(first)} skipped: " in done.stderr
    captions = location.read()
    assert captions.items() >= first.items()
    assert sorted(captions) == names
    assert not [path for path in shelf.folder.iterdir() if path.name.endswith(".part")]


@pytest.mark.slow

# Watching


def watching(shelf, *arguments):
    """Start to watch the folder, and wait for the first look."""
    return shelf.start("--watch", "-r", shelf.folder, *arguments)


def ended(run):
    """End a watch as a person does; return what it said."""
    run.send_signal(signal.SIGINT)
    error = run.communicate(timeout=PATIENCE)[1]
    assert "Traceback" not in error
    return error


@pytest.fixture
def watched(shelf, monkeypatch):
    """Watch the folder in this process: between two listings of it the next of some steps is done, and in the end Ctrl-C."""

    def watch(steps, *arguments):
        ahead = iter(steps)

        def pause(seconds):
            step = next(ahead, None)
            if step is None:
                raise KeyboardInterrupt
            step()

        report = shelf.location / "report.jsonl"
        monkeypatch.setattr("capgen.inputs.watch.time", SimpleNamespace(sleep=pause))
        done = shelf.run("--watch", *arguments, "--report", report)
        rows = map(json.loads, report.read_text().splitlines())
        return done, [(Path(row["path"]).name, row["status"]) for row in rows]

    return watch


def nothing():
    """Let a look pass."""


def test_a_file_that_is_still_being_written_is_left_until_it_is_whole(shelf, known, watched):
    shelf.fill(NAMES[:1])
    whole = scrawl(shelf.location / "b.png", 1).read_bytes()
    piece = len(whole) // 10 + 1

    def write(start):
        with (shelf.folder / "b.png").open("ab") as file:
            file.write(whole[start : start + piece])

    pieces = [partial(write, start) for start in range(0, len(whole), piece)]
    done, rows = watched([nothing, nothing, *pieces, nothing, nothing], "--sidecar", ".txt")
    assert done.returncode == 0
    assert rows == [("a.png", "captioned"), ("b.png", "captioned")]
    assert shelf.texts() == {"a": f"{known['a.png']}\n", "b": f"{known['b.png']}\n"}
    begun, *arrived = done.stderr.splitlines()
    assert begun == "watching for photographs; Ctrl-C ends it"
    assert f"{shelf.folder / 'b.png'}: {known['b.png']}" in arrived
    assert done.stderr.splitlines()[-1].startswith("2 captioned in ")


@pytest.mark.parametrize("options", [("--sidecar", ".txt"), ("--output", "o.jsonl")])
@pytest.mark.parametrize("ending", ["bmp", "tif"])  # which are read with their end missing
def test_a_file_that_pauses_in_the_middle_has_the_caption_of_the_whole_image_in_the_end(shelf, watched, ending, options):
    Image.open(scrawl(shelf.location / "drawn.png", 1)).save(shelf.location / f"whole.{ending}")
    whole = (shelf.location / f"whole.{ending}").read_bytes()
    arriving = shelf.fill([]).folder / f"a.{ending}"
    options = [shelf.location / word if word == "o.jsonl" else word for word in options]

    def write(size):
        arriving.write_bytes(whole[:size] + bytes(len(whole) - size))  # as it is when room is made for all of it first

    steps = [partial(write, len(whole) // 3), *[nothing] * 3, partial(write, len(whole)), *[nothing] * 3]
    _, rows = watched(steps, *options)
    assert rows == [(arriving.name, "captioned")] * 2
    expected = here("caption", "--beam", "1", shelf.location / f"whole.{ending}", env=shelf.env).stdout
    text = arriving.with_suffix(".txt").read_text() if options[0] == "--sidecar" else json.loads(options[1].read_text())
    assert text == expected if isinstance(text, str) else text["caption"] == expected.strip()


def test_a_file_that_pauses_in_the_middle_does_not_lose_what_a_person_wrote_meanwhile(shelf, watched):
    Image.open(scrawl(shelf.location / "drawn.png", 1)).save(shelf.location / "whole.bmp")
    whole = (shelf.location / "whole.bmp").read_bytes()
    arriving = shelf.fill([]).folder / "a.bmp"
    half = partial(arriving.write_bytes, whole[: len(whole) // 3] + bytes(len(whole) - len(whole) // 3))
    edit = partial(arriving.with_suffix(".txt").write_text, "my words\n")
    _, rows = watched(
        [half, *[nothing] * 3, edit, partial(arriving.write_bytes, whole), *[nothing] * 3], "--sidecar", ".txt"
    )
    assert [status for _, status in rows] == ["captioned", "skipped"]
    assert shelf.texts() == {"a": "my words\n"}


def test_of_two_that_arrive_with_one_stem_the_second_shares_the_sidecar_of_the_first(shelf, watched):
    shelf.fill(["a.jpg"])
    arrive = partial(scrawl, shelf.folder / "a.png", 5)
    _, rows = watched([*[nothing] * 3, arrive, *[nothing] * 3], "--sidecar", ".txt", "--existing", "overwrite")
    assert rows == [("a.jpg", "captioned"), ("a.png", "skipped")]


def test_of_two_that_arrive_and_want_one_file_in_the_output_folder_the_second_fails(shelf, watched):
    scrawl(shelf.folder / "a.png", 1)
    other = shelf.location / "other"
    other.mkdir()
    steps = [*[nothing] * 3, partial(scrawl, other / "a.png", 5), *[nothing] * 3]
    done, rows = watched(steps, other, "--sidecar", ".txt", "--output-dir", shelf.location / "out")
    assert rows == [("a.png", "captioned"), ("a.png", "write-failed")]
    assert f"{shelf.folder / 'a.png'} has {shelf.location / 'out/a.txt'} for its caption" in done.stderr
    assert done.returncode == 3


def test_a_watch_does_not_caption_again_what_it_has_changed_itself(shelf, watched):
    require_tool("exiftool")
    shelf.fill(NAMES[:1])
    _, rows = watched([nothing] * 5, "--embed", "--existing", "overwrite")
    assert rows == [("a.png", "captioned")]


# Nothing else is written over


@pytest.mark.parametrize("option", ["--output", "--report"])
def test_an_image_that_is_not_among_the_photographs_is_not_written_over_either(shelf, option):
    shelf.fill(NAMES[:1])
    other = shelf.location / "other.jpg"
    other.write_bytes((shelf.folder / "a.png").read_bytes())
    before = other.read_bytes()
    done = shelf.run(option, other)
    assert done.returncode == 2
    assert other.read_bytes() == before


def test_an_alternative_text_that_a_person_wrote_counts_as_a_caption(shelf):
    shelf.fill(NAMES[:1])
    assert shelf.run("--xmp").returncode == 0
    sidecar = shelf.folder / "a.xmp"
    text = sidecar.read_text()
    description, alternative = text.index("<rdf:li"), text.rindex("<rdf:li")
    end = text.index("</rdf:li>", alternative)
    edited = text[:alternative] + '<rdf:li xml:lang="x-default">my own words' + text[end:]
    assert description != alternative
    sidecar.write_text(edited)
    assert shelf.statuses("--xmp", "--existing", "overwrite")["a.png"] == "skipped"
    assert sidecar.read_text() == edited


def test_shards_do_not_hide_that_two_want_one_file(shelf):
    for folder in ("one", "two"):
        scrawl(shelf.location / folder / "a.png", 1)
    for part in ("1/2", "2/2"):
        folders = (shelf.location / "one", shelf.location / "two")
        options = ("--sidecar", ".txt", "--output-dir", shelf.location / "out", "--shard", part)
        done = here("caption", "-r", *folders, *options, env=shelf.env)
        assert done.returncode == 2
        assert "would share" in done.stderr
    assert not (shelf.location / "out").exists()


def test_a_caption_of_low_confidence_is_not_in_the_lines_either(shelf):
    shelf.fill(NAMES[:1])
    shelf.run("--output", shelf.location / "o.jsonl", "--min-confidence", "1")
    [row] = map(json.loads, (shelf.location / "o.jsonl").read_text().splitlines())
    assert (row["status"], row["caption"], row["captions"]) == ("low-confidence", None, None)


def test_a_name_in_a_list_is_no_pattern(shelf):
    shelf.fill(NAMES[:1])
    names = shelf.location / "list"
    names.write_text(f"{shelf.folder}/gone[1].png\n{shelf.folder}/a.png\n")
    done = here("caption", "--beam", "1", "--from-file", names, "--report", shelf.location / "r.jsonl", env=shelf.env)
    rows = map(json.loads, (shelf.location / "r.jsonl").read_text().splitlines())
    assert [row["status"] for row in rows] == ["missing", "captioned"]
    assert done.returncode == 3


def test_a_dry_run_names_the_line_that_would_be_added_beside_a_sidecar_that_exists(shelf):
    shelf.fill(NAMES[:1]).run("--sidecar", ".txt")
    reported = shelf.run("--sidecar", ".txt", "--output", shelf.location / "o.csv", "--dry-run").stdout
    assert f"would write {shelf.location / 'o.csv'}" in reported
    assert "left as it is" in reported


def test_what_cannot_be_captioned_is_not_promised_by_a_dry_run(shelf):
    done = here("caption", shelf.folder / "gone.png", "--dry-run", env=shelf.env)
    assert done.stdout.count("would fail") == 1


def test_a_folder_that_is_not_there_cannot_be_watched(shelf):
    done = here("caption", "--watch", "-r", shelf.location / "typo", env=shelf.env)
    assert done.returncode == 2
    assert "typo to watch" in done.stderr


def test_a_report_may_go_into_a_pipe(shelf):
    """Looking whether it is an image must not wait for what nobody writes."""
    shelf.fill()
    os.mkfifo(shelf.location / "pipe")
    run = shelf.start("-r", shelf.folder, "--report", shelf.location / "pipe")
    with (shelf.location / "pipe").open() as report:
        rows = [json.loads(line) for line in report]
    run.communicate(timeout=PATIENCE)
    assert run.returncode == 0
    assert {row["status"] for row in rows} == {"captioned"}


def test_a_watched_pattern_that_matches_nothing_hides_no_other(shelf):
    from capgen.inputs.selection import Selection
    from capgen.inputs.watch import Arrivals

    shelf.fill()
    patterns = [str(shelf.folder / "none/*.jpg"), str(shelf.folder / "*.png")]
    arrivals = Arrivals(lambda: Selection(lenient=True).find(patterns))
    list(arrivals.new())
    assert [found.path for found in arrivals.new()] == sorted(shelf.folder.glob("*.png"))


@pytest.mark.parametrize("more", [["--prefix", "P "], ["--format", "jsonl"], ["--fail-fast"], ["--min-confidence", "0.5"]])
def test_a_sheet_takes_no_options_that_it_would_not_heed(shelf, more):
    photograph = shelf.fill(NAMES[:1]).folder / NAMES[0]
    done = here("caption", photograph, "--explain", shelf.location / "sheet.png", *more, env=shelf.env)
    assert done.returncode == 2
    assert "one photograph" in done.stderr
    assert not (shelf.location / "sheet.png").exists()
