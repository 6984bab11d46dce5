"""Calibration: from the score of a caption to how often captions with that score are close to a human one.

A caption is *close* if its ROUGE-L with the human captions of the image is at least 0.5, that is if it shares about half
of its words with one of them, in order. ``capgen.training.calibration`` fits the function when a captioner is trained.
"""

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Calibration:
    """A logistic function of the score of a hypothesis (Platt 1999).

    Attributes:
        slope: How much the logit of the confidence rises with the score; 0 or more, so that a better score never means a
            lower confidence.
        offset: The logit of the confidence at a score of 0.
        reliability: How well confidences agreed with what was close on dev, as ``capgen.training.calibration.measure``
            returns it.
    """

    slope: float
    offset: float
    reliability: dict[str, Any]

    def confidence(self, score: float) -> float:
        """Return how often a caption with this score (``Hypothesis.score``) is close to a human one, 0 to 1."""
        return 1 / (1 + math.exp(-max(-50.0, min(50.0, self.slope * score + self.offset))))
