"""The report of an evaluation: scores, how long and how good the captions are, and every picture with its caption."""

import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from capgen.captioner.results import Attention
from capgen.evaluation import metrics
from capgen.evaluation.evaluate import Evaluation, common_references
from capgen.evaluation.predictions import Predictions
from capgen.evaluation.references import Reference
from capgen.evaluation.report import pictures
from capgen.storage.pipeline import map_ahead

MOST = 3500
"""Cards of a page; of more pictures it has those at even distances from the worst to the best."""

MANY = 1200
"""Cards from which pictures are half as large, so that the page stays below 25 MB."""

BIN = 0.25
"""Width of a bar of CIDEr-D; the last one, from ``LAST``, has no end."""

LAST = 4.0

FACTS = {
    "words used": "different words",
    "distinct-1": "distinct-1",
    "distinct-2": "distinct-2",
    "sharing": "images that share a caption",
    "length": "words of a caption",
    "seen in training": "captions seen in training",
    "log-likelihood": "log-likelihood of a word",
}
"""What the page calls the values of ``metrics.variety``."""


@dataclass(frozen=True)
class Card:
    """A picture of the gallery.

    Attributes:
        reference: The picture and its human captions.
        caption: What is scored.
        score: Its CIDEr-D.
        attention: Where the captioner looked for each word, if that is known.
    """

    reference: Reference
    caption: str
    score: float
    attention: Attention | None = None


def describe(
    subtitle: str,
    evaluated: Evaluation,
    cards: Sequence[Card],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Return what a report shows, as ``capgen.evaluation.report.write`` takes it.

    Args:
        subtitle: On what it was evaluated.
        evaluated: Its scores.
        cards: One a picture, see ``cards``.
        on_progress: Told how many pictures are done, and how many there are.
    """
    chosen = spread(cards, MOST)
    longest = pictures.LONGEST if len(chosen) <= MANY else pictures.LONGEST // 2
    return {
        "title": evaluated.name,
        "subtitle": subtitle,
        "scores": [
            {"name": name, "value": evaluated.scores[name], "low": low, "high": high}
            for name, (low, high) in evaluated.intervals.items()
        ],
        "facts": [
            (FACTS.get(name, name), f"{value:,}" if isinstance(value, int) else f"{value:.3f}")
            for name, value in {**evaluated.by_java, **evaluated.variety}.items()
        ]
        + [(name, "not computed") for name in evaluated.uncomputed],
        "histograms": [_lengths(cards), _scores(cards)],
        "gallery": {"total": len(cards), "cards": list(_plain(chosen, longest, on_progress))},
    }


def cards(predictions: Predictions, references: Sequence[Reference], evaluated: Evaluation) -> list[Card]:
    """Put captions, pictures and scores together.

    Args:
        predictions: The captions.
        references: Of the split.
        evaluated: What they score.
    """
    return [
        Card(reference, predictions.captions[reference.id], score, predictions.attention.get(reference.id))
        for reference, score in zip(
            common_references([predictions], references), evaluated.compared.cider_d.tolist(), strict=True
        )
    ]


def spread(cards: Sequence[Card], most: int) -> Sequence[Card]:
    """Return all cards, or as many as asked for, at even distances from the worst to the best, in their order."""
    if len(cards) <= most:
        return cards
    ranks = np.argsort([card.score for card in cards], kind="stable")
    kept = ranks[np.linspace(0, len(cards) - 1, most).astype(int)]
    return [cards[index] for index in sorted(kept.tolist())]


def _plain(cards: Sequence[Card], longest: int, on_progress: Callable[[int, int], None]) -> Iterable[dict[str, Any]]:
    """Write cards down as the page reads them."""
    read = map_ahead(lambda card: pictures.small(card.reference.path, longest), cards, os.cpu_count() or 1)
    for done, (card, picture) in enumerate(read, 1):
        yield {
            "name": (card.reference.path or Path(card.reference.id)).name,
            "caption": card.caption,
            "references": list(card.reference.captions),
            "score": round(card.score, 4),
            **picture,
            **(pictures.heat(card.attention) if picture else {}),
        }
        on_progress(done, len(cards))


def _lengths(cards: Sequence[Card]) -> dict[str, Any]:
    """Count words, of these captions and of the human ones."""
    ours = Counter(len(metrics.tokenize(card.caption)) for card in cards)
    humans = Counter(len(metrics.tokenize(text)) for card in cards for text in card.reference.captions)
    lengths = range(min((*ours, *humans)), max((*ours, *humans)) + 1)
    return {
        "title": "Words of a caption",
        "labels": [str(length) for length in lengths],
        "unit": "% of captions",
        "series": [
            {"name": name, "values": [round(100 * counts[length] / counts.total(), 1) for length in lengths]}
            for name, counts in (("these captions", ours), ("human captions", humans))
        ],
    }


def _scores(cards: Sequence[Card]) -> dict[str, Any]:
    """Count the pictures of each CIDEr-D."""
    counts = Counter(math.floor(min(card.score, LAST) / BIN) for card in cards)
    bins = range(max(counts) + 1)
    return {
        "title": "CIDEr-D of an image",
        "labels": [f"{index * BIN:.2f}" + ("+" if index * BIN >= LAST else "") for index in bins],
        "unit": "images",
        "series": [{"name": "images", "values": [counts[index] for index in bins]}],
    }
