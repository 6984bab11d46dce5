"""Options that were renamed are read under their earlier names, too; messages of the library speak of its arguments."""

import ast
import re
from pathlib import Path

import pytest
import typer

import capgen
from capgen.cli import app
from capgen.cli.option_names import OPTIONS, as_typed

LIBRARY = [
    path
    for path in sorted(Path(capgen.__file__).parent.rglob("*.py"))
    if path.relative_to(Path(capgen.__file__).parent).parts[0] != "cli"
]
"""The modules whose messages a program gets as well as the command."""


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


def texts_of(path):
    """Return the texts in a module that are not documentation, each with X for what is put into it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (documentation | parts):
            yield node.value


def test_messages_of_the_library_do_not_speak_of_options():
    commands = re.compile(r"capgen [a-z]+ [^;]*--[a-z]|FOLDER --name|ray start --head|^--(address|resume|quiet)$")
    written_for_the_command = {"catalogue.py", "config.py", "notices.py"}  # origins of encoders, settings, a run's notices
    found = [
        (path.name, text)
        for path in LIBRARY
        if path.name not in written_for_the_command
        for text in texts_of(path)
        if re.search(r"(?:^|[ (])--[a-z]", text) and not commands.search(text)
    ]
    assert found == []


def test_each_argument_that_a_message_names_is_an_option_and_the_other_way_round():
    named = {name for path in LIBRARY for text in texts_of(path) for name in re.findall(r"`([a-z_]+)(?:=[^`]*)?`", text)}
    assert named == set(OPTIONS)
    group = typer.main.get_command(app)
    commands = [
        *group.commands.values(),
        *(one for name in ("models", "data", "cache") for one in group.commands[name].commands.values()),
    ]
    typed = {option for one in commands for parameter in one.params for option in parameter.opts}
    assert set(OPTIONS.values()) <= typed


def test_the_command_says_options_where_the_library_says_arguments():
    said = "`output_dir` needs `sidecar='.txt'` or `xmp=True`; `num_beams=6`, and `nul=True`"
    assert as_typed(said) == "--output-dir needs --sidecar .txt or --xmp; --beam 6, and -0"
    assert as_typed("a `strange`.jpg, `x` and `no such`") == "a `strange`.jpg, `x` and `no such`"
