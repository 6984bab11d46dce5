"""``capgen models``: the captioners that are there: list, show, choose, add, export and remove."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capgen.cli import app
from capgen.cli.completion import captioners, own_captioners
from capgen.cli.configurable import configured
from capgen.cli.console import Quiet, Verbose, command, complain, confirm, printable, say
from capgen.cli.help_text import Commands
from capgen.cli.tables import show_table

if TYPE_CHECKING:
    from capgen.captioner.collection import Entry

models_app = Commands(
    help="Show, pack, unpack, remove and choose captioners.\n\n"
    "A captioner can be handed on as one file, which is checked byte by byte before it is imported.",
    no_args_is_help=True,
)
app.add_typer(models_app, name="models")


Model = Annotated[str, typer.Argument(metavar="NAME", help="Name or path of a captioner.", autocompletion=captioners)]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there already.")]


@models_app.command("list")
@command("run it again")
def list_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
    verbose: Verbose = False,
) -> None:
    """List the captioners, after checking every file of them."""
    from capgen.captioner import catalogue, collection
    from capgen.errors import BundleError
    from capgen.evaluation.metrics import METRICS, PRIMARY
    from capgen.storage import files

    found = collection.entries()
    if as_json:
        typer.echo(files.json_text([entry.plain() for entry in found], indent=1).encode())
    else:
        scored = f"{PRIMARY} ({METRICS[PRIMARY].scale.removeprefix('from ')})"
        show_table([("name", "from", "size", "language", "trained on", scored), *map(_row, found)])
    for entry in found:
        if entry.fault:
            remedy = "install capgen again" if entry.ships else f"or remove it: capgen models remove {entry.name}"
            complain(f"{printable(entry.fault)}; {remedy}")
    try:
        catalogue.find(None)
    except BundleError as error:
        complain(f"{error}")


@models_app.command("show")
@command("run it again")
def show_command(
    model: Model,
    card: Annotated[bool, typer.Option("--card", help="Print its model card.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print its description as JSON.")] = False,
    all_numbers: Annotated[
        bool, typer.Option("--all", help="Print every number of its description, and its files.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Describe a captioner: its language, what it was trained on, its scores and their scale."""
    import json

    from capgen.captioner import bundle, catalogue
    from capgen.cli import captioner_text
    from capgen.storage import files

    if card + as_json + all_numbers > 1:
        raise typer.BadParameter(
            "choose one: the card is Markdown, the description JSON, --all is text", param_hint="--card, --json or --all"
        )
    opened = bundle.Bundle(catalogue.find(model))
    contents = opened.contents()
    if card:
        for line in contents.get(bundle.MODEL_CARD, b"").decode(errors="replace").splitlines():
            typer.echo(printable(line).encode())
    elif as_json:
        typer.echo(files.json_text(json.loads(contents[bundle.DESCRIPTION]), indent=1).encode())
    else:
        describe = captioner_text.everything if all_numbers else captioner_text.summary
        captioner_text.print_lines(describe(opened, {name: len(data) for name, data in contents.items()}))


@models_app.command("path")
@command("run it again")
def path_command(model: Model, verbose: Verbose = False) -> None:
    """Print the path of a captioner."""
    import os

    from capgen.captioner import catalogue

    typer.echo(os.fsencode(catalogue.find(model).absolute()))


@models_app.command("export")
@command("run it again")
def export_command(
    model: Model,
    file: Annotated[Path, typer.Argument(metavar="FILE.capgen", help="The file to write.")],
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Check a captioner and pack it into one file."""
    from capgen.captioner import collection
    from capgen.storage import files

    collection.export(model, file, overwrite=overwrite)
    if not quiet:
        say(f"{file} ({files.size_text(file.stat().st_size)}) is written; import it elsewhere with: capgen models import")


@models_app.command("import")
@command("nothing was imported; run it again")
def import_command(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A .capgen file, or a folder that holds a captioner.")],
    name: Annotated[str | None, typer.Option(help="What it will be called; what it calls itself by default.")] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Check a captioner and put it into the data folder, whole or not at all."""
    from capgen.captioner import collection

    imported = collection.install(source, name, overwrite=overwrite).name
    if not quiet:
        say(f"{imported!r} is imported; caption with it: capgen caption --model {imported} photo.jpg")


@models_app.command("remove")
@command("run it again and it goes on")
def remove_command(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of a captioner of yours.", autocompletion=own_captioners)
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Remove a captioner from the data folder; those that ship stay."""
    from capgen.captioner import catalogue, collection
    from capgen.storage import files

    path = collection.own(name)
    if not yes:
        size = files.size_text(collection.size(path))
        confirm(f"remove the captioner {name} ({size}) from {path}? it cannot be brought back", unasked=f"remove {name}")
    was_default = collection.is_default(name)
    others_left = collection.remove(name)
    if not quiet:
        say(f"{name!r} is removed")
    if was_default:
        say(f"it was the default, which is the captioner that ships again, {catalogue.DEFAULT}")
    if others_left:
        say(f"{path} had other files too, which are left there")


@models_app.command("default")
@command("run it again")
def default_command(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="Name of the captioner to use from now on.", autocompletion=captioners),
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Use the captioner that ships again.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Print or choose the captioner that is used when none is named."""
    from capgen.captioner import catalogue, collection

    if name is not None and reset:
        raise typer.BadParameter("it needs no NAME; leave one of them out", param_hint="--reset")
    if name is None and not reset:
        path = catalogue.find(None)
        typer.echo(path.name)
        model = configured(context).holding.get("model")
        if not quiet and model is not None:
            say(printable(f"caption, score and evaluate use {model.value} here: model is set in {model.origin}"))
        if not quiet and path.parent == catalogue.SHIPPED and path.name in collection.yours():
            say(f"the captioner that ships, not yours of that name, which is used with: capgen models default {path.name}")
        return
    if name is None:
        collection.reset()
    else:
        collection.choose(name)
    if not quiet:
        path = catalogue.find(None)
        which = "the captioner that ships, " if path.parent == catalogue.SHIPPED else ""
        say(f"the default is {which}{path.name}")


def _row(entry: "Entry") -> tuple[str, ...]:
    """Return the row of a captioner in the table of ``list``."""
    from capgen.cli import captioner_text
    from capgen.evaluation.metrics import METRICS, PRIMARY
    from capgen.storage import files

    name = f"{entry.name} (default)" if entry.default else entry.name
    origin = ("ships, hidden by yours" if entry.hidden else "ships") if entry.ships else "yours"
    described = entry.description
    if described is None:
        return name, origin, files.size_text(entry.size), "", "damaged", ""
    training, scores = described.training, described.scores
    split = "test" if "test" in scores else next(iter(scores), "")
    found = scores.get(split)
    value = found.get(PRIMARY) if isinstance(found, dict) else None
    score = f"{METRICS[PRIMARY].text(value)} on {split}" if isinstance(value, float) else ""
    images = f", {captioner_text.number(training['images'])} images" if "images" in training else ""
    language = captioner_text.language_text(described)
    return name, origin, files.size_text(entry.size), language, f"{training.get('data', '')}{images}", score
