"""Sphinx's configuration. The pages of commands and settings are made from the code before each build."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

import capgen
from capgen.cli import app
from capgen.training import config

DOCS = Path(__file__).parent

project = "capgen"
copyright = "the capgen authors"  # noqa: A001 - Sphinx calls it so
release = version = capgen.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"capgen {release}"
myst_heading_anchors = 3
napoleon_use_ivar = True  # the attributes of dataclasses are described in their docstrings, and once is enough
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
templates_path: list[str] = []
exclude_patterns = ["_build"]


def write_commands(path: Path) -> None:
    """Write the options of all commands, as ``capgen COMMAND --help`` prints them."""
    root = get_command(app).make_context("capgen", [], resilient_parsing=True, terminal_width=100)
    sections = [f"## {context.command_path}\n\n```text\n{context.get_help()}\n```\n" for context in contexts(root)]
    path.write_text("\n".join(["# Commands\n", *sections]))


def contexts(context: Any) -> Iterator[Any]:
    """Yield the context of a command, and those of all subcommands below it."""
    yield context
    for name in context.command.list_commands(context) if hasattr(context.command, "commands") else ():
        yield from contexts(type(context)(context.command.commands[name], info_name=name, parent=context))


def write_settings(path: Path) -> None:
    """Write the settings of a training run, with their defaults and meanings."""
    defaults = config.to_mapping(config.TrainingConfig())
    rows = [f"| `{name}` | `{defaults[name]}` | {meaning} |" for name, meaning in config.describe().items()]
    head = "# Settings\n\nSettings of `capgen train`, given with `--set NAME=VALUE` or in a TOML file.\n\n"
    path.write_text(head + "| setting | default | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n")


write_commands(DOCS / "reference" / "commands.md")
write_settings(DOCS / "reference" / "settings.md")
