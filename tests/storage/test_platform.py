"""The command without what only POSIX systems have, in a process of its own in which that is taken away."""

import errno
import fcntl
import os
import subprocess
import sys

import pytest
from support.drawing import draw_each

from capgen.errors import StorageError
from capgen.outputs.stream import locked
from capgen.storage import files, locks, platform

WITHOUT_POSIX = """
import os, pkgutil, sys
for name in ("fcntl", "grp", "pwd", "resource", "syslog", "termios", "tty"):
    sys.modules[name] = None
for name in (
    "O_CLOEXEC", "O_NOFOLLOW", "chown", "fchmod", "fchown", "fork", "getxattr", "killpg", "mkfifo",
    "posix_spawn", "pread", "preadv", "pwrite", "pwritev", "sched_getaffinity", "setsid", "setxattr", "statvfs", "sysconf",
):
    delattr(os, name)
"""

IMPORT_ALL = """
import capgen
for module in pkgutil.walk_packages(capgen.__path__, "capgen."):
    if not module.name.startswith("capgen.training") and not module.name.endswith("__main__"):
        __import__(module.name)
"""

RUN = """
from capgen.cli import main
sys.argv = ["capgen", *sys.argv[1:]]
main()
"""


def without_posix(program, *arguments):
    command = [sys.executable, "-c", WITHOUT_POSIX + program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_runtime_is_imported_without_posix_modules():
    done = without_posix(IMPORT_ALL)
    assert (done.returncode, done.stderr) == (0, "")


def test_help_is_shown_without_posix_modules():
    done = without_posix(RUN, "--help")
    assert done.returncode == 0, done.stderr
    assert "caption" in done.stdout


def test_images_are_captioned_without_posix_modules(tmp_path):
    draw_each(tmp_path, "a.png", "b.jpg")
    done = without_posix(RUN, "caption", "-r", tmp_path)
    assert done.returncode == 0, done.stderr
    assert [line.partition("\t")[0] for line in done.stdout.splitlines()] == [f"{tmp_path}/a.png", f"{tmp_path}/b.jpg"]


def test_a_file_is_written_whole_where_an_open_one_cannot_be_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(platform, "CAN_REPLACE_OPEN_FILES", False)
    files.write_text(tmp_path / "a", "first")
    files.write_text(tmp_path / "a", "second")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "second"}


def test_without_locks_a_shared_one_is_granted_and_another_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(platform, "fcntl", None)
    with locks.lock(tmp_path / "lock", shared=True):
        pass
    with pytest.raises(StorageError, match="cannot write"), locks.lock(tmp_path / "lock"):
        pytest.fail("nobody can hold this lock alone")


def test_shared_locks_are_held_together_and_exclude_an_exclusive_one(tmp_path):
    with (
        locks.lock(tmp_path / "lock", shared=True),
        locks.lock(tmp_path / "lock", shared=True),
        pytest.raises(StorageError, match="in use by another capgen"),
        locks.lock(tmp_path / "lock"),
    ):
        pytest.fail("a third one holds it alone")


def test_a_locked_file_of_captions_can_be_read_and_not_be_locked_again(tmp_path):
    with locked(tmp_path / "captions") as file:
        file.write(b"a caption\n")
        assert (tmp_path / "captions").read_bytes() == b"a caption\n"
        with pytest.raises(StorageError, match="is being written by another capgen"):
            locked(tmp_path / "captions")


def test_a_file_system_that_refuses_locks_is_distinguished_from_a_lock_that_is_held(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (tmp_path / "file").open("wb") as file, pytest.raises(OSError, match="No locks") as caught:
        platform.lock_file(file.fileno())
    assert not isinstance(caught.value, BlockingIOError)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux lets a process have some of the processors")
def test_processors_that_a_process_may_not_use_do_not_count():
    some = min(os.sched_getaffinity(0))
    program = (
        f"import os; os.sched_setaffinity(0, {{{some}}}); from capgen.storage import platform; print(platform.processors())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
