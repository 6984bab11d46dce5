"""Options that were renamed are read under their earlier names, too."""

import pytest
import typer

from capgen.cli import app


def values(command, *arguments):
    """The values of the options of a subcommand, before anything is done."""
    return typer.main.get_command(app).commands[command].make_context(command, list(arguments)).params


@pytest.mark.parametrize(("command", "earlier", "name", "value"), [
    ("caption", "--start", "--prompt", "two children"),
    ("caption", "--avoid", "--suppress", "dog"),
    ("prepare", "--style", "--domain", "web"),
    ("prepare", "--views", "--augment", "flip"),
])  # fmt: skip
def test_an_option_is_read_under_its_earlier_name(command, earlier, name, value):
    found = values(command, earlier, value, "photos")
    assert found == values(command, name, value, "photos")
    assert found != values(command, "photos")
