"""Scoring captions: a captioner's on a split, or any system's from a file, against human captions."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from capgen import datasets, files, metrics, paths
from capgen.batch import caption_files
from capgen.captioner import Captioner
from capgen.datasets import prepared
from capgen.datasets.layout import Row, read_json
from capgen.datasets.validation import locate
from capgen.decoding import DecodingOptions
from capgen.errors import DataError, UnknownNameError
from capgen.vocabulary import words


@dataclass(frozen=True)
class Reference:
    """One picture with its human captions.

    Attributes:
        id: How predictions call it: COCO's number, or its file name.
        path: Its file, if it was found.
        captions: At least one.
    """

    id: str
    path: Path | None
    captions: tuple[str, ...]


def from_dataset(name: str, split: str) -> list[Reference]:
    """Return the references of a split of a prepared data set.

    Raises:
        UnknownNameError: There is no such data set or split.
        DataError: The split is empty.
    """
    pictures = prepared.load(name).split(split)
    return [Reference(Path(picture.path).name, Path(picture.path), picture.captions) for picture in pictures]


def from_source(source: Path, split: str) -> list[Reference]:
    """Return the references of a source in any layout that ``prepare`` reads; all of it, if it has no splits.

    Raises:
        DataError: It cannot be read, or has nothing in the split.
        UnknownNameError: There is no such split.
    """
    if split not in prepared.SPLITS:
        raise UnknownNameError("split", split, prepared.SPLITS)
    reading = datasets.read(source)
    captions: dict[str, list[str]] = {}
    rows: dict[str, Row] = {}
    for row in reading.rows:
        if row.split in (split, None):
            rows.setdefault(row.id or row.image, row)
            captions.setdefault(row.id or row.image, []).extend(c for c in row.captions if words(c))
    references = [
        Reference(key, locate(rows[key].image, reading.folders), tuple(texts)) for key, texts in captions.items() if texts
    ]
    if not references:
        raise DataError(f"{source} has no captions in its {split} split; choose another with --split")
    return references


def read_predictions(path: Path) -> dict[str, str]:
    """Read captions in COCO's result format, a list of ``{"image_id": ..., "caption": ...}``.

    Returns:
        Captions by image id, as text.

    Raises:
        DataError: It is not in that format, or captions an image twice.
    """
    values = read_json(path)
    try:
        found = {str(value["image_id"]): str(value["caption"]) for value in values}
    except (TypeError, KeyError) as error:
        raise DataError(f'{path} is no list of {{"image_id": ..., "caption": ...}}, COCO\'s result format') from error
    if not found:
        raise DataError(f"{path} has no predictions")
    if len(found) < len(values):
        raise DataError(f"{path} captions {len(values) - len(found)} images twice; leave one caption an image")
    return found


def score_predictions(predictions: Mapping[str, str], references: Sequence[Reference]) -> dict[str, float]:
    """Score predictions against the references of the same images.

    Raises:
        DataError: A prediction has no reference.
    """
    by_name = {alias: reference for reference in references for alias in _aliases(reference)}
    unknown = [key for key in predictions if key not in by_name]
    if unknown:
        raise DataError(
            f"{len(unknown)} of {len(predictions)} predictions are for images without references in this split, "
            f"the first {unknown[0]!r}; is it another --split?"
        )
    return metrics.score(list(predictions.values()), [by_name[key].captions for key in predictions])


def predict(
    captioner: Captioner,
    references: Sequence[Reference],
    options: DecodingOptions,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, str]:
    """Caption the pictures of references from their files, as ``capgen caption`` would.

    Raises:
        DataError: A file is missing or cannot be captioned: scores would be over other images than they say.
    """
    missing = [reference.id for reference in references if reference.path is None]
    if missing:
        raise DataError(f"{len(missing)} of {len(references)} images were not found, the first {missing[0]!r}")
    found = {}
    found_files = [reference.path for reference in references if reference.path is not None]
    for done, (reference, result) in enumerate(
        zip(references, caption_files(captioner, found_files, options), strict=True), 1
    ):
        if result.failed:
            raise DataError(f"{result.path} cannot be captioned: {result.reason}; mend it or prepare the data set again")
        found[reference.id] = result.captions[0].text
        on_progress(done, len(references))
    return found


def save_predictions(name: str, predictions: Mapping[str, str]) -> Path:
    """Write predictions in COCO's result format to the data folder, and return the file."""
    path = paths.data_dir() / "predictions" / f"{name}.json"
    rows = [{"image_id": int(key) if key.isdecimal() else key, "caption": text} for key, text in predictions.items()]
    files.write_text(path, json.dumps(rows, ensure_ascii=False, indent=0) + "\n")
    return path


def _aliases(reference: Reference) -> list[str]:
    """List what predictions may call a picture."""
    name = Path(reference.path.name if reference.path else reference.id)
    return [name.stem, name.name, reference.id]
