"""Scoring captions: a captioner's on a split, or any system's from a file, against human captions."""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from capgen import datasets
from capgen.captioner.captioner import Captioner
from capgen.captioner.decoding import DecodingOptions
from capgen.captioner.results import Attention, Caption
from capgen.captioner.vocabulary import words
from capgen.datasets import prepared
from capgen.datasets.layout import Example, read_json
from capgen.datasets.validation import locate
from capgen.errors import DataError, UnknownNameError
from capgen.evaluation import metrics
from capgen.storage import files, paths


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


@dataclass(frozen=True)
class Split:
    """What captions are compared with.

    Attributes:
        name: Of the source and the split, e.g. ``"flickr8k-test"``; of a source without splits ``"captions.json-all"``.
        references: The pictures of the split.
        training: The human captions of the train split beside it; none if there is none, or it is the split itself.
    """

    name: str
    references: list[Reference]
    training: list[str]


def from_dataset(name: str, split: str) -> Split:
    """Return a split of a prepared data set.

    Raises:
        UnknownNameError: There is no such data set or split.
        DataError: The split is empty.
    """
    dataset = prepared.load(name)
    pictures = dataset.split(split)
    counts = Counter(Path(picture.path).name for picture in pictures)
    training = [c for picture in dataset.images if picture.split == TRAIN != split for c in picture.captions]
    references = [
        Reference(_unique_id(Path(picture.path), counts), Path(picture.path), picture.captions) for picture in pictures
    ]
    return Split(f"{name}-{split}", references, training)


def from_source(source: Path, split: str) -> Split:
    """Return a split of a source in any layout that ``prepare`` reads; all of it, if it has no splits at all.

    Raises:
        DataError: It cannot be read, or has nothing in the split.
        UnknownNameError: There is no such split.
    """
    if split not in prepared.SPLITS:
        raise UnknownNameError("split", split, prepared.SPLITS)
    dataset = datasets.read(source)
    wanted = split if any(row.split for row in dataset.examples) else None
    captions: dict[str, list[str]] = {}
    rows: dict[str, Example] = {}
    for row in dataset.examples:
        if row.split == wanted:
            rows.setdefault(row.id or row.image, row)
            captions.setdefault(row.id or row.image, []).extend(c for c in row.captions if words(c))
    references = [
        Reference(key, locate(rows[key].image, dataset.image_folders), tuple(texts))
        for key, texts in captions.items()
        if texts
    ]
    if not references:
        raise DataError(f"{source} has no captions in its {split} split; choose another with --split")
    training = [c for row in dataset.examples if row.split == TRAIN != split for c in row.captions]
    return Split(f"{source.resolve().name}-{wanted or 'all'}", references, training)


TRAIN = "train"


@dataclass(frozen=True)
class Predictions:
    """Captions of the images of a split, of any system.

    Attributes:
        name: Of the system.
        captions: By the id of the reference.
        problems: What is wrong with them, a sentence each.
        attention: Where a captioner looked, by the id of the reference, if that is known.
        log_probabilities: What a captioner gives to its captions, by the id of the reference.
    """

    name: str
    captions: Mapping[str, str]
    problems: Sequence[str] = ()
    attention: Mapping[str, Attention | None] = field(default_factory=dict)
    log_probabilities: Mapping[str, float] = field(default_factory=dict)


