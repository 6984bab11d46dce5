"""Notices printed before training starts: what the run will not learn from the data, one sentence each."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from capgen.captioner import catalogue
from capgen.captioner.language import is_english, is_spaceless
from capgen.captioner.vocabulary import UNKNOWN
from capgen.training.data_defaults import MIN_KNOWN_SHARE

if TYPE_CHECKING:
    from capgen.training.training_data import TrainingData

FEW_IMAGES = 1000
"""Training images below which going on from the captioner that ships is said to be usually better.

Measured by ``benchmarks/little_data.py``, CIDEr-D: 100 images of a new kind give 2.44 from the beginning and 4.30 with
``--from``, 300 of a known kind 0.10 and 0.51. Even 1,000 photographs give 0.47 from the beginning, where the captioner that
ships has 0.58 on others of that source.
"""


def notices(data: "TrainingData", *, continues_captioner: bool) -> Iterator[str]:
    """Yield the notices, one sentence each.

    Args:
        data: What will be learnt from; without cross-entropy epochs there is nothing to say.
        continues_captioner: Whether the run continues a captioner.
    """
    captions = [caption for sample in data.samples for caption in sample.captions]
    count = sum(map(len, captions))
    if not count:
        return
    if is_spaceless(data.language):
        yield f"captions are learnt character by character, because {data.language} is written without spaces between words"
    if not continues_captioner and len(data.samples) < FEW_IMAGES and is_english(data.language):
        yield (
            f"{len(data.samples):,} training images are few: a captioner that goes on from the one that ships is usually "
            f"better below {FEW_IMAGES:,}: capgen train {data.dataset.name} --from {catalogue.DEFAULT}"
        )
    known = 1 - sum(caption.count(UNKNOWN) for caption in captions) / count
    if known < MIN_KNOWN_SHARE:
        yield (
            f"the vocabulary knows {known:.0%} of the words of the training captions, and learns nothing of the others; "
            f"a min_count below {data.config.min_count} makes it larger"
        )
    limit = data.config.max_words
    longer = sum(len(caption) > limit for caption in captions)
    if longer:
        yield (
            f"{longer:,} of {len(captions):,} training captions are cut after {limit} words, so that the captioner does not "
            f"learn how they end; the longest has {max(map(len, captions))}: --set max_words={max(map(len, captions))}"
        )
