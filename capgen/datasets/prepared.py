"""A prepared data set: which pictures, captions and splits, checked and named, in one file of the data folder."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from capgen.datasets.layout import Problem
from capgen.errors import DataError, UnknownNameError
from capgen.storage import files, paths

SPLITS = ("train", "dev", "test")
SCHEMA = 1


@dataclass(frozen=True)
class PreparedPicture:
    """One picture.

    Attributes:
        path: Where its file was.
        image_hash: SHA-256 of the file's bytes, the key of its features.
        split: ``train``, ``dev`` or ``test``.
        captions: Its human captions.
        weight: How often it is seen in an epoch of training.
        style: Name of the way in which its captions are written; empty for the one that a captioner writes in.
    """

    path: str
    image_hash: str
    split: str
    captions: tuple[str, ...]
    weight: float = 1.0
    style: str = ""


@dataclass(frozen=True)
class PreparedDataset:
    """What ``prepare`` leaves for ``train`` and ``evaluate``.

    Attributes:
        name: What the commands call it.
        pictures: All that was kept.
        encoder: Name of the encoder whose features are cached.
        encoder_weights: The file given for it, or an empty text.
        views: The cached views.
        sources: Where the pictures came from, in words.
    """

    name: str
    pictures: tuple[PreparedPicture, ...]
    encoder: str
    encoder_weights: str
    views: tuple[str, ...]
    sources: tuple[str, ...]

    def split(self, name: str) -> list[PreparedPicture]:
        """Return the pictures of a split.

        Raises:
            DataError: It is empty.
        """
        if name not in SPLITS:
            raise UnknownNameError("split", name, SPLITS)
        pictures = [picture for picture in self.pictures if picture.split == name]
        if not pictures:
            raise DataError(f"data set {self.name!r} has no pictures in its {name} split; prepare it with some")
        return pictures

    @cached_property
    def fingerprint(self) -> str:
        """Identify pictures, captions, splits, weights and styles, whatever their order and place."""
        rows = sorted(f"{p.image_hash} {p.split} {p.weight} {p.style} {json.dumps(p.captions)}" for p in self.pictures)
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]

    def save(self) -> Path:
        """Write it to the data folder and return the file."""
        path = _file(self.name)
        files.write_text(path, files.json_text({"schema": SCHEMA, **dataclasses.asdict(self)}) + "\n")
        return path


def in_own_style(pictures: Iterable[PreparedPicture]) -> list[PreparedPicture]:
    """Choose the pictures whose captions are in the captioner's own style."""
    return [picture for picture in pictures if not picture.style]


def load(name: str) -> PreparedDataset:
    """Read the data set called ``name``.

    Raises:
        UnknownNameError: There is none; the message offers the nearest.
        DataError: Its file is damaged or of another version.
    """
    path = _file(name)
    if not path.is_file():
        raise UnknownNameError("prepared data set", name, names())
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("schema") != SCHEMA:
            raise DataError(f"{path} was written by another version of capgen; run capgen prepare again")
        pictures = tuple(PreparedPicture(**{**p, "captions": tuple(p["captions"])}) for p in values.pop("pictures"))
        rest: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
        return PreparedDataset(pictures=pictures, **rest)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is damaged; run capgen prepare again") from error


def names() -> list[str]:
    """Return the names of all prepared data sets."""
    return sorted(path.stem for path in paths.datasets_dir().glob("*.json"))


def save_problems(name: str, problems: Sequence[Problem]) -> None:
    """List what was left out of a data set, one JSON object a line."""
    lines = (files.json_text(dataclasses.asdict(problem)) + "\n" for problem in problems)
    files.write_text(problems_file(name), "".join(lines))


def problems_file(name: str) -> Path:
    """Return where the problems of a data set are listed."""
    return paths.datasets_dir() / f"{name}.problems.jsonl"


def _file(name: str) -> Path:
    return paths.datasets_dir() / f"{name}.json"
