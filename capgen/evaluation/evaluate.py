"""Scoring: the predictions of one system, or of several over the same images, against human captions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from capgen.errors import DataError
from capgen.evaluation import metrics
from capgen.evaluation.metrics import bootstrap
from capgen.evaluation.metrics.bootstrap import Difference
from capgen.evaluation.predictions import Predictions
from capgen.evaluation.references import Reference, Split


@dataclass(frozen=True)
class Evaluation:
    """The scores of one system.

    Attributes:
        name: The name of the system.
        scores: The scores by the name of the metric, in the order of ``metrics.METRICS``.
        images: The number of images that are scored.
        missing: The number of images of the split that are not scored.
        unavailable: The reason of each score that cannot be computed here, by the name of the metric.
    """

    name: str
    scores: Mapping[str, metrics.Score]
    images: int
    missing: int
    unavailable: Mapping[str, str]

    @cached_property
    def bootstrap_samples(self) -> dict[str, np.ndarray]:
        """The values of each score that is bootstrapped on the samples of the images: (1000,)."""
        weights = bootstrap.weights(self.images)
        found = {}
        for name, score in self.scores.items():
            metric = metrics.METRICS[name]
            if isinstance(metric, metrics.PerImageMetric) and metric.bootstrapped:
                found[name] = metric.aggregate(score.per_image, weights)
        return found

    @cached_property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """The 95 % interval of each score that is bootstrapped."""
        return {name: bootstrap.interval(samples) for name, samples in self.bootstrap_samples.items()}

    def differences(self, other: "Evaluation") -> dict[str, Difference]:
        """Return how much higher each score is than that of another system on the same images, by the paired bootstrap.

        Scores that only one of the two systems has are left out.
        """
        found = {}
        for name, samples in self.bootstrap_samples.items():
            if name not in other.bootstrap_samples:
                continue
            differences = samples - other.bootstrap_samples[name]
            value = self.scores[name].value - other.scores[name].value
            found[name] = Difference(value, bootstrap.interval(differences), bootstrap.p_value(differences))
        return found

    def flat(self) -> dict[str, float | None]:
        """Return all numbers by name.

        The ends of intervals are named ``NAME low`` and ``NAME high``. A score that cannot be computed is None.
        """
        values = {name: score.value for name, score in self.scores.items()}
        ends = {
            f"{name} {end}": value
            for name, interval in self.intervals.items()
            for end, value in zip(("low", "high"), interval, strict=True)
        }
        counts = {"images": self.images, **({"images missing": self.missing} if self.missing else {})}
        bootstrapped = {name: values.pop(name) for name in self.intervals}
        return {**bootstrapped, **counts, **values, **dict.fromkeys(self.unavailable), **ends}


def common_references(systems: Sequence[Predictions], references: Sequence[Reference]) -> list[Reference]:
    """Return the references that every system has a caption for.

    Raises:
        DataError: There is none.
    """
    common = [reference for reference in references if all(reference.id in system.captions for system in systems)]
    if not common:
        raise DataError("there is no image that all of them caption")
    return common


def evaluate(systems: Sequence[Predictions], split: Split) -> list[Evaluation]:
    """Score the predictions of systems over the images that all of them caption.

    Raises:
        DataError: There is no such image.
    """
    common = common_references(systems, split.references)
    known = metrics.References([[metrics.tokenize(caption) for caption in reference.captions] for reference in common])
    training = frozenset(tuple(metrics.tokenize(caption)) for caption in split.training_captions)
    all_scores, unavailable = metrics.compute([_candidates(system, common, known, training) for system in systems])
    missing = len(split.references) - len(common)
    return [
        Evaluation(system.name, scores, len(common), missing, unavailable)
        for system, scores in zip(systems, all_scores, strict=True)
    ]


def _candidates(
    system: Predictions,
    references: Sequence[Reference],
    known: metrics.References,
    training_captions: frozenset[tuple[str, ...]],
) -> metrics.Candidates:
    """Return the captions of a system for the images of references, as metrics take them."""
    texts = [system.captions[reference.id] for reference in references]
    likelihoods = system.log_probabilities
    return metrics.Candidates(
        texts=texts,
        tokens=[metrics.tokenize(text) for text in texts],
        references=known,
        images=[reference.path for reference in references],
        training_captions=training_captions,
        log_probabilities=[likelihoods[reference.id] for reference in references] if likelihoods else (),
    )


def flat(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """Return all numbers of one system by name, or of several by system, with their differences from the first."""
    first, *others = evaluations
    if not others:
        return first.flat()
    found: dict[str, Any] = {first.name: first.flat()}
    for other in others:
        differences = {
            f"{name} difference{what}": value
            for name, difference in other.differences(first).items()
            for what, value in (
                ("", difference.value),
                (" low", difference.interval[0]),
                (" high", difference.interval[1]),
                (" p", difference.p),
            )
        }
        found[other.name] = {**other.flat(), **differences}
    return found
