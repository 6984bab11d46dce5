"""The bytes of images between an archive and the workers."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from capgen.errors import StorageError
from capgen.inputs.spool import Spool


def test_what_memory_has_no_room_for_waits_in_a_file():
    spool = Spool(memory=10)
    kept = [spool.keep(data) for data in (b"12345678", b"abcdef", b"ghi", b"9")]
    assert [entry.read() for entry in kept] == [b"12345678", b"abcdef", b"ghi", b"9"]


def test_room_is_used_again_when_it_is_released():
    spool = Spool(memory=10)
    first, second = spool.keep(b"12345678"), spool.keep(b"abcdef")
    first.release()
    second.release()
    assert spool.keep(b"0123456789").read() == b"0123456789"


def test_threads_read_their_own_bytes_while_more_are_kept():
    spool, texts = Spool(memory=0), [bytes([number]) * 1000 for number in range(200)]
    with ThreadPoolExecutor(4) as pool:
        reads = [pool.submit(spool.keep(data).read) for data in texts]
        assert [read.result() for read in reads] == texts


def test_a_full_disk_is_an_error_that_says_where_more_space_can_be_named(monkeypatch):
    class FullDisk:
        def seek(self, offset):
            pass

        def write(self, data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    spool = Spool(memory=0)
    monkeypatch.setattr(spool, "_file", FullDisk())
    with pytest.raises(StorageError, match="set TMPDIR to a folder with more space"):
        spool.keep(b"data")
