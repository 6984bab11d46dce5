"""Who wins where there is a caption, and what the manifest knows after a kill at any moment, a fault or a second process."""

import itertools
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import examples

from capgen.batch.engines.local import LocalEngine
from capgen.batch.images import ImageCaptioning
from capgen.batch.request import OutputPolicy
from capgen.captioner.results import Caption, Result, SkipReason
from capgen.errors import Status, StorageError, UnknownNameError, member
from capgen.inputs.selection import Found
from capgen.outputs import manifest
from capgen.outputs.choices import Existing
from capgen.outputs.manifest import Manifest, Owner, Record, key
from capgen.outputs.per_image import PerImageSink
from capgen.outputs.policy import OverwriteGuard, combined, decide
from capgen.outputs.sidecar import Sidecar
from capgen.storage.hashing import caption_hash

EDITED, OWN, THERE = SkipReason.CHANGED_BY_HAND, SkipReason.OURS_ALREADY, SkipReason.HAS_CAPTION

A, B, C, THEIRS = (caption_hash(text) for text in ("a dog", "a cat", "a bird", "my dog"))

captions = st.text(st.sampled_from("ab \n"), min_size=1, max_size=4).filter(str.strip)
hashes = st.sampled_from([A, B, C, THEIRS])
records = st.none() | st.builds(Record, hashes, st.just("") | hashes, st.sampled_from(Owner))
policies = st.sampled_from(Existing)
POLICIES = [existing for existing in Existing if existing is not Existing.OUTDATED]


# Decisions


@pytest.mark.parametrize(
    ("current", "record", "skip", "overwrite", "added"),
    [
        (None, None, None, None, None),  # there is nothing
        (None, Record(A), None, None, None),  # someone took it away
        (None, Record(A), None, None, None),  # killed before the first write
        (THEIRS, None, THERE, None, None),  # capgen was never here
        (A, Record(A), THERE, None, OWN),
        (THEIRS, Record(A), THERE, EDITED, EDITED),
        (THEIRS, Record(A, THEIRS), THERE, None, None),  # killed before it replaced theirs
        (A, Record(A, THEIRS), THERE, None, OWN),  # killed after it
        (A, Record(B, A, Owner.OURS), THERE, None, OWN),  # killed before it replaced its own
        (B, Record(B, A, Owner.OURS), THERE, None, OWN),  # killed after it
        (THEIRS, Record(B, A, Owner.OURS), THERE, EDITED, EDITED),  # and someone has changed it since
        (C, Record(A, THEIRS), THERE, EDITED, EDITED),
        (C, Record(A, C, Owner.CHANGED), THERE, EDITED, EDITED),  # killed before it was forced to replace an edited one
    ],
)
def test_what_is_decided_without_force(current, record, skip, overwrite, added):
    found = {existing: decide(current, record, existing, force=False) for existing in POLICIES}
    assert found == {"skip": skip, "fill": skip, "overwrite": overwrite, "append": added, "prepend": added}


@given(st.none() | hashes, records)
def test_with_force_all_but_skip_write_and_still_nothing_is_added_to_capgens_own(current, record):
    found = {existing: decide(current, record, existing, force=True) for existing in POLICIES}
    kept = THERE if current else None
    added = OWN if current and record and record.owner(current) is Owner.OURS else None
    assert found == {"skip": kept, "fill": kept, "overwrite": None, "append": added, "prepend": added}


@given(hashes, records, policies)
def test_an_edited_caption_is_never_writable_without_force(current, record, existing):
    if record is not None and current not in (record.written, record.before):
        assert decide(current, record, existing, force=False) is not None


@given(hashes, records, st.booleans())
def test_skip_never_writes_over_anything(current, record, force):
    assert decide(current, record, Existing.SKIP, force=force) == THERE


@given(records, policies, st.booleans())
def test_where_there_is_nothing_everything_may_be_written(record, existing, force):
    assert decide(None, record, existing, force=force) is None


@given(st.none() | hashes, records)
def test_append_and_prepend_decide_alike(current, record):
    assert decide(current, record, Existing.APPEND, force=False) == decide(current, record, Existing.PREPEND, force=False)


