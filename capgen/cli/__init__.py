"""The command: one thin module a subcommand. Nothing heavy is imported before a subcommand runs."""

from typing import Annotated

import typer

import capgen

app = typer.Typer(
    name="capgen",
    help="Prepare a captioned image data set, train an LSTM captioner on it, evaluate it, and caption photographs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Rich would double the time of --help
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"capgen {capgen.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command."""
    app()


from capgen.cli import caption, evaluate, prepare, train  # noqa: E402, F401 - each registers its subcommand
