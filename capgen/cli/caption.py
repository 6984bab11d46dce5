"""``capgen caption``."""

from pathlib import Path
from typing import Annotated

import typer

from capgen.cli import app
from capgen.cli.console import SOME_FAILED, Quiet, Verbose, command, progress, say
from capgen.outputs import FORMATS


@app.command("caption")
@command("run it again")
def caption_command(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Photographs, or folders with --recursive.")],
    model: Annotated[str | None, typer.Option("--model", "-m", help="Name or path of a captioner.")] = None,
    beam: Annotated[int | None, typer.Option(min=1, max=50, help="Hypotheses kept; 1 is fastest.")] = None,
    num: Annotated[int, typer.Option(min=1, max=50, help="Captions a photograph, with probabilities.")] = 1,
    output_format: Annotated[
        str,
        typer.Option(
            "--format", "-f", help="What is written to stdout: text or jsonl.", autocompletion=lambda: list(FORMATS)
        ),
    ] = "text",
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Look into folders.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Caption photographs.

    One photograph prints its caption; several print path, tab, caption. What cannot be captioned is named on stderr.
    """
    import dataclasses
    import sys

    from capgen.batch import caption_files, discover
    from capgen.captioner import Captioner

    form_type = FORMATS[output_format]
    captioner = Captioner.load(model)
    width = beam or max(captioner.options.beam, num)
    options = dataclasses.replace(captioner.options, beam=width, count=num)
    several = len(paths) > 1 or (recursive and paths[0].is_dir())
    form = form_type(several=several)
    failed = 0
    with progress("Captioning", shown=several and not quiet and not sys.stdout.isatty()) as tell:
        for done, result in enumerate(caption_files(captioner, discover(paths, recursive=recursive), options), 1):
            for line in form.lines(result):
                typer.echo(line.encode("utf-8", "surrogateescape"))
            if result.failed:
                failed += 1
                say(f"capgen: {result.path}: {result.status}: {result.reason}")
            tell(done, 0 if recursive else len(paths))
    if failed:
        raise typer.Exit(SOME_FAILED)