@given(st.none() | hashes, records, policies)
def test_force_never_forbids_what_is_allowed_without_it(current, record, existing):
    if decide(current, record, existing, force=False) is None:
        assert decide(current, record, existing, force=True) is None


@pytest.mark.parametrize(
    ("existing", "text"),
    [("skip", "a dog"), ("overwrite", "a dog"), ("append", "pets, a dog"), ("prepend", "a dog, pets")],
)
def test_a_caption_is_combined_with_the_one_that_is_there(existing, text):
    existing = Existing(existing)
    assert combined("pets", "a dog", existing) == text
    assert combined(" pets\n", "a dog", existing) == text
    assert combined(None, "a dog", existing) == "a dog"


@pytest.mark.parametrize("existing", [Existing.APPEND, Existing.PREPEND])
@pytest.mark.parametrize(
    "current",
    [
        "a dog",
        "A dog, my pet",
        "My pet. A dog.",
        "my pet, a dog; 2019",
        "my pet\na dog\n2019",
        "a dog.\r\nmine",
        "(a dog) mine",
    ],
)
def test_a_caption_that_is_there_already_is_not_added_again_however_a_person_has_punctuated_it(current, existing):
    assert combined(current, "a dog", existing) == current


@pytest.mark.parametrize("current", ["a dog runs", "not a dog", "a dog-house", "a dog's tail", "a doggy, mine"])
def test_a_caption_that_is_a_part_of_a_sentence_is_added(current):
    assert combined(current, "a dog", Existing.APPEND) == f"{current}, a dog"


def test_a_policy_that_does_not_exist_offers_the_nearest():
    assert [member(Existing, existing.value, "policy for existing captions") for existing in Existing] == list(Existing)
    with pytest.raises(UnknownNameError, match="did you mean append"):
        member(Existing, "apend", "policy for existing captions")
    with pytest.raises(UnknownNameError, match="did you mean append"):
        OutputPolicy(existing="apend")


# Hashes and keys


@given(st.text(), st.sampled_from(["", " ", "\n", " \t\r\n"]))
def test_blanks_around_a_caption_make_no_difference(caption, blanks):
    try:
        caption.encode()
    except UnicodeEncodeError:
        return
    assert caption_hash(blanks + caption + blanks) == caption_hash(caption.strip())


def test_other_captions_have_other_hashes_and_bytes_that_are_no_utf_8_have_one():
    assert len({caption_hash(text) for text in ("", "a", "A", "a a", "a\na", os.fsdecode(b"caf\xe9"), "café")}) == 7


