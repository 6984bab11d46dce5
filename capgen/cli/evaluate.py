"""``capgen evaluate``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capgen.cli import app
from capgen.cli.console import Quiet, Verbose, command, progress, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from capgen.evaluation import Evaluation, Reference
    from capgen.results import Attention


@app.command("evaluate")
@command("run it again")
def evaluate_command(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="Name or path of a captioner.")] = None,
    data: Annotated[str | None, typer.Option(help="A prepared data set to caption and compare with.")] = None,
    split: Annotated[str, typer.Option(help="train, dev or test.")] = "test",
    beam: Annotated[int | None, typer.Option(min=1, max=50, help="Hypotheses kept; 1 is greedy.")] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(help="Score this file of captions, in COCO's result format, instead of a captioner."),
    ] = None,
    references: Annotated[Path | None, typer.Option(help="Human captions, in any layout that prepare reads.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the scores to a file.")] = None,
    report_file: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE.html", help="Write a page to look through images, captions and scores."),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Score captions with BLEU, ROUGE-L and CIDEr-D.

    Scores a captioner on a split of a prepared data set, or a file of predictions of any system.
    """
    from capgen import evaluation, files, report

    if (data is None) == (references is None):
        raise typer.BadParameter(
            "give one of them: what the captions are compared with", param_hint="--data or --references"
        )
    if predictions is not None and (model is not None or beam is not None):
        raise typer.BadParameter("it scores the file alone; leave MODEL and --beam out", param_hint="--predictions")
    if report_file is not None:
        report.check_place(report_file)
    if references is not None:
        truths, compared = evaluation.from_source(references, split), references.name
    else:
        truths, compared = evaluation.from_dataset(str(data), split), str(data)
    looked: Mapping[str, Attention | None] = {}
    if predictions is not None:
        title, captions = predictions.name, evaluation.read_predictions(predictions)
    else:
        title, captions, looked = _predicted(model, truths, beam, looking=report_file is not None, quiet=quiet)
        saved = evaluation.save_predictions(f"{title}-{compared}-{split}", captions)
        if not quiet:
            say(f"predictions: {saved}")
    evaluated = evaluation.evaluate(captions, truths)
    if len(captions) < len(truths):
        say(f"note: {len(truths) - len(captions)} of {len(truths)} images have no prediction and are not counted")
    if json_file is not None:
        files.write_json(json_file, evaluated.flat())
    if report_file is not None:
        from capgen.report import evaluated as pages

        cards = pages.cards(captions, truths, evaluated.each, looked)
        with progress("Shrinking images", shown=not quiet) as tell:
            subtitle = f"{compared}, {split}, {len(captions):,} images"
            report.write(report_file, pages.describe(title, subtitle, evaluated, cards, tell))
        if not quiet:
            say(f"report: {report_file}")
    _show(title, evaluated)


def _predicted(
    model: str | None, truths: "list[Reference]", beam: int | None, *, looking: bool, quiet: bool
) -> "tuple[str, dict[str, str], dict[str, Attention | None]]":
    """Caption the references' pictures; return a title that says with what, the captions, and where it looked if known."""
    import dataclasses

    from capgen import evaluation
    from capgen.captioner import Captioner

    captioner = Captioner.load(model)
    options = dataclasses.replace(captioner.options, beam=beam or captioner.options.beam)
    with progress("Captioning", shown=not quiet) as tell:
        predict = evaluation.predict_attending if looking and captioner.attentive else evaluation.predict
        found = predict(captioner, truths, options, tell)
    title = f"{captioner.bundle.description.name}-beam{options.beam}"
    return (
        title,
        {key: caption.text for key, caption in found.items()},
        {key: caption.attention for key, caption in found.items()},
    )


def _show(title: str, evaluated: "Evaluation") -> None:
    """Print the scores with their intervals, and below them how varied the captions are."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table("", title=f"{title}, {evaluated.scores['images']:,} images")
    for name in evaluated.intervals:
        table.add_column(name, justify="right")
    table.add_row("score", *(f"{evaluated.scores[name]:.4f}" for name in evaluated.intervals))
    for row, place in (("95 % from", 0), ("to", 1)):
        table.add_row(row, *(f"{both[place]:.4f}" for both in evaluated.intervals.values()))
    console.print(table)
    kinds = Table()
    for name in evaluated.variety:
        kinds.add_column(name, justify="right")
    kinds.add_row(*(f"{value:,}" if isinstance(value, int) else f"{value:.3f}" for value in evaluated.variety.values()))
    console.print(kinds)
