"""SPICE, by the program of its authors (P. Anderson et al., "SPICE", ECCV 2016)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from capgen.evaluation.metrics.java import Captions, JavaMetric
from capgen.evaluation.metrics.metric import OnProgress, Score

MODELS = "lib/stanford-corenlp-3.6.0-models.jar"
"""The parser's models, below the program's folder. They are large and not part of the package that brings the program."""


class Spice(JavaMetric):
    """The mean F-score of the objects, attributes and relations that a caption names."""

    name = "SPICE"

    def run(self, systems: Sequence[tuple[Captions, Captions]], on_progress: OnProgress) -> list[Score]:
        """Run the program, which takes all captions at once; see ``JavaMetric.run``."""
        from pycocoevalcap.spice import spice

        if not (Path(spice.__file__).parent / MODELS).is_file():
            raise OSError("its models are not here; get them with: python -m pycocoevalcap.spice.get_stanford_models")
        found = [spice.Spice().compute_score(references, captions) for captions, references in systems]
        return [Score(float(value), np.array([one["All"]["f"] for one in each], np.float64)) for value, each in found]


SPICE = Spice()
