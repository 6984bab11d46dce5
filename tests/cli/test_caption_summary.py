"""What a run says while it goes on and in its last line: what it did, where, and why others were skipped."""

import re
import shutil

import pytest
from support.commands import here
from support.paths import ROOT

from capgen.cli import console


@pytest.fixture
def folder(fake, monkeypatch):
    """The folder that the command runs in, with a library of three photographs, one of which has a sidecar."""
    monkeypatch.chdir(fake)
    (fake / "library").mkdir()
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        shutil.copy(ROOT / "examples/cat.jpg", fake / "library" / name)
    (fake / "library/c.txt").write_text("by hand\n")
    return fake


def last(*arguments):
    """Return the last line of a run without the seconds that it took."""
    return re.sub(r"in [\d.]+ s", "in TIME", here("caption", *arguments).stderr.splitlines()[-1])


@pytest.mark.parametrize(
    ("arguments", "first", "second"),
    [
        (
            ("library", "--sidecar", "txt"),
            "2 captioned in TIME, in .txt files beside them; 1 skipped: it has a .txt",
            "nothing captioned in TIME; 3 skipped: they have a .txt",
        ),
        (
            ("library", "--output", "c.csv"),
            "3 captioned in TIME, in c.csv",
            "nothing captioned in TIME; 3 skipped: they are in c.csv already",
        ),
        (
            ("library", "--output", "shards/"),
            "3 captioned in TIME, in shards/",
            "nothing captioned in TIME; 3 skipped: they are in shards/ already",
        ),
        (
            ("library", "--xmp", "--output-dir", "xmp", "--output", "c.jsonl"),
            "3 captioned in TIME, in .xmp files in xmp and c.jsonl",
            "nothing captioned in TIME; 3 skipped: they have a caption",
        ),
    ],
)
def test_a_run_ends_with_what_it_did_where_and_why_not_more(folder, arguments, first, second):
    assert last(*arguments) == first
    assert last(*arguments).removeprefix("1 of 1 shards were there before") == second


def test_several_reasons_are_told_with_their_numbers(folder):
    assert last("library", "--sidecar", ".txt", "--existing", "overwrite").startswith("3 captioned in TIME")
    (folder / "library/a.txt").write_text("by hand\n")
    assert last("library", "--sidecar", ".txt", "--existing", "append") == (
        "nothing captioned in TIME; 3 skipped: 2 have capgen's caption already,"
        " 1 was changed by hand (--force replaces that)"
    )


def test_of_a_single_photograph_it_is_said_only_where_its_caption_was_written(folder):
    assert last("library/a.jpg", "--sidecar", ".txt") == "1 captioned in TIME, in a .txt file beside it"
    assert here("caption", "library/a.jpg").stderr == ""
    assert here("caption", "library/a.jpg", "--quiet", "--output", "c.csv").stderr == ""


def test_the_rate_counts_what_took_time_and_not_what_was_skipped(monkeypatch):
    clock = iter([0.0, 0.0, 2.0, 4.0, 6.0])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    pace = console._Pace()
    assert [pace.at(done) for done in (0, 4, 8, 12)] == [0.0, 2.0, 2.0, 2.0]


def test_rates_and_durations_are_read_at_a_glance():
    assert [console._rate(speed) for speed in (0.0, 0.25, 2.0, 1234.0)] == ["", "15.0/min", "2.0/s", "1,234.0/s"]
    assert [console._duration(seconds) for seconds in (4.4, 65, 3725)] == ["0:04", "1:05", "1:02:05"]
