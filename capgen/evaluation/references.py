"""Human captions: the images of one split of a data set, with what people wrote for each of them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from capgen import datasets
from capgen.captioner.vocabulary import words
from capgen.datasets import prepared
from capgen.datasets.image_locator import ImageLocator
from capgen.datasets.layout import Example, LoadedDataset
from capgen.errors import DataError, UnknownNameError

TRAIN = "train"


@dataclass(frozen=True)
class Reference:
    """One image with its human captions.

    Attributes:
        id: What predictions call the image: its number in COCO, or its file name.
        path: The file of the image, or None if it was not found.
        captions: At least one.
    """

    id: str
    path: Path | None
    captions: tuple[str, ...]


@dataclass(frozen=True)
class Split:
    """What the captions of a system are compared with.

    Attributes:
        name: The names of the source and the split, such as ``"flickr8k-test"``, or ``"captions.json-all"`` for a source
            without splits.
        references: The images of the split.
        training_captions: The human captions of the train split of the same source. Empty if there is no train split, or
            if this is it.
    """

    name: str
    references: list[Reference]
    training_captions: list[str]


def from_dataset(name: str, split: str) -> Split:
    """Return a split of a prepared data set.

    Raises:
        UnknownNameError: There is no such data set or split.
        DataError: The split is empty.
    """
    dataset = prepared.load(name)
    images = dataset.split(split)
    counts = Counter(Path(image.path).name for image in images)
    references = [Reference(_unique_id(Path(image.path), counts), Path(image.path), image.captions) for image in images]
    training = [text for image in dataset.images if image.split == TRAIN != split for text in image.captions]
    return Split(f"{name}-{split}", references, training)


def from_source(source: Path, split: str) -> Split:
    """Return a split of a source in any layout that ``prepare`` reads, or all of a source that has no splits.

    Raises:
        DataError: The source cannot be read, or has no captions in the split.
        UnknownNameError: There is no such split.
    """
    if split not in prepared.SPLITS:
        raise UnknownNameError("split", split, prepared.SPLITS)
    dataset = datasets.read(source)
    wanted = split if any(example.split for example in dataset.examples) else None
    references = _references(dataset, wanted)
    if not references:
        raise DataError(f"{source} has no captions in its {split} split; choose another with --split")
    training = [text for one in dataset.examples if one.split == TRAIN != split for text in one.captions]
    return Split(f"{source.resolve().name}-{wanted or 'all'}", references, training)


def _references(dataset: LoadedDataset, split: str | None) -> list[Reference]:
    """Join the examples of each image of a split, and leave out images whose captions have no words."""
    locator = ImageLocator(dataset)
    first: dict[str, Example] = {}
    captions: dict[str, list[str]] = {}
    for example in dataset.examples:
        if example.split == split:
            key = example.id or example.image
            first.setdefault(key, example)
            captions.setdefault(key, []).extend(text for text in example.captions if words(text))
    found = {key: locator.locate(first[key]) for key, texts in captions.items() if texts}
    return [Reference(key, path if isinstance(path, Path) else None, tuple(captions[key])) for key, path in found.items()]


def _unique_id(path: Path, counts: Mapping[str, int]) -> str:
    """Return the file name of an image, or its whole path where several images have that file name."""
    return path.name if counts[path.name] == 1 else str(path)
