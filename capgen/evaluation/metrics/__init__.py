"""The field's scores of captions, as the coco-caption tools define them.

``METRICS`` lists all metrics. A new one is a module with a ``Metric`` and a line there: the bootstrap, the tables, the JSON
file, the report page, the model card and the history of a training run take it from there.
"""

from collections.abc import Iterable, Sequence
from itertools import chain

from capgen.captioner.language import ENGLISH
from capgen.errors import UnknownNameError
from capgen.evaluation.metrics.bleu import bleu
from capgen.evaluation.metrics.cider import Cider, cider, cider_d
from capgen.evaluation.metrics.metric import (
    Candidates,
    Metric,
    Need,
    OnProgress,
    PerImageMetric,
    Score,
    UnavailableError,
    unreported,
)
from capgen.evaluation.metrics.ngrams import References
from capgen.evaluation.metrics.rouge import rouge_l
from capgen.evaluation.metrics.tokenizer import COCO_CAPTION, Tokenizer, tokenize
from capgen.evaluation.metrics.tokens import tokenizer
from capgen.registry import Registry

__all__ = [
    "ALL", "COCO_CAPTION", "METRICS", "PRIMARY", "Candidates", "Cider", "Metric", "Need", "OnProgress", "PerImageMetric",
    "References", "Score", "Tokenizer", "UnavailableError", "bleu", "cider", "cider_d", "compute", "every_metric", "named",
    "rouge_l", "scale", "score", "scores", "tokenize", "tokenizer", "unreported", "usual_metrics", "validation_metrics",
]  # fmt: skip

_HERE = __name__

METRICS: Registry[Metric] = Registry(
    "metric",
    {
        "BLEU-1": f"{_HERE}.bleu:BLEU_1",
        "BLEU-2": f"{_HERE}.bleu:BLEU_2",
        "BLEU-3": f"{_HERE}.bleu:BLEU_3",
        "BLEU-4": f"{_HERE}.bleu:BLEU_4",
        "ROUGE-L": f"{_HERE}.rouge:ROUGE_L",
        "CIDEr-D": f"{_HERE}.cider:CIDER_D",
        "CIDEr": f"{_HERE}.cider:CIDER",
        "METEOR": f"{_HERE}.meteor:METEOR",
        "SPICE": f"{_HERE}.spice:SPICE",
        "vocabulary size used": f"{_HERE}.diversity:VOCABULARY_SIZE",
        "distinct-1": f"{_HERE}.diversity:DISTINCT_1",
        "distinct-2": f"{_HERE}.diversity:DISTINCT_2",
        "share of duplicate captions": f"{_HERE}.diversity:DUPLICATES",
        "length": f"{_HERE}.diversity:LENGTH",
        "seen in training": f"{_HERE}.diversity:SEEN_IN_TRAINING",
        "log-likelihood": f"{_HERE}.likelihood:LOG_LIKELIHOOD",
    },
)
"""All metrics, in the order in which they are shown."""

ALL = "all"
"""Stands for every metric where metrics are named."""

PRIMARY = "CIDEr-D"
"""The metric that ranks: the epochs of a training run, the captioners of a list, the images of a report."""


def every_metric() -> list[Metric]:
    """Return all metrics, in the order in which they are shown."""
    return [METRICS[name] for name in METRICS]


def usual_metrics() -> list[Metric]:
    """Return the metrics that are computed where none is asked for: all but the programs in Java, which take minutes."""
    return [metric for metric in every_metric() if Need.JAVA not in metric.needs]


def named(names: Iterable[str]) -> list[Metric]:
    """Return the metrics of some names, in the order in which they are shown.

    Args:
        names: The names, in capital or small letters; ``ALL`` stands for every metric.

    Raises:
        UnknownNameError: There is no metric of a name; the message lists those that there are.
    """
    by_lower_case = {name.lower(): name for name in METRICS}
    wanted = set()
    for name in names:
        if name.lower() != ALL and name.lower() not in by_lower_case:
            raise UnknownNameError("metric", name, (*METRICS, ALL), suggest=False)  # which lists all of them
        wanted |= {*METRICS} if name.lower() == ALL else {by_lower_case[name.lower()]}
    return [METRICS[name] for name in METRICS if name in wanted]


