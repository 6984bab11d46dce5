"""Predictions: the captions that a system gives to the images of a split, read from a file or made by a captioner."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capgen.captioner.captioner import Captioner
from capgen.captioner.request import CaptionRequest
from capgen.captioner.results import Attention, Caption
from capgen.datasets.layout import read_json
from capgen.errors import DataError
from capgen.evaluation.metrics import tokenize
from capgen.evaluation.references import Reference
from capgen.outputs import coco
from capgen.storage import paths


@dataclass(frozen=True)
class Predictions:
    """The captions that one system gives to the images of a split.

    Attributes:
        name: The name of the system.
        captions: The caption of each image, by the id of its reference.
        problems: What is wrong with the captions, one sentence for each kind of fault.
        attention: The attention weights of each caption, by the id of its reference; only where they are known.
        log_probabilities: The log-probability that the captioner gives to each whole caption, by the id of its reference;
            empty where it is unknown.
    """

    name: str
    captions: Mapping[str, str]
    problems: Sequence[str] = ()
    attention: Mapping[str, Attention | None] = field(default_factory=dict)
    log_probabilities: Mapping[str, float] = field(default_factory=dict)


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
    missing = [reference.id for reference in references if reference.path is None]
    if missing:
        raise DataError(f"{len(missing)} of {len(references)} images were not found, the first {missing[0]!r}")
    return [reference.path for reference in references if reference.path is not None]


def save(name: str, captions: Mapping[str, str]) -> Path:
    """Write captions in COCO's result format to the data folder, and return the path of the file."""
    path = paths.data_dir() / "predictions" / f"{name.replace(os.sep, '-')}.json"
    coco.write(path, (coco.entry(coco.number_or_text(key), text) for key, text in captions.items()))
    return path


def read(path: Path, references: Sequence[Reference], *, allow_missing: bool = False) -> Predictions:
    """Read captions in COCO's result format, a list of ``{"image_id": ..., "caption": ...}``.

    Args:
        path: The file.
        references: The images of the split. The file names an image by its id, its file name, or the stem of its file name.
        allow_missing: Leave out what is wrong instead of refusing the file. Of two captions of one image the first is kept.

    Raises:
        DataError: The file is not in that format, or has faults that are not allowed.
    """
    rows = read_json(path)
    if not isinstance(rows, list) or not any(map(coco.is_entry, rows)):
        raise DataError(f'{path} is not a list of {{"image_id": ..., "caption": "..."}}, COCO\'s result format')
    reader = _PredictionReader(references)
    for number, row in enumerate(rows, 1):
        reader.add(number, row)
    problems = reader.problems(len(rows))
    if not reader.captions:
        raise DataError(f"{path} has no caption of an image of this split: {'; '.join(problems)}; is it another --split?")
    if problems and not allow_missing:
        raise DataError(f"{path}: {'; '.join(problems)}; mend it, or score the rest alone with --allow-missing")
    return Predictions(path.name, reader.captions, problems)


class _PredictionReader:
    """The captions read so far, and what was wrong with the other rows."""

    def __init__(self, references: Sequence[Reference]) -> None:
        self.captions: dict[str, str] = {}
        self._ids = [reference.id for reference in references]
        self._by_name = _by_name(references)
        self._named: set[str] = set()
        self._faults: dict[str, list[str]] = {}

    def add(self, number: int, row: Any) -> None:
        """Take one row of the file; ``number`` counts from 1."""
        if not coco.is_entry(row):
            self._fault('not {"image_id": ..., "caption": "..."}', f"row {number}")
            return
        name, caption = str(row["image_id"]), row["caption"]
        reference = self._by_name.get(name)
        if reference is None:
            self._fault("for images without references in this split", name)
            return
        self._named.add(reference.id)
        if reference.id in self.captions:
            self._fault("for an image that is captioned twice", name)
        elif not tokenize(caption):
            self._fault("empty", name)
        else:
            self.captions[reference.id] = caption

    def problems(self, count: int) -> list[str]:
        """Return a sentence for each kind of fault in a file of ``count`` rows."""
        sentences = [
            f"{len(names):,} of {count:,} predictions {'is' if len(names) == 1 else 'are'} {fault} ({_first(names)})"
            for fault, names in self._faults.items()
        ]
        missing = [key for key in self._ids if key not in self._named]
        if missing:
            sentences.append(f"{len(missing):,} of {len(self._ids):,} images have no prediction ({_first(missing)})")
        return sentences

    def _fault(self, fault: str, name: str) -> None:
        self._faults.setdefault(fault, []).append(name)


NAMED_IMAGES = 3
"""The number of images that a message names where something is wrong with many."""


def _first(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:NAMED_IMAGES])) + (" ..." if len(names) > NAMED_IMAGES else "")


def _by_name(references: Sequence[Reference]) -> dict[str, Reference]:
    """Index references by what predictions may call them; an id goes before a file name, and a file name before its stem."""
    index: dict[str, Reference] = {}
    file_names = [reference.path or Path(reference.id) for reference in references]
    for names in (
        [file.stem for file in file_names],
        [file.name for file in file_names],
        [reference.id for reference in references],
    ):
        index |= _unambiguous(names, references)
    return index


def _unambiguous(names: Sequence[str], references: Iterable[Reference]) -> dict[str, Reference]:
    """Return the references whose name no other reference has, by that name."""
    counts = Counter(names)
    return {name: reference for name, reference in zip(names, references, strict=True) if counts[name] == 1}


def distinct_names(names: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """Return the names of systems; those that several systems share are replaced by the arguments that named the systems."""
    counts = Counter(names)
    return [name if counts[name] == 1 else argument for name, argument in zip(names, arguments, strict=True)]
