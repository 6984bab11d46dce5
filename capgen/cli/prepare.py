"""``capgen prepare``: its options, and the tables of what was found in the sources."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from capgen.cli import app
from capgen.cli.console import Quiet, Verbose, choice, command, printable, progress, say
from capgen.cli.engine import LOCAL, Address, EngineName
from capgen.cli.help_text import one_of
from capgen.datasets import AUTO, LAYOUTS
from capgen.training.encoders import ENCODERS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.table import Table

    from capgen.datasets.layout import LoadedDataset
    from capgen.datasets.prepared import PreparedDataset
    from capgen.datasets.validation import ValidationReport
    from capgen.training.encoders.encoder import EncoderSpec
    from capgen.training.preparation import DataSetSource, PreparationReporter


@app.command("prepare")
@command("run it again and it goes on")
def prepare_command(
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE", help="Folder or file of a captioned data set.")],
    images: Annotated[
        list[Path] | None,
        typer.Option(help="Folder or archive of the images, if not in the layout's own place; once, or once a source."),
    ] = None,
    layout: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help=f"{choice((AUTO, *LAYOUTS))} (recognised); once, or once a source.",
            **one_of((AUTO, *LAYOUTS), metavar="LAYOUT"),
        ),
    ] = None,
    weight: Annotated[
        list[float] | None, typer.Option(help="How often a source's images are seen in an epoch; once a source.")
    ] = None,
    use: Annotated[
        list[str] | None,
        typer.Option(
            help="Use the source for training only (train): its train split, or all of it without splits;"
            " once, or once a source.",
            **one_of(("all", "train")),
        ),
    ] = None,
    domain: Annotated[
        list[str] | None,
        typer.Option(
            "--domain",
            "--style",
            help="Domain of a source's captions; the captioner does not write like it; '' for none; once a source.",
        ),
    ] = None,
    image_column: Annotated[
        list[str] | None,
        typer.Option(
            help="Column or key of a table that names its images, if capgen does not know it; once, or once a source."
        ),
    ] = None,
    caption_column: Annotated[
        list[str] | None, typer.Option(help="Column or key of a table with its captions; once, or once a source.")
    ] = None,
    leave_out: Annotated[
        Path | None,
        typer.Option(help="File of names or paths of images, one a line, that are not used, whatever source they are in."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the data set is called; the source's own name by default.")] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace a data set of that name that was made of other sources.",
        ),
    ] = False,
    encoder: Annotated[
        str,
        typer.Option(help=f"Pretrained CNN: {choice(ENCODERS)}.", **one_of(ENCODERS, metavar="NAME")),
    ] = "efficientnet-lite2",
    encoder_weights: Annotated[Path | None, typer.Option(help="File of weights for it, used offline.")] = None,
    augment: Annotated[
        list[str] | None,
        typer.Option("--augment", "--views", help="Cache features of augmented images, too.", **one_of(("flip",))),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads that decode images, 2 by default; with ray, most workers.")
    ] = None,
    engine: EngineName = "local",
    address: Address = None,
    language: Annotated[
        str | None,
        typer.Option(
            metavar="TAG", help="Language of the captions, such as en, de, hi or zh (BCP 47); recognised by default."
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Make any problem an error.")] = False,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE.jsonl", help="Write all that was left out or joined, row by row, as JSON lines."),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the splits that are made at random, where a source has none.")
    ] = 0,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Check a captioned image data set and cache its features, once.

    Run again for the same name and sources (the same paths), it goes on where it was and takes up what has changed. For the
    name of a data set made of other sources it needs --overwrite.
    """
    from capgen.batch.engines import ENGINES
    from capgen.datasets.prepared import problems_file
    from capgen.training.preparation import PreparationRequest, prepare

    chosen = _sources(
        sources, images=images, layout=layout, weight=weight, use=use, domain=domain,
        image_column=image_column, caption_column=caption_column,
    )  # fmt: skip
    chosen_engine = ENGINES[engine](address=address, workers=None if engine == LOCAL else workers)
    with (
        chosen_engine as opened,
        progress("Unpacking images", shown=not quiet) as on_unpack,
        progress("Checking images", shown=not quiet) as on_check,
        progress("Extracting features", shown=not quiet) as on_extract,
    ):
        request = PreparationRequest(
            name=name or _default_name(sources[0]),
            sources=chosen,
            encoder=encoder,
            encoder_weights=encoder_weights,
            augmentations=augment or (),
            workers=(workers if opened.in_this_process else None) or 2,
            excluded=_names(leave_out, report) if leave_out else (),
            strict=strict,
            report=report,
            seed=seed,
            overwrite=overwrite,
            language=language or "",
        )
        reporter = _reporter(seed, on_unpack, on_check, on_extract, quiet=quiet)
        dataset = prepare(request, reporter, opened)
    if not quiet:
        if (listing := problems_file(dataset.name)).stat().st_size:
            say(f"all that was left out is listed in {listing}")
        say(f"prepared {dataset.name!r}: {_next_step(dataset)}")


