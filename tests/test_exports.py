"""The public names: the list is complete and sorted, each name loads, and loading them loads nothing heavy."""

import ast
import inspect
import pickle
import subprocess
import sys

import pytest

import capgen
from capgen import errors

HEAVY = ("tensorflow", "keras", "PIL", "rich", "typer", "matplotlib", "ray", "pyarrow", "fsspec", "ai_edge_litert")


def declared():
    """The names that type checkers see: those imported under TYPE_CHECKING."""
    tree = ast.parse(inspect.getsource(capgen))
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    return [alias.name for node in block.body for alias in node.names]


def test_the_list_is_sorted_and_what_is_loaded_and_what_type_checkers_see_are_the_same_names():
    assert capgen.__all__ == sorted(capgen.__all__)
    assert set(capgen.__all__) == set(capgen._MODULES) == set(declared())
    assert [name for name in dir(capgen) if not name.startswith("__")] == capgen.__all__


def test_every_error_is_public():
    found = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert found <= set(capgen.__all__)


def made(error):
    """An error of a class, with arguments that it takes."""
    if issubclass(error, errors.UnknownNameError):
        return error("encoder", "efficientnt", ["efficientnet", "mobilenet"])
    return error(errors.Status.DENIED, "it may not be read") if issubclass(error, errors.ImageError) else error("it failed")


@pytest.mark.parametrize(
    "error", [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.CapgenError)]
)
def test_every_error_is_the_same_in_another_process(error):
    before = made(error)
    after = pickle.loads(pickle.dumps(before))
    assert (type(after), str(after)) == (error, str(before))
    for name in ("status", "nearest"):
        assert getattr(after, name, None) == getattr(before, name, None)


@pytest.mark.parametrize("name", capgen.__all__)
def test_every_name_is_the_one_of_its_module(name):
    value = getattr(capgen, name)
    assert (value.__module__, value.__name__) == (capgen._MODULES[name], name)


def test_a_name_that_is_not_public_is_not_there():
    with pytest.raises(AttributeError, match="module 'capgen' has no attribute 'captionner'"):
        _ = capgen.captionner


def test_all_names_together_load_nothing_heavy():
    program = f"import capgen, sys; from capgen import *; sys.exit(' '.join({set(HEAVY)} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_importing_the_package_alone_loads_none_of_its_modules():
    program = (
        "import capgen, sys; dir(capgen); sys.exit(' '.join(name for name in sys.modules if name.startswith('capgen.')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
