"""The registry behind every kind of extension point."""

import pickle
import subprocess
import sys

import pytest

from capgen.errors import UnknownNameError, near_names
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


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("apend", ["append"]), ("prepned", ["prepend"]), ("OVERWRITE", ["overwrite"]), ("over", ["overwrite"]),
        ("replace", []), ("none", []), ("keep", []), ("no-overwrite", []), ("override", []),
    ],
)  # fmt: skip
def test_only_a_slip_of_the_keys_or_a_beginning_is_near(typed, near):
    assert near_names(typed, ["skip", "fill", "outdated", "overwrite", "append", "prepend"]) == near


def test_names_are_offered_beside_all_that_are_known_if_these_are_few():
    assert str(UnknownNameError("shape", "sqare", ["square", "round"])).endswith("did you mean square? known: round, square")
    many = UnknownNameError("shape", "shape3x", (f"shape{number}" for number in range(40)))
    assert str(many).endswith("did you mean shape3 or shape30 or shape31?")


def test_an_unknown_name_is_the_same_in_another_process():
    error = UnknownNameError("shape", "sqare", ["square"], "make one", suggest=False)
    sent = pickle.loads(pickle.dumps(error))
    assert (str(sent), sent.nearest) == (str(error), [])


def test_a_name_like_no_other_lists_those_that_are_known():
    with pytest.raises(UnknownNameError, match="known: missing, round, square"):
        SHAPES["zzz"]
