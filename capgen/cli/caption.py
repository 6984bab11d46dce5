"""``capgen caption``."""

from pathlib import Path
from typing import Annotated

import typer

from capgen.cli import app
from capgen.cli.console import Quiet, Verbose, command
from capgen.cli.engine import Address, Engine, EngineName
from capgen.errors import UsageError
from capgen.outputs import FORMATS, shards


def _existing() -> list[str]:
    from capgen.outputs import policy

    return list(policy.EXISTING)


@app.command("caption")
@command("run it again, it goes on")
def caption_command(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH",
            help="Photographs, folders with --recursive, quoted patterns, URLs, .tar, .parquet; - reads paths from stdin.",
        ),
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Look into folders.")] = False,
    from_file: Annotated[Path | None, typer.Option(metavar="LIST", help="Read paths from a file, one a line.")] = None,
    nul: Annotated[
        bool, typer.Option("-0", "--null", help="Paths in LIST or on stdin end in NUL, as find -print0 writes them.")
    ] = False,
    include: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="In folders, only what matches one of these.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="In folders, nothing that matches one of these.")
    ] = None,
    hidden: Annotated[bool, typer.Option("--hidden", help="In folders, hidden files too.")] = False,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Follow links to folders and out of the tree.")
    ] = False,
    shard: Annotated[str | None, typer.Option(metavar="I/N", help="Take only the I-th of N parts of the files.")] = None,
    output_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            help="Lines written to stdout or FILE: text, jsonl or csv; shards: jsonl, parquet or tar.",
            autocompletion=lambda: list(dict.fromkeys((*FORMATS, *shards.FORMATS))),
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Add lines to FILE instead of stdout; write shards into a FOLDER/ or URL/.",
        ),
    ] = None,
    shard_size: Annotated[
        int | None, typer.Option(min=1, help="Pictures of a shard, of those that come in no archive; 10,000 by default.")
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
    existing: Annotated[
        str, typer.Option(help="With captions that exist: skip, overwrite, append or prepend.", autocompletion=_existing)
    ] = "skip",
    force: Annotated[bool, typer.Option("--force", help="Replace even captions that a person has changed.")] = False,
    prefix: Annotated[str, typer.Option(metavar="TEXT", help="Put before every caption.")] = "",
    suffix: Annotated[str, typer.Option(metavar="TEXT", help="Put after every caption.")] = "",
    start: Annotated[str, typer.Option(metavar="TEXT", help="Captions begin with TEXT and go on from it.")] = "",
    min_words: Annotated[int, typer.Option(min=1, max=100, help="Fewest words.")] = 1,
    max_words: Annotated[int | None, typer.Option(min=1, max=100, help="Most words.")] = None,
    avoid: Annotated[list[str] | None, typer.Option(metavar="WORD", help="Never say WORD.")] = None,
    min_confidence: Annotated[float, typer.Option(min=0, max=1, help="Write nothing that is less sure than this.")] = 0.0,
    num: Annotated[int, typer.Option(min=1, max=50, help="Captions a photograph, with their confidence.")] = 1,
    beam: Annotated[int | None, typer.Option(min=1, max=50, help="Hypotheses kept; 1 is fastest.")] = None,
    temperature: Annotated[float, typer.Option(min=0, max=10, help="Draw words, the wilder the higher; 1 as learnt.")] = 0.0,
    top_p: Annotated[
        float, typer.Option(min=0.01, max=1, help="Draw from the likeliest words of this total probability.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the drawing; the same seed draws the same.")] = 0,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Name or path of a captioner.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say for each file what would be done, and do nothing.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.jsonl", help="Write what became of each file, as JSON lines.")
    ] = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first file that fails.")] = False,
    explain: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Draw where it looked for each word of one photograph."),
    ] = None,
    engine: EngineName = "local",
    address: Address = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="With ray, most workers, of one processor each; by default all there are.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Go on captioning files as they arrive, until Ctrl-C.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Caption photographs.

    One photograph prints its caption; several print path, tab, caption. What cannot be captioned is named on stderr.
    """
    from capgen.captioner.request import CaptionRequest
    from capgen.cli import captioning

    captions = CaptionRequest(
        num_beams=beam,
        num_captions=num,
        prompt=start,
        suppressed_words=tuple(avoid or ()),
        min_words=min_words,
        max_words=max_words,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
    )
    if explain is not None:
        elsewhere = (
            recursive, from_file, nul, include, exclude, hidden, follow_links, shard, output_format, output, sidecar, xmp,
            embed, output_dir, existing != "skip", force, prefix, suffix, min_confidence, dry_run, report, fail_fast, watch,
            num > 1, engine != "local", address, workers, shard_size,
        )  # fmt: skip
        captioning.explain(explain, paths or [], model, captions, alone=not any(elsewhere))
        return
    folder = captioning.shard_folder(output, output_format)
    if shard_size is not None and folder is None:
        raise UsageError("--shard-size is about shards: give --output a folder, ending in /")
    wanted = captioning.Wanted(
        selection=captioning.selection(
            recursive=recursive, include=include, exclude=exclude, hidden=hidden, follow_links=follow_links, shard=shard
        ),
        arguments=[path for path in paths or [] if path != "-"],
        listed=captioning.listed(paths or [], from_file, nul=nul, watch=watch),
        form=output_format,
        output=Path(output) if output is not None and folder is None else None,
        destinations=captioning.destinations(sidecar, output_dir, xmp=xmp, embed=embed),
        existing=existing,
        force=force,
        prefix=prefix,
        suffix=suffix,
        minimum_confidence=min_confidence,
        report=report,
        model=model,
        captions=captions,
        engine=Engine(engine, address, workers),
        dry_run=dry_run,
        fail_fast=fail_fast,
        watch=watch,
        quiet=quiet,
    )
    if folder is None:
        captioning.run(wanted)
        return
    from capgen.cli import sharding

    sharding.run(wanted, folder, shard_size)
