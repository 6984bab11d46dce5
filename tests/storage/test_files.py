"""Files that appear whole or not at all."""

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from capgen.errors import StorageError
from capgen.storage import files


def names(folder):
    return [path.name for path in folder.iterdir()]


def failing(number, after=0):
    """Return a stand-in for a call of the operating system that fails, if need be only after some that do nothing."""
    left = [after]

    def fail(*_, **__):
        if left[0] == 0:
            raise OSError(number, os.strerror(number))
        left[0] -= 1

    return fail


def test_a_file_is_written_with_the_folders_above_it(tmp_path):
    files.write_bytes(tmp_path / "a/b/c.bin", b"\x00\xff")
    assert (tmp_path / "a/b/c.bin").read_bytes() == b"\x00\xff"


@pytest.mark.parametrize(
    "write", [files.write_bytes, lambda path, data, **options: files.write_text(path, data.decode(), **options)]
)
def test_a_missing_folder_is_an_error_where_none_may_be_made(tmp_path, write):
    with pytest.raises(StorageError, match=r"cannot write .*a\.txt: its folder is gone"):
        write(tmp_path / "gone/a.txt", b"a caption", make_folders=False)
    assert names(tmp_path) == []
    write(tmp_path / "a.txt", b"a caption", make_folders=False)
    assert (tmp_path / "a.txt").read_bytes() == b"a caption"


def test_a_folder_that_goes_away_while_a_file_is_written_is_not_made_anew(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()

    def write(file):
        file.write(b"a caption")
        folder.rename(tmp_path / "moved")

    with pytest.raises(StorageError, match="its folder is gone"):
        files.write_with(folder / "a.txt", write, make_folders=False)
    assert names(tmp_path) == ["moved"]


def test_a_file_that_exists_is_replaced(tmp_path):
    (tmp_path / "file").write_text("a long old text")
    files.write_text(tmp_path / "file", "né\n")
    assert (tmp_path / "file").read_bytes() == "né\n".encode()


def test_json_is_read_back_as_it_was(tmp_path):
    files.write_json(tmp_path / "a.json", {"name": "café", "scores": [0.5, None]})
    text = (tmp_path / "a.json").read_text("utf-8")
    assert "café" in text
    assert json.loads(text) == {"name": "café", "scores": [0.5, None]}


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "😀" * 63])
def test_the_longest_names_can_be_written(tmp_path, name):
    files.write_bytes(tmp_path / name, b"data")
    assert names(tmp_path) == [name]


def test_a_file_gets_the_permissions_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        files.write_bytes(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


@pytest.mark.parametrize("error", [ValueError("half"), KeyboardInterrupt()])
def test_an_error_in_the_middle_leaves_the_old_file_and_nothing_else(tmp_path, error):
    (tmp_path / "file").write_text("old")

    def write(file):
        file.write(b"new and unfinish")
        raise error

    with pytest.raises(type(error)):
        files.write_with(tmp_path / "file", write)
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, call):
    (tmp_path / "file").write_text("old")
    monkeypatch.setattr(os, call, failing(errno.ENOSPC))
    with pytest.raises(StorageError, match="file: the disk is full; free some space"):
        files.write_text(tmp_path / "file", "new")
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.parametrize(
    ("number", "what_to_do"),
    [
        (errno.ENOSPC, "the disk is full; free some space"),
        (errno.EDQUOT, "quota is used up; free some space"),
        (errno.EROFS, "read-only; choose another folder"),
        (errno.EACCES, "permission denied; choose another folder"),
        (errno.EPERM, "permission denied; choose another folder"),
        (errno.EIO, "the disk cannot be written to; choose another one"),
    ],
)
def test_a_storage_error_names_the_file_and_says_what_to_do(tmp_path, monkeypatch, number, what_to_do):
    monkeypatch.setattr(os, "fsync", failing(number))
    with pytest.raises(StorageError) as caught:
        files.write_bytes(tmp_path / "scores.json", b"{}")
    assert str(tmp_path / "scores.json") in str(caught.value)
    assert what_to_do in str(caught.value)


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path):
    (tmp_path / "target").mkdir()
    with pytest.raises(StorageError, match="target: it is a folder"):
        files.write_bytes(tmp_path / "target", b"")


