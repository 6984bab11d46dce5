"""What is promised of every object store: images are read there and shards written, on an S3 and a Google Cloud Storage."""

import json
import shutil
from pathlib import Path

import pytest
from support import stores
from support.drawing import draw_each

from capgen import images
from capgen.errors import ImageError
from capgen.inputs.selection import Found, Selection
from capgen.storage import locations
from capgen.storage.locations import Url


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Four drawn images, one of them in a sub-folder."""
    return draw_each(tmp_path_factory.mktemp("photos"), "a.png", "b.jpg", "c.webp", "deep/d.png")


@pytest.fixture(scope="module", params=[stores.amazon, stores.google], ids=["s3", "gs"])
def store(request, photos):
    """A store with the images under ``in/``."""
    with request.param() as made:
        for path in filter(Path.is_file, photos.rglob("*")):
            made.put(f"in/{path.relative_to(photos).as_posix()}", path.read_bytes())
        yield made


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("fake")]  # servers are started


def by_name(output):
    """Captions by the images' names, of lines of text."""
    return {path.rpartition("/")[2]: text for path, text in (line.split("\t") for line in output.splitlines())}


def test_a_folder_of_a_store_is_captioned_like_the_same_folder_here(caption, store, photos):
    done = caption("-r", f"{store.url}/in/")
    assert done.exit_code == 0
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == [
        f"{store.url}/in/{name}" for name in ("a.png", "b.jpg", "c.webp", "deep/d.png")
    ]
    assert by_name(done.stdout) == by_name(caption("-r", photos).stdout)


def test_patterns_choose_in_a_folder_of_a_store(store):
    chosen = Selection(recursive=True, exclude=("deep",), include=("*.png",)).find([f"{store.url}/in/"])
    assert list(chosen) == [Found(Url(f"{store.url}/in/a.png"), Url(f"{store.url}/in/"))]
    everything = Selection(recursive=True).find([f"{store.url}/in"])
    assert [found.relative_path for found in everything] == ["a.png", "b.jpg", "c.webp", "deep/d.png"]


def test_a_file_of_lines_goes_on_with_urls(caption, store, tmp_path):
    lines = tmp_path / "lines.jsonl"
    assert caption(f"{store.url}/in/a.png", "-o", lines).exit_code == 0
    done = caption("-r", f"{store.url}/in", "-o", lines)
    assert "3 captioned in" in done.stderr
    assert "; 1 skipped: " in done.stderr
    assert json.loads(lines.read_text().splitlines()[0])["path"] == f"{store.url}/in/a.png"
    assert "4 skipped" in caption("-r", f"{store.url}/in/", "-o", lines).stderr


@pytest.mark.parametrize("form", ["jsonl", "parquet", "tar"])
def test_shards_go_to_a_store_and_a_second_run_does_nothing(caption, store, form):
    folder = f"{store.url}/{form}/"
    done = caption("-r", f"{store.url}/in/", "-o", folder, "-f", form, "--shard-size", "3")
    assert done.exit_code == 0, done.stderr
    names = {f"00000.{form}", f"00001.{form}", "00000_stats.json", "00001_stats.json"}
    assert locations.names(folder) == names
    store.changes = 0
    again = caption("-r", f"{store.url}/in/", "-o", folder, "-f", form, "--shard-size", "3")
    assert again.exit_code == 0
    assert "4 skipped" in again.stderr
    assert store.changes == 0


def test_an_archive_of_a_store_is_read_there(caption, store, photos, tmp_path):
    shutil.make_archive(str(tmp_path / "data"), "tar", photos, ".")
    store.put("data.tar", (tmp_path / "data.tar").read_bytes())
    done = caption(f"{store.url}/data.tar")
    assert done.exit_code == 0
    assert by_name(done.stdout) == by_name(caption("-r", photos).stdout)
    assert done.stdout.startswith(f"{store.url}/data.tar/")


STRANGE = ("a::b.jpg", "a#b.jpg", "a?b.jpg", "a%20b.jpg", "a*b.jpg", "a[1].jpg", "d::e/x.jpg", "h;i=j&k.jpg")


def test_keys_are_names_and_neither_patterns_nor_addresses(caption, store, photos):
    for name in STRANGE:
        store.put(f"strange/{name}", (photos / "b.jpg").read_bytes())
    done = caption("--recursive", f"{store.url}/strange/", "--format", "jsonl")
    assert done.exit_code == 0
    rows = list(map(json.loads, done.stdout.splitlines()))
    assert {row["path"] for row in rows} == {f"{store.url}/strange/{name}" for name in STRANGE}
    assert caption(*(f"{store.url}/strange/{name}" for name in STRANGE)).exit_code == 0


def test_a_folder_of_a_store_gives_the_images_in_it_and_says_that_there_are_folders(caption, store):
    done = caption(f"{store.url}/in/")
    assert by_name(done.stdout).keys() == {"a.png", "b.jpg", "c.webp"}
    assert "passed over: 1 folder (--recursive)" in done.stderr


@pytest.mark.parametrize("url", ["{}/none.jpg", "{}-none/none.jpg", "{}-none/"])
def test_what_is_not_in_a_store_is_missing(caption, store, url):
    done = caption("-r", url.format(store.url))
    assert done.exit_code == 3
    assert f"{url.format(store.url)}: there is no" in done.stderr


def test_a_bucket_that_is_not_there_cannot_be_written_to(caption, store, photos):
    done = caption(photos / "a.png", "-o", f"{store.url}-none/out/")
    assert done.exit_code == 1
    assert done.stderr == (f"capgen: cannot write {store.url}-none/out/00000_unfinished: there is no such file or bucket\n")


@pytest.mark.parametrize("code", [429, 503])
def test_what_a_busy_store_refuses_is_asked_for_again(store, photos, code):
    store.busy[:] = [code]
    assert images.read_bytes(f"{store.url}/in/a.png") == (photos / "a.png").read_bytes()
    assert not store.busy


def test_a_store_that_stays_busy_is_given_up_without_a_traceback(store, monkeypatch, capfd):
    async def at_once(*_, **__):
        pass

    monkeypatch.setattr("asyncio.sleep", at_once)
    store.busy[:] = [503] * 99
    with pytest.raises(ImageError) as raised:
        images.read_bytes(f"{store.url}/in/a.png")
    assert raised.value.status == "unreadable"
    assert 0 < len(store.busy) < 99
    store.busy.clear()
    assert "Traceback" not in capfd.readouterr().err
