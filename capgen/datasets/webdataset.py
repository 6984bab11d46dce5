"""Tar archives of images with sidecar members, as WebDataset has them: ``0001.jpg``, ``0001.txt`` and ``0001.json``.

The members of an image have its key, its name up to the first dot. Where several images have one key, such as ``1.left.png``
and ``1.right.png``, a member with the whole name of one of them before its last ending is that one's, and the others are
everyone's; so ``22.05.png`` and ``22.06.png`` have captions of their own.
"""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from capgen.datasets.cells import texts
from capgen.datasets.columns import SPLIT_COLUMN
from capgen.datasets.layout import MALFORMED, Columns, Example, Layout, LoadedDataset, Problem
from capgen.datasets.tables import examples_of
from capgen.datasets.text_files import decoded
from capgen.datasets.unpacking import UNREADABLE_MEMBER, ImageWriter, load_archives
from capgen.errors import DataError, ImageError, json_fault
from capgen.inputs.archive_endings import TAR_ENDINGS
from capgen.inputs.archives import open_members
from capgen.inputs.archives.members import DamagedMemberError, Member, is_hidden, read_image
from capgen.inputs.folders import visible_files
from capgen.storage.files import is_file

TEXT_ENDINGS = (".txt", ".caption", ".cap")
"""The endings of members that hold captions, one a line. The first that an image has is read; without one, ``.json`` is."""

JSON_ENDING = ".json"

LARGEST_TEXT = 1 << 20
"""The most bytes of a member with captions."""

LOOKED_AT = 1000
"""The members at the beginning of an archive by which it is recognised."""


def webdataset_layout(columns: Columns | None = None) -> Layout:
    """Return the layout.

    Args:
        columns: The key of the captions in ``.json`` members, as the column of captions, where a person names it.
    """
    return Layout("webdataset", _recognise, partial(_read, columns or Columns()), _seen, webdataset_layout)


def _recognise(source: Path) -> str | None:
    """Say why ``source`` is in this layout, or return ``None``; one of the first images must have a sidecar member."""
    for archive in _find(source):
        if name := _captioned_image(archive):
            return f"{archive.name} has captions beside {name}"
    return None


def _read(columns: Columns, source: Path) -> LoadedDataset:
    """Read an archive, or those in a folder; their images are unpacked into the cache.

    Raises:
        DataError: There is no archive.
        StorageError: The images cannot be written.
    """
    archives = _find(source)
    if not archives:
        raise DataError(f"there is no archive of images with captions ({', '.join(TAR_ENDINGS)}) in {source}")
    return load_archives(source, archives, partial(_unpack, columns), columns.caption)


def _seen(source: Path) -> list[str]:
    return [f"{archive.name} has no captions beside its first images" for archive in _find(source)]


def _find(source: Path) -> list[Path]:
    found = [source] if is_file(source) else visible_files(source)
    return [path for path in found if path.name.lower().endswith(TAR_ENDINGS)]


def _captioned_image(archive: Path) -> str | None:
    """Return the name of an image at the beginning of an archive that has a sidecar member; ``None`` if there is none."""
    images: dict[str, str] = {}
    captioned: set[str] = set()
    opened, read_members = open_members(archive)
    with suppress(ImageError), opened as file:
        for member in islice(read_members(file), LOOKED_AT):
            ending, key = _ending(member.name), _key(member.name)
            if is_hidden(member.name):
                continue
            if ending in (*TEXT_ENDINGS, JSON_ENDING):
                captioned.add(key)
            elif read_image(member) is not None:
                images.setdefault(key, member.name)
            if key in captioned and key in images:
                return images[key]
    return None


_Captions: TypeAlias = "dict[str, tuple[str, ...] | None]"


@dataclass
class _Sample:
    """The members of one key.

    Attributes:
        images: The names of its images, without their last endings, and their paths and names.
        captions: The captions by the name of their member without its last ending, and by that; ``None`` for a member that
            could not be read, which has been reported.
    """

    images: list[tuple[str, str, str]] = field(default_factory=list)
    captions: dict[str, _Captions] = field(default_factory=dict)

    def examples(self, archive: str) -> Iterator[Example]:
        """Yield the images with their captions, but no image whose captions could not be read.

        Args:
            archive: The name of the archive, for messages.
        """
        stems = {stem for stem, _, _ in self.images}
        shared = [by_ending for stem, by_ending in self.captions.items() if stem not in stems]
        for stem, path, name in self.images:
            members = [self.captions[stem]] if stem in self.captions else shared
            captions = dict.fromkeys(text for by_ending in members for text in _first(by_ending))
            if captions or not any(None in by_ending.values() for by_ending in members):
                yield Example(path, tuple(captions), id=name, where=f"{archive}/{name}")


def _first(by_ending: _Captions) -> tuple[str, ...]:
    return next((found for ending in (*TEXT_ENDINGS, JSON_ENDING) if (found := by_ending.get(ending))), ())


