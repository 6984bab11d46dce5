"""Images and results at URLs: names, a web server of the tests' own, and files in archives."""

import functools
import json
import os
import pickle
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.archives import zipped
from support.drawing import draw_each, drawn

from capgen import images
from capgen.errors import ImageError, UsageError
from capgen.inputs.selection import Found, Selection
from capgen.storage import locations, remote
from capgen.storage.hashing import hash64
from capgen.storage.locations import Url, located


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Four drawn images, one of them in a sub-folder, and one that is broken."""
    folder = tmp_path_factory.mktemp("photos")
    return draw_each(folder, "a.png", "b.jpg", "c.webp", "deep/d.png")


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder; refuses one name, is busy with another at first, and breaks off or never ends with others."""

    busy = []  # noqa: RUF012 - the codes of the next answers to all requests
    breaks = []  # noqa: RUF012 - after how many bytes of the file the next answers break off

    def do_GET(self):
        if self.path.startswith("/secret"):
            self.send_error(403)
        elif self.path.startswith("/busy"):
            self.path = "/a.png"
            if not self.busy:
                super().do_GET()
                return
            self.send_response(self.busy.pop(0))
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path.startswith("/breaking"):
            self.send_breaking((Path(self.directory) / "a.png").read_bytes())
        elif self.path.startswith("/short"):
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"\xff\xd8\xff" + bytes(1000))
        elif self.path.startswith("/endless"):
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(bytes(1 << 16))
            except OSError:
                pass
        else:
            super().do_GET()

    def send_breaking(self, data):
        """Send a file, or a part of it if the address says that the server can, and break off if it is time to."""
        end = self.breaks.pop(0) if self.breaks else len(data)
        asked = self.headers.get("Range") if "parts" in self.path else None
        begin, _, last = (asked or "bytes=0-").removeprefix("bytes=").partition("-")
        begin, data = int(begin), data[: int(last) + 1] if last else data
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(data) - begin))
        if "nameless" not in self.path:
            self.send_header("ETag", f'"{len(self.breaks)}"' if "changing" in self.path else '"a"')
        self.end_headers()
        self.wfile.write(data[begin:end])

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def web(photos):
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=photos))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


# names


@pytest.mark.parametrize("text", ["s3://bucket/a//b.jpg", "https://host/x.jpg?of=http://a/b#c", "gs://b/./a.jpg"])
def test_a_url_stays_as_it_was_given(text):
    url = located(text)
    assert isinstance(url, Url)
    assert str(url) == str(pickle.loads(pickle.dumps(url))) == text
    assert url == Url(text) != Path(text)
    assert {url: 1}[Url(text)]


def test_a_url_has_the_ending_of_its_file():
    assert located("https://host/data.TAR?token=a/b.c").suffix == ".TAR"
    assert located("https://host/data.TAR?token=a/b.c").stem == "data"
    assert located("s3://bucket/what?.jpg").name == "what?.jpg"
    assert located("s3://bucket/folder/").suffix == ""


@pytest.mark.parametrize(
    ("folder", "name", "joined"),
    [
        ("s3://bucket/in", "a.jpg", "s3://bucket/in/a.jpg"),
        ("s3://bucket/in/", "sub/a.jpg", "s3://bucket/in/sub/a.jpg"),
        ("s3://bucket/in//", "a.jpg", "s3://bucket/in/a.jpg"),
        ("s3://bucket/in", "/a.jpg", "s3://bucket/in//a.jpg"),  # the name of a key may begin with a slash
        ("s3://bucket/what?", "a.jpg", "s3://bucket/what?/a.jpg"),
        ("https://host/in/?token=a/b#c", "a.jpg", "https://host/in/a.jpg"),
    ],
)
def test_a_name_is_joined_to_a_url_with_a_slash(folder, name, joined):
    assert Url(folder) / name == Url(joined)
    assert locations.join(folder, name) == joined


@pytest.mark.parametrize(
    ("text", "parent"),
    [
        ("s3://bucket/a/b.jpg", "s3://bucket/a"),
        ("s3://bucket/a/", "s3://bucket"),
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket/"),
        ("https://host/in/a.jpg?of=http://other/b#c", "https://host/in"),
    ],
)
def test_the_parent_of_a_url_is_its_folder(text, parent):
    assert Url(text).parent == Url(parent)


def test_the_path_from_a_folder_elsewhere_to_a_file_in_it():
    assert Url("s3://bucket/in/sub/a.jpg").relative_to(Url("s3://bucket/in/")) == "sub/a.jpg"
    assert Url("https://host/in/a.jpg?of=b/c").relative_to(Url("https://host/in")) == "a.jpg?of=b/c"
    assert Found(Url("s3://bucket/in/a.jpg"), Url("s3://bucket/in")).relative_path == "a.jpg"


