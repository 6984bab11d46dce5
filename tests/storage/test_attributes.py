"""A file that is written anew keeps everything but its content, also on file systems that refuse a nicety."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import invoked
from support.drawing import draw_each
from support.tools import require_tool

from capgen.errors import StorageError
from capgen.storage import files, platform
from capgen.storage.write_into import write_into

posix = pytest.mark.skipif(not hasattr(os, "listxattr"), reason="Python knows extended attributes on Linux only")
as_root = pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="only root gives files away")


@pytest.fixture
def file(tmp_path):
    """A file of some text."""
    path = tmp_path / "file"
    path.write_text("old words")
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def access(path):
    return subprocess.run(["getfacl", "-cpn", path], capture_output=True, text=True, check=True).stdout.split()


def refusing(number):
    def refuse(*arguments, **_):
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_permissions_stay(file, mode):
    file.chmod(mode)
    files.write_text(file, "new")
    assert (stat.S_IMODE(file.stat().st_mode), file.read_text()) == (mode, "new")


@as_root
def test_owner_and_group_stay(file):
    os.chown(file, 1000, 1002)
    file.chmod(0o640)
    files.write_text(file, "new")
    status = file.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1000, 1002, 0o640)


@posix
def test_extended_attributes_stay(file):
    os.setxattr(file, "user.xdg.tags", b"holiday")
    files.write_text(file, "new")
    assert os.getxattr(file, "user.xdg.tags") == b"holiday"
    assert file.read_text() == "new"


def test_access_lists_stay_and_nobody_gains_rights(file):
    require_tool("setfacl")
    subprocess.run(["setfacl", "-m", "u:1001:rw", file], check=True)
    before = access(file)
    files.write_text(file, "new")
    assert access(file) == before
    assert "group::r--" in before


def test_a_file_without_an_access_list_gets_none_in_a_folder_with_defaults(file):
    require_tool("setfacl")
    subprocess.run(["setfacl", "-d", "-m", "u:1001:rwX", file.parent], check=True)
    before = access(file)
    files.write_text(file, "new")
    assert access(file) == before


def test_a_new_file_gets_what_the_folder_gives(tmp_path):
    require_tool("setfacl")
    tmp_path.chmod(0o2775)
    subprocess.run(["setfacl", "-d", "-m", "g:1002:rwX", "-m", "u:1001:rwX", tmp_path], check=True)
    (tmp_path / "touched").touch()
    files.write_text(tmp_path / "new", "new")
    assert access(tmp_path / "new") == access(tmp_path / "touched")
    assert "mask::rw-" in access(tmp_path / "new")


@pytest.mark.parametrize("text", ["longer than the old words", "new"])
def test_hard_links_stay(file, text):
    other = file.with_name("other name")
    os.link(file, other)
    files.write_text(file, text)
    assert other.read_text() == text
    assert other.samefile(file)
    assert names(file.parent) == ["file", "other name"]


def test_a_disk_that_is_full_while_a_file_with_two_names_is_written_leaves_the_old_words(file, monkeypatch):
    os.link(file, file.with_name("other name"))
    source = file.with_name("source")
    source.write_text("new and longer than before")
    real, calls = os.fsync, []

    def first_fails(descriptor):
        calls.append(descriptor)
        if len(calls) == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", first_fails)
    with pytest.raises(OSError, match="No space left"):
        write_into(str(file), str(source))
    assert file.read_text() == "old words"


@pytest.mark.parametrize("executable", [None, "/nowhere/python", "/bin/false"])
def test_a_file_with_two_names_is_written_with_and_without_a_process_of_its_own(file, monkeypatch, executable):
    os.link(file, file.with_name("other name"))
    if executable:
        monkeypatch.setattr(sys, "executable", executable)
    files.write_text(file, "new")
    assert file.with_name("other name").read_text() == "new"
    assert names(file.parent) == ["file", "other name"]


def test_what_keeps_a_file_with_two_names_from_being_written_is_said(file):
    os.link(file, file.with_name("other name"))
    with pytest.raises(StorageError, match=f"cannot write {file}"), files.writing(file) as out:
        out.write(b"new")
        file.unlink()
    assert file.with_name("other name").read_text() == "old words"


@pytest.mark.parametrize("call", ["fchown", "fchmod"])
def test_what_cannot_be_given_to_another_file_is_kept_by_writing_into_the_file(file, monkeypatch, call):
    file.chmod(0o664)
    inode = file.stat().st_ino
    if call == "fchown":
        monkeypatch.setattr(os, "fstat", lambda descriptor: os.stat_result([0o100600, 0, 0, 1, 54321, 54321, *[0] * 4]))
        monkeypatch.setattr(os.path, "samestat", lambda *_: True)
    monkeypatch.setattr(os, call, refusing(errno.EPERM))
    files.write_text(file, "new")
    assert (file.read_text(), file.stat().st_ino, stat.S_IMODE(file.stat().st_mode)) == ("new", inode, 0o664)
    assert names(file.parent) == ["file"]


AS_ANOTHER = """
import os, subprocess, sys  # all, as the packages may be out of reach for the other user
from pathlib import Path
from capgen.errors import StorageError
from capgen.storage import files
os.setgroups([]); os.setgid(1001); os.setuid(1001)
for name in sys.argv[2:]:
    try:
        files.write_text(Path(sys.argv[1]) / name, "new words")
    except StorageError as error:
        print(error)
