"""``capgen caption``: its options, and the job that is made of them."""

import signal
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capgen.cli import app
from capgen.cli.caption_options import EXAMPLES, GROUPS, refuse_needless
from capgen.cli.completion import captioners
from capgen.cli.configurable import ConfigurableCommand
from capgen.cli.console import (
    FAILED,
    SOME_FAILED,
    Quiet,
    Verbose,
    choice,
    command,
    complain,
    printable,
    progress,
    say,
)
from capgen.cli.engine import LOCAL, Address, EngineName
from capgen.cli.help_text import one_of
from capgen.cli.option_names import as_typed
from capgen.errors import UsageError
from capgen.outputs import ENDINGS, FORMATS, SHARD_FORMATS
from capgen.outputs.choices import Existing, SidecarName
from capgen.storage.locations import is_url
from capgen.storage.platform import noted_lacks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from capgen.batch.job import CaptionJob
    from capgen.captioner.request import CaptionRequest
    from capgen.captioner.results import Result
    from capgen.cli.reporting import Reporter


@app.command("caption", cls=ConfigurableCommand, groups=GROUPS, examples=EXAMPLES)
@command("run it again, it goes on")
def caption_command(
    context: typer.Context,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH",
            help="Photographs, folders of them, quoted patterns, URLs, .tar, .zip, .parquet; - is a list or image on stdin.",
        ),
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Look into the folders in folders, too.")] = False,
    from_file: Annotated[
        Path | None, typer.Option(metavar="LIST", help="Read paths from a file with one path a line.")
    ] = None,
    nul: Annotated[
        bool, typer.Option("-0", "--null", help="Paths in LIST or on stdin end in NUL, as find -print0 writes them.")
    ] = False,
    include: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="In folders, take only what matches one of these.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="In folders, take nothing that matches one of these.")
    ] = None,
    hidden: Annotated[
        bool, typer.Option("--hidden", help="In folders, take what is hidden or left by programs, too.")
    ] = False,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Follow links to folders and out of the tree.")
    ] = False,
    shard: Annotated[str | None, typer.Option(metavar="I/N", help="Take only the I-th of N parts of the files.")] = None,
    output_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            help=f"{choice(FORMATS)} on stdout or in FILE, by default what FILE ends in; in shards {choice(SHARD_FORMATS)}.",
            **one_of(FORMATS, SHARD_FORMATS),
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write to FILE instead of stdout, in the format that its name ends in:"
            f" {choice(ending or 'no ending' for ending in ENDINGS)}; write shards into a FOLDER/ or URL/.",
        ),
    ] = None,
    shard_size: Annotated[
        int | None,
        typer.Option(min=1, help="Images in a shard of files that are not in an archive; 10,000 by default."),
    ] = None,
    sidecar: Annotated[
        str | None,
        typer.Option(metavar="ENDING", help="Write each caption beside its photograph, as .txt or another ending."),
    ] = None,
    xmp: Annotated[bool, typer.Option("--xmp", help="Write description and alternative text into .xmp files.")] = False,
    embed: Annotated[
        bool, typer.Option("--embed", help="Write them into the photographs' own metadata, with exiftool.")
    ] = False,
    output_dir: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Put sidecars under FOLDER, in the same sub-folders.")
    ] = None,
    sidecar_name: Annotated[
        SidecarName,
        typer.Option(help="A new sidecar is called a.xmp (stem), a.jpg.xmp (full), or as others are (auto)."),
    ] = SidecarName.AUTO,
    existing: Annotated[
        Existing,
        typer.Option(help="Keep captions that exist (skip), fill gaps, replace the outdated or all, or add to them."),
    ] = Existing.SKIP,
    force: Annotated[bool, typer.Option("--force", help="Replace even captions that a person has changed.")] = False,
    prefix: Annotated[str, typer.Option(metavar="TEXT", help="Put TEXT before every caption.")] = "",
    suffix: Annotated[str, typer.Option(metavar="TEXT", help="Put TEXT after every caption.")] = "",
    prompt: Annotated[
        str, typer.Option("--prompt", "--start", metavar="TEXT", help="Captions begin with TEXT and go on from it.")
    ] = "",
    min_words: Annotated[int, typer.Option(min=1, max=100, help="The fewest words of a caption.")] = 1,
    max_words: Annotated[
        int | None, typer.Option(min=1, max=100, help="The most words of a caption; the captioner has its own.")
    ] = None,
    suppress: Annotated[
        list[str] | None, typer.Option("--suppress", "--avoid", metavar="WORD", help="Captions do not contain WORD.")
    ] = None,
    min_confidence: Annotated[
        float, typer.Option(min=0, max=1, help="Write no caption whose confidence is below this.")
    ] = 0.0,
    num: Annotated[int, typer.Option(min=1, max=50, help="Captions for each photograph, with their confidence.")] = 1,
    beam: Annotated[
        int | None,
        typer.Option(min=1, max=50, help="Hypotheses that the search keeps, 1 is fastest; the captioner has its own."),
    ] = None,
    temperature: Annotated[
        float,
        typer.Option(
            min=0, max=10, help="Sample words; higher is more random, 1 samples from the model's distribution, 0 searches."
        ),
    ] = 0.0,
    top_p: Annotated[
        float, typer.Option(min=0.01, max=1, help="Sample from the likeliest words of this total probability.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sampling; the same seed samples the same words.")] = 0,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="Name or path of a captioner; by default that of capgen models default.",
            autocompletion=captioners,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say for each file what would be done, and do nothing.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.jsonl", help="Write what became of each file, as JSON lines.")
    ] = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first file that fails.")] = False,
    explain: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Draw one photograph with the attention of each word of its caption."),
    ] = None,
    engine: EngineName = LOCAL,
    address: Address = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="With ray, the most workers, of one processor each; by default all there are.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Go on captioning files as they arrive, until Ctrl-C.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Caption photographs.

    One photograph prints its caption; several print path, tab, caption. What cannot be captioned is named on stderr.

    The captioner that ships writes English. For another language, train one on captions in it, with capgen prepare and
    capgen train, and name it with --model; docs/how-to/own-captioner.md has the steps.
    """
    from capgen.batch.engines import ENGINES
    from capgen.batch.job import CaptionJob
    from capgen.batch.request import Inputs, OutputPolicy, Outputs
    from capgen.captioner.captioner import Captioner
    from capgen.captioner.request import CaptionRequest
    from capgen.cli.reporting import Reporter
    from capgen.inputs.selection import Selection

    request = CaptionRequest(
        prompt=prompt, suppressed_words=tuple(suppress or ()), min_words=min_words, max_words=max_words, num_captions=num,
        num_beams=beam, temperature=temperature, top_p=top_p, seed=seed,
    )  # fmt: skip
    refuse_needless(context, request)
    if explain is not None:
        _explain(explain, paths or [], model, request, quiet=quiet)
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C, so that what was begun is finished
    inputs = Inputs.of(
        paths or [], from_file, nul=nul, part=shard,
        selection=Selection(recursive, tuple(include or ()), tuple(exclude or ()), hidden, follow_links),
    )  # fmt: skip
    job = CaptionJob(
        inputs=inputs,
        outputs=Outputs.to(
            output, format=output_format, sidecar=sidecar, xmp=xmp, embed=embed, output_dir=output_dir,
            sidecar_name=sidecar_name, shard_size=shard_size, report=report,
        ),
        policy=OutputPolicy(
            existing=existing, force=force, min_confidence=min_confidence, prefix=prefix, suffix=suffix
        ),
        engine=ENGINES[engine](address=address, workers=workers),
        captioner=Captioner.load(model),
        request=request,
        fail_fast=fail_fast,
    )  # fmt: skip
    if inputs.list_folder is not None and not quiet:
        say(
            printable(
                f"paths in {from_file} that lead to nothing from here are taken from {inputs.list_folder}, where it lies"
            )
        )
    if dry_run:
        _print_plan(job, quiet=quiet)
    elif watch:
        _watch(job, Reporter(job.outputs, several=True, quiet=quiet, arriving=True))
    else:
        _caption(job, quiet=quiet)


def _print_plan(job: "CaptionJob", *, quiet: bool) -> None:
    """Print what a job would do with each file."""
    for planned in job.plan():
        typer.echo(as_typed(str(planned)).encode("utf-8", "surrogateescape"))
    if job.passed_over and not quiet:
        say(printable(f"passed over: {job.passed_over}"))


def _caption(job: "CaptionJob", *, quiet: bool) -> None:
    """Run a job, and say what became of the images.

    Raises:
        Exit: With code 3, if some images failed, and with code 1, if there are files but no images.
    """
    from capgen.cli.reporting import Reporter

    shown = not quiet and not (job.outputs.standard_output and sys.stdout.isatty())
    with progress("Shards" if job.writes_shards else "Captioning", shown=shown) as show:
        if job.may_be_several:
            show(0, 0, "looking for photographs")
        with closing(job.run()) as results:
            reporter = Reporter(job.outputs, several=job.several, quiet=quiet)
            reporter.add_skipped(job.skipped_before)
            if job.several:
                _run(job, results, reporter, show)
            else:
                for result in results:
                    reporter.add(result)
    if job.notice:
        reporter.info(job.notice)
    if job.found_nothing:
        complain(printable(f"no photographs found; passed over: {job.passed_over}"))
        raise typer.Exit(FAILED)
    finished, total = job.finished_before
    if finished:
        reporter.info(f"{finished:,} of {total:,} shards were there before")
    if reporter.done or not finished:
        reporter.summarise(job.passed_over)
    _exit(reporter)


def _run(job: "CaptionJob", results: "Iterable[Result]", reporter: "Reporter", show: "Callable[..., None]") -> None:
    """Report the results of a job over several images as they come, and show how far it is."""
    show(0, job.progress.total)
    for result in results:
        reporter.add(result)
        if job.writes_shards:
            images = f"{reporter.done:,} images"
            show(job.progress.done, job.progress.total, ", ".join(filter(None, (images, reporter.note))))
        else:
            show(job.progress.done, job.progress.total, reporter.note, worked_on=reporter.worked_on)


def _watch(job: "CaptionJob", reporter: "Reporter") -> None:
    """Report what arrives until Ctrl-C, which is how a watch ends well.

    Raises:
        Exit: With code 3, if some images failed.
    """
    with closing(job.watch()) as results:
        reporter.info("watching for photographs; Ctrl-C ends it")
        try:
            for result in results:
                reporter.add(result)
        except KeyboardInterrupt:
            say("")
    reporter.summarise()
    _exit(reporter)


def _exit(reporter: "Reporter") -> None:
    for lack in noted_lacks():
        reporter.info(lack)
    if reporter.failed:
        raise typer.Exit(SOME_FAILED)


def _explain(sheet: Path, paths: list[str], model: str | None, request: "CaptionRequest", *, quiet: bool) -> None:
    """Print the caption of one photograph, and draw the attention of each word."""
    from capgen.captioner.captioner import Captioner
    from capgen.captioner.explain import explain
    from capgen.inputs.archives import is_archive

    if len(paths) != 1:
        raise UsageError("--explain draws one photograph; give one path")
    if paths[0] == "-":
        raise UsageError("--explain draws a photograph in a folder here; name its file instead of -")
    if is_url(paths[0]) or is_archive(Path(paths[0])):
        raise UsageError(f"--explain draws a photograph in a folder here, and {paths[0]} is not one; fetch it first")

    def say_font_search() -> None:
        if not quiet:
            say("Matplotlib searches this machine for fonts; it does so once, and it may take a while")

    caption = explain(Captioner.load(model), Path(paths[0]), sheet, request, say_font_search)
    typer.echo(caption.text.encode("utf-8", "surrogateescape"))
