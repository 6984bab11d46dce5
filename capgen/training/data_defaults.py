"""``defaults_for``: the defaults of settings that follow from the amount of data, in steps of training and not in epochs."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from capgen.training.data_statistics import DataStatistics

if TYPE_CHECKING:
    from capgen.captioner.decoding import DecodingOptions

MAX_BATCH, MIN_BATCH = 64, 4
"""The most and the fewest images in one step."""

MIN_STEPS_PER_EPOCH = 16
"""Steps that an epoch is to have before a step takes more images, so that an epoch of few images moves the weights."""

STEPS = 660
"""Steps of a whole training, seven epochs of Flickr8k's 6,000 images. Fewer images are seen more often instead."""

WARM_START_STEPS = 200
"""Steps that a trained captioner goes on for."""

MIN_EPOCHS, MAX_EPOCHS = 7, 60
"""The fewest and the most epochs."""

MAX_WARMUP_STEPS, WARMUP_SHARE = 100, 6
"""The warm-up takes one in so many steps, but no more than the first number."""

PATIENCE = 3 / 7
"""The share of all epochs after which training that does not get better stops."""

SEARCH_SETTINGS = ("num_beams", "length_penalty", "guidance", "common_caption_penalty")
"""The settings that a captioner which is continued has by itself: they were tuned for it."""

MIN_KNOWN_SHARE = 0.9
"""The share of the words of the captions that a vocabulary is to know."""

MAX_MIN_COUNT = 5
"""A word that occurs so often is learnt however many others are known."""

COVERED_CAPTIONS = 0.98
"""The share of the captions that are not longer than ``max_words``."""

MAX_WORDS = 100
"""The greatest ``max_words`` that is taken from captions; what is longer is no caption."""


def defaults_for(
    data: DataStatistics, given: Mapping[str, Any], warm_start: "DecodingOptions | None" = None
) -> dict[str, int | float]:
    """Return the default of each setting that follows from the data.

    Args:
        data: What there is to learn from.
        given: The settings that the user gives. ``warmup_steps`` is derived from ``epochs`` and ``encoder_epochs``,
            ``epochs`` from ``batch_size``, ``generation_max_words`` from ``max_words``.
        warm_start: How the captioner that the run continues searches, which is kept; ``None`` without one.
    """
    batch_size = given.get("batch_size", _batch_size(data))
    steps = data.steps(batch_size)
    epochs = given.get("epochs", _epochs(WARM_START_STEPS if warm_start else STEPS, steps))
    total = steps * max(epochs, given.get("encoder_epochs", 0))
    least_words = warm_start.max_words if warm_start else 0
    max_words = given.get("max_words", max(_max_words(data), least_words))
    return {
        "batch_size": batch_size,
        "epochs": epochs,
        "warmup_steps": min(MAX_WARMUP_STEPS, total // WARMUP_SHARE),
        "patience": max(3, round(PATIENCE * epochs)),
        "min_count": _min_count(data),
        "max_words": max_words,
        "generation_max_words": max(max_words, least_words),
        **({name: getattr(warm_start, name) for name in SEARCH_SETTINGS} if warm_start else {}),
    }


def _batch_size(data: DataStatistics) -> int:
    """Return a power of two."""
    fitting = max(1.0, data.images / MIN_STEPS_PER_EPOCH)
    return min(MAX_BATCH, max(MIN_BATCH, 2 ** int(math.log2(fitting))))


def _epochs(wanted_steps: int, steps_per_epoch: int) -> int:
    return min(MAX_EPOCHS, max(MIN_EPOCHS, round(wanted_steps / steps_per_epoch)))


def _min_count(data: DataStatistics) -> int:
    """Return the greatest count with which a vocabulary knows enough words."""
    counts = range(MAX_MIN_COUNT, 1, -1)
    return next((count for count in counts if data.known_share(count) >= MIN_KNOWN_SHARE), 1)


def _max_words(data: DataStatistics) -> int:
    """Return the number of words that nearly all captions do not exceed."""
    return min(MAX_WORDS, data.length_covering(COVERED_CAPTIONS))