"""


@as_root
def test_another_users_file_that_may_be_written_stays_theirs_and_one_that_may_not_is_named(tmp_path):
    for folder in (tmp_path, *tmp_path.parents):  # pytest lets nobody else into its folders
        if folder.name.startswith(("test_", "pytest-", "popen-")):
            folder.chmod(0o755)
    for folder, allowed in (("open", 0o777), ("closed", 0o755)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder).chmod(allowed)
        for name, mode in (("theirs", 0o666), ("read-only", 0o444)):
            (tmp_path / folder / name).write_text("old words")
            os.chown(tmp_path / folder / name, 1000, 1000)
            (tmp_path / folder / name).chmod(mode)
    wanted = ["open/theirs", "closed/theirs", "open/read-only", "closed/new"]
    done = subprocess.run([sys.executable, "-c", AS_ANOTHER, tmp_path, *wanted], capture_output=True, text=True, check=True)
    for name in ("open/theirs", "closed/theirs"):
        status = (tmp_path / name).stat()
        assert ((tmp_path / name).read_text(), status.st_uid, stat.S_IMODE(status.st_mode)) == ("new words", 1000, 0o666)
    assert (tmp_path / "open/read-only").read_text() == "old words"
    assert [line.split(":")[1] for line in done.stdout.splitlines()] == [
        " permission denied; choose another folder or change its permissions"
    ] * 2
    assert sorted(names(tmp_path / "open") + names(tmp_path / "closed")) == ["read-only"] * 2 + ["theirs"] * 2


# File systems that refuse


@pytest.mark.parametrize(
    ("call", "number"),
    [("fchmod", errno.EPERM), ("fsync", errno.EINVAL), ("fsync", errno.ENOTSUP), ("listxattr", errno.ENOTSUP)],
)
def test_a_call_that_a_file_system_does_not_have_costs_no_caption_and_leaves_nothing(fake, monkeypatch, call, number):
    folder = draw_each(fake / "photos", "a.png", "b.png")
    monkeypatch.setattr(os, call, refusing(number))
    options = ("--sidecar", "txt", "--xmp", "--existing", "overwrite")
    for _ in range(2):
        assert invoked("caption", "-r", folder, *options).exit_code == 0
    assert invoked("caption", "-r", folder, "--output", folder / "c.csv", "--existing", "overwrite").exit_code == 0
    assert names(folder) == [".capgen", "a.png", "a.txt", "a.xmp", "b.png", "b.txt", "b.xmp", "c.csv"]


def test_a_lack_is_said_once(fake, monkeypatch):
    folder = draw_each(fake / "photos", "a.png", "b.png")
    monkeypatch.setattr(os, "fsync", refusing(errno.EINVAL))
    assert invoked("caption", "-r", folder, "--sidecar", "txt").stderr.count("cannot say when data is on the disk") == 1


def test_where_there_are_no_locks_captions_are_written_and_nothing_is_left(fake, monkeypatch):
    folder, real = draw_each(fake / "photos", "a.png", "b.png"), platform.lock_file

    def lock(descriptor, **options):
        if Path(f"/proc/self/fd/{descriptor}").readlink().is_relative_to(fake / "data"):
            return real(descriptor, **options)
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    if not Path("/proc/self/fd").exists():
        pytest.skip("the system does not say which file a descriptor is of")
    monkeypatch.setattr(platform, "lock_file", lock)
    for options in (("--sidecar", "txt"), ("--output", folder / "c.csv")):
        done = invoked("caption", "-r", folder, *options)
        assert done.exit_code == 0
    assert done.stderr.count("has no locks") == 1
    assert names(folder) == [".capgen", "a.png", "a.txt", "b.png", "b.txt", "c.csv"]


def test_a_file_that_a_killed_write_has_left_does_not_stay(file):
    (file.parent / ".file.part").write_text("half")
    files.write_text(file, "new")
    assert names(file.parent) == ["file"]
