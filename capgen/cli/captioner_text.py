"""What ``capgen models show`` and ``list`` say of a captioner: in words and with units first, every number if asked for."""

import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import typer

from capgen.cli.console import choice, printable

if TYPE_CHECKING:
    from capgen.captioner.bundle import Bundle, Description

SHOWN_METRICS = ("BLEU-4", "METEOR", "ROUGE-L", "CIDEr-D")
"""The scores that are shown at first, of those that a captioner has; all are shown if they are asked for."""

TITLE_WIDTH = 12
"""The width of the column of titles, with the space behind it."""

LEAST_WIDTH = 40
"""The narrowest terminal that lines are wrapped for; a narrower one wraps them itself."""


def print_lines(lines: Iterable[tuple[str, str]]) -> None:
    """Print lines behind their titles, wrapped to a terminal; anything but a terminal gets one line each.

    Args:
        lines: Pairs of a title, empty where it is that of the line before, and a text.
    """
    width = 0
    if sys.stdout.isatty():
        import shutil

        width = max(LEAST_WIDTH, shutil.get_terminal_size().columns)
    for title, text in lines:
        line = f"{title:<{TITLE_WIDTH}}{printable(text)}".rstrip()
        if len(line) > width > 0 and title != "path":  # a path is copied, and may have spaces
            margin = " " * TITLE_WIDTH
            line = textwrap.fill(line, width, subsequent_indent=margin, break_on_hyphens=False, break_long_words=False)
        typer.echo(line.encode())


def summary(opened: "Bundle", sizes: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield what a user of a captioner wants to know, as pairs of a title and a text.

    Args:
        opened: The captioner.
        sizes: The size of each of its files in bytes.
    """
    from capgen.captioner import bundle
    from capgen.storage import files

    description = opened.description
    preprocessing, decoder = description.preprocessing, description.decoder
    side = preprocessing.size
    yield from _identity(opened)
    yield "language", language_text(description)
    yield "image", f"squeezed to {side} x {side} pixels"
    yield "encoder", _with_remark(description.encoder.get("name", ""), description.encoder.get("origin", ""))
    words = decoder.get("vocabulary")
    yield "decoder", _with_remark(decoder.get("family", ""), f"it knows {number(words)} words" if words else "")
    yield "search", _search(description)
    yield "trained on", training_text(description.training)
    yield from _score_table(description.scores)
    yield from _confidence(description.calibration.reliability)
    yield "size", f"{files.size_text(sum(sizes.values()))} in {len(sizes)} files"
    card = ", its model card with --card" if bundle.MODEL_CARD in sizes else ""
    yield "more", f"every number is printed with --all{card}"


def everything(opened: "Bundle", sizes: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield all that a captioner's description says, under the names that it has there, and each file.

    Args:
        opened: The captioner.
        sizes: The size of each of its files in bytes.
    """
    from capgen.captioner import bundle
    from capgen.evaluation.metrics import every_metric, scale
    from capgen.storage import files

    description = opened.description
    training, preprocessing = description.training, description.preprocessing
    yield from _identity(opened)
    yield "language", language_text(description)
    yield "backend", description.backend
    yield "encoder", _values(description.encoder, first="name")
    yield "image", f"squeezed to {preprocessing.size} x {preprocessing.size} pixels, {preprocessing.resample}"
    yield "decoder", _values(description.decoder, first="family")
    yield "decoding", _values(description.decoding.plain())
    yield "trained on", _values(training, first="data", leave=("config",))
    yield "settings", _values(training.get("config", {}))
    yield "scores", scale([metric.name for metric in every_metric() if metric.is_quality])
    for split, values in description.scores.items():
        yield "", f"{split}: {_scores(values)}"
    yield "confidence", _values(description.calibration.reliability, leave=("bins",))
    for name, size in sizes.items():
        yield "file", f"{name}, {files.size_text(size)}"
    if bundle.MODEL_CARD in sizes:
        yield "model card", "printed with --card"


def language_text(description: "Description") -> str:
    """Return the language of a captioner's captions: English by its name, others by their tag."""
    from capgen.captioner.language import ENGLISH, is_english

    tag = str(description.training.get("language", ENGLISH))
    return "English" if is_english(tag) else tag


def training_text(training: Mapping[str, Any]) -> str:
    """Return what a captioner was trained on: how many images and captions, from which sources, in which data set."""
    counts = " with ".join(f"{number(training[name])} {name}" for name in ("images", "captions") if name in training)
    sources = training.get("sources")
    origin = f"from {choice(map(str, sources), 'and')}" if isinstance(sources, list) and sources else ""
    details = [
        f"data set {training['data']}" if "data" in training else "",
        f"{number(training['epochs'])} epochs" if "epochs" in training else "",
    ]
    remark = ", ".join(filter(None, details))
    return " ".join(filter(None, [counts, origin, f"({remark})" if remark else ""]))


def number(value: Any) -> str:
    """Write a value of a description, numbers with at most four decimals."""
    if isinstance(value, float):
        return f"{value:.4f}".rstrip("0").rstrip(".") if abs(value) >= 0.001 else f"{value:g}"  # noqa: PLR2004
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, (list, tuple)):
        return " ".join(map(number, value))
    return str(value)


