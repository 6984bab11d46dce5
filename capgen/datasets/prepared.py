"""A prepared data set: its images, captions and splits, checked and under a name, in one file of the data folder."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from capgen.captioner.language import ENGLISH, checked_tag
from capgen.datasets.layout import Problem
from capgen.errors import DataError, UnknownNameError
from capgen.storage import files, hashing, paths

SPLITS = ("train", "dev", "test")

SCHEMA = 2
"""The version of the file that is written."""

READABLE_SCHEMAS = (1, 2)

ALIASES = {"pictures": "images", "views": "augmentations", "style": "domain"}
"""The names that schema 1 has for fields of today."""


@dataclass(frozen=True)
class PreparedImage:
    """An image with its captions.

    Attributes:
        path: The path of its file when it was prepared.
        image_hash: The SHA-256 of the file's bytes, the key of its features.
        split: ``train``, ``dev`` or ``test``.
        captions: Its human captions, at least one.
        weight: How often the image is seen in an epoch of training, on average.
        domain: The name of the domain that its captions are from; empty for the target domain, which is the one that a
            captioner writes in.
    """

    path: str
    image_hash: str
    split: str
    captions: tuple[str, ...]
    weight: float = 1.0
    domain: str = ""


@dataclass(frozen=True)
class PreparedDataset:
    """What ``prepare`` leaves for ``train`` and ``evaluate``.

    Attributes:
        name: What the commands call the data set.
        images: The images that are used, each content once.
        encoder: The name of the encoder whose features are cached.
        encoder_weights: The path of the weights that were given for the encoder, or an empty text for its own.
        augmentations: The augmentations whose features are cached, ``plain`` among them.
        sources: The paths of the sources.
        language: The tag of the language of the captions; see ``captioner.language``. Before there were tags, all captions
            were taken for English.
    """

    name: str
    images: tuple[PreparedImage, ...]
    encoder: str
    encoder_weights: str
    augmentations: tuple[str, ...]
    sources: tuple[str, ...]
    language: str = ENGLISH

    def split(self, name: str) -> list[PreparedImage]:
        """Return the images of a split.

        Raises:
            UnknownNameError: There is no split of that name.
            DataError: The split is empty.
        """
        if name not in SPLITS:
            raise UnknownNameError("split", name, SPLITS)
        images = [image for image in self.images if image.split == name]
        if not images:
            raise DataError(f"data set {self.name!r} has no images in its {name} split; prepare it with some")
        return images

    @cached_property
    def fingerprint(self) -> str:
        """A hash of images, captions, splits, weights, domains and language, whatever the images' order and folders."""
        rows = sorted(f"{i.image_hash} {i.split} {i.weight} {i.domain} {json.dumps(i.captions)}" for i in self.images)
        language = [] if self.language == ENGLISH else [self.language]
        return hashing.fingerprint("\n".join([*rows, *language]))

    def save(self) -> Path:
        """Write the data set to the data folder, and return its file.

        Raises:
            StorageError: The file cannot be written.
        """
        path = dataset_file(self.name)
        files.write_text(path, files.json_text({"schema": SCHEMA, **dataclasses.asdict(self)}) + "\n")
        return path


def in_target_domain(images: Iterable[PreparedImage]) -> list[PreparedImage]:
    """Return the images whose captions are from the domain that a captioner writes in."""
    return [image for image in images if not image.domain]


def load(name: str) -> PreparedDataset:
    """Read the data set called ``name``.

    Raises:
        UnknownNameError: There is no data set of that name; the message offers the nearest, and says how to prepare it.
        DataError: Its file is damaged, or of a schema that this version does not know.
    """
    path = _existing_file(name)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("schema") not in READABLE_SCHEMAS:
            raise DataError(f"{path} was written by another version of capgen; run capgen prepare again")
        values = _renamed(values)
        images = tuple(
            PreparedImage(**{**image, "captions": tuple(image["captions"])}) for image in map(_renamed, values.pop("images"))
        )
        rest: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
        checked_tag(rest.setdefault("language", ENGLISH))
        return PreparedDataset(images=images, **rest)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is damaged; run capgen prepare again") from error


def names() -> list[str]:
    """Return the names of all prepared data sets, sorted."""
    found = (path.stem for path in paths.datasets_dir().glob("*.json"))
    return sorted(name for name in found if paths.NAME.fullmatch(name))


def save_problems(name: str, problems: Sequence[Problem]) -> None:
    """List what was left out of a data set in the data folder; see ``write_problems``."""
    write_problems(problems_file(name), problems)


def write_problems(path: Path, problems: Sequence[Problem]) -> None:
    """Write what was left out of a data set, one JSON object with ``kind``, ``where`` and ``detail`` a line.

    Raises:
        StorageError: The file cannot be written.
    """
    lines = (files.json_text(dataclasses.asdict(problem)) + "\n" for problem in problems)
    files.write_text(path, "".join(lines))


def load_problems(name: str) -> list[Problem]:
    """Return what was left out of a data set; nothing if that is not known any more."""
    try:
        text = problems_file(name).read_text(encoding="utf-8")
        return [Problem(**json.loads(line)) for line in text.split("\n") if line]
    except (OSError, ValueError, TypeError):
        return []


def remove(name: str) -> None:
    """Remove a data set from the data folder; its images, and their features in the cache, stay.

    Raises:
        UnknownNameError: There is no data set of that name.
        StorageError: It cannot be removed.
    """
    if not _is_prepared(name):
        raise UnknownNameError("prepared data set", name, names(), suggest=False)
    for path in (dataset_file(name), problems_file(name)):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise files.storage_error(path, error) from error


def problems_file(name: str) -> Path:
    """Return the path of the list of what was left out of a data set."""
    return paths.datasets_dir() / f"{name}.problems.jsonl"


def dataset_file(name: str) -> Path:
    """Return the path of the file of a data set."""
    return paths.datasets_dir() / f"{name}.json"


def _is_prepared(name: str) -> bool:
    return bool(paths.NAME.fullmatch(name)) and dataset_file(name).is_file()


def _existing_file(name: str) -> Path:
    """Return the path of the file of a data set.

    Raises:
        UnknownNameError: There is no data set of that name.
    """
    if _is_prepared(name):
        return dataset_file(name)
    # A source may have been given in place of the name that it is prepared under.
    source = name if Path(name).exists() else f"FOLDER --name {name}"
    raise UnknownNameError("prepared data set", name, names(), f"or prepare it first, with: capgen prepare {source}")


def _renamed(values: Mapping[str, Any]) -> dict[str, Any]:
    return {ALIASES.get(key, key): value for key, value in values.items()}
