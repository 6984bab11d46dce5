"""``capgen evaluate``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capgen.cli import app
from capgen.cli.console import Quiet, Verbose, command, printable, progress, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from capgen.evaluation.evaluate import Evaluation
    from capgen.evaluation.metrics import Difference
    from capgen.evaluation.predictions import Predictions
    from capgen.evaluation.references import Split


@app.command("evaluate")
@command("run it again")
def evaluate_command(
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="MODEL", help="Names or paths of captioners, or files of captions in COCO's result format."),
    ] = None,
    data: Annotated[str | None, typer.Option(help="A prepared data set to caption and compare with.")] = None,
    split: Annotated[str, typer.Option(help="train, dev or test.")] = "test",
    beam: Annotated[int | None, typer.Option(min=1, max=50, help="Hypotheses kept; 1 is greedy.")] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(help="Score this file of captions, in COCO's result format, instead of a captioner."),
    ] = None,
    references: Annotated[Path | None, typer.Option(help="Human captions, in any layout that prepare reads.")] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Score the images that a file captions well, and leave out the others.")
    ] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the scores to a file.")] = None,
    report_file: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE.html", help="Write a page to look through images, captions and scores."),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Score captions with BLEU, ROUGE-L and CIDEr-D.

    Scores a captioner on a split of a prepared data set, or a file of predictions of any system; of several, each is
    compared with the first.
    """
    import dataclasses

    from capgen.captioner.captioner import Captioner
    from capgen.captioner.request import CaptionRequest
    from capgen.evaluation import predictions as predicted
    from capgen.evaluation import references as referenced
    from capgen.evaluation import report
    from capgen.evaluation.evaluate import evaluate, flat
    from capgen.storage import files

    given: list[str | None] = [*(models or []), *([str(predictions)] if predictions else [])] or [None]
    captioners = [name for name in given if name is None or not (name == str(predictions) or _is_file(name))]
    inputs = [name for name in given if name is not None and name not in captioners]
    _check(given, captioners, data, references, beam, report_file)
    for file, option in ((json_file, "--json"), (report_file, "--report")):
        if file is not None and file.resolve() in {Path(name).resolve() for name in inputs}:
            raise typer.BadParameter("it would replace captions that are scored; choose another file", param_hint=option)
    if report_file is not None:
        report.check_place(report_file)
    truth = referenced.from_source(references, split) if references else referenced.from_dataset(str(data), split)
    # all are opened before the first captions a picture, which may take an hour
    opened = {name: Captioner.load(name) for name in captioners}
    read: dict[str | None, Predictions] = {name: _read(Path(name), truth, allow_missing=allow_missing) for name in inputs}
    request = CaptionRequest(num_beams=beam)
    usual = [read[name].name if name in read else predicted.system_name(opened[name], request) for name in given]
    systems = []
    for name, called in zip(given, predicted.distinct_names(usual, list(map(str, given))), strict=True):
        if name in read:
            systems.append(dataclasses.replace(read[name], name=called))
            continue
        wanted = report_file is not None
        with progress("Captioning", shown=not quiet) as tell:
            found = predicted.predict(opened[name], truth.references, request, tell, name=called, output_attention=wanted)
        saved = predicted.save(f"{called}-{truth.name}", found.captions)
        if not quiet:
            say(f"predictions: {saved}")
        systems.append(found)
    evaluations = evaluate(systems, truth)
    where = f"{truth.name}, {_counted(evaluations[0])}"
    if json_file is not None:
        files.write_json(json_file, flat(evaluations))
    if report_file is not None:
        _report(report_file, systems[0], evaluations[0], truth, where, quiet=quiet)
    _show(evaluations, where)


def _is_file(name: str) -> bool:
    """Tell a file of captions from a captioner."""
    return name.lower().endswith(".json")