def _next_step(dataset: "PreparedDataset") -> str:
    """Return in words what can be done with a data set: it is trained on if it has images to train on and to choose by."""
    splits = {image.split for image in dataset.images}
    if {"train", "dev"} <= splits:
        return f"train a captioner on it with: capgen train {dataset.name}"
    lacking = "dev" if "train" in splits else "train"
    evaluate = f"capgen evaluate MODEL --data {dataset.name} --split {min(splits)}"
    return f"it has no {lacking} split, so that a captioner cannot be trained on it, only evaluated: {evaluate}"


def _sources(
    paths: list[Path],
    *,
    images: list[Path] | None,
    layout: list[str] | None,
    weight: list[float] | None,
    use: list[str] | None,
    domain: list[str] | None,
    image_column: list[str] | None,
    caption_column: list[str] | None,
) -> "list[DataSetSource]":
    """Put the options of each source together; an option that is given once holds for every source.

    Raises:
        BadParameter: An option is given neither once nor once for each source.
    """
    from capgen.training.preparation import DataSetSource

    def each(values: list[Any] | None, default: object, option: str) -> list[Any]:
        values = values or [default]
        if len(values) not in (1, len(paths)):
            more = f", or once for each of the {len(paths)} sources" if len(paths) > 1 else ""
            raise typer.BadParameter(f"give it once{more}", param_hint=option)
        return values * (len(paths) if len(values) == 1 else 1)

    columns = zip(
        paths,
        each(images, None, "--images"),
        each(layout, "auto", "--format"),
        each(weight, 1.0, "--weight"),
        each(use, "all", "--use"),
        each(domain, "", "--domain"),
        each(image_column, None, "--image-column"),
        each(caption_column, None, "--caption-column"),
        strict=True,
    )
    return [DataSetSource(*row) for row in columns]


def _names(listing: Path, report: Path | None) -> "Sequence[str]":
    """Read the names of images, one a line.

    Raises:
        BadParameter: The report would replace their list.
    """
    from capgen.datasets.text_files import lines

    if report is not None and report.resolve() == listing.resolve():
        raise typer.BadParameter("it would replace the list of --leave-out; choose another file", param_hint="--report")
    return list(dict.fromkeys(line.strip() for _, line in lines(listing)))


def _default_name(source: Path) -> str:
    from capgen.inputs.archives import archive_stem, is_archive

    stem = archive_stem(source) if is_archive(source) else source.stem
    return (stem if source.is_file() else source.resolve().name) or "dataset"