def validation_metrics() -> list[Metric]:
    """Return the metrics that are computed after each epoch of training, the primary one first."""
    return sorted((metric for metric in every_metric() if metric.in_validation), key=lambda metric: metric.name != PRIMARY)


def scale(names: Sequence[str]) -> str:
    """Return the range of several scores that say how good captions are: the commonest one, and who has another.

    Args:
        names: The names of their metrics, at least one.

    Returns:
        Such as ``from 0 to 1, CIDEr-D from 0 to 10; more is better``.
    """
    by_scale: dict[str, list[str]] = {}
    for name in names:
        by_scale.setdefault(METRICS[name].scale, []).append(name)
    common = max(by_scale, key=lambda scale: len(by_scale[scale]))
    others = [f"{' and '.join(named)} {scale}" for scale, named in by_scale.items() if scale != common]
    return f"{', '.join((common, *others))}; more is better"


def compute(
    systems: Sequence[Candidates], metrics: Sequence[Metric] | None = None, on_progress: OnProgress = unreported
) -> tuple[list[dict[str, Score]], dict[str, str]]:
    """Score the captions of systems, each on its own.

    Args:
        systems: The captions of each system.
        metrics: By default the usual ones.
        on_progress: Called when each metric begins, and while it goes on if it takes long.

    Returns:
        The scores of each system by the name of the metric, without those that need what is unknown of the system; and for
        each metric that cannot be computed here or not for all images, or is not defined for these, the reason.
    """
    scores: list[dict[str, Score]] = [{} for _ in systems]
    unavailable: dict[str, str] = {}
    for metric in usual_metrics() if metrics is None else metrics:
        on_progress(metric.name, 0, 0)
        try:
            found = _compute_known(metric, systems, on_progress)
        except UnavailableError as error:
            unavailable[metric.name] = str(error)
            continue
        for index, score_of_system in found.items():
            scores[index][metric.name] = score_of_system
    return scores, unavailable


def _compute_known(metric: Metric, systems: Sequence[Candidates], on_progress: OnProgress) -> dict[int, Score]:
    """Score the systems of which is known what a metric needs; return the scores by the index of the system.

    Raises:
        UnavailableError: The score cannot be computed here or not for all images, or is not defined for these images.
    """
    missing = next(filter(None, (system.missing_images for system in systems)), "")
    if Need.IMAGES in metric.needs and missing:
        raise UnavailableError(missing)
    known = [index for index, system in enumerate(systems) if all(map(system.knows, metric.needs))]
    if undefined := next(filter(None, (metric.why_undefined(systems[index]) for index in known)), ""):
        raise UnavailableError(undefined)
    found = metric.compute([systems[index] for index in known], on_progress) if known else []
    return dict(zip(known, found, strict=True))


def score(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    metrics: Sequence[Metric] | None = None,
    *,
    language: str = ENGLISH,
) -> dict[str, float]:
    """Tokenise captions and score them with metrics that need nothing but human captions.

    Args:
        candidates: One caption an image, as text.
        references: The human captions of each image, in the same order.
        metrics: By default all that need no more and say how good captions are.
        language: The tag of the language of all captions.

    Returns:
        The scores by name, without those that are not defined for these images, and the number of images as ``images``.
    """
    found = scores(candidates, references, metrics, language=language)
    return {**{name: one.value for name, one in found.items()}, "images": len(candidates)}


def scores(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    metrics: Sequence[Metric] | None = None,
    *,
    language: str = ENGLISH,
) -> dict[str, Score]:
    """Tokenise and score captions as ``score`` does; return the scores with what each image adds to them."""
    split = tokenizer(language).split
    tokens = {caption: tuple(split(caption)) for caption in {*candidates, *chain.from_iterable(references)}}
    known = References([[tokens[caption] for caption in captions] for captions in references])
    system = Candidates(candidates, [tokens[caption] for caption in candidates], known, language=language)
    if metrics is None:
        metrics = [metric for metric in every_metric() if metric.is_quality and metric.needs <= {Need.REFERENCES}]
    (found,), _ = compute([system], metrics)
    return found