def test_a_url_is_no_path_and_cannot_be_mistaken_for_one():
    url = Url("s3://bucket/a.jpg")
    with pytest.raises(TypeError):
        Path(url)
    with pytest.raises(TypeError):
        os.fspath(url)
    assert not isinstance(url, os.PathLike)


def test_what_is_located_already_stays_as_it_is():
    assert located(Url("s3://bucket//a.jpg")) == Url("s3://bucket//a.jpg")
    assert located(Path("s3:/bucket/a.jpg")) == Path("s3:/bucket/a.jpg")


def test_a_file_at_a_url_has_no_local_path():
    with pytest.raises(UsageError, match=r"s3://bucket/a\.jpg is not a file of this machine"):
        Found(Url("s3://bucket/a.jpg"), Url("s3://bucket")).local()
    assert Found(Path("in/a.jpg"), Path("in")).local() == (Path("in/a.jpg"), Path("in"))


def test_the_hash_of_a_location_is_that_of_its_text():
    assert hash64(Url("s3://bucket//a.jpg")) == hash64("s3://bucket//a.jpg")
    assert hash64(Path("in/a.jpg")) == hash64("in/a.jpg")


@pytest.mark.parametrize("text", ["photos/a.jpg", "/photos//a.jpg", "C:/a.jpg", "s3:/bucket/a.jpg", "://a"])
def test_a_path_is_no_url(text):
    assert not isinstance(located(text), Url)


def test_a_missing_package_is_one_line_that_says_what_to_install():
    with pytest.raises(UsageError, match=r"pip install 'capgen\[remote\]'"):
        locations.check_writable("abfs://container/folder/")


def test_an_unknown_kind_of_url_is_one_line(caption):
    done = caption("nonsense://host/a.jpg")
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1


# the web


def test_an_image_on_the_web_prints_its_caption(caption, web, photos):
    done = caption(f"{web}/a.png")
    assert done.exit_code == 0
    assert done.stdout == caption(photos / "a.png").stdout


def test_errors_on_the_web_become_the_images_status(caption, web):
    done = caption("-f", "jsonl", f"{web}/a.png", f"{web}/none.png", f"{web}/secret.png", f"{web}/short.jpg")
    assert done.exit_code == 3
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["status"] for row in rows] == ["captioned", "missing", "denied", "unreadable"]
    assert rows[1]["path"] == f"{web}/none.png"
    assert "Traceback" not in done.stderr


def test_a_server_that_is_not_there_is_one_line(caption):
    done = caption("http://127.0.0.1:9/a.jpg")
    assert done.exit_code == 3
    assert done.stderr.startswith(
        "capgen: http://127.0.0.1:9/a.jpg: it cannot be fetched: there is no connection to 127.0.0.1"
    )
    assert len(done.stderr.splitlines()) == 1


def test_an_image_that_never_ends_is_too_large(web, monkeypatch):
    monkeypatch.setattr("capgen.images.sources.MAX_BYTES", 1 << 20)
    with pytest.raises(ImageError, match="more than 1,048,576 bytes") as raised:
        images.read_bytes(f"{web}/endless.jpg")
    assert raised.value.status == "too-large"


def test_the_web_cannot_be_written_to(caption, web, photos):
    done = caption(photos / "a.png", "-o", f"{web}/out/")
    assert done.exit_code == 2
    assert "can only be read" in done.stderr


@pytest.mark.parametrize(
    "options", [["--sidecar", ".txt"], ["--xmp"], ["--watch"], ["--explain", "sheet.png"], ["-o", "s3://bucket/lines.jsonl"]]
)
def test_what_needs_a_folder_here_is_wrong_usage(caption, web, options):
    done = caption(f"{web}/a.png", *options)
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("codes", [[429], [503, 502], [500, 504, 503, 429]])
def test_what_a_busy_web_server_refuses_is_asked_for_again(web, photos, codes):
    Handler.busy[:] = codes
    assert images.read_bytes(f"{web}/busy.png") == (photos / "a.png").read_bytes()


def test_a_web_server_that_stays_busy_is_given_up(web):
    Handler.busy[:] = [503] * 9
    with pytest.raises(ImageError, match="503"):
        images.read_bytes(f"{web}/busy.png")
    assert len(Handler.busy) == 4
    Handler.busy.clear()


@pytest.mark.parametrize("name", ["breaking.png", "breaking-parts.png"])
def test_what_breaks_off_on_the_web_is_gone_on_with(web, photos, name, monkeypatch):
    monkeypatch.setattr(remote, "_PAUSES", (0, 0, 0))
    Handler.breaks[:] = [0, 100, 50]
    assert images.read_bytes(f"{web}/{name}") == (photos / "a.png").read_bytes()
    assert not Handler.breaks


