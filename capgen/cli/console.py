"""What all subcommands share: messages on stderr, progress bars, and how an error becomes a line and an exit code."""

import errno
import functools
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, TextIO

import typer

from capgen.cli.option_names import as_typed
from capgen.errors import CapgenError, UsageError, os_reason

INTERRUPTED = 130
FAILED = 1
SOME_FAILED = 3

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only results and errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show the traceback of an error.")]


def command(after_interrupt: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that turns the errors of a subcommand into one line on stderr and an exit code.

    Args:
        after_interrupt: What the message after Ctrl-C tells the user to do; ``{NAME}`` stands for the value of the
            subcommand's parameter of that name.
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
            _silence(sys.stdout)
            raise typer.Exit(FAILED) from None
        except (CapgenError, OSError, MemoryError) as error:
            if kwargs.get("verbose"):
                import traceback

                traceback.print_exc()
            complain(_with_origins(as_typed(_line(error)), kwargs))
            _flush_stdout()
            raise typer.Exit(getattr(error, "exit_code", FAILED)) from None
        except Exception as error:
            if kwargs.get("verbose"):
                raise
            complain(f"this should not happen ({type(error).__name__}: {_line(error)}); --verbose shows where")
            raise typer.Exit(FAILED) from None

    return wrapped


def choice(names: Iterable[str], conjunction: str = "or") -> str:
    """Return names as a text lists them, such as "a, b or c"."""
    *first, last = names
    return f"{', '.join(first)} {conjunction} {last}" if first else last


def typed_options(context: typer.Context) -> dict[str, str]:
    """Return the names of the options that were typed, by the names of their parameters; others have defaults."""
    typed = {name for name in context.params if str(context.get_parameter_source(name)).endswith("COMMANDLINE")}
    return {str(each.name): max(each.opts, key=len) for each in context.command.params if each.name in typed}


def refuse_others(context: typer.Context, option: str, why: str, fitting: Collection[str]) -> None:
    """Make sure that beside an option only those are given that have a meaning there.

    Args:
        context: The command as it was typed.
        option: The option, such as ``--resume``.
        why: What the option does, for the message.
        fitting: The names of the parameters that go with it.

    Raises:
        UsageError: Others are given; the message names them.
    """
    others = [written for name, written in typed_options(context).items() if name not in fitting]
    if others:
        raise UsageError(f"{option} {why}; leave out {choice(others, 'and')}")


def say(text: str) -> None:
    """Write a line to stderr, with options in place of the arguments of the library.

    If stderr cannot be written to, the line is dropped and the work goes on.
    """
    try:
        typer.echo(as_typed(text), file=sys.stderr)  # by which it lands above a bar; ``err=True`` would write into its line
    except OSError:
        _silence(sys.stderr)


def complain(text: str) -> None:
    """Write a line about what went wrong to stderr, after the command's name, and in red where that can be seen."""
    line = f"capgen: {text}"
    colours = is_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    say(typer.style(line, fg=typer.colors.RED) if colours else line)


def is_terminal() -> bool:
    """Tell whether stderr is a terminal, which a person looks at."""
    return sys.stderr.isatty()


def confirm(question: str, unasked: str) -> None:
    """End the command unless a person agrees.

    Args:
        question: The question, without "[y/N]".
        unasked: What ``--yes`` does without a question, for the message where there is nobody to ask.

    Raises:
        UsageError: Standard input is not a terminal.
        Exit: The answer is not yes.
    """
    if not sys.stdin.isatty():
        raise UsageError(f"there is no terminal to ask on; give --yes to {unasked}")
    typer.echo(f"{question} [y/N] ", err=True, nl=False)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:  # not typer.confirm, which hides Ctrl-C
        say("nothing was removed")
        raise typer.Exit(FAILED)


def printable(text: str) -> str:
    """Return ``text`` with control characters escaped, because a terminal obeys them, also those in a stranger's file."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


@contextmanager
def progress(title: str, *, shown: bool) -> Iterator[Callable[..., None]]:
    """Show a progress bar with rate and time left on stderr, from the first update to the last.

    Args:
        title: The words before the bar.
        shown: False hides the bar. It is also hidden where stderr is not a terminal.

    Yields:
        A function that takes the number of items that are done, the number of all items (0 if it is unknown) and
        optionally a note, which is shown behind the numbers, and as ``worked_on`` how many of the items took the time
        that an item takes, where others are done at once: rate and time left are reckoned by these.
    """
    if not shown or not is_terminal():
        yield lambda done, total, note="", worked_on=None: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    fields = (TextColumn(f"{{task.fields[{name}]}}") for name in ("note", "rate", "left"))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), *fields)
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task, pace = bar.add_task(title, total=None, rate="", note="", left=""), _Pace()

    def update(done: int, total: int, note: str = "", worked_on: int | None = None) -> None:
        bar.start()
        if not total:
            bar.tasks[0].total = None  # to ``update``, None means the total that was known before
        speed = pace.at(done if worked_on is None else worked_on)
        left = _duration((total - done) / speed) + " left" if speed and total else ""
        bar.update(task, completed=done, total=total or None, rate=_rate(speed), left=left, note=note)
        if total and done == total:
            bar.stop()  # so that what is printed next is not written into the line of the bar

    try:
        yield update
    finally:
        bar.stop()


class _Pace:
    """How many items a second have been done lately, in whole batches, after which they are reported."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])

    def at(self, done: int) -> float:
        """Return the items a second, given how many are done now; 0 as long as too little is known."""
        now = time.monotonic()
        if done != self._marks[-1][1]:
            self._marks.append((now, done))
        while len(self._marks) > _LEAST_MARKS and now - self._marks[1][0] > _PACE_SECONDS:
            self._marks.popleft()
        (first, before), (last, after) = self._marks[0], self._marks[-1]
        return (after - before) / (last - first) if last - first > _LEAST_SECONDS else 0.0


_LEAST_MARKS, _LEAST_SECONDS, _PACE_SECONDS = 3, 1.0, 30.0
"""The pace is that of the last half minute, but of several batches, and of more than a second."""


def _rate(speed: float) -> str:
    """Return a number of items a second as people read it; of slow ones a number a minute."""
    if not speed:
        return ""
    return f"{speed:,.1f}/s" if speed >= 1 else f"{speed * 60:,.1f}/min"


def _duration(seconds: float) -> str:
    """Return seconds as ``1:02:03``, or ``2:03`` below an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _line(error: BaseException) -> str:
    """Return the message of an error in one line."""
    if isinstance(error, MemoryError):
        return "there is not enough memory; close other programs or use smaller batches"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC and not error.filename:
        return "no space is left where this is written to; free some, then do it again"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {os_reason(error)}"
    return printable(" ".join(str(error).split()))


def _with_origins(line: str, arguments: dict[str, Any]) -> str:
    """Add to the message of an error which of the options that it names were not typed but configured, and where."""
    if "context" not in arguments:
        return line
    from capgen.cli.configurable import origins

    return "; ".join(filter(None, (line, printable(origins(arguments["context"], line)))))


def _flush_stdout() -> None:
    """Write what is left to stdout now: at exit Python would report that it cannot, and change the exit code."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        _silence(sys.stdout)


def _silence(stream: TextIO) -> None:
    """Lead a stream that cannot be written to nowhere, so that Python does not report that at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