def test_a_file_has_one_key_however_it_is_spelt(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert key(Path("a.txt")) == key(tmp_path / "b" / ".." / "a.txt") == key(tmp_path / "a.txt")
    assert key(Path("out"), Path("a.jpg")) == key(tmp_path / "out", tmp_path / "a.jpg")


def test_a_file_and_each_of_its_images_have_keys_of_their_own(tmp_path):
    parts = [
        (tmp_path / "a",),
        (tmp_path / "a", tmp_path / "b"),
        (tmp_path / "b", tmp_path / "a"),
        (tmp_path / "ab",),
    ]
    assert len({key(*location) for location in parts}) == 4


def test_a_name_that_is_no_utf_8_has_a_key_like_another(tmp_path):
    known = Manifest(tmp_path)
    location = key(Path(os.fsdecode(b"/caf\xe9.txt")))
    known.put(location, Record(A))
    assert known.get(location) == Record(A)
    assert known.get(key(Path("/café.txt"))) is None
    known.close()


# The manifest


@pytest.fixture
def known(tmp_path):
    """A manifest of the test's own."""
    made = Manifest(tmp_path / "data")
    yield made
    made.close()


@given(
    st.lists(
        st.tuples(
            st.binary(max_size=2),
            st.builds(Record, hashes, st.just("") | hashes, st.sampled_from(Owner)),
        )
    )
)
@settings(max_examples=examples(30), deadline=None)
def test_it_knows_of_each_place_what_was_put_last(rows):
    with tempfile.TemporaryDirectory() as folder:
        known = Manifest(Path(folder))
        for location, record in rows:
            known.put(location, record)
        known.close()
        again = Manifest(Path(folder))
        assert {location: again.get(location) for location, _ in rows} == dict(rows)
        again.close()


def test_it_makes_no_file_until_it_is_used(tmp_path):
    made = Manifest(tmp_path / "data")
    made.close()
    assert not (tmp_path / "data").exists()
    assert made.get(b"a") is None
    assert not (tmp_path / "data").exists()
    made.put(b"a", Record(A))
    assert (tmp_path / "data" / manifest.NAME).exists()
    made.close()


def test_it_lies_in_the_data_folder(user_folders):
    made = Manifest()
    made.put(b"a", Record(A))
    made.close()
    assert (user_folders / "data" / manifest.NAME).exists()


def test_a_row_is_there_for_others_as_soon_as_it_is_put(tmp_path):
    first, second = Manifest(tmp_path), Manifest(tmp_path)
    for text in (A, B):
        first.put(b"a", Record(text))
        assert second.get(b"a") == Record(text)
    first.close()
    second.close()


@pytest.mark.parametrize("data", [b"no database at all\n" * 100, b"SQLite format 3\0" + b"\xff" * 4096, b"\0" * 100])
def test_a_damaged_file_is_named_with_what_to_do(tmp_path, data):
    (tmp_path / manifest.NAME).write_bytes(data)
    made = Manifest(tmp_path)
    with pytest.raises(StorageError, match=rf"cannot use {tmp_path}/{manifest.NAME} .*move it away"):
        made.get(b"a")
    with pytest.raises(StorageError, match="move it away"):
        made.put(b"a", Record(A))
    made.close()


def test_a_file_damaged_in_the_middle_is_named(tmp_path):
    made = Manifest(tmp_path)
    for number in range(1000):
        made.put(b"key %d" % number, Record(A))
    made.close()
    path = tmp_path / manifest.NAME
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xa5" * (len(data) - 4096))
    made = Manifest(tmp_path)
    with pytest.raises(StorageError, match="move it away"):
        for number in range(1000):
            made.get(b"key %d" % number)
    made.close()


def test_a_damaged_file_that_is_moved_away_is_made_anew(tmp_path):
    path = tmp_path / manifest.NAME
    path.write_bytes(b"no database at all\n" * 100)
    made = Manifest(tmp_path)
    with pytest.raises(StorageError):
        made.get(b"a")
    made.close()
    path.rename(tmp_path / "away")
    made = Manifest(tmp_path)
    made.put(b"a", Record(A))
    assert made.get(b"a") == Record(A)
    made.close()


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path):
    (tmp_path / manifest.NAME).mkdir()
    with pytest.raises(StorageError, match="see that its folder can be written to"):
        Manifest(tmp_path).get(b"a")


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=f"cannot write {tmp_path}/file/data: a part of its path is a file"):
        Manifest(tmp_path / "file" / "data").put(b"a", Record(A))


AS_NOBODY = """
import os, sys
from pathlib import Path
from capgen.errors import StorageError
from capgen.outputs.manifest import Manifest, Record
if os.geteuid() == 0:
    os.seteuid(65534)
try:
    Manifest(Path(sys.argv[1])).put(b"a", Record("b"))
except StorageError as error:
    print(error)
"""


@pytest.mark.parametrize("made_before", [False, True])
def test_a_folder_that_is_read_only_is_named(tmp_path, made_before):
    for folder in (tmp_path, *tmp_path.parents):  # pytest lets nobody else into its folders
        if folder.name.startswith(("test_", "pytest-", "popen-")):
            folder.chmod(0o755)
    data = tmp_path / "data"
    data.mkdir()
    if made_before:
        made = Manifest(data)
        made.put(b"a", Record(A))
        made.close()
    data.chmod(0o555)
    done = subprocess.run([sys.executable, "-c", AS_NOBODY, data], capture_output=True, text=True, check=False)
    data.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"cannot use {data}/{manifest.NAME}")
    assert "see that its folder can be written to" in done.stdout