def _identity(opened: "Bundle") -> Iterator[tuple[str, str]]:
    path, own = opened.path.absolute(), opened.description.name
    yield "name", own if path.is_file() or path.name == own else f"{path.name}, which calls itself {own}"
    yield "path", str(path)


def _with_remark(name: Any, remark: Any) -> str:
    return f"{name} ({remark})" if remark else str(name)


def _search(description: "Description") -> str:
    options = description.decoding
    how = {"greedy": "greedy", "sample": "sampling"}.get(options.strategy, f"beam search with {options.num_beams} beams")
    return f"{how}; a caption has at most {options.max_words} words"


def _score_table(scores: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield a table of the scores that are looked at first, with a row for each split."""
    from capgen.evaluation.metrics import METRICS, scale

    splits = {split: values for split, values in scores.items() if isinstance(values, dict)}
    shown = [name for name in SHOWN_METRICS if any(name in values for values in splits.values())]
    if not shown:
        return
    yield "scores", scale(shown)
    rows = [("split", "images", *shown)]
    for split, values in splits.items():
        cells = [METRICS[name].text(values[name]) if isinstance(values.get(name), float) else "" for name in shown]
        rows.append((split, number(values.get("images", "")), *cells))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        rest = (f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        yield "", "  ".join((f"{row[0]:<{widths[0]}}", *rest))


def _confidence(reliability: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what the confidence of a caption means, and by how much it was wrong on dev."""
    error, images = reliability.get("error"), reliability.get("images")
    measured = f"; wrong by {error:.2f} on average over {number(images)} dev images" if isinstance(error, float) else ""
    yield "confidence", f"from 0 to 1, how often such a caption is close to a person's{measured}"


def _scores(values: Any) -> str:
    """Write all scores on a split, each with its interval if it has one."""
    if not isinstance(values, dict):
        return number(values)
    written = []
    for name, value in values.items():
        if name.endswith((" low", " high")):
            continue
        low, high = values.get(f"{name} low"), values.get(f"{name} high")
        interval = "" if low is None or high is None else f" ({number(low)} to {number(high)})"
        written.append(f"{name} {number(value)}{interval}")
    return ", ".join(written)


def _values(values: Any, first: str = "", leave: tuple[str, ...] = ()) -> str:
    """Write an object of a description as ``name value, name value``.

    Args:
        values: The object.
        first: The name of the value that comes first, without its name.
        leave: Names that are left out.
    """
    if not isinstance(values, dict):
        return number(values)
    rest = [f"{name.replace('_', ' ')} {number(value)}" for name, value in values.items() if name not in (first, *leave)]
    return ", ".join(filter(None, [number(values.get(first, "")), *rest]))
