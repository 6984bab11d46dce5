"""The report of an evaluation: the scores, how long and how good the captions are, and every image with its caption."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from capgen.captioner.results import Attention
from capgen.evaluation import metrics
from capgen.evaluation.evaluate import Evaluation, common_references, names_by_text
from capgen.evaluation.predictions import Predictions
from capgen.evaluation.references import Reference
from capgen.evaluation.report import thumbnails
from capgen.storage.pipeline import map_ahead
from capgen.storage.platform import processors

MAX_CARDS = 3500
"""The most cards of a page. Of more images it shows some, at even distances from the worst to the best."""

MAX_LARGE_CARDS = 1200
"""The most cards with images of full size. Of more cards the images are half as large; the page stays below 25 MB."""

BIN_WIDTH = 0.25
"""The width of a bar of the histogram of scores."""

LAST_BIN = 4.0
"""The lower end of the last bar, which has no upper end."""


@dataclass(frozen=True)
class Card:
    """An image of the gallery.

    Attributes:
        reference: The image and its human captions.
        caption: The caption that is scored.
        score: The score of the caption by the primary metric; None where that is not defined.
        attention: The attention weights of the words of the caption, if they are known.
    """

    reference: Reference
    caption: str
    score: float | None
    attention: Attention | None = None


def describe(
    subtitle: str,
    evaluation: Evaluation,
    cards: Sequence[Card],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Return what the page shows, as ``capgen.evaluation.report.write`` takes it.

    Args:
        subtitle: The images that the captions are for.
        evaluation: The scores.
        cards: A card for each image, see ``cards``.
        on_progress: Called with the number of images that are done and the number of all images.
    """
    chosen = spread(cards, MAX_CARDS)
    longest_side = thumbnails.LONGEST_SIDE if len(chosen) <= MAX_LARGE_CARDS else thumbnails.LONGEST_SIDE // 2
    return {
        "title": f"Captions of {evaluation.name}, compared with people's",
        "subtitle": subtitle,
        "scores": _tiles(evaluation),
        "scale": _scale(evaluation),
        "facts": _facts(evaluation),
        "histograms": [_lengths(cards, evaluation.tokenizer), *_scores(cards)],
        "gallery": {"total": len(cards), "cards": list(_card_values(chosen, longest_side, on_progress))},
    }


def cards(predictions: Predictions, references: Sequence[Reference], evaluation: Evaluation) -> list[Card]:
    """Return a card for each image that is scored.

    Args:
        predictions: The captions that were scored.
        references: The images of the split.
        evaluation: The scores of the captions.
    """
    common = common_references([predictions], references)
    is_defined = metrics.PRIMARY in evaluation.scores
    scores = evaluation.scores[metrics.PRIMARY].per_image.tolist() if is_defined else [None] * len(common)
    return [
        Card(reference, predictions.captions[reference.id], score, predictions.attention.get(reference.id))
        for reference, score in zip(common, scores, strict=True)
    ]


def spread(cards: Sequence[Card], count: int) -> Sequence[Card]:
    """Return all cards, or ``count`` of more of them, at even distances from the worst to the best, in their order."""
    if len(cards) <= count:
        return cards
    ranks = np.argsort([card.score or 0.0 for card in cards], kind="stable")
    kept = ranks[np.linspace(0, len(cards) - 1, count).astype(int)]
    return [cards[index] for index in sorted(kept.tolist())]


def _tiles(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Return the scores that have an interval; one image has none, and a score that is not defined has no value."""
    return [
        {
            "name": name,
            "value": evaluation.scores[name].value if name in evaluation.scores else None,
            **dict(zip(("low", "high"), evaluation.intervals.get(name, (None, None)), strict=True)),
        }
        for name in _tile_names(evaluation)
    ]


def _tile_names(evaluation: Evaluation) -> list[str]:
    """Return the names of the scores that have a card, the primary one first."""
    known = {*evaluation.scores, *evaluation.unavailable}
    names = [metric.name for metric in metrics.every_metric() if metric.bootstrapped and metric.name in known]
    return sorted(names, key=lambda name: name != metrics.PRIMARY)


def _scale(evaluation: Evaluation) -> str:
    """Return the range of the scores in a sentence, and what stands below them."""
    names = _tile_names(evaluation)
    ranges = [f"Scores are {metrics.scale(names)}."] if names else []
    intervals = ["Below each is its 95 % interval, by bootstrap over the images."] if evaluation.intervals else []
    return " ".join(ranges + intervals)


def _facts(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Return the scores without an interval, why scores are missing, what is to be known of them, and the tokenizer."""
    shown = [metric for metric in metrics.every_metric() if metric.name in evaluation.scores and not metric.bootstrapped]
    facts = [(metric.label or metric.name, metric.text(evaluation.scores[metric.name].value)) for metric in shown]
    facts += [(names, f"not computed ({reason})") for names, reason in names_by_text(evaluation.unavailable)]
    facts += [(f"about {names}", caveat) for names, caveat in names_by_text(evaluation.caveats)]
    return [*facts, ("tokenizer", evaluation.tokenizer.name)]


def _card_values(
    cards: Sequence[Card], longest_side: int, on_progress: Callable[[int, int], None]
) -> Iterable[dict[str, Any]]:
    """Yield the cards as the page reads them; the images are decoded on all processors."""
    made = map_ahead(lambda card: thumbnails.thumbnail(card.reference.path, longest_side), cards, processors())
    for done, (card, thumbnail) in enumerate(made, 1):
        yield {
            "name": (card.reference.path or Path(card.reference.id)).name,
            "caption": card.caption,
            "references": list(card.reference.captions),
            "score": None if card.score is None else round(card.score, 4),
            **thumbnail,
            **(thumbnails.attention_maps(card.attention) if thumbnail else {}),
        }
        on_progress(done, len(cards))


def _lengths(cards: Sequence[Card], tokenizer: metrics.Tokenizer) -> dict[str, Any]:
    """Return the histogram of the number of words of these captions and of the human captions."""
    ours = Counter(len(tokenizer.split(card.caption)) for card in cards)
    humans = Counter(len(tokenizer.split(text)) for card in cards for text in card.reference.captions)
    our_mean, human_mean = (sum(length * count for length, count in c.items()) / c.total() for c in (ours, humans))
    lengths = range(min((*ours, *humans)), max((*ours, *humans)) + 1)
    return {
        "title": f"These captions have {our_mean:.1f} words on average, people's {human_mean:.1f}.",
        "labels": [str(length) for length in lengths],
        "axis": "words of a caption",
        "unit": "% of captions",
        "series": [
            {"name": name, "values": [round(100 * counts[length] / counts.total(), 1) for length in lengths]}
            for name, counts in (("these captions", ours), ("human captions", humans))
        ],
    }


def _scores(cards: Sequence[Card]) -> list[dict[str, Any]]:
    """Return the histogram of the scores of the images, if these are defined."""
    scores = [card.score for card in cards if card.score is not None]
    if not scores:
        return []
    counts = Counter(math.floor(min(score, LAST_BIN) / BIN_WIDTH) for score in scores)
    bins = range(max(counts) + 1)
    histogram = {
        "title": f"Half of the images have a {metrics.PRIMARY} above {np.median(scores):.2f}.",
        "labels": [f"{index * BIN_WIDTH:.2f}" + ("+" if index * BIN_WIDTH >= LAST_BIN else "") for index in bins],
        "axis": f"{metrics.PRIMARY} of an image, {metrics.METRICS[metrics.PRIMARY].scale}",
        "unit": "images",
        "series": [{"name": "images", "values": [counts[index] for index in bins]}],
    }
    return [histogram]
