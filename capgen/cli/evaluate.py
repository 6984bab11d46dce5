"""``capgen evaluate``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capgen.cli import app
from capgen.cli.console import Quiet, Verbose, command, progress, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from capgen.evaluation import Evaluation, Predictions, Split
    from capgen.metrics import Difference


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
    from capgen import evaluation, files, report

    given: list[str | None] = [*(models or []), *([str(predictions)] if predictions else [])] or [None]
    if (data is None) == (references is None):
        raise typer.BadParameter(
            "give one of them: what the captions are compared with", param_hint="--data or --references"
        )
    if beam is not None and all(map(_is_file, given)):
        raise typer.BadParameter("there is no captioner among what is scored; leave it out", param_hint="--beam")
    if report_file is not None and len(given) > 1:
        raise typer.BadParameter("it shows the captions of one; leave the others out", param_hint="--report")
    if report_file is not None:
        report.check_place(report_file)
    if references is not None:
        truth, compared = evaluation.from_source(references, split), f"{references.name}-{split}"
    else:
        truth, compared = evaluation.from_dataset(str(data), split), f"{data}-{split}"
    systems = [
        _read(each, truth, allow_missing=allow_missing)
        if _is_file(each)
        else _predicted(each, truth, beam, compared, looking=report_file is not None, quiet=quiet)
        for each in given
    ]
    evaluations = evaluation.evaluate(evaluation.told_apart(systems, map(str, given)), truth)
    where = f"{compared.removesuffix(f'-{split}')}, {split}, {_counted(evaluations[0])}"
    if json_file is not None:
        files.write_json(json_file, evaluation.flat(evaluations))
    if report_file is not None:
        from capgen.report import evaluated as pages

        cards = pages.cards(systems[0], truth.references, evaluations[0])
        with progress("Shrinking images", shown=not quiet) as tell:
            report.write(report_file, pages.describe(where, evaluations[0], cards, tell))
        if not quiet:
            say(f"report: {report_file}")
    _show(evaluations, where)


def _read(given: str | None, truth: "Split", *, allow_missing: bool) -> "Predictions":
    """Read a file of captions, and say what of it is left out."""
    from capgen import evaluation

    system = evaluation.read_predictions(Path(str(given)), truth.references, allow_missing=allow_missing)
    for problem in system.problems:
        say(f"{given}: {problem}; left out")
    return system


def _is_file(given: str | None) -> bool:
    """Tell a file of captions from a captioner."""
    return given is not None and given.endswith(".json")


def _predicted(
    model: str | None, truth: "Split", beam: int | None, compared: str, *, looking: bool, quiet: bool
) -> "Predictions":
    """Caption the references' pictures, and keep the captions in a file."""
    import dataclasses

    from capgen import evaluation
    from capgen.captioner import Captioner

    captioner = Captioner.load(model)
    options = dataclasses.replace(captioner.options, beam=beam or captioner.options.beam)
    with progress("Captioning", shown=not quiet) as tell:
        system = evaluation.predict(captioner, truth.references, options, tell, looking=looking)
    saved = evaluation.save_predictions(f"{system.name}-{compared}", system.captions)
    if not quiet:
        say(f"predictions: {saved}")
    return system


def _counted(evaluated: "Evaluation") -> str:
    """Say of how many images the scores are, and of how many they are not."""
    count, missing = evaluated.scores["images"], evaluated.missing
    return f"{count:,} of {count + missing:,} images, NOT the whole split" if missing else f"{count:,} images"


def _show(evaluations: "Sequence[Evaluation]", where: str) -> None:
    """Print the scores with their intervals, how varied the captions are, and how each system compares with the first."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    first, *others = evaluations
    console.print(where, markup=False, highlight=False, soft_wrap=True)
    table = Table("")
    for evaluated in evaluations:
        table.add_column(evaluated.name, justify="right")
        table.add_column("95 %", justify="right")
    for name in first.intervals:
        cells = ((evaluated.scores[name], *evaluated.intervals[name]) for evaluated in evaluations)
        table.add_row(name, *(cell for value, low, high in cells for cell in (f"{value:.4f}", f"{low:.4f} to {high:.4f}")))
    for name in first.by_java:
        table.add_row(name, *(cell for evaluated in evaluations for cell in (f"{evaluated.by_java[name]:.4f}", "")))
    table.add_section()
    for name in dict.fromkeys(name for evaluated in evaluations for name in evaluated.variety):
        table.add_row(name, *(cell for evaluated in evaluations for cell in (_value(evaluated.variety.get(name)), "")))
    console.print(table)
    for name, reason in first.uncomputed.items():
        console.print(f"{name}: not computed ({reason})", markup=False, highlight=False, soft_wrap=True)
    for other in others:
        console.print(_differences(other.compared.differences(first.compared), f"{other.name} against {first.name}"))


def _value(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _differences(found: "dict[str, Difference]", title: str) -> "Table":
    from rich.table import Table

    table = Table("", title=title, caption="paired bootstrap over the images")
    for name in ("difference", "95 %", "p"):
        table.add_column(name, justify="right")
    for name, difference in found.items():
        low, high = difference.interval
        table.add_row(name, f"{difference.value:+.4f}", f"{low:+.4f} to {high:+.4f}", f"{difference.p:.3f}")
    return table
