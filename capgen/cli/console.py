"""What every subcommand shares: where words go, progress, and how a fault becomes an exit code."""

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from capgen.errors import CapgenError, UsageError

INTERRUPTED = 130
FAILED = 1
SOME_FAILED = 3

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but results and errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show the traceback of an error.")]


def command(after_interrupt: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a decorator that turns what a subcommand raises into one line on stderr and an exit code.

    Args:
        after_interrupt: What to do after Ctrl-C; ``{argument}`` stands for one of the subcommand's arguments.
    """
    return functools.partial(_reported, after_interrupt)


def _reported(after_interrupt: str, function: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            function(*args, **kwargs)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except KeyboardInterrupt:
            say(f"capgen: interrupted; {after_interrupt.format(**kwargs)}")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            _close_stdout()
            raise typer.Exit(FAILED) from None
        except (CapgenError, OSError, MemoryError) as error:
            if kwargs.get("verbose"):
                import traceback

                traceback.print_exc()
            say(f"capgen: {_line(error)}")
            raise typer.Exit(getattr(error, "exit_code", FAILED)) from None
        except Exception as error:
            if kwargs.get("verbose"):
                raise
            say(f"capgen: this should not happen ({type(error).__name__}: {_line(error)}); --verbose shows where")
            raise typer.Exit(FAILED) from None

    return wrapped


def say(text: str) -> None:
    """Write a line to stderr."""
    typer.echo(text, err=True)


def is_terminal() -> bool:
    """Tell whether a person sees stderr."""
    return sys.stderr.isatty()


def confirm(question: str, unasked: str) -> None:
    """End the command unless a person agrees.

    Args:
        question: What is asked.
        unasked: What ``--yes`` is for, told where there is nobody to ask.

    Raises:
        UsageError: There is no terminal to ask on.
        Exit: The answer is no.
    """
    if not sys.stdin.isatty():
        raise UsageError(f"there is no terminal to ask on; give --yes to {unasked}")
    typer.echo(f"{question} [y/N] ", err=True, nl=False)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:  # not typer.confirm, which hides Ctrl-C
        say("nothing was removed")
        raise typer.Exit(FAILED)


def printable(text: str) -> str:
    """Return ``text`` with control characters written out: a terminal would obey those in a file that a stranger sent."""
    return "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in text)


@contextmanager
def progress(title: str, *, shown: bool) -> Iterator[Callable[..., None]]:
    """Show a bar with rate and time left on stderr, from the first update to the last.

    Args:
        title: What is done.
        shown: Off when quiet; it is never shown when stderr is no terminal.

    Yields:
        A function that takes how many are done and how many there are, 0 for an unknown number, and a note to show.
    """
    if not shown or not is_terminal():
        yield lambda done, total, note="": None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(title, total=None, rate="", note="")

    def update(done: int, total: int, note: str = "") -> None:
        bar.start()
        speed = bar.tasks[0].speed
        bar.update(task, completed=done, total=total or None, rate=f"{speed:,.1f}/s" if speed else "", note=note)
        if done == total:
            bar.stop()  # so that what is printed next does not land behind it

    try:
        yield update
    finally:
        bar.stop()


def _line(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "there is not enough memory; close other programs or use smaller batches"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return printable(" ".join(str(error).split()))


def _close_stdout() -> None:
    """Keep Python from complaining at exit that the reader of a pipe has gone."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
