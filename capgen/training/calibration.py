"""Fitting a captioner's calibration on the dev split, and measuring it.

A logistic function of the captions' scores (Platt, "Probabilistic Outputs for Support Vector Machines", 1999, with his
targets), fitted by Newton's method as in Lin, Lin and Weng 2007.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from capgen.captioner.calibration import Calibration
from capgen.evaluation import metrics

CLOSE = 0.5
"""ROUGE-L from which a caption counts as close to the human ones."""

FOLDS = 5
BINS = 5


def close(captions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """Tell which captions are close to the human ones of their pictures: (N,) bool."""
    tokens = [metrics.tokenize(caption) for caption in captions]
    truths = [[metrics.tokenize(caption) for caption in human] for human in references]
    _, scores = metrics.rouge_l(tokens, truths)
    return np.asarray(scores) >= CLOSE


def calibrate(scores: np.ndarray, is_close: np.ndarray) -> Calibration:
    """Fit the function on dev, and measure how it does on images that it was not fitted on.

    Args:
        scores: (N,) of the captions.
        is_close: (N,) bool.
    """
    slope, offset = _fit(scores, is_close)
    return Calibration(slope, offset, measure(_held_out(scores, is_close), is_close))


def measure(confidences: np.ndarray, is_close: np.ndarray) -> dict[str, Any]:
    """Compare confidences with what came true.

    Returns:
        ``images``, ``close`` (their share), ``brier`` (mean squared error), ``error`` (expected calibration error over bins
        of equally many images: Naeini et al. 2015) and ``bins``: the mean confidence and the share of close ones of each.
    """
    order = np.argsort(confidences, kind="stable")
    bins = [
        {"images": len(part), "confidence": float(confidences[part].mean()), "close": float(is_close[part].mean())}
        for part in np.array_split(order, min(BINS, len(order)))
    ]
    return {
        "images": len(order),
        "close": float(is_close.mean()),
        "brier": float(np.mean((confidences - is_close) ** 2)),
        "error": sum(b["images"] * abs(b["confidence"] - b["close"]) for b in bins) / len(order),
        "bins": bins,
    }


def _held_out(scores: np.ndarray, is_close: np.ndarray) -> np.ndarray:
    """Give each image the confidence of a function fitted without its fold: (N,)."""
    fold = np.arange(len(scores)) % min(FOLDS, len(scores))
    confidences = np.zeros(len(scores))
    for part in range(fold.max() + 1):
        rest = fold != part
        slope, offset = _fit(scores[rest], is_close[rest])
        confidences[~rest] = _logistic(slope * scores[~rest] + offset)
    return confidences


def _fit(scores: np.ndarray, is_close: np.ndarray) -> tuple[float, float]:
    """Find slope and offset by Newton's method on the cross-entropy; Platt's targets keep them finite."""
    hits, misses = int(is_close.sum()), int((~is_close).sum())
    targets = np.where(is_close, (hits + 1) / (hits + 2), 1 / (misses + 2))
    usual = math.log((hits + 1) / (misses + 1))
    if not len(scores) or np.ptp(scores) < 1e-9:  # noqa: PLR2004 - nothing to tell them apart by
        return 0.0, usual
    centre, spread = float(scores.mean()), float(scores.std())
    design = np.stack([(scores - centre) / spread, np.ones(len(scores))], axis=1)  # (N, 2)
    weights = np.array([0.0, usual])
    for _ in range(100):
        chances = _logistic(design @ weights)
        gradient = design.T @ (chances - targets) + _RIDGE * weights * (1, 0)
        curvature = (design.T * (chances * (1 - chances))) @ design + np.diag([_RIDGE, _TINY])
        step = np.linalg.solve(curvature, gradient)
        weights -= np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < _TINY:
            break
    if weights[0] < 0:  # chance on a few images: the score says nothing
        return 0.0, usual
    return float(weights[0] / spread), float(weights[1] - weights[0] * centre / spread)


_RIDGE = 1e-3
"""Holds the slope where a few images are told apart perfectly."""

_TINY = 1e-9


def _logistic(x: Any) -> Any:
    return 1 / (1 + np.exp(-np.clip(x, -50, 50)))
