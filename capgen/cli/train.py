"""``capgen train``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capgen.cli import app
from capgen.cli.console import Quiet, Verbose, command, is_terminal, say

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from capgen.training.history import TrainingReporter
    from capgen.training.process_group import Group


@app.command("train")
@command("go on with: capgen train {data} --resume")
def train_command(
    data: Annotated[str, typer.Argument(metavar="NAME", help="A data set that capgen prepare made.")],
    decoder: Annotated[str | None, typer.Option(help="attention, merge or inject.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file of settings, or the name of a recipe that ships.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting; repeatable.")
    ] = None,
    begun: Annotated[
        str | None, typer.Option("--from", metavar="MODEL", help="Go on from a captioner, by name or path, on this data.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, dropout and order.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where the captioner goes: a folder, or a file.capgen.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the unfinished run on this data set.")] = False,
    devices: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Devices of this process to train on, with JAX.")
    ] = None,
    coordinator: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where process 0 is reached, for training with several.")
    ] = None,
    processes: Annotated[int | None, typer.Option(min=1, metavar="N", help="How many processes train together.")] = None,
    process_id: Annotated[
        int | None, typer.Option(min=0, metavar="I", help="The number of this process, from 0; 0 writes the captioner.")
    ] = None,
    show_settings: Annotated[bool, typer.Option("--show-settings", help="Print the settings and exit.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train a captioner on a prepared data set."""
    from capgen.training import config as configs

    options = {"decoder": decoder, "epochs": epochs, "batch_size": batch_size, "seed": seed}
    recipe = config or (Path(configs.CONTINUE) if begun else None)
    chosen = configs.load(recipe, settings or (), **options)
    if show_settings:
        for name, meaning in configs.describe().items():
            typer.echo(f"{name} = {getattr(chosen, name)!r}  # {meaning}")
        return
    given = settings or any(value is not None for value in (config, out, begun, *options.values()))
    if resume and given:
        raise typer.BadParameter(
            "it goes on with the settings the run began with; leave the others out", param_hint="--resume"
        )
    from capgen.storage.paths import models_dir
    from capgen.training import run
    from capgen.training.report import REPORT

    group = _group(devices, coordinator, processes, process_id)
    if group and not resume:
        group.check(chosen)

    def found() -> str:
        folder = run.unfinished(data) if resume else run.begin(data, chosen, out, begun)
        if not quiet:
            say(f"run folder: {folder}")
        return str(folder)

    if group:
        from capgen.training.process_group import joined

        if group.processes > 1 and not quiet:
            say(f"process {group.process} of {group.processes}: waiting for the others at {group.coordinator}")
        with joined(group), _reporter(quiet=quiet or not group.first) as reporter:
            folder = Path(group.shared(found))
            run.go_together(folder, reporter, group)
        if not group.first:
            return
        place = run.finish(folder)
    else:
        folder = Path(found())
        with _reporter(quiet=quiet) as reporter:
            place = run.go(folder, reporter)
    if not quiet:
        model = place.name if place == models_dir() / place.name else place
        say(f"the run's report: {folder / REPORT}")
        say(f"the captioner is at {place}; caption with it: capgen caption --model {model} photo.jpg")


def _group(devices: int | None, coordinator: str | None, processes: int | None, process_id: int | None) -> "Group | None":
    """Return the group that the options ask for, if they ask for one.

    Raises:
        BadParameter: They do not fit together.
    """
    from capgen.training.process_group import Group

    several = (coordinator, processes, process_id)
    if any(value is not None for value in several):
        if coordinator is None or processes is None or process_id is None:
            raise typer.BadParameter("several processes need all of --coordinator, --processes and --process-id")
        host, _, port = coordinator.rpartition(":")
        if not host or not port.isdigit():
            raise typer.BadParameter(f"{coordinator} is not of the form HOST:PORT", param_hint="--coordinator")
        if process_id >= processes:
            raise typer.BadParameter(f"{processes} processes are numbered 0 to {processes - 1}", param_hint="--process-id")
        return Group(devices or 1, coordinator, processes, process_id)
    return Group(devices) if devices else None


def _reporter(*, quiet: bool) -> "AbstractContextManager[TrainingReporter]":
    """Return a live display on a terminal, plain lines elsewhere, silence if asked for."""
    from contextlib import nullcontext

    from capgen.cli.training_display import LiveDisplay, PlainLines, Silence

    if quiet:
        return nullcontext(Silence())
    return LiveDisplay() if is_terminal() else nullcontext(PlainLines())
