"""``capgen score``: how likely a captioner finds given captions of images."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capgen.cli import app
from capgen.cli.completion import captioners
from capgen.cli.configurable import ConfigurableCommand
from capgen.cli.console import SOME_FAILED, Quiet, Verbose, command, complain, progress
from capgen.cli.help_text import one_of

if TYPE_CHECKING:
    from capgen.captioner.captioner import Captioner
    from capgen.captioner.results import Likelihood


@dataclass(frozen=True)
class _Item:
    """An image with captions to score, or a fault of the input in its place.

    Attributes:
        path: The file of the image, or None where there is a fault.
        captions: Captions of the image.
        fault: What is wrong with the input, empty if nothing is.
    """

    path: Path | None
    captions: list[str]
    fault: str = ""


@app.command("score", cls=ConfigurableCommand)
@command("run it again")
def score_command(
    context: typer.Context,
    image: Annotated[Path | None, typer.Argument(metavar="IMAGE", help="A photograph.")] = None,
    captions: Annotated[list[str] | None, typer.Argument(metavar="CAPTION", help="What may be said of it.")] = None,
    from_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.jsonl",
            help='JSON lines with "image" and "caption" instead, or what caption wrote; - reads them from stdin.',
        ),
    ] = None,
    output_format: Annotated[
        str, typer.Option("--format", "-f", help="How scores are printed.", **one_of(("text", "jsonl")))
    ] = "text",
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="MODEL", help="Name or path of a captioner.", autocompletion=captioners),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Say how likely captions are: the mean logarithm of the probability of their words.

    Closer to 0 means more likely to this captioner. Prints number, tab, caption.
    """
    from capgen.captioner.captioner import Captioner

    if (from_file is None) == (image is None) or (image is not None and not captions):
        raise typer.BadParameter("give a photograph and captions, or --from-file", param_hint="IMAGE CAPTION")
    captioner = Captioner.load(model)
    items = [_Item(image, list(captions or ()))] if from_file is None else _read_items(from_file)
    with progress("Scoring", shown=not quiet and from_file is not None) as update:
        failed = _score_all(captioner, items, output_format, update)
    if failed:
        raise typer.Exit(SOME_FAILED)


def _score_all(
    captioner: "Captioner", items: Iterable[_Item], output_format: str, on_progress: Callable[[int, int], None]
) -> int:
    """Print the scores of all captions, and what is wrong with an image or a line; return the number of these faults."""
    from capgen.errors import ImageError

    failed = 0
    for done, item in enumerate(items, 1):
        try:
            scores = captioner.score(item.path, item.captions) if item.path else []
            lines, reason = [_line(item.path, found, output_format) for found in scores], item.fault
        except ImageError as error:
            lines, reason = [], f"{item.path}: {error}"
        if reason:
            complain(f"{reason}")
            failed += 1
        for line in lines:
            typer.echo(line.encode("utf-8", "surrogateescape"))
        on_progress(done, 0)
    return failed


def _read_items(source: str) -> Iterator[_Item]:
    """Read images and captions from JSON lines; captions of one image that follow each other are one item."""
    import itertools
    import sys

    from capgen.datasets.text_files import lines, numbered
    from capgen.errors import DataError

    try:
        given = numbered(sys.stdin.buffer.read().decode("utf-8-sig"), "stdin") if source == "-" else lines(Path(source))
    except UnicodeDecodeError as error:
        raise DataError(f"stdin is not UTF-8 text (byte {error.start}); convert it first") from error
    items = (_parse(where, line) for where, line in given)
    for (path, fault), group in itertools.groupby(items, key=lambda item: (item.path, item.fault)):
        yield _Item(path, [caption for item in group for caption in item.captions], fault)


def _parse(where: str, line: str) -> _Item:
    """Read one line, which is an object with an image and a caption; ``where`` names the line in a fault."""
    from capgen.evaluation.predictions.form import file_of
    from capgen.evaluation.predictions.jsonl import parsed, row

    value = parsed(line)
    found = row(where, value)
    path = file_of(value) or found.image
    if not path or not found.captions:
        return _Item(None, [], f'{where} has no "image" and "caption"')
    return _Item(Path(path), list(found.captions))


def _line(path: Path | None, found: "Likelihood", output_format: str) -> str:
    """Return the score of a caption as one line of output."""
    if output_format == "text":
        from capgen.outputs.text import ESCAPES

        return f"{found.per_word:.3f}\t{found.caption.translate(ESCAPES)}"
    from capgen.storage.files import json_text

    words = [[word, round(value, 4)] for word, value in zip(found.words, found.log_probabilities, strict=True)]
    row = {
        "path": str(path),
        "caption": found.caption,
        "log_probability": round(found.total, 4),
        "per_word": round(found.per_word, 4),
        "words": words,
    }
    return json_text(row)
