"""Scoring: the predictions of one system, or of several over the same images, against human captions."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from capgen.captioner.vocabulary import words
from capgen.errors import DataError
from capgen.evaluation import metrics
from capgen.evaluation.predictions import Predictions
from capgen.evaluation.references import Reference, Split


@dataclass(frozen=True)
class Evaluation:
    """What captions score.

    Attributes:
        name: Of the system.
        compared: Each caption compared with the human ones, in the order of the references.
        by_java: See ``metrics.java_scores``; without intervals.
        variety: See ``metrics.variety``; also ``seen in training``, the share of captions that an image of the train split
            has, and ``log-likelihood``, what the captioner gives to a word of its captions, ends included; where known.
        missing: Images of the split that are not counted.
        uncomputed: By the name of a score the reason that it is missing.
    """

    name: str
    compared: metrics.Scored
    by_java: dict[str, float]
    variety: dict[str, float]
    missing: int
    uncomputed: dict[str, str]

    @cached_property
    def scores(self) -> dict[str, float]:
        """See ``metrics.Scored.scores``."""
        return self.compared.scores()

    @cached_property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """The 95 % interval of each score."""
        return self.compared.intervals()

    def flat(self) -> dict[str, float | None]:
        """Return all of it by name, the ends of intervals as ``NAME low`` and ``NAME high``; None is not computed."""
        ends = {
            f"{name} {end}": value
            for name, both in self.intervals.items()
            for end, value in zip(("low", "high"), both, strict=True)
        }
        missing = {"images missing": self.missing} if self.missing else {}
        return {**self.scores, **missing, **self.by_java, **dict.fromkeys(self.uncomputed), **ends, **self.variety}


def common_references(systems: Sequence[Predictions], references: Sequence[Reference]) -> list[Reference]:
    """Return the references that every system has a caption of.

    Raises:
        DataError: There is none.
    """
    common = [reference for reference in references if all(reference.id in system.captions for system in systems)]
    if not common:
        raise DataError("there is no image that all of them caption")
    return common


def evaluate(systems: Sequence[Predictions], split: Split) -> list[Evaluation]:
    """Score the predictions of systems, over the images that all of them caption.

    Raises:
        DataError: There is no such image.
    """
    common = common_references(systems, split.references)
    truths = [[metrics.tokenize(caption) for caption in reference.captions] for reference in common]
    known = metrics.References(truths)
    seen = {tuple(metrics.tokenize(caption)) for caption in split.training_captions}
    evaluations = []
    said = [[metrics.tokenize(system.captions[reference.id]) for reference in common] for system in systems]
    all_by_java, uncomputed = metrics.java_scores(said, truths)
    for system, tokens, by_java in zip(systems, said, all_by_java, strict=True):
        variety = metrics.variety(tokens)
        if seen:
            variety["seen in training"] = sum(tuple(each) in seen for each in tokens) / len(tokens)
        if system.log_probabilities:
            spoken = sum(len(words(system.captions[reference.id])) + 1 for reference in common)  # with the ends
            variety["log-likelihood"] = sum(system.log_probabilities[reference.id] for reference in common) / spoken
        evaluations.append(
            Evaluation(
                name=system.name,
                compared=metrics.compare(tokens, known),
                by_java=by_java,
                variety=variety,
                missing=len(split.references) - len(common),
                uncomputed=uncomputed,
            )
        )
    return evaluations


def flat(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """Return what is known of one system by name, or of several by system, with their differences from the first."""
    first, *others = evaluations
    if not others:
        return first.flat()
    found: dict[str, Any] = {first.name: first.flat()}
    for other in others:
        differences = {
            f"{name} difference{what}": value
            for name, difference in other.compared.differences(first.compared).items()
            for what, value in (
                ("", difference.value),
                (" low", difference.interval[0]),
                (" high", difference.interval[1]),
                (" p", difference.p),
            )
        }
        found[other.name] = {**other.flat(), **differences}
    return found
