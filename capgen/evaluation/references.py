"""Human captions: the images of one split of a data set, with what people wrote for each of them."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from capgen import datasets
from capgen.captioner.language import checked_tag, recognise
from capgen.captioner.vocabulary import words
from capgen.datasets import prepared
from capgen.datasets.image_locator import ImageLocator
from capgen.datasets.layout import Example, Problem, problem_of
from capgen.errors import DataError, UnknownNameError, UsageError
from capgen.evaluation.metrics import COCO_CAPTION, Tokenizer, tokenizer

TRAIN = "train"

ALL = "all"
"""Stands for all images of a data set, whatever their splits, where a split is named."""

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Reference:
    """One image with its human captions.

    Attributes:
        id: What predictions call the image: its number in COCO, or its name or path in the data set.
        path: The file of the image, or None if it was not found.
        captions: At least one, if the image is scored.
        image: The name or the path that the data set gives to the image; empty if that is its id.
        missing: Why its file was not found.
    """

    id: str
    path: Path | None
    captions: tuple[str, ...]
    image: str = ""
    missing: str = ""


@dataclass(frozen=True)
class Split:
    """What the captions of a system are compared with.

    Attributes:
        name: The names of the source and the split, such as ``"flickr8k-test"``, or ``"captions.json-all"`` for a source
            without splits.
        references: The images of the split.
        training_captions: The human captions of the train split of the same source. Empty if there is no train split, or
            if this is it.
        others: All other images of the same source, those of other splits and those without captions. Predictions may name
            them, too.
        problems: What was left out of the human captions.
        notes: What a person should know of how they were read, a sentence each.
        tokenizer: The rule by which the captions of these images are split into words.
    """

    name: str
    references: Sequence[Reference]
    training_captions: Sequence[str]
    others: Sequence[Reference] = ()
    problems: Sequence[Problem] = ()
    notes: Sequence[str] = ()
    tokenizer: Tokenizer = COCO_CAPTION


def from_dataset(name: str, split: str) -> Split:
    """Return a split of a prepared data set.

    Args:
        name: The name of the data set.
        split: The name of a split, or ``ALL``.

    Raises:
        UnknownNameError: There is no such data set or split.
        DataError: The split is empty.
    """
    _check_split(split)
    dataset = prepared.load(name)
    scored = dataset.images if split == ALL else dataset.split(split)
    outside = [] if split == ALL else [image for image in dataset.images if image.split != split]
    counts = Counter(Path(image.path).name for image in dataset.images)

    def reference(image: prepared.PreparedImage) -> Reference:
        path = Path(image.path)
        return Reference(path.name if counts[path.name] == 1 else str(path), path, image.captions)

    return Split(
        f"{name}-{split}",
        [reference(image) for image in scored],
        [text for image in outside if image.split == TRAIN for text in image.captions],
        others=[reference(image) for image in outside],
        tokenizer=tokenizer(dataset.language),
    )


def from_source(source: Path, split: str, language: str = "") -> Split:
    """Return a split of a source in any layout that ``prepare`` reads, or all of a source that has no splits.

    Args:
        source: A file or a folder.
        split: The name of a split, or ``ALL``.
        language: The tag of the language of the captions; by default it is recognised from all captions of the source.

    Raises:
        DataError: The source cannot be read, or has no captions in the split.
        UnknownNameError: There is no such split.
        UsageError: The language is not the tag of one.
    """
    _check_split(split)
    language = _checked_language(language)
    dataset = datasets.read(source)
    if not any(example.split for example in dataset.examples):
        split = ALL
    inside, outside = _partitioned(dataset.examples, lambda example: split in {example.split, ALL})
    problems = list(dataset.problems)
    locator = ImageLocator(dataset)
    references, without_captions = _partitioned(_references(inside, locator, problems), lambda image: bool(image.captions))
    if not references:
        where = "" if split == ALL else f" in its {split} split; choose another with `split`"
        raise DataError(f"{source} has no captions{where}")
    return Split(
        f"{source.resolve().name}-{split}",
        references,
        _captions(example for example in outside if example.split == TRAIN),
        others=[*_references(outside, locator, []), *without_captions],
        problems=problems,
        notes=dataset.notes,
        tokenizer=tokenizer(language or recognise(_captions(dataset.examples))),
    )


def _check_split(split: str) -> None:
    """Make sure that there may be a split of a name.

    Raises:
        UnknownNameError: There is none.
    """
    if split not in (*prepared.SPLITS, ALL):
        raise UnknownNameError("split", split, (*prepared.SPLITS, ALL))


def _checked_language(language: str) -> str:
    """Return the tag of a language in its usual form; empty if none is given.

    Raises:
        UsageError: It is not the tag of a language.
    """
    try:
        return language and checked_tag(language)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _partitioned(items: Iterable[_Item], holds: Callable[[_Item], bool]) -> tuple[list[_Item], list[_Item]]:
    """Return the items for which a condition holds, and the others, both in their order."""
    parts: tuple[list[_Item], list[_Item]] = ([], [])
    for item in items:
        parts[0 if holds(item) else 1].append(item)
    return parts


def _captions(examples: Iterable[Example]) -> list[str]:
    return [text for example in examples for text in example.captions]


def _references(examples: Iterable[Example], locator: ImageLocator, problems: list[Problem]) -> list[Reference]:
    """Join the examples of each image; captions without words, and images without captions, are added to ``problems``."""
    joined: dict[tuple[object, ...], tuple[Example, Path | Problem, list[str]]] = {}
    for example in examples:
        located = locator.locate(example)
        not_found = (example.folder, example.part, example.split, example.image, example.id)
        _, _, texts = joined.setdefault((located,) if isinstance(located, Path) else not_found, (example, located, []))
        if not example.captions:
            problems.append(problem_of(example, "image without a caption"))
        for text in example.captions:
            if words(text) or COCO_CAPTION.split(text):  # which between them know the letters of every language
                texts.append(text)
            else:
                problems.append(problem_of(example, "empty caption"))
    ids = Counter(example.id or example.image for example, _, _ in joined.values())
    return [_reference(example, located, texts, ids) for example, located, texts in joined.values()]


def _reference(example: Example, located: Path | Problem, captions: Sequence[str], ids: Counter[str]) -> Reference:
    """Make a reference. Its id is its whole path where the data set calls several images the same."""
    path = located if isinstance(located, Path) else None
    usual = example.id or example.image
    identifier = usual if ids[usual] == 1 else str(path or example.image)
    missing = f"{located.kind}, {located.detail}" if isinstance(located, Problem) else ""
    return Reference(identifier, path, tuple(captions), example.image, missing)
