"""The command: one thin module a subcommand. Nothing heavy is imported before a subcommand runs."""

import os
import shlex
from typing import Annotated, Any, NoReturn

import typer

import capgen
from capgen.cli.console import choice, complain, printable
from capgen.cli.help_text import Commands, PlainGroup
from capgen.errors import near_names

_WrongUsage: Any = typer.BadParameter.__base__  # Click's UsageError; Typer may bring a Click of its own


_ORDER = ("caption", "prepare", "train", "evaluate", "score", "merge", "models", "data", "cache", "config", "doctor")
"""The subcommands in the order of the help."""


class _OneLineErrorGroup(PlainGroup):
    """A group of commands that reports wrong usage in one line, like any other error; Click would write four."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=_ORDER.index)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, ["--version"] if args == ["version"] else args)
        except _WrongUsage as error:
            _report_usage(error, ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if self.get_command(ctx, args[0]) is None and _names_images(args[0]):
            more = " ..." if len(args) > 1 else ""
            complain(printable(f"{args[0]} is not a command; type: capgen caption {shlex.quote(args[0])}{more}"))
            raise typer.Exit(_WrongUsage.exit_code)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except _WrongUsage as error:
            _report_usage(error, ctx)


def _names_images(argument: str) -> bool:
    """Tell whether what stands in the place of a command can be captioned: a file, a folder, or a name like an image's."""
    from capgen.images.formats import ends_like_image
    from capgen.storage.locations import is_url

    return os.path.lexists(argument) or ends_like_image(argument) or is_url(argument)


def _message(error: Any) -> str:
    """Return the message of an error of usage, in which an option is offered only for a slip of the keys."""
    if getattr(error, "possibilities", None) is None:
        return str(error.format_message())
    known = [option for parameter in error.ctx.command.params for option in parameter.opts]
    near = near_names(error.option_name, known)
    return f"{error.message}{f'; did you mean {choice(near)}?' if near else ''}"


def _report_usage(error: Any, ctx: Any) -> NoReturn:
    """Write an error of usage in one line, and exit with its code."""
    if type(error).show is not _WrongUsage.show:  # it shows the help of a group that was named without a subcommand
        raise error
    message = printable(" ".join(_message(error).replace("Value error, ", "").split())).rstrip(".")
    where = error.ctx.command_path if error.ctx else f"{ctx.command_path} {ctx.invoked_subcommand or ''}".rstrip()
    complain(f"{message[:1].lower()}{message[1:]}{'' if message.endswith('?') else ';'} {where} --help tells more")
    raise typer.Exit(error.exit_code) from None


app = Commands(
    name="capgen",
    cls=_OneLineErrorGroup,
    help="Prepare a captioned image data set, train an LSTM captioner on it, evaluate it, and caption photographs.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
)

FIRST_STEPS = """\
capgen writes captions for photographs, offline, and learns to write them from your own photographs.

1. Caption a photograph; nothing has to be set up:
     capgen caption photo.jpg
2. Prepare photographs that have captions; most layouts are recognised:
     capgen prepare FOLDER --name mine
3. Train a captioner on them:
     capgen train mine
4. Score it on photographs that it has not seen, and caption with it:
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
        # The exit code is 0, and not 2 as with no_args_is_help: typing the name alone is a question and not wrong usage.
        typer.echo(FIRST_STEPS, nl=False)


def main() -> None:
    """Run the command."""
    from capgen.storage.stderr import ignore_pillow_warnings, open_if_closed

    open_if_closed()
    ignore_pillow_warnings()
    app()


from capgen.cli import cache, caption, config, data, doctor, evaluate, merge, models, prepare, score, train  # noqa: E402, F401 - each registers its subcommand
