"""``capgen train``: its options, and the choice between one process and several."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capgen.cli import app
from capgen.cli.completion import captioners, data_sets, recipes
from capgen.cli.console import Quiet, Verbose, choice, command, is_terminal, refuse_others, say
from capgen.cli.help_text import one_of
from capgen.errors import UsageError
from capgen.training.decoders import DECODERS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from capgen.training.history import TrainingReporter
    from capgen.training.jax_process_group import JaxProcessGroup
    from capgen.training.process_group import ProcessGroup
    from capgen.training.settings import Settings


_OF_ANY_RUN = ("data", "resume", "devices", "coordinator", "processes", "process_id", "quiet", "verbose")
"""The parameters that go with ``--resume``."""

_OF_SETTINGS = (
    "data", "decoder", "config", "settings", "source", "epochs", "batch_size", "seed", "show_settings", "quiet", "verbose",
)  # fmt: skip
"""The parameters that go with ``--show-settings``."""


@app.command("train")
@command("go on with: capgen train {data} --resume")
def train_command(
    context: typer.Context,
    data: Annotated[
        str, typer.Argument(metavar="NAME", help="A data set that capgen prepare made.", autocompletion=data_sets)
    ],
    decoder: Annotated[str | None, typer.Option(help="How words follow from image and words.", **one_of(DECODERS))] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file of settings, or the name of a recipe that ships.", autocompletion=recipes)
    ] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting.")] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Continue a captioner, given by name or path, on this data (warm start).",
            autocompletion=captioners,
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images in one step.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, dropout, sampling and order.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where the captioner is written: a folder, or a file.capgen.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the captioner that is there already.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the unfinished run on this data set.")] = False,
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
    from capgen.training import run_folder
    from capgen.training.jax_process_group import JaxProcessGroup
    from capgen.training.settings import WARM_START_RECIPE, load_settings

    options = {"decoder": decoder, "epochs": epochs, "batch_size": batch_size, "seed": seed}
    recipe = config or (Path(WARM_START_RECIPE) if source else None)
    chosen = load_settings(recipe, settings or (), **options)
    if source is not None:
        _refuse_of_decoder(decoder, settings or ())
    if show_settings:
        refuse_others(context, "--show-settings", "prints settings and trains nothing", _OF_SETTINGS)
        _print_settings(data, chosen, source)
        return
    if resume:
        refuse_others(context, "--resume", "goes on with the settings that the run began with", _OF_ANY_RUN)
    group = _group(devices, coordinator, processes, process_id)
    if isinstance(group, JaxProcessGroup) and not resume:  # before the processes meet and there is a folder
        group.check(run_folder.config_for(data, chosen, source))
    started = _Start(data, chosen, out, source, overwrite=overwrite, resume=resume, quiet=quiet)
    if isinstance(group, JaxProcessGroup):
        _train_together(started.folder, group, quiet=quiet)
    else:
        _train(started.folder(), quiet=quiet)


def _refuse_of_decoder(decoder: str | None, settings: "Sequence[str]") -> None:
    """Refuse settings of the decoder beside a captioner to continue, whose decoder is kept.

    Raises:
        UsageError: There are some; the message names them.
    """
    from capgen.training.run_folder import DECODER_SETTINGS
    from capgen.training.settings import OLD_NAMES

    keys = [setting.partition("=")[0].strip() for setting in settings]
    needless = ["--decoder"] if decoder else []
    needless += [f"--set {key}" for key in keys if OLD_NAMES.get(key, key) in DECODER_SETTINGS]
    if needless:
        raise UsageError(f"--from keeps the decoder of the captioner; leave out {choice(needless, 'and')}")


def _print_settings(data: str, chosen: "Settings", source: str | None) -> None:
    """Print the settings of a run on a data set, with their meanings."""
    from capgen.training import config as configs
    from capgen.training import run_folder

    config = run_folder.config_for(data, chosen, source)
    for name, meaning in configs.describe().items():
        typer.echo(f"{name} = {getattr(config, name)!r}  # {meaning}")


@dataclass(frozen=True)
class _Start:
    """Which run is to be trained: a new one, or with ``resume`` the unfinished one on the data set."""

    data: str
    settings: "Settings"
    out: Path | None
    source: str | None
    overwrite: bool
    resume: bool
    quiet: bool

    def folder(self) -> Path:
        """Make or find the folder of the run."""
        from capgen.training import run_folder

        if self.resume:
            folder = run_folder.unfinished(self.data)
        else:
            folder = run_folder.begin(self.data, self.settings, self.out, self.source, overwrite=self.overwrite)
        if not self.quiet:
            say(f"run folder: {folder}")
        return folder


def _train(folder: Path, *, quiet: bool) -> None:
    """Train a run in this process, and report where the captioner is."""
    with _reporter(quiet=quiet) as reporter:
        from capgen.training import run  # which takes long enough to be waited for in front of something

        target = run.train(folder, reporter)
    _report(folder, target, quiet=quiet)


def _train_together(find_folder: "Callable[[], Path]", group: "JaxProcessGroup", *, quiet: bool) -> None:
    """Train a run on several devices; process 0 then writes the captioner and reports where it is."""
    from capgen.training import run
    from capgen.training.jax_process_group import joined

    if group.processes > 1 and not quiet:
        say(f"process {group.process} of {group.processes}: waiting for the others at {group.coordinator}")
    with joined(group), _reporter(quiet=quiet or not group.is_first) as reporter:
        folder = Path(group.broadcast(lambda: str(find_folder())))
        run.train_in_group(folder, reporter, group)
    if group.is_first:
        if not quiet:
            say("exporting the captioner in a process of its own")
        _report(folder, run.finish(folder), quiet=quiet)


def _report(folder: Path, target: Path, *, quiet: bool) -> None:
    """Say where the captioner is and how to use it; with ``quiet`` only if it is elsewhere than asked for."""
    from capgen.storage.paths import models_dir
    from capgen.training.report import REPORT
    from capgen.training.run_folder import RunSettings

    requested = RunSettings.read(folder).target
    if target != requested:
        say(f"another captioner has appeared at {requested} during the training; it was kept, and this one is at {target}")
    if quiet:
        return
    model = target.name if target == models_dir() / target.name else target
    say(f"the run's report: {folder / REPORT}")
    say(f"the captioner is at {target}; caption with it: capgen caption --model {model} photo.jpg")


def _group(devices: int | None, coordinator: str | None, processes: int | None, process_id: int | None) -> "ProcessGroup":
    """Return the process group that the options ask for; without any of them, that of this process alone.

    Raises:
        BadParameter: The options do not fit together.
    """
    from capgen.training.jax_process_group import JaxProcessGroup
    from capgen.training.process_group import ProcessGroup

    several = (coordinator, processes, process_id)
    if all(value is None for value in several):
        return JaxProcessGroup(devices) if devices else ProcessGroup.single()
    if coordinator is None or processes is None or process_id is None:
        raise typer.BadParameter("several processes need all of --coordinator, --processes and --process-id")
    _check_address(coordinator)
    if process_id >= processes:
        raise typer.BadParameter(f"{processes} processes are numbered 0 to {processes - 1}", param_hint="--process-id")
    return JaxProcessGroup(devices or 1, coordinator, processes, process_id)


def _check_address(coordinator: str) -> None:
    """Make sure that an address is of the form ``HOST:PORT``.

    Raises:
        BadParameter: It is not.
    """
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit():
        raise typer.BadParameter(f"{coordinator} is not of the form HOST:PORT", param_hint="--coordinator")


def _reporter(*, quiet: bool) -> "AbstractContextManager[TrainingReporter]":
    """Return a live display on a terminal, plain lines elsewhere, and nothing with ``quiet``."""
    from contextlib import nullcontext

    from capgen.cli.training_display import LiveDisplay, PlainLines, Silence

    if quiet:
        return nullcontext(Silence())
    return LiveDisplay() if is_terminal() else nullcontext(PlainLines())
