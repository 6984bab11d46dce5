"""Scoring: the predictions of one system, or of several over the same images, against human captions."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
        unavailable: The reason of each score that cannot be computed here or is not defined for these images, by the name of
            the metric.
        caveats: What a reader should know of a score, by the name of the metric.
        left_out: How much was left out of the human captions, by the kind of problem.
        tokenizer: The rule by which the captions were split into words.
    """

    name: str
    scores: Mapping[str, metrics.Score]
    images: int
    missing: int
    unavailable: Mapping[str, str]
    caveats: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    tokenizer: metrics.Tokenizer = metrics.COCO_CAPTION

    @cached_property
    def bootstrap_samples(self) -> dict[str, np.ndarray]:
        """The values of each score that is bootstrapped on the samples of the images: (1000,). One image has no samples."""
        if self.images == 1:
            return {}
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

        Scores that only one of the two systems has are left out, and all where there is one image.
        """
        found = {}
        for name, samples in self.bootstrap_samples.items():
            if name not in other.bootstrap_samples:
                continue
            differences = samples - other.bootstrap_samples[name]
            value = self.scores[name].value - other.scores[name].value
            found[name] = Difference(value, bootstrap.interval(differences), bootstrap.p_value(differences))
        return found

    def flat(self) -> dict[str, Any]:
        """Return all numbers by name, and the name of the tokenizer.

        The ends of intervals are named ``NAME low`` and ``NAME high``. A number that cannot be computed or is not defined is
        None. What was left out is counted in ``images missing`` and, by the kind of problem, in ``references left out``.
        """
        values = {**{name: score.value for name, score in self.scores.items()}, **dict.fromkeys(self.unavailable)}
        bootstrapped = {name: values.pop(name) for name in self._bootstrapped}
        ends = {
            f"{name} {end}": value
            for name in bootstrapped
            for end, value in zip(("low", "high"), self.intervals.get(name, (None, None)), strict=True)
        }
        missing = {"images missing": self.missing} if self.missing else {}
        left_out = {"references left out": dict(self.left_out)} if self.left_out else {}
        counts = {"images": self.images, **missing, **left_out, "tokenizer": self.tokenizer.name}
        return {**bootstrapped, **counts, **values, **ends}

    def flat_differences(self, other: "Evaluation") -> dict[str, float | None]:
        """Return the numbers of ``differences`` by name; None where a difference is not defined."""
        found = self.differences(other)
        return {
            f"{name} difference{what}": value(found[name]) if name in found else None
            for name in self._bootstrapped
            for what, value in _DIFFERENCE_NUMBERS.items()
        }

    @property
    def _bootstrapped(self) -> list[str]:
        """The names of the scores that have intervals, where these are defined."""
        return [
            metric.name
            for metric in metrics.every_metric()
            if metric.bootstrapped and (metric.name in self.scores or metric.name in self.unavailable)
        ]


_DIFFERENCE_NUMBERS: dict[str, Callable[[Difference], float]] = {
    "": lambda difference: difference.value,
    " low": lambda difference: difference.interval[0],
    " high": lambda difference: difference.interval[1],
    " p": lambda difference: difference.p,
}


def common_references(systems: Sequence[Predictions], references: Sequence[Reference]) -> list[Reference]:
    """Return the references that every system has a caption for.

    Raises:
        DataError: There is none.
    """
    common = [reference for reference in references if all(reference.id in system.captions for system in systems)]
    if not common:
        raise DataError("there is no image that all of them caption")
    return common


def evaluate(
    systems: Sequence[Predictions],
    split: Split,
    chosen: Sequence[metrics.Metric] | None = None,
    on_progress: metrics.OnProgress = metrics.unreported,
) -> list[Evaluation]:
    """Score the predictions of systems over the images that all of them caption.

    Args:
        systems: The predictions of each system.
        split: What they are compared with.
        chosen: The metrics that are asked for. By default the usual ones, without those that need what is not known.
        on_progress: Called when each metric begins, and while it goes on if it takes long.

    Raises:
        DataError: There is no such image.
    """
    common = common_references(systems, split.references)
    tokenize = split.tokenizer.split
    known = metrics.References([[tokenize(caption) for caption in reference.captions] for reference in common])
    training = frozenset(tuple(tokenize(caption)) for caption in split.training_captions)
    candidates = [_candidates(system, common, known, training, split.tokenizer) for system in systems]
    all_scores, unavailable = metrics.compute(candidates, chosen, on_progress)
    for metric in chosen or ():
        if metric.name not in unavailable and not any(metric.name in scores for scores in all_scores):
            lacking = [need for need in sorted(metric.needs) if not any(one.knows(need) for one in candidates)]
            unavailable[metric.name] = f"it needs {' and '.join(lacking)}, which are not known"
    return [
        Evaluation(
            system.name,
            scores,
            images=len(common),
            missing=len(split.references) - len(common),
            unavailable=unavailable,
            caveats={name: caveat for name in scores if (caveat := metrics.METRICS[name].caveat(candidates[0]))},
            left_out=Counter(problem.kind for problem in split.problems),
            tokenizer=split.tokenizer,
        )
        for system, scores in zip(systems, all_scores, strict=True)
    ]


def _candidates(
    system: Predictions,
    references: Sequence[Reference],
    known: metrics.References,
    training_captions: frozenset[tuple[str, ...]],
    tokenizer: metrics.Tokenizer,
) -> metrics.Candidates:
    """Return the captions of a system for the images of references, as metrics take them."""
    texts = [system.captions[reference.id] for reference in references]
    likelihoods = system.log_probabilities
    return metrics.Candidates(
        texts=texts,
        tokens=[tokenizer.split(text) for text in texts],
        references=known,
        images=[reference.path for reference in references],
        training_captions=training_captions,
        log_probabilities=[likelihoods[reference.id] for reference in references] if likelihoods else (),
        language=tokenizer.language,
    )


def flat(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """Return all numbers of one system by name, or of several by system, with their differences from the first."""
    first, *others = evaluations
    if not others:
        return first.flat()
    found: dict[str, Any] = {first.name: first.flat()}
    for other in others:
        found[other.name] = {**other.flat(), **other.flat_differences(first)}
    return found


def names_by_text(texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each different text, such as a reason or a caveat, after the names of the metrics that it is said of."""
    for text in dict.fromkeys(texts.values()):
        yield ", ".join(name for name, said in texts.items() if said == text), text
