"""The options that say where the work is done, which several subcommands share."""

from typing import Annotated

import typer

from capgen.batch.engines import ENGINES
from capgen.cli.help_text import one_of

LOCAL = "local"

EngineName = Annotated[
    str,
    typer.Option("--engine", help="Where the work is done: in this process, or on a Ray cluster.", **one_of(ENGINES)),
]
Address = Annotated[
    str | None, typer.Option("--address", metavar="auto|HOST:PORT", help="The Ray cluster; by default this machine.")
]
