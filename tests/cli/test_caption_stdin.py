"""``capgen caption -``: an image or a list on the standard input, and lists in files."""

import json
import os

import pytest
from support.commands import here, refused
from support.paths import ROOT

CAT, COFFEE = ((ROOT / "examples" / name).read_bytes() for name in ("cat.jpg", "coffee.jpg"))


@pytest.fixture
def folder(fake, monkeypatch):
    """The folder that the command runs in, with two photographs."""
    (fake / "here").mkdir()
    monkeypatch.chdir(fake / "here")
    (fake / "here/cat.jpg").write_bytes(CAT)
    (fake / "here/#3.jpg").write_bytes(COFFEE)
    return fake / "here"


def paths(done):
    return [line.split("\t")[0] for line in done.stdout.splitlines()]


def test_an_image_on_stdin_prints_its_caption_alone(folder):
    done = here("caption", "-", stdin=CAT)
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout == here("caption", "cat.jpg").stdout


def test_an_image_on_stdin_is_called_by_a_hyphen_beside_others_and_in_every_format(folder):
    assert paths(here("caption", "-", "cat.jpg", stdin=COFFEE)) == ["-", "cat.jpg"]
    assert json.loads(here("caption", "-", "-f", "jsonl", stdin=CAT).stdout)["path"] == "-"
    assert here("caption", "-", "-f", "csv", stdin=CAT).stdout.splitlines()[1].startswith("-,")
    assert json.loads(here("caption", "-", "-f", "coco", stdin=CAT).stdout)[0]["image_id"] == "-"


@pytest.mark.parametrize("name", ["o.jsonl", "o.csv", "o.txt", "o.json"])
def test_a_file_of_captions_holds_the_caption_of_the_image_that_was_on_stdin_last(folder, name):
    for image in (CAT, COFFEE):
        assert here("caption", "-", "-o", name, stdin=image).returncode == 0
        again = here("caption", "-", "-o", name, stdin=image)
        assert "-: skipped: it has a caption" in again.stderr
    expected = here("caption", "-", stdin=COFFEE).stdout.strip()
    text = (folder / name).read_text()
    assert expected in text
    assert here("caption", "-", stdin=CAT).stdout.strip() not in text


@pytest.mark.parametrize("option", [("--sidecar", ".txt"), ("--xmp",), ("--embed",)])
def test_the_caption_of_an_image_on_stdin_is_not_put_beside_or_into_it(folder, option):
    refused(here("caption", "-", *option, stdin=CAT), option[0], "stdin", "--output", code=2)


def test_an_image_on_stdin_is_not_captioned_into_shards_explained_or_taken_for_a_list(folder):
    refused(here("caption", "-", "-o", "shards/", stdin=CAT), "shards", "stdin", code=2)
    refused(here("caption", "-", "--explain", "x.png", stdin=CAT), "--explain", "name its file", code=2)
    refused(here("caption", "-0", "-", stdin=CAT), "stdin is an image", "leave out -0", code=2)


def test_what_would_become_of_an_image_on_stdin_is_told(folder):
    assert here("caption", "-", "-o", "o.csv", "--dry-run", stdin=CAT).stdout == "-: would write o.csv\n"


def test_a_damaged_image_on_stdin_is_one(folder):
    done = here("caption", "-", stdin=CAT[:3000])
    assert done.returncode == 3
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_an_image_in_the_place_of_a_list_is_noticed(folder):
    refused(here("caption", "--from-file", "cat.jpg"), "cat.jpg: it is an image", "leave out --from-file", code=2)


def test_a_list_with_zero_bytes_says_how_it_is_read(folder):
    listed = b"cat.jpg\0#3.jpg\0"
    refused(here("caption", "-", stdin=listed), "zero bytes", "-0", code=2)
    assert paths(here("caption", "-0", "-", stdin=listed)) == ["cat.jpg", "#3.jpg"]


def test_a_list_that_begins_with_the_letters_of_a_format_is_a_list(folder):
    (folder / "GIF89a.jpg").write_bytes(CAT)
    assert paths(here("caption", "-", "-f", "csv", stdin=b"GIF89a.jpg\n"))[1].startswith("GIF89a.jpg,")
    assert here("caption", "-0", "-", stdin=b"GIF89a.jpg\0").returncode == 0


def test_a_list_may_have_a_byte_order_mark_remarks_and_the_home_folder(folder, monkeypatch):
    home = folder / "home"
    home.mkdir()
    (home / "b.jpg").write_bytes(CAT)
    monkeypatch.setenv("HOME", str(home))
    listed = "\ufeff# my photographs\r\n~/b.jpg\r\n#cat.jpg\r\ncat.jpg\r\n"
    (folder / "list.txt").write_bytes(listed.encode())
    expected = [str(home / "b.jpg"), "cat.jpg"]
    assert paths(here("caption", "--from-file", "list.txt")) == expected
    assert paths(here("caption", "-", stdin=listed.encode())) == expected


def test_a_file_whose_name_begins_like_a_remark_or_the_home_folder_is_found_by_its_name(folder):
    (folder / "~").mkdir()
    (folder / "~/x.jpg").write_bytes(CAT)
    assert paths(here("caption", "-", stdin=b"#3.jpg\n./#3.jpg\n~/x.jpg\n")) == ["#3.jpg", "~/x.jpg"]


def test_paths_with_zero_bytes_between_them_are_taken_as_they_stand(folder):
    done = here("caption", "-0", "-", stdin=b"#none.jpg\0~/none.jpg\0")
    assert "#none.jpg: " in done.stderr
    assert "~/none.jpg: " in done.stderr


def test_paths_are_found_from_the_list_if_they_are_not_found_from_here_which_is_said_once(folder):
    lists = folder / "lists"
    lists.mkdir()
    for name in ("cat.jpg", "b.jpg", "c.jpg", "#d.jpg"):
        (lists / name).write_bytes(COFFEE)
    (lists / "list.txt").write_text("cat.jpg\nb.jpg\nc.jpg\n#d.jpg\n")
    done = here("caption", "--from-file", "lists/list.txt")
    assert paths(done) == ["cat.jpg", *(os.path.join("lists", name) for name in ("b.jpg", "c.jpg", "#d.jpg"))]  # noqa: PTH118
    assert done.stderr.count("are taken from lists") == 1
    assert here("caption", "-q", "--from-file", "lists/list.txt").stderr == ""
