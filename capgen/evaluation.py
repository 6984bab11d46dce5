"""Scoring captions: a captioner's on a split, or any system's from a file, against human captions."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from capgen import datasets, files, metrics, paths
from capgen.captioner import Captioner
from capgen.datasets import prepared
from capgen.datasets.layout import Row, read_json
from capgen.datasets.validation import locate
from capgen.decoding import DecodingOptions
from capgen.errors import DataError, UnknownNameError
from capgen.results import Caption, Result
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
    counts = Counter(Path(picture.path).name for picture in pictures)
    return [Reference(_unique_id(Path(picture.path), counts), Path(picture.path), picture.captions) for picture in pictures]


def from_source(source: Path, split: str) -> list[Reference]:
    """Return the references of a source in any layout that ``prepare`` reads; all of them, if it has no splits at all.

    Raises:
        DataError: It cannot be read, or has nothing in the split.
        UnknownNameError: There is no such split.
    """
    if split not in prepared.SPLITS:
        raise UnknownNameError("split", split, prepared.SPLITS)
    reading = datasets.read(source)
    wanted = split if any(row.split for row in reading.rows) else None
    captions: dict[str, list[str]] = {}
    rows: dict[str, Row] = {}
    for row in reading.rows:
        if row.split == wanted:
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
    fits = isinstance(values, list) and all(
        isinstance(value, dict) and isinstance(value.get("image_id"), int | str) and isinstance(value.get("caption"), str)
        for value in values
    )
    if not fits:
        raise DataError(f'{path} is no list of {{"image_id": ..., "caption": "..."}}, COCO\'s result format')
    found = {str(value["image_id"]): value["caption"] for value in values}
    if not found:
        raise DataError(f"{path} has no predictions")
    if len(found) < len(values):
        raise DataError(f"{path} captions {len(values) - len(found)} images twice; leave one caption an image")
    return found


@dataclass(frozen=True)
class Evaluation:
    """What captions score.

    Attributes:
        scores: See ``metrics.Scored.scores``.
        intervals: The 95 % interval of each score.
        variety: See ``metrics.variety``.
        each: CIDEr-D of each caption, in the order of the predictions.
    """

    scores: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    variety: dict[str, float]
    each: list[float]

    def flat(self) -> dict[str, float]:
        """Return all of it by name, the ends of intervals as ``NAME low`` and ``NAME high``."""
        ends = {
            f"{name} {end}": value
            for name, both in self.intervals.items()
            for end, value in zip(("low", "high"), both, strict=True)
        }
        return {**self.scores, **ends, **self.variety}


def evaluate(predictions: Mapping[str, str], references: Sequence[Reference]) -> Evaluation:
    """Score predictions against the references of the same images.

    Raises:
        DataError: A prediction has no reference.
    """
    captions, truths = list(predictions.values()), [reference.captions for reference in matched(predictions, references)]
    compared = metrics.compare(captions, truths)
    varied = metrics.variety([metrics.tokenize(caption) for caption in captions])
    return Evaluation(compared.scores(), compared.intervals(), varied, compared.cider_d.tolist())


def matched(predictions: Collection[str], references: Sequence[Reference]) -> list[Reference]:
    """Return the reference of each prediction, in the order of the predictions.

    Args:
        predictions: What they call their images: by an id, a file name or its stem.
        references: Of a split.

    Raises:
        DataError: A prediction has no reference.
    """
    by_name = _by_name(references)
    unknown = [key for key in predictions if key not in by_name]
    if unknown:
        raise DataError(
            f"{len(unknown)} of {len(predictions)} predictions are for images without references in this split, "
            f"the first {unknown[0]!r}; is it another --split?"
        )
    if len({by_name[key].id for key in predictions}) < len(predictions):
        raise DataError("the predictions caption an image twice, by its number and by its name; leave one of them")
    return [by_name[key] for key in predictions]


def predict(
    captioner: Captioner,
    references: Sequence[Reference],
    options: DecodingOptions,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Caption]:
    """Caption the pictures of references from their files, as ``capgen caption`` would.

    Returns:
        Captions by the ids of the references.

    Raises:
        DataError: A file is missing or cannot be captioned: scores would be over other images than they say.
    """
    return _predicted(lambda paths: captioner.caption_many(paths, options), references, on_progress)


def predict_attending(
    captioner: Captioner,
    references: Sequence[Reference],
    options: DecodingOptions,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Caption]:
    """Do what ``predict`` does, and say of each word where the captioner looked: see ``Caption.attention``.

    Raises:
        DataError: As ``predict``.
        UsageError: The captioner does not say where it looks.
    """
    return _predicted(lambda paths: captioner.attend_many(paths, options), references, on_progress)


def _predicted(
    caption_many: Callable[[list[Path]], Iterator[Result]],
    references: Sequence[Reference],
    on_progress: Callable[[int, int], None],
) -> dict[str, Caption]:
    missing = [reference.id for reference in references if reference.path is None]
    if missing:
        raise DataError(f"{len(missing)} of {len(references)} images were not found, the first {missing[0]!r}")
    found = {}
    found_files = [reference.path for reference in references if reference.path is not None]
    for done, (reference, result) in enumerate(zip(references, caption_many(found_files), strict=True), 1):
        if result.failed:
            raise DataError(f"{result.path} cannot be captioned: {result.reason}; mend it or prepare the data set again")
        found[reference.id] = result.captions[0]
        on_progress(done, len(references))
    return found


def save_predictions(name: str, predictions: Mapping[str, str]) -> Path:
    """Write predictions in COCO's result format to the data folder, and return the file."""
    path = paths.data_dir() / "predictions" / f"{name}.json"
    rows = [{"image_id": int(key) if _is_number(key) else key, "caption": text} for key, text in predictions.items()]
    files.write_json(path, rows)
    return path


def _by_name(references: Sequence[Reference]) -> dict[str, Reference]:
    """Index references by all that predictions may call them: an id goes before a file name, that before its stem."""
    index: dict[str, Reference] = {}
    for alias in (_stem, _name, _id):
        names = [alias(reference) for reference in references]
        counts = Counter(names)
        index |= {name: reference for name, reference in zip(names, references, strict=True) if counts[name] == 1}
    return index


def _id(reference: Reference) -> str:
    return reference.id


def _name(reference: Reference) -> str:
    return (reference.path or Path(reference.id)).name


def _stem(reference: Reference) -> str:
    return (reference.path or Path(reference.id)).stem


def _unique_id(path: Path, counts: Mapping[str, int]) -> str:
    """Call a picture by its file name, or by its whole path where several have that name."""
    return path.name if counts[path.name] == 1 else str(path)


def _is_number(key: str) -> bool:
    return key.isascii() and key.isdecimal() and str(int(key)) == key
