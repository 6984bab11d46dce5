"""The field's scores of captions, as the coco-caption tools define them.

``METRICS`` lists all metrics. A new one is a module with a ``Metric`` and a line there: the bootstrap, the tables, the JSON
file, the report page and the model card take it from there.
"""

from collections.abc import Sequence
from itertools import chain

from capgen.evaluation.metrics.bleu import bleu
from capgen.evaluation.metrics.cider import Cider, cider, cider_d
from capgen.evaluation.metrics.metric import Candidates, Metric, Need, PerImageMetric, Score, UnavailableError
from capgen.evaluation.metrics.ngrams import References
from capgen.evaluation.metrics.rouge import rouge_l
from capgen.evaluation.metrics.tokenizer import tokenize
from capgen.registry import Registry

__all__ = [
    "METRICS", "Candidates", "Cider", "Metric", "Need", "PerImageMetric", "References", "Score",
    "UnavailableError", "bleu", "cider", "cider_d", "compute", "every_metric", "rouge_l", "score", "tokenize",
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


def every_metric() -> list[Metric]:
    """Return all metrics, in the order in which they are shown."""
    return [METRICS[name] for name in METRICS]


def compute(
    systems: Sequence[Candidates], metrics: Sequence[Metric] | None = None
) -> tuple[list[dict[str, Score]], dict[str, str]]:
    """Score the captions of systems, each on its own.

    Args:
        systems: The captions of each system.
        metrics: By default all of them.

    Returns:
        The scores of each system by the name of the metric, without those that need what is unknown of the system; and for
        each metric that cannot be computed here, or not for all images, the reason.
    """
    scores: list[dict[str, Score]] = [{} for _ in systems]
    unavailable: dict[str, str] = {}
    for metric in every_metric() if metrics is None else metrics:
        missing = next(filter(None, (system.missing_images for system in systems)), "")
        if Need.IMAGES in metric.needs and missing:
            unavailable[metric.name] = missing
            continue
        known = [index for index, system in enumerate(systems) if all(map(system.knows, metric.needs))]
        try:
            found = metric.compute([systems[index] for index in known]) if known else []
        except UnavailableError as error:
            unavailable[metric.name] = str(error)
            continue
        for index, score_of_system in zip(known, found, strict=True):
            scores[index][metric.name] = score_of_system
    return scores, unavailable


def score(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """Tokenise captions and score them with the metrics that need nothing but human captions.

    Args:
        candidates: One caption an image, as text.
        references: The human captions of each image, in the same order.

    Returns:
        The scores by name, and the number of images as ``images``.
    """
    tokens = {caption: tuple(tokenize(caption)) for caption in {*candidates, *chain.from_iterable(references)}}
    known = References([[tokens[caption] for caption in captions] for captions in references])
    system = Candidates(candidates, [tokens[caption] for caption in candidates], known)
    chosen = [metric for metric in every_metric() if metric.is_quality and metric.needs <= {Need.REFERENCES}]
    (found,), _ = compute([system], chosen)
    return {**{name: one.value for name, one in found.items()}, "images": len(candidates)}
