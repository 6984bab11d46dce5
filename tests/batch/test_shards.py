"""Shards: archives and tables of images in, files of captions out, each whole or absent."""

import dataclasses
import io
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from support.captioners import install_fake
from support.drawing import draw_each

from capgen.batch.shards.folder import ShardFolder
from capgen.batch.shards.plan import ShardPlan
from capgen.batch.shards.run import caption_shard
from capgen.batch.shards.task import Task
from capgen.captioner.captioner import Captioner
from capgen.captioner.request import CaptionRequest
from capgen.errors import Status, UsageError
from capgen.inputs.archives import LazyImage, images_in
from capgen.inputs.selection import Found
from capgen.inputs.spool import Spool
from capgen.storage import locations

pytestmark = pytest.mark.usefixtures("fake")

FORMS = ("jsonl", "parquet", "tar")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Six drawn images; ``deep/a.png`` shares its name with ``a.png``."""
    folder = tmp_path_factory.mktemp("photos")
    return draw_each(folder, "a.png", "b.jpg", "c.v2.webp", "d.png", "deep/a.png", "deep/e.bmp")


@pytest.fixture(scope="module")
def captioner(tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    install_fake(data)
    return Captioner.load(data / "models/fake")


@pytest.fixture
def archive(photos, tmp_path):
    return packed(photos, tmp_path / "data-000.tar")


def packed(photos, archive):
    with tarfile.open(archive, "w") as tar:
        for path in sorted(filter(Path.is_file, photos.rglob("*"))):
            tar.add(path, path.relative_to(photos))
    return archive


def plain(caption, photos):
    """Captions by relative path, as a run without shards writes them."""
    rows = caption("-r", photos, "-f", "jsonl").stdout.splitlines()
    return {str(Path(row["path"]).relative_to(photos)): row["caption"] for row in map(json.loads, rows)}


def read(path):
    """Captions by path, of a shard of any format."""
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    elif path.suffix == ".parquet":
        rows = pyarrow.parquet.read_table(path).to_pylist()
    else:
        with tarfile.open(path) as tar:
            files = {member.name: tar.extractfile(member).read() for member in tar}
        rows = [json.loads(data) for name, data in files.items() if name.endswith(".json")]
        for name, data in files.items():
            if name.endswith(".txt"):
                assert json.loads(files[name.removesuffix(".txt") + ".json"])["caption"] == data.decode()
    return {row["path"]: row["caption"] for row in rows}


def stats(folder, shard):
    return json.loads((folder / f"{shard}_stats.json").read_text())


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def results(archive):
    """What a reader makes of an archive: names with the number of bytes, or with a status."""
    return [
        (item.key, len(item.read())) if isinstance(item, LazyImage) else (item.path.name, item.status)
        for item in images_in(archive)
    ]


def tar_of(path, *members, end=True):
    """Write an archive of (TarInfo or name, data)."""
    with tarfile.open(path, "w") as tar:
        for member, data in members:
            about = tarfile.TarInfo(member) if isinstance(member, str) else member
            if isinstance(member, str):
                about.size = len(data)
            tar.addfile(about, io.BytesIO(data))
        if not end:
            length = tar.offset
    if not end:
        os.truncate(path, length)
    return path


# what a run writes


@pytest.mark.parametrize("form", FORMS)
def test_an_archive_has_the_captions_of_the_same_files_in_a_folder(caption, photos, archive, tmp_path, form):
    done = caption(archive, "-o", f"{tmp_path}/out/", "-f", form)
    assert done.exit_code == 0, done.stderr
    assert listing(tmp_path / "out") == [f"data-000.{form}", "data-000_stats.json"]
    expected = {f"{archive}/{name}": text for name, text in plain(caption, photos).items()}
    assert read(tmp_path / f"out/data-000.{form}") == expected


@pytest.mark.parametrize("form", FORMS)
def test_files_are_put_into_numbered_shards(caption, photos, tmp_path, form):
    done = caption("-r", photos, "-o", f"{tmp_path}/out/", "-f", form, "--shard-size", 4)
    assert done.exit_code == 0
    assert listing(tmp_path / "out") == [f"00000.{form}", "00000_stats.json", f"00001.{form}", "00001_stats.json"]
    found = [read(tmp_path / f"out/0000{number}.{form}") for number in (0, 1)]
    assert [len(shard) for shard in found] == [4, 2]
    assert found[0] | found[1] == {str(photos / name): text for name, text in plain(caption, photos).items()}


def test_an_existing_folder_is_written_into_as_well(caption, archive, tmp_path):
    (tmp_path / "out").mkdir()
    assert caption(archive, "-o", tmp_path / "out").exit_code == 0
    assert listing(tmp_path / "out") == ["data-000.jsonl", "data-000_stats.json"]


def test_statistics_say_what_became_of_a_shard_and_who_made_it(caption, photos, captioner, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff nothing")
    done = caption(photos / "a.png", broken, "-o", f"{tmp_path}/out/", "--prefix", "drawn:")
    assert done.exit_code == 3
    found = stats(tmp_path / "out", "00000")
    assert (found["shard"], found["images"], found["captioned"]) == ("00000.jsonl", 2, 1)
    assert found["counts"] == {"captioned": 1, "unreadable": 1}
    assert [(row["path"], row["status"]) for row in found["failed"]] == [(str(broken), "unreadable")]
    assert found["captioner"]["name"] == "fake"
    assert len(found["captioner"]["sha256"]) == 64
    assert found["options"]["prefix"] == "drawn:"
    assert found["seconds"] > 0


def test_a_tar_shard_holds_images_captions_and_records_under_keys_of_their_own(caption, photos, tmp_path):
    caption("-r", photos, "-o", f"{tmp_path}/out/", "-f", "tar")
    with tarfile.open(tmp_path / "out/00000.tar") as tar:
        names = tar.getnames()
        data = {member.name: tar.extractfile(member).read() for member in tar}
    assert names[:3] == ["a.png", "a.txt", "a.json"]
    assert {"c_v2.webp", "a-2.png", "e.bmp"} <= set(names)
    assert len(names) == len(set(names)) == 18
    assert data["c_v2.webp"] == (photos / "c.v2.webp").read_bytes()


def test_a_table_has_the_columns_that_are_promised(caption, photos, tmp_path):
    caption(photos / "a.png", tmp_path / "none.jpg", "-o", f"{tmp_path}/out/", "-f", "parquet", "--num", 2, "--beam", 2)
    table = pyarrow.parquet.read_table(tmp_path / "out/00000.parquet")
    assert table.column_names == ["path", "caption", "confidence", "status", "reason", "alternatives"]
    good, bad = table.to_pylist()
    assert [set(entry) for entry in good["alternatives"]] == [{"caption", "confidence", "log_probability"}] * 2
    assert (bad["caption"], bad["status"], bad["alternatives"]) == (None, "missing", [])
    assert pyarrow.parquet.ParquetFile(tmp_path / "out/00000.parquet").metadata.row_group(0).column(0).compression == "ZSTD"


def test_a_caption_of_low_confidence_is_not_in_a_shard(caption, photos, tmp_path):
    done = caption(photos / "a.png", "-o", f"{tmp_path}/out/", "--min-confidence", 1)
    assert done.exit_code == 0
    assert read(tmp_path / "out/00000.jsonl") == {str(photos / "a.png"): None}


def test_a_report_and_a_summary_name_each_image(caption, archive, tmp_path):
    done = caption(archive, "-o", f"{tmp_path}/out/", "--report", tmp_path / "report.jsonl")
    assert "6 captioned in" in done.stderr
    assert (tmp_path / "report.jsonl").read_text() == (tmp_path / "out/data-000.jsonl").read_text()


# a second run


@pytest.mark.parametrize("form", FORMS)
def test_a_second_run_does_nothing_and_a_third_only_what_is_new(caption, photos, archive, tmp_path, form):
    wanted = (archive, photos / "a.png", photos / "b.jpg", "-o", f"{tmp_path}/out/", "-f", form)
    assert caption(*wanted).exit_code == 0
    before = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in listing(tmp_path / "out")}
    again = caption(*wanted)
    assert again.exit_code == 0
    assert "2 skipped" in again.stderr
    assert "1 of 1 shards were there before" in again.stderr
    assert caption(*wanted, photos / "d.png").exit_code == 0
    assert read(tmp_path / f"out/00001.{form}").keys() == {str(photos / "d.png")}
    assert {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in before} == before


def test_overwrite_does_all_again(caption, photos, archive, tmp_path):
    wanted = (archive, photos / "a.png", "-o", f"{tmp_path}/out/")
    caption(*wanted)
    before = (tmp_path / "out/00000.jsonl").read_bytes()
    done = caption(*wanted, "--existing", "overwrite", "--prefix", "new:")
    assert "7 captioned" in done.stderr
    assert listing(tmp_path / "out") == ["00000.jsonl", "00000_stats.json", "data-000.jsonl", "data-000_stats.json"]
    assert (tmp_path / "out/00000.jsonl").read_bytes() != before


@pytest.mark.parametrize("images", ["archive", "files"])
def test_shards_made_in_another_way_are_left_and_named(caption, photos, archive, tmp_path, images):
    wanted = (archive if images == "archive" else photos / "a.png", "-o", f"{tmp_path}/out/")
    caption(*wanted)
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    done = caption(*wanted, "--prefix", "other")
    assert done.exit_code == 2
    assert "with other options" in done.stderr
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_a_shard_whose_options_have_the_names_of_earlier_versions_is_known(caption, photos, tmp_path):
    wanted = (photos / "a.png", "-o", f"{tmp_path}/out/", "--min-confidence", "0.01")
    caption(*wanted)
    path = tmp_path / "out/00000_stats.json"
    text = path.read_text()
    assert '"min_confidence": 0.01' in text
    path.write_text(text.replace('"min_confidence"', '"minimum_confidence"').replace('"images"', '"pictures"'))
    done = caption(*wanted)
    assert done.exit_code == 0, done.stderr
    assert "1 skipped" in done.stderr


def test_a_shard_that_was_not_finished_is_made_anew(caption, photos, tmp_path):
    wanted = ("-r", photos, "-o", f"{tmp_path}/out/", "--shard-size", 2)
    caption(*wanted)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.jsonl")}
    (tmp_path / "out/00001_stats.json").rename(tmp_path / "out/00001_unfinished")
    done = caption(*wanted)
    assert "2 captioned in" in done.stderr
    assert "; 4 skipped: " in done.stderr
    assert not (tmp_path / "out/00001_unfinished").exists()
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.jsonl")} == before


def test_parts_that_are_done_at_once_use_numbers_of_their_own(caption, photos, tmp_path):
    for part in ("2/2", "1/2"):
        done = caption("-r", photos, "-o", f"{tmp_path}/out/", "--shard-size", 1, "--shard", part, "--dry-run")
        numbers = {int(Path(line.split(":")[0]).stem) % 2 for line in done.stdout.splitlines()}
        assert numbers == {int(part[0]) - 1}
        assert caption("-r", photos, "-o", f"{tmp_path}/out/", "--shard-size", 1, "--shard", part).exit_code == 0
    paths = [path for shard in (tmp_path / "out").glob("*.jsonl") for path in read(shard)]
    assert len(paths) == len(set(paths)) == 6


def test_a_dry_run_says_which_shards_would_be_written(caption, photos, archive, tmp_path):
    done = caption(archive, photos / "a.png", "-o", f"{tmp_path}/out/", "--dry-run")
    assert done.stdout.splitlines() == [
        f"{tmp_path}/out/data-000.jsonl: would be written from {archive}",
        f"{tmp_path}/out/00000.jsonl: would be written from 1 images, the first {photos / 'a.png'}",
    ]
    assert not (tmp_path / "out").exists()
    caption(archive, "-o", f"{tmp_path}/out/")
    done = caption(archive, "-o", f"{tmp_path}/out/", "--dry-run")
    assert done.stdout == f"{tmp_path}/out/data-000.jsonl: left as it is: it is done\n"


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_after_a_kill_finished_shards_are_there_and_the_next_run_goes_on(photos, tmp_path, number, code):
    for index in range(20):
        shutil.copytree(photos, tmp_path / f"in/{index}")
    expected = tmp_path / "expected"
    command = [
        Path(sys.executable).with_name("capgen"),
        "caption",
        "--beam",
        "1",
        "-r",
        tmp_path / "in",
        "--shard-size",
        "3",
    ]
    env = {**os.environ, "CAPGEN_DATA_DIR": str(tmp_path / "data")}
    subprocess.run([*command, "-o", f"{expected}/"], env=env, check=True, capture_output=True)
    out = tmp_path / "out"
    with subprocess.Popen([*command, "-o", f"{out}/"], env=env, stderr=subprocess.DEVNULL) as running:
        while not (out / "00000_stats.json").exists():
            time.sleep(0.005)
        running.send_signal(number)
    left = {name for name in listing(out) if not name.startswith(".")}
    for name in (name for name in left if name.endswith(".jsonl")):
        assert (out / name).read_bytes() == (expected / name).read_bytes()
    assert running.returncode == code
    assert len(left) < len(listing(expected))
    subprocess.run([*command, "-o", f"{out}/"], env=env, check=True, capture_output=True)
    assert {path.name: path.read_bytes() for path in out.glob("*.jsonl")} == {
        path.name: path.read_bytes() for path in expected.glob("*.jsonl")
    }
    assert not list(out.glob(".*.part"))


# wrong usage


@pytest.mark.parametrize(
    "options",
    [
        ["--sidecar", ".txt"], ["--xmp"], ["--watch"], ["--existing", "append"], ["--existing", "prepend"],
        ["-f", "text"], ["-f", "csv"], ["--explain", "sheet.png"], ["--sidecar", ".txt", "--output-dir", "x"], ["--force"],
    ],
)  # fmt: skip
def test_what_cannot_be_done_with_shards_is_wrong_usage(caption, photos, tmp_path, options):
    done = caption(photos / "a.png", "-o", f"{tmp_path}/out/", *options)
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", ["parquet", "tar"])
def test_formats_of_shards_need_a_folder(caption, photos, form):
    done = caption(photos / "a.png", "-f", form)
    assert done.exit_code == 2
    assert "--output" in done.stderr


@pytest.mark.parametrize("name", ["00000.tar", "data-000.tar"])
def test_a_file_that_is_no_shard_of_capgens_is_not_replaced(caption, photos, archive, tmp_path, name):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_bytes(b"precious")
    done = caption(archive, photos / "a.png", "-o", tmp_path / "out", "-f", "tar")
    assert done.exit_code == 2
    assert "may be somebody's" in done.stderr
    assert [path.read_bytes() for path in (tmp_path / "out").iterdir()] == [b"precious"]


@pytest.mark.parametrize("existing", ["skip", "overwrite"])
def test_shards_do_not_land_among_photographs(caption, photos, archive, existing):
    before = listing(photos)
    done = caption(archive, "-o", photos, "--existing", existing)
    assert done.exit_code == 2
    assert "there are photographs in" in done.stderr
    assert listing(photos) == before


@pytest.mark.parametrize("existing", ["skip", "overwrite"])
def test_the_folder_of_shards_is_listed_once_before_a_run(caption, photos, tmp_path, monkeypatch, existing):
    real, listed = locations.names, []
    monkeypatch.setattr(locations, "names", lambda folder: listed.append(folder) or real(folder))
    assert caption(photos / "a.png", "-o", f"{tmp_path}/out/", "--existing", existing).exit_code == 0
    assert listed == [f"{tmp_path}/out/"]


@pytest.mark.parametrize("existing", ["skip", "overwrite"])
def test_an_archive_is_not_replaced_by_its_own_captions(caption, archive, tmp_path, existing):
    before = archive.read_bytes()
    done = caption(archive, "-o", tmp_path, "-f", "tar", "--existing", existing)
    assert done.exit_code == 2
    assert "would be lost" in done.stderr
    assert archive.read_bytes() == before


def test_two_archives_of_one_name_are_wrong_usage(caption, photos, archive, tmp_path):
    (tmp_path / "other").mkdir()
    other = packed(photos, tmp_path / "other/data-000.tar")
    done = caption(archive, other, "-o", f"{tmp_path}/out/")
    assert done.exit_code == 2
    assert "would share" in done.stderr


def test_captions_cannot_be_put_beside_the_images_of_an_archive(caption, archive):
    assert caption(archive, "--sidecar", ".txt").exit_code == 2


def test_a_missing_pyarrow_is_one_line_that_says_what_to_install(caption, photos, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    done = caption(photos / "a.png", "-o", f"{tmp_path}/out/", "-f", "parquet")
    assert done.exit_code == 2
    assert "pip install 'capgen[parquet]'" in done.stderr


# archives as they come


def test_an_archive_without_an_output_folder_prints_lines(caption, photos, archive):
    done = caption(archive)
    assert done.exit_code == 0
    lines = dict(line.split("\t") for line in done.stdout.splitlines())
    assert lines == {f"{archive}/{name}": text for name, text in plain(caption, photos).items()}


def test_a_file_of_lines_goes_on_with_an_archive(caption, archive, tmp_path):
    caption(archive, "-o", tmp_path / "lines.jsonl")
    assert "6 skipped" in caption(archive, "-o", tmp_path / "lines.jsonl").stderr


def test_braces_name_many_archives(caption, photos, tmp_path):
    for number in (8, 9, 10):
        packed(photos, tmp_path / f"data-{number:04}.tar")
    done = caption(f"{tmp_path}/data-{{0008..0010}}.tar", "-o", f"{tmp_path}/out/")
    assert done.exit_code == 0
    assert [name for name in listing(tmp_path / "out") if "stats" not in name] == [
        "data-0008.jsonl", "data-0009.jsonl", "data-0010.jsonl",
    ]  # fmt: skip


def test_an_archive_that_is_not_there_gives_no_shard(caption, tmp_path):
    done = caption(tmp_path / "none.tar", "-o", f"{tmp_path}/out/")
    assert done.exit_code == 3
    assert "none.tar: no such file" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_pipe_that_is_called_an_archive_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.tar")
    assert results(tmp_path / "pipe.tar") == [("pipe.tar", "unsupported")]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_of_an_archive_that_ends_early_what_comes_before_is_captioned_and_the_rest_done_later(
    caption, photos, archive, tmp_path, share
):
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(len(whole.rstrip(b"\0")) * share)])
    done = caption(archive, "-o", f"{tmp_path}/out/")
    assert done.exit_code == 3
    assert f"{archive}: the archive ends early" in done.stderr
    found = stats(tmp_path / "out", "data-000")
    assert not found["whole"]
    assert found["failed"][-1]["path"] == str(archive)
    archive.write_bytes(whole)
    assert caption(archive, "-o", f"{tmp_path}/out/").exit_code == 0
    assert len(read(tmp_path / "out/data-000.jsonl")) == 6


def test_an_archive_without_the_mark_of_its_end_may_have_been_cut_off(tmp_path):
    path = tar_of(tmp_path / "a.tar", ("a.jpg", b"x" * 512), end=False)
    assert results(path) == [("a.jpg", 512), ("a.tar", "unreadable")]


@pytest.mark.parametrize("data", [b"", b"no archive", bytes(range(256)) * 10])
def test_what_is_no_archive_is_unreadable(tmp_path, data):
    (tmp_path / "a.tar").write_bytes(data)
    assert results(tmp_path / "a.tar") == [("a.tar", "unreadable")]


@pytest.mark.parametrize(
    "name", ["/etc/a.jpg", "../../a.jpg", "a/../../../b.jpg", "a\\b.jpg", "a\nb.jpg", "x" * 3000 + ".jpg"]
)
@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_a_hostile_name_is_only_a_name(caption, photos, tmp_path, name, kind):
    path = tmp_path / "in/a.tar"
    path.parent.mkdir()
    with tarfile.open(path, "w", format=kind) as tar:
        about = tarfile.TarInfo(name)
        about.size = len(data := (photos / "a.png").read_bytes())
        tar.addfile(about, io.BytesIO(data))
    before = set(tmp_path.rglob("*"))
    done = caption(path, "-o", f"{tmp_path}/out/", "-f", "tar")
    assert done.exit_code == 0, done.stderr
    with tarfile.open(tmp_path / "out/a.tar") as tar:
        for member in tar:
            assert tarfile.data_filter(member, str(tmp_path)).name == member.name
            assert ".." not in member.name.split("/")
    written = {path for path in set(tmp_path.rglob("*")) - before if not path.is_relative_to(tmp_path / "data")}
    assert {path.name for path in written} == {"out", "a.tar", "a_stats.json"}


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]
)
def test_links_devices_and_folders_are_passed_over(tmp_path, kind):
    about = tarfile.TarInfo("link.jpg")
    about.type, about.linkname = kind, "/etc/passwd"
    path = tar_of(tmp_path / "a.tar", (about, b""), ("b.jpg", b"12345"))
    assert results(path) == [("b.jpg", 5)]


def test_other_members_and_hidden_ones_are_passed_over(tmp_path):
    path = tar_of(tmp_path / "a.tar", ("a.txt", b"text" * 999), ("._a.jpg", b"fork"), ("b.JPG", b"12345"), ("a.json", b"{}"))
    assert results(path) == [("b.JPG", 5)]


def test_a_sparse_member_as_gnu_tar_writes_it_does_not_derail_what_follows(tmp_path):
    with (tmp_path / "sparse.bin").open("wb") as file:
        for piece in range(12):
            file.seek(piece << 20)
            file.write(b"data")
    (tmp_path / "b.jpg").write_bytes(b"12345")
    command = ["tar", "--format=gnu", "--sparse", "-cf", tmp_path / "a.tar", "-C", tmp_path, "sparse.bin", "b.jpg"]
    subprocess.run(command, check=True)
    assert results(tmp_path / "a.tar") == [("b.jpg", 5)]


def test_a_huge_member_is_too_large_and_takes_no_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("capgen.images.MAX_BYTES", 1000)
    path = tar_of(tmp_path / "a.tar", ("a.jpg", bytes(2000)), ("b.jpg", b"12345"))
    assert results(path) == [("a.jpg", "too-large"), ("b.jpg", 5)]


@pytest.mark.parametrize("size", [1 << 33, 1 << 60, -1])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_size_that_is_a_lie_ends_the_archive(tmp_path, size, kind):
    about = tarfile.TarInfo("a.jpg")
    about.type, about.size = kind, size
    (tmp_path / "a.tar").write_bytes(about.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    assert results(tmp_path / "a.tar")[-1] == ("a.tar", "unreadable")


@pytest.mark.parametrize(
    "header", [b"99 path=x\n", b"path", b"0 a=b\n", b"-1 a=b\n", b"11 size=-5\n", b"12 size=9x9\n", b"7 " * 99]
)
def test_a_damaged_extended_header_ends_the_archive(tmp_path, header):
    about = tarfile.TarInfo("x")
    about.type = tarfile.XHDTYPE
    about.size = len(header)
    path = tar_of(tmp_path / "a.tar", ("b.jpg", b"12345"), (about, header), ("a.jpg", b"12345"))
    assert results(path)[0] == ("b.jpg", 5)
    assert results(path)[-1] == ("a.tar", "unreadable")


def test_members_of_one_name_are_distinguished(tmp_path):
    path = tar_of(tmp_path / "a.tar", ("a.jpg", b"1"), ("a.jpg", b"12"), ("b.jpg", b"123"))
    assert [item.path.name for item in images_in(path)] == ["a.jpg", "a.jpg#1", "b.jpg"]


# tables


def table(path, columns, rows=2):
    pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=rows)
    return path


@pytest.mark.parametrize("layout", ["hugging face", "bytes", "jpg and key"])
def test_a_table_of_images_is_captioned_like_the_files(caption, photos, tmp_path, layout):
    names = ["a.png", "b.jpg", "d.png"]
    data = [(photos / name).read_bytes() for name in names]
    if layout == "hugging face":
        rows = [{"bytes": one, "path": name} for one, name in zip(data, names, strict=True)]
        path = table(tmp_path / "t.parquet", {"label": [1, 2, 3], "image": rows})
    elif layout == "bytes":
        path = table(tmp_path / "t.parquet", {"image": data})
        names = ["0", "1", "2"]
    else:
        path = table(tmp_path / "t.parquet", {"__key__": names, "jpg": pyarrow.array(data, pyarrow.large_binary())})
    done = caption(path, "-o", f"{tmp_path}/out/", "-f", "tar")
    assert done.exit_code == 0, done.stderr
    expected = plain(caption, photos)
    assert read(tmp_path / "out/t.tar") == {
        f"{path}/{name}": expected[file] for name, file in zip(names, ("a.png", "b.jpg", "d.png"), strict=True)
    }
    with tarfile.open(tmp_path / "out/t.tar") as tar:
        assert [Path(name).suffix for name in tar.getnames()[::3]] == [".png", ".jpg", ".png"]


def test_a_row_without_an_image_is_a_failure_of_its_own(tmp_path):
    rows = [{"bytes": None, "path": "a.png"}, {"bytes": b"12345", "path": None}, None]
    path = table(
        tmp_path / "t.parquet",
        {"image": pyarrow.array(rows, pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()}))},
    )
    assert results(path) == [("a.png", "unreadable"), ("1", 5), ("2", "unreadable")]


@pytest.mark.parametrize("columns", [{"label": [1]}, {"image": ["a.png"]}, {"image": [{"path": "a.png"}]}])
def test_a_table_without_images_is_unsupported(tmp_path, columns):
    assert results(table(tmp_path / "t.parquet", columns)) == [("t.parquet", "unsupported")]


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_damaged_table_is_unreadable(photos, tmp_path, share):
    path = table(tmp_path / "t.parquet", {"image": [(photos / "a.png").read_bytes()]})
    os.truncate(path, int(path.stat().st_size * share))
    assert results(path) == [("t.parquet", "unreadable")]


# from a program, as an engine does


def test_a_task_can_be_sent_anywhere_and_done_twice(captioner, photos, archive, tmp_path):
    folder = ShardFolder.of(captioner, str(tmp_path / "out"), "tar", CaptionRequest(num_beams=1))
    found = [Found(archive, tmp_path), Found(photos / "a.png", photos)]
    plan = ShardPlan(found, folder, 10, overwrite=False)
    tasks = pickle.loads(pickle.dumps(list(plan)))
    folder = pickle.loads(pickle.dumps(folder))
    assert tasks == [Task("data-000", archive=str(archive)), Task("00000", files=(str(photos / "a.png"),))]
    assert not folder.is_finished("data-000", locations.names(folder.location))
    first = list(caption_shard(captioner, tasks[0], folder))
    assert [result.status for result in first] == [Status.CAPTIONED] * 6
    written = (tmp_path / "out/data-000.tar").read_bytes()
    assert folder.is_finished("data-000", locations.names(folder.location))
    assert list(caption_shard(captioner, tasks[0], folder)) == first
    assert (tmp_path / "out/data-000.tar").read_bytes() == written


def test_results_are_reported_in_order(captioner, archive, tmp_path):
    folder = ShardFolder.of(captioner, str(tmp_path / "out"), "jsonl", CaptionRequest(num_beams=1))
    reported = list(caption_shard(captioner, Task("x", archive=str(archive)), folder))
    assert [str(result.path) for result in reported] == list(read(tmp_path / "out/x.jsonl"))


def test_a_path_that_is_no_utf_8_is_known_again_in_every_format(captioner, photos, tmp_path):
    foreign = tmp_path / os.fsdecode(b"caf\xe9.png")
    shutil.copy(photos / "a.png", foreign)
    found = [Found(foreign, tmp_path)]
    for form in FORMS:
        folder = ShardFolder.of(captioner, str(tmp_path / form), form, CaptionRequest(num_beams=1))
        [task] = ShardPlan(found, folder, 10, overwrite=False)
        list(caption_shard(captioner, task, folder))
        again = ShardPlan(found, folder, 10, overwrite=False)
        assert (len(again), again.skipped) == (0, 1)


def test_a_shard_of_another_captioner_is_not_taken_for_done(captioner, archive, tmp_path):
    folder = ShardFolder.of(captioner, str(tmp_path / "out"), "jsonl", CaptionRequest(num_beams=1))
    list(caption_shard(captioner, Task("x", archive=str(archive)), folder))
    other = dataclasses.replace(folder, captioner={"name": "other", "sha256": ""})
    with pytest.raises(UsageError, match="another captioner"):
        other.is_finished("x", locations.names(other.location))


def test_images_beyond_what_memory_may_hold_wait_in_a_file():
    spool = Spool(memory=10)
    kept = [spool.keep(data) for data in (b"12345678", b"abcdef", b"ghi", b"9")]
    assert [held.read() for held in kept] == [b"12345678", b"abcdef", b"ghi", b"9"]
    kept[1].release()
    kept[0].release()
    assert kept[2].read() == b"ghi"
    kept[2].release()
    kept[3].release()
    assert spool.keep(b"0123456789").read() == b"0123456789"


# What an earlier run left, and what a run must not touch


def test_another_archive_of_the_same_name_is_not_taken_for_one_that_is_done(caption, photos, tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        packed(photos, tmp_path / name / "00000.tar")
    assert caption(tmp_path / "first/00000.tar", "-o", f"{tmp_path}/out/").exit_code == 0
    done = caption(tmp_path / "second/00000.tar", "-o", f"{tmp_path}/out/")
    assert done.exit_code == 2
    assert "first/00000.tar" in done.stderr
    assert "wants the same name; choose another folder" in done.stderr


@pytest.mark.parametrize("form", FORMS)
def test_images_that_got_no_caption_are_not_done_again_and_again(caption, photos, tmp_path, form):
    (tmp_path / "broken.png").touch()
    arguments = ("-r", photos, tmp_path / "broken.png", "-f", form, "--min-confidence", "1", "-o", f"{tmp_path}/out/")
    first = caption(*arguments)
    assert first.exit_code == 3
    assert "6 low-confidence" in first.stderr
    before = listing(tmp_path / "out")
    again = caption(*arguments)
    assert again.exit_code == 0
    assert "7 skipped" in again.stderr
    assert listing(tmp_path / "out") == before


def test_readers_of_webdataset_see_only_images_with_captions(caption, photos, tmp_path):
    caption(photos / "a.png", photos / "nothing.png", "-f", "tar", "-o", f"{tmp_path}/out/")
    with tarfile.open(tmp_path / "out/00000.tar") as tar:
        assert tar.getnames() == ["a.png", "a.txt", "a.json", "__others__"]
        assert json.loads(tar.extractfile("__others__").read())["status"] == "missing"


def test_shards_that_would_stay_beside_new_ones_with_the_same_images_are_named(caption, photos, tmp_path):
    arguments = ("-r", photos, "-o", f"{tmp_path}/out/")
    assert caption(*arguments, "--shard-size", "2").exit_code == 0
    done = caption(*arguments, "--shard-size", "3", "--existing", "overwrite")
    assert done.exit_code == 2
    assert "00002.jsonl would stay as an earlier run left it" in done.stderr
    assert caption(*arguments, "--shard-size", "2", "--existing", "overwrite").exit_code == 0


def test_a_report_replaces_no_image_archive_or_shard(caption, photos, archive, tmp_path):
    copy = tmp_path / "photo.jpg"
    shutil.copy(photos / "b.jpg", copy)
    for report, said in ((copy, "is an image"), (archive, "is one of the photographs")):
        before = report.read_bytes()
        done = caption(copy, archive, "-o", tmp_path / "out/", "--report", report)
        assert (done.exit_code, report.read_bytes()) == (2, before)
        assert said in done.stderr
    (tmp_path / "out").mkdir(exist_ok=True)
    done = caption(copy, "-o", tmp_path / "out/", "--report", tmp_path / "out/00000.jsonl")
    assert "is among the shards" in done.stderr


def test_the_size_of_shards_without_shards_is_refused(caption, photos, tmp_path):
    done = caption(photos / "a.png", "-o", tmp_path / "captions.jsonl", "--shard-size", "5")
    assert (done.exit_code, done.stderr) == (
        2, "capgen: --shard-size is about shards: give --output a folder, ending in /\n",
    )  # fmt: skip