def _reporter(
    seed: int,
    on_unpack: "Callable[..., None]",
    on_check: "Callable[[int, int], None]",
    on_extract: "Callable[[int, int], None]",
    *,
    quiet: bool,
) -> "PreparationReporter":
    """Return a reporter that moves the bars and, unless ``quiet``, says on stderr what is found."""
    from capgen.training.preparation import PreparationReporter

    class Bars(PreparationReporter):
        is_unpacking = False

        def on_unpack(self, archive: str, images: int) -> None:
            self.is_unpacking = True
            on_unpack(images, 0, f"of {archive}")

        def on_read(self, source: "DataSetSource", dataset: "LoadedDataset") -> None:
            if self.is_unpacking:
                on_unpack(1, 1)
                self.is_unpacking = False

        def on_check(self, done: int, total: int) -> None:
            on_check(done, total)

        def on_extract(self, done: int, total: int) -> None:
            on_extract(done, total)

    class BarsAndLines(Bars):
        def on_read(self, source: "DataSetSource", dataset: "LoadedDataset") -> None:
            super().on_read(source, dataset)
            say(printable(f"{source.path}: {dataset.layout} layout ({dataset.recognised_by})"))
            for note in dataset.notes:
                say(printable(f"{source.path}: {note}"))

        def on_convert(self, encoder: "EncoderSpec") -> None:
            say(f"making {encoder.name} ready for this machine, once, which takes a minute ({encoder.origin})")

        def on_validated(self, report: "ValidationReport") -> None:
            _show(report, seed)

        def on_language(self, language: str, *, given: bool, without_mirror_images: bool) -> None:
            _show_language(language, given=given, without_mirror_images=without_mirror_images)

    return Bars() if quiet else BarsAndLines()


def _show_language(language: str, *, given: bool, without_mirror_images: bool) -> None:
    """Say how the captions of a language are split into words, and what to do if it is not that language."""
    from capgen.captioner.language import is_english, is_spaceless

    how = "split into words by the English rule"
    if is_spaceless(language):
        how = "written without spaces between words, so that captions are learnt character by character"
    elif not is_english(language):
        how = "words by Unicode's rules"
    known = "not known for certain" if language.startswith("und") else "recognised"
    say(f"language: {language}, {how}" + ("" if given else f" ({known}; --language TAG if it is another)"))
    if without_mirror_images:
        say(f"no mirror images: the words for left and right are not known of the captions' language ({language})")


def _show(report: "ValidationReport", seed: int) -> None:
    """Print what was found: a line for each split, and a line for each kind of problem."""
    from rich.console import Console

    console = Console(stderr=True)
    console.print(_found(report))
    _say_random_splits(report, seed)
    if report.problems:
        console.print(_left_out(report))


def _found(report: "ValidationReport") -> "Table":
    from rich.table import Table

    from capgen.datasets.prepared import SPLITS

    found = Table("split", "images", "captions", title="Found")
    for split in SPLITS:
        images = [image for image in report.images if image.split == split]
        found.add_row(split, f"{len(images):,}", f"{sum(len(image.captions) for image in images):,}")
    return found


def _say_random_splits(report: "ValidationReport", seed: int) -> None:
    from capgen.datasets.prepared import SPLITS

    if report.random_splits == SPLITS:
        count = report.without_split
        some = f"{count:,} of the images have no split: they" if count < len(report.images) else ""
        say(f"{some or 'the source has no splits: its images'} were split at random, with seed {seed}")
    elif report.random_splits:
        dev = sum(image.split == "dev" for image in report.images)
        moved = "1 of the train images was" if dev == 1 else f"{dev:,} of the train images were"
        say(f"there is no dev split: {moved} chosen for it at random, with seed {seed}")


def _left_out(report: "ValidationReport") -> "Table":
    from rich.table import Table
    from rich.text import Text

    from capgen.datasets.layout import by_kind

    left_out = Table("left out or joined", "count", "the first of them")
    for kind, problems in by_kind(report.problems).items():
        left_out.add_row(kind, f"{len(problems):,}", Text(printable(str(problems[0]))))  # a name may look like markup
    return left_out
