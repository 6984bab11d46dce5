"""Calibration: from what a decoder gives to a caption to how often such a caption is close to a human one.

A caption is *close* if its ROUGE-L with the picture's human captions is at least a half: it shares, in order, about half of
its words with them. ``capgen.training.calibration`` fits the function when a captioner is trained.
"""

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Calibration:
    """A logistic function of a hypothesis' score (Platt 1999).

    Attributes:
        slope: Not negative: a better score is never a lower confidence.
        offset: Where it lies.
        reliability: How it did on dev, as ``capgen.training.calibration.measure`` returns it.
    """

    slope: float
    offset: float
    reliability: dict[str, Any]

    def confidence(self, score: float) -> float:
        """Return how often a caption of this score (``Hypothesis.score``) is close to a human one, 0 to 1."""
        return 1 / (1 + math.exp(-max(-50.0, min(50.0, self.slope * score + self.offset))))