@pytest.mark.parametrize("below", ["file", "file/deeper"])
def test_a_file_in_the_place_of_a_folder_is_named(tmp_path, below):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="a part of its path is a file, not a folder"):
        files.write_bytes(tmp_path / below / "new", b"")


def test_a_folder_is_written_whole(tmp_path):
    files.write_folder(tmp_path / "up/target", {"a": b"1", "b": b"2"})
    assert {path.name: path.read_bytes() for path in (tmp_path / "up/target").iterdir()} == {"a": b"1", "b": b"2"}
    assert names(tmp_path / "up") == ["target"]


def test_a_folder_that_exists_is_replaced_whole(tmp_path):
    files.write_folder(tmp_path / "target", {"a": b"1", "b": b"2"})
    files.write_folder(tmp_path / "target", {"b": b"3"})
    assert names(tmp_path) == ["target"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "target").iterdir()} == {"b": b"3"}


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_folder_is_written_where_the_file_system_cannot_say_when_data_is_on_the_disk(tmp_path, monkeypatch, number):
    monkeypatch.setattr(os, "fsync", failing(number))
    files.write_folder(tmp_path / "target", {"a": b"1"})
    assert (tmp_path / "target/a").read_bytes() == b"1"


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127])
def test_a_folder_with_the_longest_name_can_be_written(tmp_path, name):
    files.write_folder(tmp_path / name, {"a": b"1"})
    assert names(tmp_path) == [name]


def test_a_folder_half_written_leaves_the_old_one_and_nothing_else(tmp_path, monkeypatch):
    files.write_folder(tmp_path / "target", {"a": b"old"})
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC, after=1))
    with pytest.raises(StorageError):
        files.write_folder(tmp_path / "target", {"a": b"new", "b": b"new"})
    assert names(tmp_path) == ["target"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "target").iterdir()} == {"a": b"old"}


def test_a_folder_that_cannot_take_its_place_leaves_the_old_one(tmp_path, monkeypatch):
    files.write_folder(tmp_path / "target", {"a": b"old"})
    rename = os.rename

    def only_away(source, target, **more):
        if Path(target) == tmp_path / "target" and Path(source).name == "new":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rename(source, target, **more)

    monkeypatch.setattr(os, "rename", only_away)
    with pytest.raises(StorageError):
        files.write_folder(tmp_path / "target", {"a": b"new"})
    assert names(tmp_path) == ["target"]
    assert (tmp_path / "target/a").read_bytes() == b"old"


@pytest.mark.parametrize("leads_to", ["kept", "nothing"])
def test_a_folder_replaces_a_link_and_not_what_it_leads_to(tmp_path, leads_to):
    files.write_folder(tmp_path / "kept", {"a": b"old"})
    (tmp_path / "target").symlink_to(leads_to)
    with pytest.raises(StorageError):
        files.write_folder(tmp_path / "target", {"a/b": b"cannot be written"})
    assert (tmp_path / "target").readlink() == Path(leads_to)
    files.write_folder(tmp_path / "target", {"a": b"new"})
    assert not (tmp_path / "target").is_symlink()
    assert (tmp_path / "target/a").read_bytes() == b"new"
    assert (tmp_path / "kept/a").read_bytes() == b"old"
    assert sorted(names(tmp_path)) == ["kept", "target"]


def test_an_error_about_a_file_of_a_folder_names_the_place_the_user_knows(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
    with pytest.raises(StorageError) as caught:
        files.write_folder(tmp_path / "target", {"a": b"1"})
    assert f"cannot write {tmp_path / 'target'}" in str(caught.value)
    assert ".part" not in str(caught.value)


def test_making_a_folder_that_exists_is_no_error(tmp_path):
    assert files.make_folder(files.make_folder(tmp_path / "a/b")) == tmp_path / "a/b"


def test_making_a_folder_where_a_file_is_fails(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot write .*file"):
        files.make_folder(tmp_path / "file")


def test_a_hash_is_the_sha_256_of_the_bytes(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert files.sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_temporary_file_that_cannot_be_taken_over_blocks_nothing(tmp_path):
    left = tmp_path / ".file.part"
    left.symlink_to(tmp_path / "elsewhere")  # nor is it followed
    files.write_bytes(tmp_path / "file", b"data")
    assert (tmp_path / "file").read_bytes() == b"data"
    assert left.is_symlink()
    assert not (tmp_path / "elsewhere").exists()
