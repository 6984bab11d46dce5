"""The tables that ``capgen evaluate`` prints: the scores of each system, and the differences between systems."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from capgen.cli.console import printable

if TYPE_CHECKING:
    from rich.table import Table

    from capgen.evaluation.evaluate import Evaluation
    from capgen.evaluation.metrics import Metric
    from capgen.evaluation.metrics.bootstrap import Difference

WIDEST = 10_000
"""More columns than any table needs."""

LABELS = 16
"""The fewest columns for the names of the metrics, beside which as many systems stand as there is room for."""


def show(evaluations: "Sequence[Evaluation]", title: str) -> None:
    """Print the scores with their intervals, what is to be known of them, and the differences from the first."""
    from capgen.evaluation.evaluate import names_by_text

    first, *others = evaluations
    typer.echo(printable(title))
    for table in _scores(evaluations):
        _print(table)
    typer.echo(f"words are split by the {first.tokenizer.name} tokenizer")
    for names, reason in names_by_text(first.unavailable):
        typer.echo(f"{names}: not computed ({reason})")
    for names, caveat in names_by_text(first.caveats):
        typer.echo(f"{names}: {caveat}")
    if first.images == 1:
        typer.echo("one image has no intervals" + (", and its scores no differences to tell by" if others else ""))
        return
    for other in others:
        typer.echo(printable(f"{other.name} against {first.name}, by a paired bootstrap over the images"))
        _print(_differences(other.differences(first)))


def _scores(evaluations: "Sequence[Evaluation]") -> "Iterator[Table]":
    """Yield tables with a row for each metric that fit the width of the terminal, or lines of 80 columns without one.

    Score and interval of a system stand in two columns. If the table is too wide the interval stands below the score, and
    systems for which there is no room have tables of their own.
    """
    from rich.console import Console

    table = _scores_beside(evaluations)
    if _width(table) <= Console().width:
        yield table
        return
    rows = list(_rows(evaluations))
    width = max(len(line) for metric, _ in rows for one in evaluations for line in _cells(one, metric))
    room = max(1, (Console().width - LABELS - 4) // (width + 3))  # a column has a line and two spaces besides
    labels = max(LABELS, Console().width - 4 - min(room, len(evaluations)) * (width + 3))
    labels = min(labels, max(len(metric.name) for metric, _ in rows))
    for start in range(0, len(evaluations), room):
        yield _scores_below(evaluations[start : start + room], rows, labels, width)


def _scores_beside(evaluations: "Sequence[Evaluation]") -> "Table":
    """Return a table with two columns for each system, score and interval."""
    from rich.table import Table

    table = Table("")
    for evaluation in evaluations:
        _add_column(table, evaluation.name)
        _add_column(table, "95 %")
    for metric, ends in _rows(evaluations):
        cells = (cell for evaluation in evaluations for cell in _cells(evaluation, metric))
        table.add_row(metric.name, *cells, end_section=ends)
    return table


def _scores_below(
    evaluations: "Sequence[Evaluation]", rows: "Iterable[tuple[Metric, bool]]", labels: int, width: int
) -> "Table":
    """Return a table with one column for each system, in which intervals stand below scores.

    Args:
        evaluations: The systems.
        rows: What ``_rows`` yields of these systems and of those in other tables.
        labels: The width of the names of the metrics.
        width: The width of a system's column.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table()
    table.add_column(width=labels)
    for evaluation in evaluations:
        name = Text(printable(evaluation.name), overflow="fold")
        table.add_column(name, justify="right", width=width, overflow="fold")
    for metric, ends in rows:
        cells = ("\n".join(filter(None, _cells(evaluation, metric))) for evaluation in evaluations)
        table.add_row(metric.name, *cells, end_section=ends)
    return table


def _rows(evaluations: "Sequence[Evaluation]") -> "Iterator[tuple[Metric, bool]]":
    """Yield the metrics that have a row, and whether a section of the table ends with it."""
    for metrics in _shown_metrics(evaluations):
        for metric in metrics:
            yield metric, metric is metrics[-1]


def _shown_metrics(evaluations: "Iterable[Evaluation]") -> "tuple[list[Metric], list[Metric]]":
    """Return the metrics that have a row: those that say how good captions are, and those that describe them."""
    from capgen.evaluation.metrics import every_metric

    names = {name for evaluation in evaluations for name in (*evaluation.scores, *evaluation.unavailable)}
    shown = [metric for metric in every_metric() if metric.name in names]
    return [metric for metric in shown if metric.is_quality], [metric for metric in shown if not metric.is_quality]


def _cells(evaluation: "Evaluation", metric: "Metric") -> tuple[str, str]:
    """Return the score and its interval as text, empty where there is none; ``n/a`` for a score that is not computed."""
    if metric.name not in evaluation.scores:
        return ("n/a" if metric.name in evaluation.unavailable else ""), ""
    value = metric.text(evaluation.scores[metric.name].value)
    if metric.name not in evaluation.intervals:
        return value, ""
    low, high = evaluation.intervals[metric.name]
    return value, f"{metric.text(low)} to {metric.text(high)}"


def _differences(differences: "Mapping[str, Difference]") -> "Table":
    """Return a table of how much higher each score of a system is than that of the first."""
    from rich.table import Table

    table = Table("")
    for title in ("difference", "95 %", "p"):
        _add_column(table, title)
    for name, difference in differences.items():
        low, high = difference.interval
        table.add_row(name, f"{difference.value:+.4f}", f"{low:+.4f} to {high:+.4f}", f"{difference.p:.3f}")
    return table


def _add_column(table: "Table", title: str) -> None:
    from rich.text import Text

    table.add_column(Text(printable(title)), justify="right", no_wrap=True)


def _print(table: "Table") -> None:
    """Print a table at its full width, so that no digit is cut off on a narrow terminal."""
    from rich.console import Console

    Console(width=max(Console().width, _width(table))).print(table)


def _width(table: "Table") -> int:
    """Return the width of a table in which no text is broken into lines."""
    from rich.console import Console

    return Console(width=WIDEST).measure(table).maximum
