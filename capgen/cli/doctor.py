"""``capgen doctor``: it runs the checks of ``diagnostics`` and prints them."""

import shutil
import sys
import textwrap

import typer

from capgen.cli import app
from capgen.cli.console import FAILED, Verbose, command


@app.command("doctor")
@command("run it again")
def doctor_command(verbose: Verbose = False) -> None:
    """Show what is installed, what is configured, and whether it works.

    The output can be pasted into a bug report. The exit code is 1 if something that is needed is broken.
    """
    from capgen.cli import diagnostics

    failed = 0
    for title, lines in diagnostics.run_checks():
        typer.echo(title)
        for line in lines:
            typer.echo(_laid_out(f"{'!' if line.failed else ' '} {line.name:<18}  {line.text}").encode())
            failed += line.failed
    typer.echo(f"{failed} broken, marked with !" if failed else "all is well")
    if failed:
        raise typer.Exit(FAILED)


def _laid_out(line: str) -> str:
    """Break a line at words for a terminal, where it goes on below its text; elsewhere, a check is one line."""
    if not sys.stdout.isatty():
        return line
    columns = shutil.get_terminal_size().columns
    return textwrap.fill(line, max(columns, 40), subsequent_indent=" " * 22, break_long_words=False, break_on_hyphens=False)
