"""The options that say where the work is done, and what they mean."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from capgen.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from capgen.batch.engines.ray import Cluster

LOCAL, RAY = "local", "ray"
ENGINES = (LOCAL, RAY)

EngineName = Annotated[
    str, typer.Option("--engine", help="Where the work is done: local or ray.", autocompletion=lambda: list(ENGINES))
]
Address = Annotated[
    str | None, typer.Option("--address", metavar="auto|HOST:PORT", help="The Ray cluster; by default this machine.")
]


@dataclass(frozen=True)
class Engine:
    """Where the work is done; the fields are the command's options."""

    name: str
    address: str | None
    workers: int | None


def clustered(engine: Engine) -> "AbstractContextManager[Cluster | None]":
    """Return what connects to the cluster that is asked for, and gives ``None`` if the work is done here.

    Raises:
        UsageError: The options do not fit together, or Ray is not installed.
    """
    if engine.name not in ENGINES:
        raise UnknownNameError("engine", engine.name, ENGINES)
    if engine.name == RAY:
        from capgen.batch.engines.ray import Cluster

        return Cluster(engine.address, engine.workers)
    if engine.address is not None or engine.workers is not None:
        raise UsageError("--address and --workers are about --engine ray; add it")
    return nullcontext()
