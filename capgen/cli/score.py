"""``capgen score``."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capgen.cli import app
from capgen.cli.console import SOME_FAILED, Quiet, Verbose, command, progress, say

if TYPE_CHECKING:
    from capgen.captioner.results import Likelihood


@app.command("score")
@command("run it again")
def score_command(
    image: Annotated[Path | None, typer.Argument(metavar="IMAGE", help="A photograph.")] = None,
    captions: Annotated[list[str] | None, typer.Argument(metavar="CAPTION", help="What may be said of it.")] = None,
    from_file: Annotated[
        str | None,
        typer.Option(metavar="FILE.jsonl", help='JSON lines with "image" and "caption" instead; - reads them from stdin.'),
    ] = None,
    output_format: Annotated[str, typer.Option("--format", "-f", help="text or jsonl.")] = "text",
    model: Annotated[str | None, typer.Option("--model", "-m", help="Name or path of a captioner.")] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Say how likely captions are: the mean logarithm of the probability of their words.

    The nearer to 0, the better the caption fits the photograph, to this captioner. Prints number, tab, caption.
    """
    from capgen.captioner.captioner import Captioner
    from capgen.errors import ImageError

    if (from_file is None) == (image is None) or (image is not None and not captions):
        raise typer.BadParameter("give a photograph and captions, or --from-file", param_hint="IMAGE CAPTION")
    if output_format not in ("text", "jsonl"):
        raise typer.BadParameter("text or jsonl", param_hint="--format")
    captioner = Captioner.load(model)
    pairs = _pairs(from_file) if from_file is not None else [(image, list(captions or ()), "")]
    failed = 0
    with progress("Scoring", shown=not quiet and from_file is not None) as tell:
        for done, (path, texts, fault) in enumerate(pairs, 1):
            lines, reason = [], fault
            try:
                lines = [_line(path, found, output_format) for found in captioner.score(path, texts)] if path else []
            except ImageError as error:
                reason = str(error)
            if reason:
                say(f"capgen: {path}: {reason}" if path else f"capgen: {reason}")
                failed += 1
            for line in lines:
                typer.echo(line)
            tell(done, 0)
    if failed:
        raise typer.Exit(SOME_FAILED)


def _pairs(source: str) -> Iterator[tuple[Path | None, list[str], str]]:
    """Read pictures and captions, those of one picture that follow each other together, or what is wrong with a line."""
    import itertools
    import json
    import sys

    from capgen.datasets.layout import lines, numbered
    from capgen.errors import DataError

    def read(numbered_line: tuple[str, str]) -> tuple[Path | None, str, str]:
        place, line = numbered_line
        try:
            value = json.loads(line)
            return Path(value["image"]), str(value["caption"]), ""
        except (ValueError, KeyError, TypeError, RecursionError):
            return None, "", f'{place} has no "image" and "caption"'

    try:
        given = numbered(sys.stdin.buffer.read().decode("utf-8-sig"), "stdin") if source == "-" else lines(Path(source))
    except UnicodeDecodeError as error:
        raise DataError(f"stdin is no UTF-8 text (byte {error.start}); convert it first") from error
    for (path, fault), group in itertools.groupby(map(read, given), key=lambda row: (row[0], row[2])):
        yield path, [caption for _, caption, _ in group], fault


def _line(path: Path, found: "Likelihood", output_format: str) -> str:
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