def read_predictions(path: Path, references: Sequence[Reference], *, allow_missing: bool = False) -> Predictions:
    """Read captions in COCO's result format, a list of ``{"image_id": ..., "caption": ...}``.

    Args:
        path: The file.
        references: Of a split; the file calls its images by an id, a file name or its stem.
        allow_missing: Leave out what is wrong: of an image captioned twice the second, and other rows altogether.

    Raises:
        DataError: It is not in that format, or something is wrong with it that is not allowed to be.
    """
    values = read_json(path)
    if not isinstance(values, list) or not any(map(_is_prediction, values)):
        raise DataError(f'{path} is no list of {{"image_id": ..., "caption": "..."}}, COCO\'s result format')
    by_name = _by_name(references)
    captions: dict[str, str] = {}
    wrong: dict[str, list[str]] = {}
    unsaid = {reference.id for reference in references}
    for number, value in enumerate(values, 1):
        if not _is_prediction(value):
            wrong.setdefault('no {"image_id": ..., "caption": "..."}', []).append(f"row {number}")
            continue
        name, caption = str(value["image_id"]), value["caption"]
        reference = by_name.get(name)
        if reference is None:
            wrong.setdefault("for images without references in this split", []).append(name)
            continue
        unsaid.discard(reference.id)
        if reference.id in captions:
            wrong.setdefault("for an image that is captioned twice", []).append(name)
        elif not metrics.tokenize(caption):
            wrong.setdefault("empty", []).append(name)
        else:
            captions[reference.id] = caption
    problems = [
        f"{len(names):,} of {len(values):,} predictions {'is' if len(names) == 1 else 'are'} {what} ({_first(names)})"
        for what, names in wrong.items()
    ]
    if unsaid:
        missing = [reference.id for reference in references if reference.id in unsaid]
        problems.append(f"{len(missing):,} of {len(references):,} images have no prediction ({_first(missing)})")
    if not captions:
        raise DataError(f"{path} has no caption of an image of this split: {'; '.join(problems)}; is it another --split?")
    if problems and not allow_missing:
        raise DataError(f"{path}: {'; '.join(problems)}; mend it, or score the rest alone with --allow-missing")
    return Predictions(path.name, captions, problems)


def _is_prediction(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("image_id"), int | str)
        and not isinstance(value["image_id"], bool)
        and isinstance(value.get("caption"), str)
    )


def _first(names: Sequence[str]) -> str:
    """Name a few."""
    return ", ".join(map(repr, names[:_NAMED])) + (" ..." if len(names) > _NAMED else "")


_NAMED = 3
"""Images named where something is wrong with many."""


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


def covered(systems: Sequence[Predictions], references: Sequence[Reference]) -> list[Reference]:
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
    common = covered(systems, split.references)
    truths = [[metrics.tokenize(caption) for caption in reference.captions] for reference in common]
    known = metrics.References(truths)
    seen = {tuple(metrics.tokenize(caption)) for caption in split.training}
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


def told_apart(names: Sequence[str], given: Sequence[str]) -> list[str]:
    """Name systems as they were given where several have one name."""
    counts = Counter(names)
    return [name if counts[name] == 1 else text for name, text in zip(names, given, strict=True)]


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


def system_name(captioner: Captioner, options: DecodingOptions) -> str:
    """Call a captioner with a way of searching."""
    return f"{captioner.bundle.description.name}-beam{options.beam}"


def predict(
    captioner: Captioner,
    references: Sequence[Reference],
    options: DecodingOptions,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    name: str = "",
    looking: bool = False,
) -> Predictions:
    """Caption the pictures of references from their files, as ``capgen caption`` would.

    Args:
        captioner: Who captions.
        references: Of the split.
        options: How to search.
        name: What the predictions are called; by default the captioner and its beam.
        on_progress: Told how many are done, and how many there are.
        looking: Say of each word where the captioner looked, if it knows.

    Raises:
        DataError: A file is missing or cannot be captioned: scores would be over other images than they say.
    """
    missing = [reference.id for reference in references if reference.path is None]
    if missing:
        raise DataError(f"{len(missing)} of {len(references)} images were not found, the first {missing[0]!r}")
    caption_many = captioner.attend_many if looking and captioner.has_attention else captioner.caption_many
    found: dict[str, Caption] = {}
    paths_of_all = [reference.path for reference in references if reference.path is not None]
    for done, (reference, result) in enumerate(zip(references, caption_many(paths_of_all, options), strict=True), 1):
        if result.failed:
            raise DataError(f"{result.path} cannot be captioned: {result.reason}; mend it or prepare the data set again")
        found[reference.id] = result.captions[0]
        on_progress(done, len(references))
    return Predictions(
        name=name or system_name(captioner, options),
        captions={key: caption.text for key, caption in found.items()},
        attention={key: caption.attention for key, caption in found.items()},
        log_probabilities={key: caption.log_probability for key, caption in found.items()},
    )


def save_predictions(name: str, predictions: Mapping[str, str]) -> Path:
    """Write predictions in COCO's result format to the data folder, and return the file."""
    path = paths.data_dir() / "predictions" / f"{name.replace(os.sep, '-')}.json"
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
