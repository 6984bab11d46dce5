"""Sphinx's configuration. The pages of commands and settings are made from the code before each build."""

from pathlib import Path

from typer.cli import get_docs_for_click
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
    group = get_command(app)  # not "typer capgen.cli utils docs": it loads the module anew, without its subcommands
    page = get_docs_for_click(obj=group, ctx=group.make_context("capgen", [], resilient_parsing=True), name="capgen")
    path.write_text(page.replace("# `capgen`", "# Commands", 1))


def write_settings(path: Path) -> None:
    """Write the settings of a training run, with their defaults and meanings."""
    defaults = config.to_mapping(config.TrainingConfig())
    rows = [f"| `{name}` | `{defaults[name]}` | {meaning} |" for name, meaning in config.describe().items()]
    head = "# Settings\n\nSettings of `capgen train`, given with `--set NAME=VALUE` or in a TOML file.\n\n"
    path.write_text(head + "| setting | default | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n")


write_commands(DOCS / "reference" / "commands.md")
write_settings(DOCS / "reference" / "settings.md")