def _check(
    given: "Sequence[str | None]",
    captioners: "Sequence[str | None]",
    data: str | None,
    references: Path | None,
    beam: int | None,
    report_file: Path | None,
) -> None:
    """Make sure that what is asked for goes together."""
    if (data is None) == (references is None):
        raise typer.BadParameter(
            "give one of them: what the captions are compared with", param_hint="--data or --references"
        )
    if beam is not None and not captioners:
        raise typer.BadParameter("there is no captioner among what is scored; leave it out", param_hint="--beam")
    if report_file is not None and len(given) > 1:
        raise typer.BadParameter("it shows the captions of one; leave the others out", param_hint="--report")
    if len(set(given)) < len(given):
        raise typer.BadParameter("the same is given twice; leave one out", param_hint="MODEL")


def _read(path: Path, truth: "Split", *, allow_missing: bool) -> "Predictions":
    """Read a file of captions, and say what of it is left out."""
    from capgen.evaluation import predictions

    system = predictions.read(path, truth.references, allow_missing=allow_missing)
    for problem in system.problems:
        say(f"{path}: {problem}; left out")
    return system


def _report(file: Path, system: "Predictions", evaluated: "Evaluation", truth: "Split", where: str, *, quiet: bool) -> None:
    """Write the page."""
    from capgen.evaluation import report
    from capgen.evaluation.report import evaluated as pages

    cards = pages.cards(system, truth.references, evaluated)
    with progress("Shrinking images", shown=not quiet) as tell:
        report.write(file, pages.describe(where, evaluated, cards, tell))
    if not quiet:
        say(f"report: {file}")


def _counted(evaluated: "Evaluation") -> str:
    """Say of how many images the scores are, and of how many they are not."""
    count, missing = evaluated.scores["images"], evaluated.missing
    return f"{count:,} of {count + missing:,} images, NOT the whole split" if missing else f"{count:,} images"


def _show(evaluations: "Sequence[Evaluation]", where: str) -> None:
    """Print the scores with their intervals, how varied the captions are, and how each system compares with the first."""
    from rich.table import Table

    first, *others = evaluations
    table = Table("")
    for evaluated in evaluations:
        _column(table, evaluated.name)
        _column(table, "95 %")
    for name in first.intervals:
        cells = ((evaluated.scores[name], *evaluated.intervals[name]) for evaluated in evaluations)
        table.add_row(name, *(cell for value, low, high in cells for cell in (f"{value:.4f}", f"{low:.4f} to {high:.4f}")))
    for name in dict.fromkeys(name for evaluated in evaluations for name in (*evaluated.by_java, *evaluated.uncomputed)):
        values = (evaluated.by_java.get(name) for evaluated in evaluations)
        table.add_row(name, *(cell for value in values for cell in ("" if value is None else f"{value:.4f}", "")))
    table.add_section()
    for name in dict.fromkeys(name for evaluated in evaluations for name in evaluated.variety):
        table.add_row(name, *(cell for evaluated in evaluations for cell in (_value(evaluated.variety.get(name)), "")))
    typer.echo(where)
    _print(table)
    reasons = {f"{name}: not computed ({why})" for evaluated in evaluations for name, why in evaluated.uncomputed.items()}
    for reason in sorted(reasons):
        typer.echo(reason)
    for other in others:
        typer.echo(printable(f"{other.name} against {first.name}, by a paired bootstrap over the images"))
        _print(_differences(other.compared.differences(first.compared)))


def _column(table: "Table", title: str) -> None:
    from rich.text import Text

    table.add_column(Text(printable(title)), justify="right", no_wrap=True)


def _print(table: "Table") -> None:
    """Print a table as wide as it is: no digit is left out, whatever the terminal."""
    from rich.console import Console

    needed = Console(width=_WIDEST).measure(table).maximum
    Console(width=max(Console().width, needed)).print(table)


_WIDEST = 10_000
"""More columns than any table needs."""


def _value(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _differences(found: "dict[str, Difference]") -> "Table":
    from rich.table import Table

    table = Table("")
    for name in ("difference", "95 %", "p"):
        _column(table, name)
    for name, difference in found.items():
        low, high = difference.interval
        table.add_row(name, f"{difference.value:+.4f}", f"{low:+.4f} to {high:+.4f}", f"{difference.p:.3f}")
    return table
