"""Lists of files, as other programs write them."""

import codecs
import io
import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capgen.errors import UsageError
from capgen.inputs.lists import read_list, read_list_file


def read(data, *, nul=False):
    return list(read_list(io.BytesIO(data), nul=nul))


def test_a_list_gives_a_path_a_line_in_order():
    assert read(b"b.jpg\na b.jpg\n\n  c.jpg\n") == ["b.jpg", "a b.jpg", "  c.jpg"]


def test_the_last_path_needs_no_end():
    assert read(b"a\nb") == ["a", "b"]
    assert read(b"a\0b", nul=True) == ["a", "b"]


def test_lines_of_windows_are_read():
    assert read(b"a.jpg\r\nb.jpg\r\n\r\nc.jpg\r") == ["a.jpg", "b.jpg", "c.jpg"]


def test_a_list_of_zero_bytes_may_hold_any_name():
    assert read(b"a\nb\0\0 c\r\0", nul=True) == ["a\nb", " c\r"]


def test_a_byte_order_mark_is_no_part_of_the_first_path():
    assert read(codecs.BOM_UTF8 + b"a.jpg\r\nb.jpg\r\n") == ["a.jpg", "b.jpg"]
    assert read(codecs.BOM_UTF8) == read(codecs.BOM_UTF8 + b"\r\n") == []


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_a_list_in_utf_16_is_named_as_one(tmp_path, mark):
    (tmp_path / "list.txt").write_bytes(mark + bytes(20))
    with pytest.raises(UsageError, match=r"list\.txt: the list of paths is in UTF-16; save it as UTF-8"):
        read_list_file(tmp_path / "list.txt", nul=False)


def test_short_lists_are_read_to_their_ends():
    assert read(b"a\nb") == read(b"a\nb\n") == ["a", "b"]
    assert [os.fsencode(name) for name in (*read(b"\xef"), *read(b"\xff"), *read(b"\xef\xbb"))] == [
        b"\xef",
        b"\xff",
        b"\xef\xbb",
    ]


def test_an_empty_list_gives_nothing():
    assert read(b"") == read(b"\n\r\n") == read(b"\0", nul=True) == []


NAMES = st.lists(st.binary(min_size=1, max_size=30).filter(lambda name: b"\0" not in name), max_size=30)


@given(NAMES)
def test_any_names_survive_a_list_of_zero_bytes(names):
    assert [os.fsencode(name) for name in read(b"".join(name + b"\0" for name in names), nul=True)] == names


@given(NAMES, st.sampled_from([b"\n", b"\r\n"]))
def test_names_without_line_ends_survive_a_list_of_lines(names, end):
    names = [name for name in names if b"\n" not in name and not name.endswith(b"\r") and not name.startswith(MARKS)]
    assert [os.fsencode(name) for name in read(b"".join(name + end for name in names))] == names


MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class InPieces(io.RawIOBase):
    """A stream that gives a few bytes at a time, like a pipe."""

    def __init__(self, data, seed):
        self.data, self.random = data, random.Random(seed)

    def readable(self):
        return True

    def readinto(self, buffer):
        size = min(self.random.randrange(1, 8), len(self.data), len(buffer))
        buffer[:size], self.data = self.data[:size], self.data[size:]
        return size


@given(NAMES, st.integers(0, 1000))
def test_where_a_list_is_cut_makes_no_difference(names, seed):
    data = b"\r\n" + b"\r\n".join(names)
    assert list(read_list(io.BufferedReader(InPieces(data, seed)), nul=False)) == read(data)
    assert list(read_list(InPieces(data, seed), nul=False)) == read(data)


def test_a_path_is_given_out_before_the_list_has_ended():
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb", buffering=0) as pipe:
        pipe.write(b"a.jpg\nb.j")
        paths = read_list(stream, nul=False)
        assert next(paths) == "a.jpg"
        pipe.write(b"pg\n")
        assert next(paths) == "b.jpg"
