"""``capgen evaluate``: scores of captions against human ones, printed as tables, as JSON or as a page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capgen.cli import app
from capgen.cli.completion import captioners, data_sets
from capgen.cli.configurable import ConfigurableCommand
from capgen.cli.console import Quiet, Verbose, command, progress, say
from capgen.cli.help_text import one_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from capgen.evaluation.evaluate import Evaluation
    from capgen.evaluation.metrics import Metric
    from capgen.evaluation.predictions import Predictions
    from capgen.evaluation.references import Split


@app.command("evaluate", cls=ConfigurableCommand)
@command("run it again")
def evaluate_command(
    context: typer.Context,
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL", help="Names or paths of captioners, or files or folders of captions.", autocompletion=captioners
        ),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="A prepared data set to caption and compare with.", autocompletion=data_sets)
    ] = None,
    split: Annotated[str, typer.Option(help="Which images are scored.", **one_of(("train", "dev", "test", "all")))] = "test",
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,...",
            help="The scores that are computed, such as CIDEr-D,METEOR, or all. By default those that take no program in"
            " Java, which would take minutes: all but METEOR and SPICE.",
        ),
    ] = None,
    beam: Annotated[int | None, typer.Option(min=1, max=50, help="Hypotheses kept; 1 is greedy.")] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            help="Score this file or folder of captions instead of a captioner: what caption writes, COCO's result format,"
            " JSON lines, a table, a dictionary ..."
        ),
    ] = None,
    references: Annotated[Path | None, typer.Option(help="Human captions, in any layout that prepare reads.")] = None,
    language: Annotated[
        str | None,
        typer.Option(metavar="TAG", help="Language of --references, such as en or hi (BCP 47); recognised by default."),
    ] = None,
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
    from capgen.cli import evaluation_tables
    from capgen.evaluation import report
    from capgen.evaluation.evaluate import flat
    from capgen.evaluation.references import from_dataset, from_source
    from capgen.storage import files

    systems, inputs = _systems(models, predictions)
    if (data is None) == (references is None):
        raise typer.BadParameter(
            "give one of them: what the captions are compared with", param_hint="--data or --references"
        )
    if len(set(systems)) < len(systems):
        raise typer.BadParameter("the same is given twice; leave one out", param_hint="MODEL")
    if language and not references:
        raise typer.BadParameter("a prepared data set knows its own; leave it out", param_hint="--language")
    if allow_missing and not inputs:
        raise typer.BadParameter("a captioner captions all images; leave it out", param_hint="--allow-missing")
    _check_options(systems, inputs, beam, json_file, report_file)
    chosen = _chosen(metrics, report_file)
    if report_file is not None:
        report.check_target(report_file)
    truth = from_source(references, split, language or "") if references else from_dataset(str(data), split)
    _say_left_out(truth, references, data)
    read = {name: _read(Path(name), truth, allow_missing=allow_missing) for name in inputs}
    scored = _caption(systems, read, truth, beam, output_attention=report_file is not None, quiet=quiet)
    evaluations = _evaluate(scored, truth, chosen, quiet=quiet)
    title = f"{truth.name}, {_counted(evaluations[0])}"
    if json_file is not None:
        files.write_json(json_file, flat(evaluations))
    if report_file is not None:
        _write_report(report_file, scored[0], evaluations[0], truth, title, quiet=quiet)
    evaluation_tables.show(evaluations, title)


def _systems(models: list[str] | None, predictions: Path | None) -> tuple[list[str | None], list[str]]:
    """Return what is scored, where None is the default captioner, and which of it are files or folders of captions."""
    systems: list[str | None] = [*(models or []), *([str(predictions)] if predictions else [])]
    inputs = [name for name in systems if name is not None and (name == str(predictions) or _holds_captions(name))]
    return systems or [None], inputs


def _chosen(metrics: list[str] | None, report_file: Path | None) -> "list[Metric] | None":
    """Return the metrics that are asked for, by default None; a report also has the primary one, which it is ordered by."""
    from capgen.evaluation.metrics import PRIMARY, named

    if not metrics:
        return None
    names = [name.strip() for text in metrics for name in text.split(",")]
    return named(names if report_file is None else [*names, PRIMARY])


def _holds_captions(name: str) -> bool:
    """Tell whether an argument is a file or a folder of captions, and not a captioner."""
    from capgen.captioner import bundle, catalogue
    from capgen.evaluation.predictions import ENDINGS

    path = Path(name)
    if path.suffix.lower() in ENDINGS:
        return True
    try:
        return path.is_dir() and not (path / bundle.DESCRIPTION).exists() and name not in catalogue.names()
    except OSError:  # a name that no folder can have, or a folder that may not be looked into
        return False


def _say_left_out(truth: "Split", references: Path | None, data: str | None) -> None:
    """Say what was left out of the human captions: of each kind how much, with the first as an example."""
    from capgen.captioner.language import is_unknown
    from capgen.datasets.layout import by_kind
    from capgen.datasets.prepared import problems_file

    if references is not None and is_unknown(truth.tokenizer.language):
        say(f"{references}: the language of the captions is not known for certain; --language TAG says it")
    for note in truth.notes:
        say(f"{references}: {note}")
    for kind, problems in by_kind(truth.problems).items():
        say(f"{references}: left out: {kind}, {len(problems):,} (the first: {problems[0]})")
    if data is not None and (listing := problems_file(data)).exists() and (lines := listing.read_bytes().count(b"\n")):
        say(f"{data}: {lines:,} were left out when it was prepared; they are listed in {listing}")


def _check_options(
    systems: "Sequence[str | None]",
    inputs: "Sequence[str]",
    beam: int | None,
    json_file: Path | None,
    report_file: Path | None,
) -> None:
    """Refuse options that do not go with what is scored."""
    if beam is not None and set(systems) <= set(inputs):
        raise typer.BadParameter("there is no captioner among what is scored; leave it out", param_hint="--beam")
    if report_file is not None and len(systems) > 1:
        raise typer.BadParameter("it shows the captions of one; leave the others out", param_hint="--report")
    for file, option in ((json_file, "--json"), (report_file, "--report")):
        if file is not None and file.resolve() in {Path(name).resolve() for name in inputs}:
            raise typer.BadParameter("it would replace captions that are scored; choose another file", param_hint=option)


def _read(path: Path, truth: "Split", *, allow_missing: bool) -> "Predictions":
    """Read a file of captions, and say which of them are left out and what may surprise."""
    from capgen.evaluation import predictions

    found = predictions.read(path, truth, allow_missing=allow_missing)
    for problem in found.problems:
        say(f"{path}: {problem}; left out")
    for note in found.notes:
        say(f"{path}: {note}")
    return found


def _caption(
    systems: "Sequence[str | None]",
    read: "dict[str, Predictions]",
    truth: "Split",
    beam: int | None,
    *,
    output_attention: bool,
    quiet: bool,
) -> "list[Predictions]":
    """Caption the images with each system that is a captioner; return the predictions of all systems in their order."""
    import dataclasses

    from capgen.captioner.captioner import Captioner
    from capgen.captioner.request import CaptionRequest
    from capgen.evaluation import captioning
    from capgen.evaluation.predictions import distinct_names

    # Every captioner is opened before the first captions an image, which may take an hour.
    captioners = {name: Captioner.load(name) for name in systems if name not in read}
    request = CaptionRequest(num_beams=beam)
    names = distinct_names(
        [read[name].name if name in read else captioning.system_name(captioners[name], request) for name in systems],
        list(map(str, systems)),
    )
    found = []
    for system, name in zip(systems, names, strict=True):
        if system in read:
            found.append(dataclasses.replace(read[system], name=name))
            continue
        with progress("Captioning", shown=not quiet) as update:
            made = captioning.predict(
                captioners[system], truth.references, request, update, name=name, output_attention=output_attention
            )
        saved = captioning.save(f"{name}-{truth.name}", made.captions)
        if not quiet:
            say(f"predictions: {saved}")
        found.append(made)
    return found


def _evaluate(
    systems: "Sequence[Predictions]", truth: "Split", chosen: "Sequence[Metric] | None", *, quiet: bool
) -> "list[Evaluation]":
    """Score systems; how far that is is shown, and of a program that may take minutes it is said that it has begun."""
    from contextlib import ExitStack

    from capgen.evaluation.evaluate import evaluate
    from capgen.evaluation.metrics import METRICS, Need

    with ExitStack() as bar:
        update: Callable[..., None] | None = None

        def on_progress(name: str, done: int, total: int) -> None:
            nonlocal update
            if Need.JAVA not in METRICS[name].needs:  # which takes no time to speak of
                return
            if (
                update is None or done <= 1
            ):  # the program starts, or has started and counts: the time of the start is none of its pace
                bar.close()
                if not total and not quiet:
                    say(f"{name} is computed by its authors' program in Java, which may take minutes")
                update = bar.enter_context(progress("Scoring", shown=not quiet))
            update(done, total, name)

        return evaluate(systems, truth, chosen, on_progress)


def _write_report(
    file: Path, system: "Predictions", evaluation: "Evaluation", truth: "Split", title: str, *, quiet: bool
) -> None:
    """Write the page with the scores, the images and the captions of one system."""
    from capgen.evaluation import report
    from capgen.evaluation.report import evaluation_page

    cards = evaluation_page.cards(system, truth.references, evaluation)
    with progress("Shrinking images", shown=not quiet) as update:
        report.write(file, evaluation_page.describe(title, evaluation, cards, update))
    if not quiet:
        say(f"report: {file}")


def _counted(evaluation: "Evaluation") -> str:
    """Say how many images are scored, whether some of the split are not, and what was left out of the human captions."""
    count, missing = evaluation.images, evaluation.missing
    all_images = f"{count + missing:,} image{'' if count + missing == 1 else 's'}"
    scored = f"{count:,} of {all_images}, NOT the whole split" if missing else all_images
    left_out = ", ".join(f"{kind} ({count:,})" for kind, count in evaluation.left_out.items())
    return f"{scored}; left out of the references: {left_out}" if left_out else scored