def test_a_part_of_a_file_on_the_web_that_breaks_off_is_asked_for_again(web, photos, monkeypatch):
    monkeypatch.setattr(remote, "_PAUSES", (0, 0, 0))
    data = (photos / "a.png").read_bytes()
    Handler.breaks[:] = [10_000, 50, 10_000, 60, 0]  # all of it is sent to whoever asks how large it is
    with remote.open_seekable(f"{web}/breaking-parts.png") as file:
        file.seek(-90, os.SEEK_END)
        assert file.read(90) == data[-90:]
        file.seek(0)
        assert file.read(100) == data[:100]
    assert not Handler.breaks


@pytest.mark.parametrize(
    ("name", "said"),
    [("breaking-changing.png", "it changed"), ("breaking-nameless.png", "not completed"), ("breaking.png", "not completed")],
)
def test_what_breaks_off_again_and_again_or_may_have_changed_is_unreadable(web, name, said, monkeypatch):
    monkeypatch.setattr(remote, "_PAUSES", (0, 0, 0))
    Handler.breaks[:] = [100] * 99
    with pytest.raises(ImageError, match=said) as raised:
        images.read_bytes(f"{web}/{name}")
    assert raised.value.status == "unreadable"
    Handler.breaks.clear()


def test_an_archive_on_the_web_may_take_longer_than_five_minutes_but_not_be_silent():
    system, _ = remote._file_system("https://example.org/data.tar")
    limits = system.client_kwargs["timeout"]
    assert (limits.total, limits.sock_read) == (None, 60)


# files in archives


def test_two_colons_in_a_name_do_not_begin_another_address(tmp_path, photos):
    assert Url("s3://b/a::b.jpg").name == "a::b.jpg"
    assert (Url("s3://b/d") / "a::b.jpg").relative_to(Url("s3://b/d")) == "a::b.jpg"
    archive = zipped(tmp_path / "x.zip", [("a::b.jpg", (photos / "b.jpg").read_bytes())])
    [found] = Selection(recursive=True).find([f"zip://::{archive}"])
    assert found.relative_path == "a::b.jpg"
    assert images.read_bytes(found.path) == (photos / "b.jpg").read_bytes()


@pytest.mark.parametrize(
    ("url", "name", "parent", "below"),
    [
        ("zip://a.jpg::x.zip", "a.jpg", "zip://::x.zip", "a.jpg"),
        ("zip://d/a.jpg::s3://bucket/x.zip", "a.jpg", "zip://d::s3://bucket/x.zip", "a.jpg"),
        ("zip://::x.zip", "zip:", "zip://::x.zip", ""),
    ],
)
def test_the_url_of_a_file_in_an_archive_keeps_the_archive(url, name, parent, below):
    assert Url(url).name == name
    assert Url(url).parent == Url(parent)
    assert Url(url).relative_to(Url(parent)) == below
    assert Url(parent) / "b.jpg" == Url(parent.replace("::", "b.jpg::" if "://::" in parent else "/b.jpg::", 1))


def test_the_images_of_an_archive_are_found_by_its_url(tmp_path):
    archive = zipped(tmp_path / "x.zip", [("a.png", drawn(0)), ("d/b.png", drawn(1)), ("notes.txt", b"")])
    found = list(Selection(recursive=True).find([f"zip://::{archive}"]))
    assert [file.relative_path for file in found] == ["a.png", "d/b.png"]
    assert [images.read_bytes(file.path) for file in found] == [drawn(0), drawn(1)]


@pytest.mark.parametrize("url", ["{}/x.zip", "zip://a.png::{}/x.zip", "zip://::{}/x.zip"])
def test_of_an_archive_on_a_server_that_sends_files_as_a_whole_it_is_said_to_be_downloaded(caption, web, photos, url):
    zipped(photos / "x.zip", [("a.png", drawn(0))])
    done = caption("-r", url.format(web))
    assert done.exit_code == 3
    assert f"{url.format(web)}: its server sends files as a whole" in done.stderr
    assert "download it first" in done.stderr


@pytest.mark.parametrize("url", ["https://example.org/data.tar", "zip://a.png::https://example.org/x.zip"])
def test_the_web_is_asked_again_also_for_archives(url, monkeypatch):
    given = []

    def url_to_fs(url, **options):
        given.append(options)
        return None, ""

    monkeypatch.setattr("fsspec.core.url_to_fs", url_to_fs)
    remote._file_system(url)
    assert given[0]["https"]["client_kwargs"]["middlewares"]


def test_an_archive_that_is_damaged_is_an_unreadable_image_and_no_fault_of_the_program(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"no archive")
    with pytest.raises(ImageError, match="it cannot be fetched"):
        images.read_bytes(f"zip://a.png::{tmp_path}/x.zip")
