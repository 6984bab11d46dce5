"""Ranges of numbers and lists in braces."""

import pytest

from capgen.inputs.braces import expand_braces
from capgen.inputs.selection import Selection


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("data-{0008..0011}.tar", ["data-0008.tar", "data-0009.tar", "data-0010.tar", "data-0011.tar"]),
        ("{9..11}", ["9", "10", "11"]),
        ("{2..0}", ["2", "1", "0"]),
        ("s3://b/{a,b}/{0..1}.tar", ["s3://b/a/0.tar", "s3://b/a/1.tar", "s3://b/b/0.tar", "s3://b/b/1.tar"]),
        ("{,x}y", ["y", "xy"]),
        ("plain.jpg", ["plain.jpg"]),
        ("{1}.jpg", ["{1}.jpg"]),
        ("{a..b", ["{a..b"]),
        ("{0..9..4}", ["0", "4", "8"]),
        ("{09..0..3}", ["09", "06", "03", "00"]),
        ("{0..2..0}", ["0", "1", "2"]),
        ("{train-{0..1},val}.tar", ["train-0.tar", "train-1.tar", "val.tar"]),
        ("{a,{b,c{d,e}}}", ["a", "b", "cd", "ce"]),
        ("{{0..1}}", ["{0}", "{1}"]),
        ("{a{b,c}", ["{ab", "{ac"]),
        ("a}{b,c}", ["a}b", "a}c"]),
    ],
)
def test_braces_are_written_out_as_a_shell_does(text, names):
    assert list(expand_braces(text)) == names


def test_a_huge_range_takes_no_memory():
    assert next(expand_braces("{0..999999999999}")) == "0"


def test_a_file_whose_name_has_braces_is_itself(tmp_path):
    path = tmp_path / "{a,b}.jpg"
    path.touch()
    assert [found.path for found in Selection().find([str(path)])] == [path]
