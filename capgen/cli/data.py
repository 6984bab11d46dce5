"""``capgen data``: the data sets that were prepared: list, show and remove."""

from typing import TYPE_CHECKING, Annotated

import typer

from capgen.cli import app
from capgen.cli.completion import data_sets
from capgen.cli.console import Quiet, Verbose, command, complain, confirm, printable, say
from capgen.cli.help_text import Commands
from capgen.cli.tables import show_table

if TYPE_CHECKING:
    from capgen.datasets.prepared import PreparedDataset

data_app = Commands(
    help="Show and remove the data sets that were prepared.\n\nTheir images are never changed.",
    no_args_is_help=True,
)
app.add_typer(data_app, name="data")


Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a prepared data set.", autocompletion=data_sets)]


@data_app.command("list")
@command("run it again")
def list_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
    verbose: Verbose = False,
) -> None:
    """List the prepared data sets."""
    from capgen.datasets import prepared
    from capgen.errors import DataError
    from capgen.storage import files

    found, faults = [], []
    for name in prepared.names():
        try:
            found.append(_summary(prepared.load(name)))
        except DataError as error:
            faults.append(str(error))
    if as_json:
        typer.echo(files.json_text(found, indent=1).encode())
    else:
        columns = ("name", "images", "train", "dev", "test", "captions", "encoder", "sources")
        show_table([columns, *(tuple(map(_cell, summary.values())) for summary in found)])
    for fault in faults:
        complain(f"{printable(fault)}")
    if not found and not faults:
        say("nothing is prepared yet; begin with: capgen prepare FOLDER")


@data_app.command("show")
@command("run it again")
def show_command(
    name: Name,
    as_json: Annotated[bool, typer.Option("--json", help="Print its description as JSON.")] = False,
    verbose: Verbose = False,
) -> None:
    """Describe a prepared data set: its sources, its splits, and what was left out of them."""
    from capgen.datasets import prepared
    from capgen.datasets.layout import by_kind
    from capgen.storage import files

    dataset, problems = prepared.load(name), by_kind(prepared.load_problems(name))
    summary = _summary(dataset)
    if as_json:
        counts = {kind: len(found) for kind, found in problems.items()}
        typer.echo(files.json_text({**summary, "left_out": counts}, indent=1).encode())
        return
    lines = [("name", name), ("path", str(prepared.dataset_file(name).absolute()))]
    lines += [("source", source) for source in dataset.sources]
    for split in prepared.SPLITS:
        images = [image for image in dataset.images if image.split == split]
        captions = sum(len(image.captions) for image in images)
        lines.append((split, f"{_counted(len(images), 'image')}, {_counted(captions, 'caption')}"))
    lines += [
        ("encoder", dataset.encoder + (f", {dataset.encoder_weights}" if dataset.encoder_weights else "")),
        ("features", ", ".join(dataset.augmentations)),
        ("language", dataset.language),
    ]
    lines += [("left out", f"{len(found):,} {kind}: {found[0]}") for kind, found in problems.items()]
    for title, line in lines:
        typer.echo(f"{title:<8}  {printable(line)}".rstrip().encode())


@data_app.command("remove")
@command("run it again")
def remove_command(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Remove a prepared data set; images, features and captioners stay."""
    from capgen.datasets import prepared
    from capgen.errors import DataError

    if not yes and name in prepared.names():
        try:
            what = _counted(len(prepared.load(name).images), "image")
        except DataError:
            what = "damaged"
        confirm(f"remove the prepared data set {name} ({what})? its images stay", unasked=f"remove {name}")
    prepared.remove(name)
    if not quiet:
        say(f"{name!r} is removed; its features stay in the cache until: capgen cache prune")


def _summary(dataset: "PreparedDataset") -> dict[str, str | int | list[str]]:
    from collections import Counter

    from capgen.datasets.prepared import SPLITS

    counts = Counter(image.split for image in dataset.images)
    return {
        "name": dataset.name,
        "images": len(dataset.images),
        **{split: counts[split] for split in SPLITS},
        "captions": sum(len(image.captions) for image in dataset.images),
        "encoder": dataset.encoder,
        "sources": list(dataset.sources),
    }


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _cell(value: str | int | list[str]) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return f"{value:,}" if isinstance(value, int) else value
