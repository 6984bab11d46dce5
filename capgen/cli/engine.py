"""The options that say where the work is done, which several subcommands share."""

from typing import Annotated

import typer

from capgen.batch.engines import ENGINES
from capgen.cli.console import choice

LOCAL = "local"

EngineName = Annotated[
    str,
    typer.Option("--engine", help=f"Where the work is done: {choice(ENGINES)}.", autocompletion=lambda: list(ENGINES)),
]
Address = Annotated[
    str | None, typer.Option("--address", metavar="auto|HOST:PORT", help="The Ray cluster; by default this machine.")
]
