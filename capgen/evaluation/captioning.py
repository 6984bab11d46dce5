"""Captions that a captioner gives to the images of a split, as ``capgen caption`` would."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from capgen.captioner.captioner import Captioner
from capgen.captioner.request import CaptionRequest
from capgen.captioner.results import Caption
from capgen.errors import DataError
from capgen.evaluation.predictions import Predictions
from capgen.evaluation.references import Reference
from capgen.outputs import coco
from capgen.storage import paths


def system_name(captioner: Captioner, request: CaptionRequest) -> str:
    """Return the default name of a captioner that is asked for these captions."""
    return f"{captioner.bundle.description.name}-beam{captioner.decoding(request).num_beams}"


def predict(
    captioner: Captioner,
    references: Sequence[Reference],
    request: CaptionRequest,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    name: str = "",
    output_attention: bool = False,
) -> Predictions:
    """Caption the images of references from their files, as ``capgen caption`` would.

    Args:
        captioner: The captioner to evaluate.
        references: The images of the split.
        request: What captions are wanted.
        name: The name of the predictions; by default that of the captioner and its beam.
        on_progress: Called with the number of images that are done and the number of all images.
        output_attention: Keep the attention weights of each word, if the captioner has any.

    Raises:
        DataError: A file is missing or cannot be captioned. The scores would be those of other images than they say.
    """
    images = _image_files(references)
    results = captioner.caption_many(images, request, output_attention=output_attention and captioner.has_attention)
    found: dict[str, Caption] = {}
    for reference, result in zip(references, results, strict=True):
        if result.failed:
            raise DataError(f"{result.path} cannot be captioned: {result.reason}; mend it or prepare the data set again")
        found[reference.id] = result.captions[0]
        on_progress(len(found), len(references))
    return Predictions(
        name=name or system_name(captioner, request),
        captions={key: caption.text for key, caption in found.items()},
        attention={key: caption.attention for key, caption in found.items()},
        log_probabilities={key: caption.log_probability for key, caption in found.items()},
    )


def _image_files(references: Sequence[Reference]) -> list[Path]:
    """Return the files of all images.

    Raises:
        DataError: Some were not found.
    """
    missing = [reference for reference in references if reference.path is None]
    if missing:
        reason = f" ({missing[0].missing})" if missing[0].missing else ""
        raise DataError(
            f"{len(missing)} of {len(references)} images were not found, the first {missing[0].id!r}{reason};"
            " put them there, or give captions with `predictions`"
        )
    return [reference.path for reference in references if reference.path is not None]


def save(name: str, captions: Mapping[str, str]) -> Path:
    """Write captions in COCO's result format to the data folder, and return the path of the file."""
    path = paths.data_dir() / "predictions" / f"{name.replace(os.sep, '-')}.json"
    coco.write(path, (coco.entry(coco.number_or_text(key), text) for key, text in captions.items()))
    return path
