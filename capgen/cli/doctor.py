"""``capgen doctor``: it runs the checks of ``diagnostics`` and prints them."""

import typer

from capgen.cli import app
from capgen.cli.console import FAILED, Verbose, command


@app.command("doctor")
@command("run it again")
def doctor_command(verbose: Verbose = False) -> None:
    """Show what is installed, and whether it works.

    The output can be pasted into a bug report. The exit code is 1 if something that is needed is broken.
    """
    from capgen.cli import diagnostics

    failed = 0
    for title, lines in diagnostics.run_checks():
        typer.echo(title)
        for line in lines:
            typer.echo(f"{'!' if line.failed else ' '} {line.name:<18}  {line.text}".encode())
            failed += line.failed
    typer.echo(f"{failed} broken, marked with !" if failed else "all is well")
    if failed:
        raise typer.Exit(FAILED)
