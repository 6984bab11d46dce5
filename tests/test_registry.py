"""The registry behind every kind of extension point."""

import subprocess
import sys

import pytest

from capgen.errors import UnknownNameError
from capgen.registry import Registry

SHAPES = Registry("shape", {"round": "math:tau", "square": "math:sqrt", "missing": "no_such_module:shape"})


def test_names_are_listed_in_the_order_they_were_given_and_nothing_is_imported():
    assert list(SHAPES) == ["round", "square", "missing"]
    assert len(SHAPES) == 3
    assert "missing" in SHAPES
    assert "oval" not in SHAPES


def test_an_entry_is_imported_when_it_is_asked_for():
    program = (
        "import sys; from capgen.registry import Registry; R = Registry('x', {'a': 'colorsys:rgb_to_hsv'});"
        "before = 'colorsys' in sys.modules; R['a']; sys.exit(f'{before} {\"colorsys\" in sys.modules}')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "False True"


def test_an_unknown_name_offers_the_nearest_ones():
    with pytest.raises(UnknownNameError, match="there is no shape named 'sqare'; did you mean square") as caught:
        SHAPES["sqare"]
    assert caught.value.nearest == ["square"]


def test_a_name_like_no_other_lists_those_that_are_known():
    with pytest.raises(UnknownNameError, match="known: missing, round, square"):
        SHAPES["zzz"]
