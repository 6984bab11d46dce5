"""The form of MS-COCO and VizWiz-Captions: JSON files of images and annotations, image folders such as ``train2014``."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capgen.datasets.layout import MALFORMED, UNREADABLE_FILE, Example, Layout, LoadedDataset, Problem
from capgen.datasets.source_folders import image_folders, json_files, names_in, split_folders
from capgen.datasets.splits import split_in_folders, split_in_name, with_splits_of_names
from capgen.datasets.text_files import has_keys, is_damaged_json, read_json, require_text
from capgen.errors import DataError
from capgen.storage.files import is_file, is_folder

KEYS = ("images", "annotations")

NAME_KEYS = ("file_name", "image", "filename")
"""What the name of an image is called; the first is COCO's."""

OTHER_TASKS = ("instances_", "person_keypoints_", "panoptic_", "stuff_", "image_info_")
"""How the names of COCO's files begin that hold no captions, and may be too big to look into."""

LEFT_OUT = {"is_rejected": "rejected caption", "is_precanned": "precanned caption"}
"""What VizWiz says of captions that its own evaluation leaves out: spam, and a ready-made text for poor images."""


@dataclass(frozen=True)
class _File:
    """An annotation file of a source.

    Attributes:
        path: Its path.
        split_folder: The folder that it is in, if that is one of a split, such as ``val``; its images may be there, too.
    """

    path: Path
    split_folder: Path | None = None

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return f"{self.split_folder.name}/{self.path.name}" if self.split_folder else self.path.name

    @property
    def part(self) -> str:
        """The name that tells its split: its own, or that of its folder."""
        own = self.path.stem
        return own if split_in_name(own) or not self.split_folder else self.split_folder.name


def recognise(source: Path) -> str | None:
    """Say why ``source`` is in this layout, or return ``None``."""
    found = _find(source)
    return f"{', '.join(file.name for file in found)} has COCO's images and annotations" if found else None


def read(source: Path) -> LoadedDataset:
    """Read an annotation file, or a folder of several.

    In a single file, the folders of the images may tell splits; of several files, each is the split that its name says, or
    that of its folder.

    Raises:
        DataError: There is no annotation file, or none has a caption that can be read.
    """
    files = _find(source)
    if not files:
        raise DataError(f"there is no COCO annotation file (captions_*.json) at {source}")
    examples, problems = _read_files(files)
    if len(files) == 1:
        examples = with_splits_of_names(examples, [split_in_folders(example.image) for example in examples])
    roots = dict.fromkeys((*(file.path.parent for file in files), *([source] if is_folder(source) else [])))
    return LoadedDataset(examples, list(dict.fromkeys(folder for root in roots for folder in image_folders(root))), problems)


def _find(source: Path) -> list[_File]:
    """Return the annotation files of a source, if one of them has COCO's keys: those with COCO's own names, or else others.

    Of the others, those are meant that have captions, and those that are damaged but named for a split.
    """
    if is_file(source):
        return [_File(source)] if source.suffix == ".json" and has_keys(source, *KEYS) else []
    files = _json_files(source)
    named = [file for file in files if file.path.name.startswith("captions_")]
    if any(has_keys(file.path, *KEYS) for file in named):
        return named
    return _with_captions([file for file in files if not file.path.name.startswith(("captions_", *OTHER_TASKS))])


def _with_captions(files: list[_File]) -> list[_File]:
    """Return the files that have captions, and with them those that are damaged but named for a split."""
    found = [file for file in files if has_keys(file.path, *KEYS, "caption")]
    if not found:
        return []
    return [file for file in files if file in found or (split_in_name(file.part) and is_damaged_json(file.path))]


def _json_files(source: Path) -> list[_File]:
    folders = [source / name for name in names_in(source) if name.startswith("annotations")]
    folders = [source, *folders, *(folder / "annotations" for folder in folders)]  # annotations_trainval2017/annotations
    own = [_File(path) for folder in folders for path in json_files(folder)]
    return own + [_File(path, folder) for folder in split_folders(source) for path in json_files(folder)]


