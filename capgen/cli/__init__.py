"""The command: one thin module a subcommand. Nothing heavy is imported before a subcommand runs."""

from typing import Annotated

import typer

import capgen

app = typer.Typer(
    name="capgen",
    help="Prepare a captioned image data set, train an LSTM captioner on it, evaluate it, and caption photographs.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Rich would double the time of --help
    context_settings={"help_option_names": ["-h", "--help"]},
)

FIRST_STEPS = """\
capgen writes captions for photographs, offline, and learns to write them from your own pictures.

1. Caption a photograph; nothing has to be set up:
     capgen caption photo.jpg
2. Prepare pictures that have captions; most layouts are recognised:
     capgen prepare FOLDER --name mine
3. Train a captioner on them:
     capgen train mine
4. Score it on pictures it has not seen, and caption with it:
     capgen evaluate mine --data mine
     capgen caption photo.jpg --model mine

capgen --help lists all commands, capgen COMMAND --help the options of one; capgen doctor says what is wrong, if anything.
"""


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"capgen {capgen.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        # exit code 0, not no_args_is_help's 2 for wrong usage: whoever types the name alone asks what to do, and is told
        typer.echo(FIRST_STEPS, nl=False)


def main() -> None:
    """Run the command."""
    app()


from capgen.cli import cache, caption, doctor, evaluate, merge, models, prepare, score, train  # noqa: E402, F401 - each registers its subcommand
