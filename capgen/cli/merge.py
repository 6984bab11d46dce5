"""``capgen merge``: it joins the outputs of shards."""

from pathlib import Path
from typing import Annotated

import typer

from capgen.cli import app
from capgen.cli.console import Quiet, Verbose, command, say
from capgen.cli.help_text import one_of
from capgen.outputs import FORMATS


@app.command("merge")
@command("run it again")
def merge_command(
    sources: Annotated[list[Path], typer.Argument(metavar="FILE", help="Output files of capgen caption.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write.")],
    output_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            help="The format of all files; by default what FILE ends in.",
            **one_of(FORMATS),
        ),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Merge the output files of several runs, such as the shards of a library.

    Of a photograph that is in several of them, the last caption counts.
    """
    from capgen.errors import UsageError
    from capgen.outputs import format_of
    from capgen.outputs.merging import merge

    form = format_of(sources[0], output_format)
    if output_format is None and type(form) is not type(format_of(output, None)):
        raise UsageError(f"{sources[0]} and {output} end like files of different formats; name theirs with --format")
    count = merge(sources, output, form)
    if not quiet:
        say(f"{count:,} photographs in {output}")