def _values(path: Path) -> dict[str, Any]:
    """Read an annotation file.

    Raises:
        DataError: It is damaged, or it is not in COCO's form.
    """
    values = read_json(path)
    if not isinstance(values, dict) or not all(isinstance(values.get(key), list) for key in KEYS):
        raise DataError(f"{path} is not a COCO annotation file: it lacks a list of {' or of '.join(KEYS)}")
    return values


def _read_files(files: list[_File]) -> tuple[list[Example], list[Problem]]:
    """Read annotation files; one that cannot be read is a problem if another one has captions.

    Raises:
        DataError: None has a caption that can be read.
    """
    examples: list[Example] = []
    problems: list[Problem] = []
    for file in files:
        try:
            examples += _read_file(file, split_in_name(file.part) if len(files) > 1 else None, problems)
        except DataError as error:
            if file is files[-1] and not examples:
                raise
            problems.append(Problem(UNREADABLE_FILE, str(file.path), str(error)))
    return examples, problems


def _read_file(file: _File, split: str | None, problems: list[Problem]) -> list[Example]:
    """Read one annotation file; what is left out is added to ``problems``."""
    values = _values(file.path)
    names = _names_by_id(file, values, problems)
    captions: dict[str, list[str]] = {identifier: [] for identifier in names}
    for number, identifier, caption, entry in _entries(file, values, "annotations", "image_id", ("caption",), problems):
        unused = next((kind for key, kind in LEFT_OUT.items() if entry.get(key)), None)
        if unused:
            problems.append(Problem(unused, file.name, f"annotations {number}: {caption}"))
        elif identifier in captions:
            captions[identifier].append(caption)
        else:
            detail = f"annotations {number}: there is not one image with the id {identifier}: {caption}"
            problems.append(Problem("caption without an image", file.name, detail))
    return [
        Example(names[key], tuple(texts), split, key, folder=file.split_folder, part=file.part)
        for key, texts in captions.items()
    ]


def _names_by_id(file: _File, values: dict[str, Any], problems: list[Problem]) -> dict[str, str]:
    """Return the names of the images by their identifiers, without identifiers that two images have."""
    names: dict[str, str] = {}
    ambiguous: set[str] = set()
    for number, identifier, name, _ in _entries(file, values, "images", "id", NAME_KEYS, problems):
        other = names.setdefault(identifier, name)
        if other != name:
            ambiguous.add(identifier)
            problems.append(Problem("ambiguous image id", file.name, f"images {number}: {identifier} is {other} and {name}"))
    return {identifier: name for identifier, name in names.items() if identifier not in ambiguous}


def _entries(
    file: _File, values: dict[str, Any], kind: str, id_key: str, text_keys: tuple[str, ...], problems: list[Problem]
) -> Iterator[tuple[int, str, str, dict[str, Any]]]:
    """Yield the number, the identifier and the text of each entry of a list, and the entry itself.

    Raises:
        DataError: There are entries, but none of them can be read: this is not a file of captions.
    """
    readable, first_error = 0, None
    for number, entry in enumerate(values[kind], 1):
        try:
            key = next((key for key in text_keys if key in entry), text_keys[0])
            text, identifier = require_text(entry[key]), _identifier(entry[id_key])
        except (KeyError, TypeError) as error:
            first_error = first_error or error
            problems.append(Problem(MALFORMED, file.name, f"{kind} {number}: {error} is missing or of the wrong kind"))
            continue
        readable += 1
        yield number, identifier, text, entry
    if first_error and not readable:
        raise DataError(f"{file.path} is not a COCO annotation file: {first_error} is missing or of the wrong kind")


def _identifier(value: Any) -> str:
    """Return an identifier as a text, since some files have numbers in one place and texts in another.

    Raises:
        TypeError: It is neither a text nor a number.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(f"{value!r} in place of an identifier")
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


LAYOUT = Layout("coco", recognise, read)
