"""Locks between processes."""

import subprocess
import sys

import pytest

from capgen.errors import StorageError
from capgen.storage import locks

HOLD = """
import sys
from pathlib import Path
from capgen.storage import locks
with locks.lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock ``tmp_path/target/lock``."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "target/lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lock_that_another_process_holds_is_refused_at_once(tmp_path, holder):
    with (
        pytest.raises(StorageError, match="target is in use by another capgen; wait for it to end"),
        locks.lock(tmp_path / "target/lock"),
    ):
        pytest.fail("two hold the lock")


def test_a_lock_ends_with_its_process(tmp_path, holder):
    holder.stdin.close()
    assert holder.wait() == 0
    with locks.lock(tmp_path / "target/lock"):
        pass


def test_a_lock_ends_with_a_killed_process(tmp_path, holder):
    holder.kill()
    holder.wait()
    with locks.lock(tmp_path / "target/lock"):
        pass


def test_a_lock_can_be_taken_again_after_an_error(tmp_path):
    with pytest.raises(ValueError, match="inside"), locks.lock(tmp_path / "lock"):
        raise ValueError("inside")
    with locks.lock(tmp_path / "lock"):
        pass


def test_locks_of_different_paths_do_not_meet(tmp_path, holder):
    with locks.lock(tmp_path / "another/lock"):
        pass


def test_a_lock_that_cannot_be_made_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"), locks.lock(tmp_path / "file/lock"):
        pytest.fail("there is no lock")
