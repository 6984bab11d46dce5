"""``capgen prepare``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capgen.cli import app
from capgen.cli.console import Quiet, Verbose, command, progress, say
from capgen.cli.engine import RAY, Address, Engine, EngineName, clustered

if TYPE_CHECKING:
    from capgen.datasets.layout import Reading
    from capgen.datasets.validation import Validated
    from capgen.training.encoders import Encoder


@app.command("prepare")
@command("run it again and it goes on")
def prepare_command(
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE", help="Folder or file of a captioned data set.")],
    images: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of the images, if not in the layout's own place; once, or once a source."),
    ] = None,
    layout: Annotated[
        list[str] | None,
        typer.Option(
            "--format", help="auto, flickr8k, flickr30k, coco, karpathy, csv, jsonl or folder; once, or once a source."
        ),
    ] = None,
    weight: Annotated[
        list[float] | None, typer.Option(help="How often a source's images are seen in an epoch; once a source.")
    ] = None,
    use: Annotated[
        list[str] | None,
        typer.Option(
            help="all, or train: a source's pictures only train, all of them if it has no splits; once, or once a source."
        ),
    ] = None,
    style: Annotated[
        list[str] | None,
        typer.Option(help="Name of a way of writing that must not become the captioner's own; '' for none; once a source."),
    ] = None,
    leave_out: Annotated[
        Path | None, typer.Option(help="File of image names, one a line, that are not used, whatever source they are in.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the data set is called; the source's own name by default.")] = None,
    encoder: Annotated[
        str,
        typer.Option(
            help="Pretrained CNN: efficientnet-lite0, efficientnet-lite2, vgg16, resnet50, mobilenetv3 or efficientnetv2b0."
        ),
    ] = "efficientnet-lite2",
    encoder_weights: Annotated[Path | None, typer.Option(help="File of weights for it, used offline.")] = None,
    views: Annotated[list[str] | None, typer.Option(help="More views to describe: flip, the mirror image.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads that decode images, 2 by default; with ray, most workers.")
    ] = None,
    engine: EngineName = "local",
    address: Address = None,
    strict: Annotated[bool, typer.Option("--strict", help="Make any problem an error.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the split, where a source has none.")] = 0,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Check a captioned image data set and cache its features, once."""
    from capgen.datasets.prepared import problems_file
    from capgen.training.preparation import Observer, Request, Source, prepare

    def each(values: list | None, default: object, option: str) -> list:
        values = values or [default]
        if len(values) not in (1, len(sources)):
            more = f", or once for each of the {len(sources)} sources" if len(sources) > 1 else ""
            raise typer.BadParameter(f"give it once{more}", param_hint=option)
        return values * (len(sources) if len(values) == 1 else 1)

    columns = zip(
        sources,
        each(images, None, "--images"),
        each(layout, "auto", "--format"),
        each(weight, 1.0, "--weight"),
        each(use, "all", "--use"),
        each(style, "", "--style"),
        strict=True,
    )
    chosen = name or _default_name(sources[0])
    wanted = [Source(*row) for row in columns]

    where = clustered(Engine(engine, address, workers if engine == RAY else None))
    with (
        where as cluster,
        progress("Checking images", shown=not quiet) as check,
        progress("Extracting features", shown=not quiet) as extract,
    ):

        class Telling(Observer):
            def on_check(self, done: int, total: int) -> None:
                check(done, total)

            def on_extract(self, done: int, total: int) -> None:
                extract(done, total)

            def on_read(self, source: Source, reading: "Reading") -> None:
                if not quiet:
                    say(f"{source.path}: {reading.layout} layout ({reading.why})")

            def on_convert(self, encoder: "Encoder") -> None:
                if not quiet:
                    say(f"making {encoder.name} ready for this machine, once ({encoder.origin})")

            def on_validated(self, validated: "Validated") -> None:
                if not quiet:
                    _show(validated, seed)
                    if validated.problems:
                        say(f"all that was left out will be listed in {problems_file(chosen)}")

        dataset = prepare(
            Request(
                name=chosen,
                sources=wanted,
                encoder=encoder,
                encoder_weights=encoder_weights,
                views=views or (),
                workers=(None if cluster else workers) or 2,
                cluster=cluster,
                left_out=_names(leave_out) if leave_out else frozenset(),
                strict=strict,
                seed=seed,
                observer=Telling(),
            )
        )
    if not quiet:
        say(f"prepared {dataset.name!r}: train a captioner on it with: capgen train {dataset.name}")


def _names(listing: Path) -> frozenset[str]:
    """Read the names of files, one a line, folders before them left out."""
    from capgen.datasets.layout import lines

    return frozenset(Path(line.strip()).name for _, line in lines(listing))


def _default_name(source: Path) -> str:
    return (source.stem if source.is_file() else source.resolve().name) or "dataset"


def _show(validated: "Validated", seed: int) -> None:
    """Print what was found: a line a split, a line a kind of problem."""
    from collections import Counter

    from rich.console import Console
    from rich.table import Table

    from capgen.datasets.prepared import SPLITS

    console = Console(stderr=True)
    found = Table("split", "images", "captions", title="Found")
    for split in SPLITS:
        pictures = [picture for picture in validated.pictures if picture.split == split]
        found.add_row(split, f"{len(pictures):,}", f"{sum(len(picture.captions) for picture in pictures):,}")
    console.print(found)
    if validated.drawn_split:
        say(f"the source has no splits: they were drawn by image, with seed {seed}")
    if validated.problems:
        counts = Counter(problem.kind for problem in validated.problems)
        left_out = Table("left out", "count", "the first of them")
        for kind, count in counts.items():
            first = next(problem for problem in validated.problems if problem.kind == kind)
            left_out.add_row(kind, f"{count:,}", first.where + (f": {first.detail}" if first.detail else ""))
        console.print(left_out)