def test_a_full_disk_is_named(known, monkeypatch):
    known.put(b"a", Record(A))

    class Full:
        def execute(self, *_):
            raise sqlite3.OperationalError("database or disk is full")

        def close(self):
            pass

    real = known._database
    known.__dict__["_database"] = Full()
    with pytest.raises(StorageError, match="its disk is not full"):
        known.put(b"a", Record(B))
    known.__dict__["_database"] = real
    assert known.get(b"a") == Record(A)


WRITER = """
import sys
from pathlib import Path
from capgen.outputs.manifest import Manifest, Record
known, name = Manifest(Path(sys.argv[1])), sys.argv[2]
for number in range(200):
    known.put(f"{name} {number}".encode(), Record(name))
    known.put(b"both", Record(name))
known.close()
"""

COUNTER = """
import sys
from pathlib import Path
from capgen.outputs.manifest import Manifest
known, counter = Manifest(Path(sys.argv[1])), Path(sys.argv[1]) / "count"
for _ in range(100):
    with known.locked():
        counter.write_text(str(int(counter.read_text()) + 1))
"""


def in_two_processes(script, folder):
    running = [subprocess.Popen([sys.executable, "-c", script, folder, name]) for name in ("one", "two")]
    assert [process.wait(60) for process in running] == [0, 0]


def test_two_processes_put_rows_at_once_and_none_is_lost(tmp_path):
    in_two_processes(WRITER, tmp_path)
    known = Manifest(tmp_path)
    for name, number in itertools.product(("one", "two"), range(200)):
        assert known.get(f"{name} {number}".encode()) == Record(name)
    assert known.get(b"both").written in ("one", "two")
    known.close()


def test_what_is_done_under_the_lock_is_done_by_one_process_at_a_time(tmp_path):
    (tmp_path / "count").write_text("0")
    in_two_processes(COUNTER, tmp_path)
    assert (tmp_path / "count").read_text() == "200"


def test_the_lock_is_waited_for(tmp_path):
    first, second, done = Manifest(tmp_path), Manifest(tmp_path), threading.Event()

    def wait():
        with second.locked():
            done.set()

    with first.locked():
        thread = threading.Thread(target=wait)
        thread.start()
        assert not done.wait(0.2)
    assert done.wait(10)
    thread.join()


# Runs over a sidecar that are killed


class Killed(BaseException):
    """The end of a process, which nothing catches."""


class Fragile(Sidecar):
    """Sidecars of a process that is killed just before or just after it writes one."""

    moment = ""

    def write(self, target, caption):
        if self.moment == "before":
            raise Killed
        super().write(target, caption)
        if self.moment == "after":
            raise Killed


class Album:
    """One image with its text file, and runs that write captions to it."""

    def __init__(self, folder):
        self.image, self.text = folder / "a.jpg", folder / "a.txt"
        self.image.touch()
        self.manifest = Manifest(folder / "data")

    def run(self, caption, existing="skip", *, force=False, killed=""):
        """Put a caption there; return why not, or ``None``."""
        destination = Fragile("txt", None)
        destination.moment = killed
        sink = PerImageSink(destination, OverwriteGuard(self.manifest, Existing(existing), force=force))
        result = Result(self.image, Status.CAPTIONED, (Caption(caption, 0.5, -1.0),))
        try:
            return sink.write(Found(self.image, self.image.parent), result)
        except Killed:
            return "killed"

    def edit(self, text):
        self.text.write_text(text)

    @property
    def caption(self):
        return self.text.read_text().strip() if self.text.exists() else None


@pytest.fixture
def album(tmp_path):
    """An image without a caption."""
    made = Album(tmp_path)
    yield made
    made.manifest.close()


kills = pytest.mark.parametrize("killed", ["before", "after"])
adding = pytest.mark.parametrize(("existing", "text"), [("append", "pets, a dog"), ("prepend", "a dog, pets")])