def _unpack(columns: Columns, archive: Path, writer: ImageWriter) -> Iterator[Example | Problem]:
    """Write the images of an archive, and yield their captions; see ``unpacking.Read``."""
    reader = _Reader(archive, writer)
    fault = None
    try:
        reader.read_members()
    except ImageError as error:
        fault = error
    yield from reader.examples(columns.caption)
    if fault:
        raise fault


class _Reader:
    """Reads one archive.

    Args:
        archive: The archive.
        writer: Receives its images.
    """

    def __init__(self, archive: Path, writer: ImageWriter) -> None:
        self._archive, self._writer = archive, writer
        self._samples: dict[tuple[str, int], _Sample] = {}
        self._seen: Counter[str] = Counter()  # a name that comes again begins another sample of its key
        self._objects: list[tuple[_Captions, dict[str, Any]]] = []
        self._problems: list[Problem] = []

    def read_members(self) -> None:
        """Write the images, and keep the captions.

        Raises:
            ImageError: The archive cannot be read, or only in part.
        """
        opened, read_members = open_members(self._archive)
        with opened as file:
            for member in read_members(file):
                if not is_hidden(member.name):
                    self._read_member(member)

    def examples(self, caption: str | None) -> Iterator[Example | Problem]:
        """Yield what was read.

        Args:
            caption: The key of the captions in JSON; by default one that is known.
        """
        self._read_objects(caption)
        yield from self._problems
        for (key, _), sample in self._samples.items():
            yield from sample.examples(self._archive.name)
            if not sample.images and any(map(_first, sample.captions.values())):
                yield Problem("caption without an image", self._where(key))

    def _read_member(self, member: Member) -> None:
        name, ending = member.name, _ending(member.name)
        if ending in (*TEXT_ENDINGS, JSON_ENDING):
            captions = self._sample(name).captions.setdefault(_stem(name), {})
            text = self._text(member)
            captions[ending] = None if text is None else self._captions(captions, name, text)
            return
        data = read_image(member)
        if isinstance(data, ImageError):
            self._problems.append(Problem(UNREADABLE_MEMBER, self._where(name), str(data)))
        elif data is not None:
            self._sample(name).images.append((_stem(name), self._writer.add(name, data), name))

    def _text(self, member: Member) -> str | None:
        """Return the text of a member; ``None`` if it cannot be read, which is a problem."""
        if member.size > LARGEST_TEXT:
            reason = f"it has {member.size:,} bytes, too many for captions"
        else:
            try:
                return decoded(member.read(member.size))
            except UnicodeDecodeError as error:
                reason = f"it is not UTF-8 text (byte {error.start})"
            except DamagedMemberError as error:
                reason = str(error)
        self._problems.append(Problem(MALFORMED, self._where(member.name), reason))
        return None

    def _captions(self, captions: _Captions, name: str, text: str) -> tuple[str, ...] | None:
        """Return the captions in a text; ``None`` if it cannot be read, which is a problem.

        An object in JSON is kept, to be read with all others, and so in the same way.
        """
        if _ending(name) != JSON_ENDING:
            return tuple(line.strip() for line in text.split("\n") if line.strip())
        try:
            value = json.loads(text)
            if not isinstance(value, dict):
                return texts(value) or ()
        except (ValueError, RecursionError) as error:
            self._problems.append(Problem(MALFORMED, self._where(name), f"it is not JSON: {json_fault(error)}"))
            return None
        self._objects.append((captions, value))
        return ()

    def _read_objects(self, caption: str | None) -> None:
        """Take the captions out of objects in JSON, which have the keys of JSON lines, or are about something else."""
        plain = (
            {key: value for key, value in one.items() if key.strip().lower() != SPLIT_COLUMN} for _, one in self._objects
        )
        rows = ((str(index), {**one, _IMAGE: "image"}) for index, one in enumerate(plain))
        for example in examples_of(rows, Columns(_IMAGE, caption))[0]:
            captions, _ = self._objects[int(example.where)]
            captions[JSON_ENDING] = example.captions

    def _sample(self, name: str) -> _Sample:
        """Return the sample that a member belongs to, which is another one if its name has been there before."""
        key = _key(name), self._seen[name]
        self._seen[name] += 1
        return self._samples.setdefault(key, _Sample())

    def _where(self, name: str) -> str:
        return f"{self._archive.name}/{name}"


_IMAGE = "__image__"
"""The column that the name of an image is put into when JSON is read like a row of a table."""


def _key(name: str) -> str:
    folder, slash, base = name.removeprefix("./").rpartition("/")
    return folder + slash + base.partition(".")[0]


def _stem(name: str) -> str:
    return name.removeprefix("./").removesuffix(PurePosixPath(name).suffix)


def _ending(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


LAYOUT = webdataset_layout()
