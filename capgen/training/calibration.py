"""Fitting a captioner's calibration on the dev split, and measuring it.

The confidence is a logistic function of a caption's score (Platt, "Probabilistic Outputs for Support Vector Machines", 1999,
with his targets). It is fitted by Newton's method as in Lin, Lin and Weng 2007.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from capgen.captioner.calibration import Calibration
from capgen.captioner.language import ENGLISH
from capgen.evaluation import metrics

CLOSE = 0.5
"""The ROUGE-L from which a caption counts as close to the human ones."""

FOLDS = 5
"""Folds of the cross-validation that measures the calibration."""

BINS = 5
"""Bins of the expected calibration error."""


def is_close(captions: Sequence[str], references: Sequence[Sequence[str]], language: str = ENGLISH) -> np.ndarray:
    """Tell for each caption in a language, given by its tag, whether it is close to the human captions, (N,) bool."""
    tokenize = metrics.tokenizer(language).split
    candidates = [tokenize(caption) for caption in captions]
    tokenized = [[tokenize(caption) for caption in human] for human in references]
    _, scores = metrics.rouge_l(candidates, tokenized)
    return np.asarray(scores) >= CLOSE


def calibrate(scores: np.ndarray, close: np.ndarray) -> Calibration:
    """Fit the calibration on dev, and measure it on images that it was not fitted on.

    Args:
        scores: The scores of the captions, (N,).
        close: Whether each caption is close to a human one, (N,) bool.
    """
    slope, offset = _fit(scores, close)
    return Calibration(slope, offset, measure(_held_out(scores, close), close))


def measure(confidences: np.ndarray, close: np.ndarray) -> dict[str, Any]:
    """Compare the confidences of captions with how many of them are close to a human one.

    Returns:
        ``images``, ``close`` (the fraction of close captions), ``brier`` (mean squared error), ``error`` (expected
        calibration error over bins of equally many images: Naeini et al. 2015) and ``bins``: the mean confidence and the
        fraction of close captions of each.
    """
    order = np.argsort(confidences, kind="stable")
    bins = [
        {"images": len(part), "confidence": float(confidences[part].mean()), "close": float(close[part].mean())}
        for part in np.array_split(order, min(BINS, len(order)))
    ]
    return {
        "images": len(order),
        "close": float(close.mean()),
        "brier": float(np.mean((confidences - close) ** 2)),
        "error": sum(b["images"] * abs(b["confidence"] - b["close"]) for b in bins) / len(order),
        "bins": bins,
    }


def _held_out(scores: np.ndarray, close: np.ndarray) -> np.ndarray:
    """Return the confidence of each caption by a calibration that was fitted without its fold, (N,)."""
    fold = np.arange(len(scores)) % min(FOLDS, len(scores))
    confidences = np.zeros(len(scores))
    for part in range(fold.max() + 1):
        rest = fold != part
        slope, offset = _fit(scores[rest], close[rest])
        confidences[~rest] = _logistic(slope * scores[~rest] + offset)
    return confidences


def _fit(scores: np.ndarray, close: np.ndarray) -> tuple[float, float]:
    """Return slope and offset, found by Newton's method on the cross-entropy; Platt's targets keep them finite."""
    hits, misses = int(close.sum()), int((~close).sum())
    targets = np.where(close, (hits + 1) / (hits + 2), 1 / (misses + 2))
    log_odds = math.log((hits + 1) / (misses + 1))
    if not len(scores) or np.ptp(scores) < 1e-9:  # noqa: PLR2004 - all scores are the same
        return 0.0, log_odds
    centre, spread = float(scores.mean()), float(scores.std())
    design = np.stack([(scores - centre) / spread, np.ones(len(scores))], axis=1)  # (N, 2)
    weights = np.array([0.0, log_odds])
    for _ in range(100):
        probabilities = _logistic(design @ weights)
        gradient = design.T @ (probabilities - targets) + _RIDGE * weights * (1, 0)
        curvature = (design.T * (probabilities * (1 - probabilities))) @ design + np.diag([_RIDGE, _TINY])
        step = np.linalg.solve(curvature, gradient)
        weights -= np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < _TINY:
            break
    if weights[0] < 0:  # by chance, on a few images: the score is not informative
        return 0.0, log_odds
    return float(weights[0] / spread), float(weights[1] - weights[0] * centre / spread)


_RIDGE = 1e-3
"""Regularises the slope, which is unbounded where the scores of a few images separate the close captions perfectly."""

_TINY = 1e-9


def _logistic(x: Any) -> Any:
    return 1 / (1 + np.exp(-np.clip(x, -50, 50)))