def test_the_album_is_seen_as_a_run_sees_it(album):
    found = Found(album.image, album.image.parent)
    sinks = [PerImageSink(Sidecar("txt"), OverwriteGuard(album.manifest))]
    captioning = ImageCaptioning(LocalEngine(), None, OutputPolicy(), sinks)
    assert [planned.targets for planned in captioning.plan([found])] == [(album.text,)]


@kills
@pytest.mark.parametrize("existing", Existing)
def test_after_a_kill_at_the_first_write_the_next_run_completes_it(album, killed, existing):
    album.run("a dog", existing, killed=killed)
    assert album.caption == (None if killed == "before" else "a dog")
    album.run("a dog", existing)
    assert album.caption == "a dog"


@kills
@adding
def test_after_a_kill_a_caption_is_added_once(album, killed, existing, text):
    album.edit("pets")
    album.run("a dog", existing, killed=killed)
    assert album.caption == ("pets" if killed == "before" else text)
    for _ in range(2):
        album.run("a dog", existing)
        assert album.caption == text


@adding
def test_a_caption_is_added_once_by_many_runs(album, existing, text):
    album.edit("pets")
    reasons = [album.run("a dog", existing) for _ in range(3)]
    assert (reasons, album.caption) == ([None, OWN, OWN], text)


@kills
def test_after_a_kill_that_replaced_its_own_caption_both_are_its_own(album, killed):
    album.run("a dog")
    album.run("two dogs", "overwrite", killed=killed)
    for existing in ("append", "prepend"):
        assert album.run("three dogs", existing) == OWN
    assert album.run("three dogs", "overwrite") is None
    assert album.caption == "three dogs"


@kills
def test_after_a_kill_that_replaced_a_caption_of_others_it_may_be_replaced(album, killed):
    album.edit("pets")
    album.run("a dog", "overwrite", killed=killed)
    assert album.run("a dog", "overwrite") is None
    assert album.caption == "a dog"


@kills
@pytest.mark.parametrize("existing", ["overwrite", "append", "prepend"])
@pytest.mark.parametrize("first", ["", "pets", "own"])
def test_a_caption_edited_after_a_kill_is_kept(album, killed, existing, first):
    if first == "own":
        album.run("a dog")
    elif first:
        album.edit(first)
    album.run("two dogs", "overwrite", killed=killed)
    album.edit("my dog")
    assert album.run("three dogs", existing) == EDITED
    assert album.caption == "my dog"


def test_an_edited_caption_that_a_killed_run_was_forced_to_replace_is_kept_without_force(album):
    album.run("a dog")
    album.edit("my dog")
    album.run("two dogs", "overwrite", force=True, killed="before")
    assert album.run("two dogs", "overwrite") == EDITED


def test_two_kills_in_a_row_lose_nothing(album):
    album.run("a dog")
    album.run("two dogs", "overwrite", killed="before")
    album.run("three dogs", "overwrite", killed="before")
    assert album.caption == "a dog"
    assert album.run("four dogs", "append") == OWN


STEPS = st.lists(
    st.tuples(st.sampled_from(["edit", "delete", *Existing]), captions, st.sampled_from(["", "before", "after"])), max_size=8
)


@settings(max_examples=examples(100), deadline=None)
@given(STEPS)
def test_whatever_happens_an_edited_caption_is_kept_and_nothing_is_added_to_capgens_own(steps):
    with tempfile.TemporaryDirectory() as folder:
        album, edited, own, known = Album(Path(folder)), False, None, False
        for number, (step, caption, killed) in enumerate(steps):
            before = album.caption
            if step == "edit":
                album.edit(f"my {number}")
                edited = known
            elif step == "delete":
                album.text.unlink(missing_ok=True)
                edited = False
            else:
                album.run(caption, step, killed=killed)
                keeps = step in ("skip", "fill", "outdated")  # the image is always the same
                kept = edited or keeps or (before == own and step != "overwrite")
                assert album.caption == before or before is None or not kept
                known = known or before is None or not keeps
                own = album.caption if album.caption != before else own
        album.manifest.close()
