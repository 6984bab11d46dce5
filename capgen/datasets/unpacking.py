"""The images of archives as files: an archive is unpacked once, into a folder of the cache, and is read from there.

The folder is named by a fingerprint of the archive's path, size and time of change, and of how it is read. The images are
in ``images``; ``index.jsonl`` lists them with their sizes, what the archive says of them, and what could not be read. The
folder appears when all of this is written. Names in an archive never lead out of it: only their plain parts are used.
"""

import dataclasses
import errno
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, islice
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from capgen.datasets.layout import Example, LoadedDataset, Problem
from capgen.datasets.splits import split_in_folders, split_in_name, with_splits_of_names
from capgen.errors import DataError, ImageError, StorageError, os_reason
from capgen.inputs.archives import archive_stem
from capgen.storage import files, hashing, locks, paths

UNREADABLE_ARCHIVE = "unreadable archive"
"""Problem kind: an archive that cannot be read, or only in part."""

UNREADABLE_MEMBER = "unreadable image"
"""Problem kind: a file in an archive that cannot be read."""

LOCK = ".lock"
"""The name of the lock of all unpacked archives; whoever needs them shares it, and whoever removes one holds it alone."""

_IMAGES, _INDEX = "images", "index.jsonl"

_SCHEMA = 1
"""The version of how archives are read and indexed; other versions unpack into other folders."""

_UNUSABLE = frozenset({
    errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL,
})  # fmt: skip
"""What the operating system says of names that no new file can have."""

_ATTEMPTS = 100
"""How many names are tried for an image."""


class ImageWriter:
    """Writes images into a folder.

    Args:
        folder: The folder.
        on_add: Called with the number of images for each that was written.

    Attributes:
        sizes: The bytes of each image by its path from the folder, with ``/`` on every system.
    """

    def __init__(self, folder: Path, on_add: Callable[[int], None] = lambda images: None) -> None:
        self._folder, self._on_add = folder, on_add
        self.sizes: dict[str, int] = {}

    def __contains__(self, name: str) -> bool:
        """Whether an image was written that has the name that this one would get."""
        return next(self._candidates(name)) in self.sizes

    def add(self, name: str, data: bytes) -> str:
        """Write an image, and return its path from the folder.

        It is the image's name in the archive, if a file can have that and no other image has it.

        Raises:
            StorageError: It cannot be written.
        """
        for path in islice(self._candidates(name), _ATTEMPTS):
            try:
                (self._folder / path).parent.mkdir(parents=True, exist_ok=True)
                with (self._folder / path).open("xb") as file:
                    file.write(data)
            except OSError as error:
                if error.errno not in _UNUSABLE:
                    raise files.storage_error(self._folder, error) from error
            else:
                self.sizes[path] = len(data)
                self._on_add(len(self.sizes))
                return path
        raise StorageError(f"cannot write {self._folder}: there are files of every name that {name!r} could have")

    def _candidates(self, name: str) -> Iterator[str]:
        parts = [part for part in re.split(r"[/\\]", name) if part not in {"", ".", ".."}] or ["image"]
        path, number = PurePosixPath(*(re.sub("[\x00-\x1f\x7f\ud800-\udfff]", "_", part) for part in parts)), len(self.sizes)
        yield str(path)
        yield str(path.with_name(f"{path.stem}-{number}{path.suffix}"))
        yield from (f"{number}-{attempt}{path.suffix[:10]}" for attempt in count())


Read: TypeAlias = "Callable[[ImageWriter], Iterable[Example | Problem]]"
"""Reads an archive: writes its images, and yields an example for each image that has captions.

The folder of an example is ``None`` if its image is one of those that were written, else absolute. What goes wrong with the
archive as a whole is raised as ``ImageError``, after all that could be read."""

_REPORT: ContextVar[Callable[[str, int], None]] = ContextVar("report", default=lambda archive, images: None)


@contextmanager
def reporting(on_unpack: Callable[[str, int], None]) -> Iterator[None]:
    """Report what is unpacked within the block, which may take long, and which layouts do somewhere in their reading.

    Args:
        on_unpack: Called for each image that was written, with the name of its archive and the number of images so far.
    """
    token = _REPORT.set(on_unpack)
    try:
        yield
    finally:
        _REPORT.reset(token)


@dataclass(frozen=True)
class Unpacked:
    """An archive whose images are files.

    Attributes:
        folder: The folder of the images.
        examples: What the archive says of them.
        problems: What could not be read.
        images: The number of the images.
        size: Their bytes.
    """

    folder: Path
    examples: Sequence[Example]
    problems: Sequence[Problem]
    images: int
    size: int


def unpack(archive: Path, read: Read, *options: str | None) -> Unpacked:
    """Unpack an archive, unless that was done before and the archive has not changed since.

    Args:
        archive: The archive.
        read: Reads it.
        options: What else decides what ``read`` yields.

    Raises:
        DataError: There is no such archive.
        StorageError: The images cannot be written; nothing is left behind.
    """
    try:
        status = archive.stat()
    except OSError as error:
        raise DataError(f"{archive} cannot be read: {os_reason(error)}") from error
    # Links are not followed, as a hub's cache has names of its own for what they lead to.
    about = [_SCHEMA, os.path.abspath(archive), status.st_size, status.st_mtime_ns, *options]  # noqa: PTH100
    folder = paths.unpacked_dir() / hashing.fingerprint(json.dumps(about))
    with locks.lock(paths.unpacked_dir() / LOCK, shared=True, wait=True):
        return _load(folder, whole=True) or _unpack(archive, folder, read)


def in_use() -> AbstractContextManager[None]:
    """Keep what is unpacked from being removed while a data set is made of it."""
    folder = paths.unpacked_dir()
    return locks.lock(folder / LOCK, shared=True, wait=True) if folder.is_dir() else nullcontext()


def image_count(folder: Path) -> int:
    """Return how many images an archive's folder in the cache holds, as its index says; none while it is being written."""
    try:
        with (folder / _INDEX).open(encoding="utf-8") as index:
            return int(json.loads(index.readline())["images"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _unpack(archive: Path, folder: Path, read: Read) -> Unpacked:
    temporary = None
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
        fresh = temporary / "new"  # the temporary folder itself can only be read by this user
        fresh.mkdir()
        writer = ImageWriter(fresh / _IMAGES, partial(_REPORT.get(), archive.name))
        records, whole = _records(archive, read, writer)
        _write_index(fresh, writer, records, whole=whole)
        _rename(fresh, folder)
    except OSError as error:
        raise files.storage_error(folder, error) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    unpacked = _load(folder)
    if unpacked is None:
        raise DataError(f"{folder} was changed while {archive} was unpacked into it; run it again")
    return unpacked


def _records(archive: Path, read: Read, writer: ImageWriter) -> tuple[list[dict[str, Any]], bool]:
    """Read an archive; return what goes into the index beside the images, and whether it was read to its end."""
    records: list[dict[str, Any]] = []
    try:
        for found in read(writer):
            kind = "problem" if isinstance(found, Problem) else "example"
            values = dataclasses.asdict(found)
            records.append(
                {kind: {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}}
            )
    except ImageError as error:
        records.append({"problem": dataclasses.asdict(Problem(UNREADABLE_ARCHIVE, archive.name, str(error)))})
        return records, False
    return records, True


def _write_index(folder: Path, writer: ImageWriter, records: Sequence[dict[str, Any]], *, whole: bool) -> None:
    images = [{"image": path, "size": size} for path, size in writer.sizes.items()]
    header = {"images": len(images), "size": sum(writer.sizes.values()), "lines": len(images) + len(records), "whole": whole}
    text = "".join(files.json_text(line) + "\n" for line in (header, *images, *records))
    files.write_text(folder / _INDEX, text)


def _rename(temporary: Path, folder: Path) -> None:
    """Give a finished folder its name; one that is there is kept if it is whole, which another process has just made."""
    if folder.exists() and not _load(folder, whole=True):
        shutil.rmtree(folder)
    try:
        temporary.rename(folder)
    except OSError as error:
        if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:
            raise


def _load(folder: Path, *, whole: bool = False) -> Unpacked | None:
    """Return what is in a folder; ``None`` if it was not written to its end, or has been changed.

    Args:
        folder: The folder.
        whole: Return ``None``, too, if the archive could not be read to its end, as it may be possible now.
    """
    images = folder / _IMAGES
    try:
        header, *lines = map(json.loads, (folder / _INDEX).read_text(encoding="utf-8").rstrip("\n").split("\n"))
        sizes = {line["image"]: line["size"] for line in lines if "image" in line}
        if len(lines) != header["lines"] or (whole and not header["whole"]):
            return None
        if not _have_sizes(images, sizes):
            return None
        examples = [_example(line["example"], images) for line in lines if "example" in line]
        problems = [Problem(**line["problem"]) for line in lines if "problem" in line]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Unpacked(images, examples, problems, len(sizes), sum(sizes.values()))


def _have_sizes(folder: Path, sizes: Mapping[str, int]) -> bool:
    return all((folder / path).stat().st_size == size for path, size in sizes.items())


def _example(values: dict[str, Any], images: Path) -> Example:
    folder = Path(values.pop("folder")) if values.get("folder") else images
    return Example(**{**values, "captions": tuple(values["captions"]), "folder": folder})


def load_archives(
    source: Path,
    archives: Sequence[Path],
    read: Callable[[Path, ImageWriter], Iterable[Example | Problem]],
    *options: str | None,
) -> LoadedDataset:
    """Unpack the archives of a source, and return what they say of their images.

    Args:
        source: The folder of the archives, or the only one.
        archives: The archives. Where they or their folders are named for several splits, their images are in these.
        read: Reads an archive; see ``Read``.
        options: As in ``unpack``.

    Raises:
        StorageError: The images cannot be written.
    """
    root = source.parent if source.is_file() else source
    examples: list[Example] = []
    problems: list[Problem] = []
    named: list[str | None] = []
    unpacked: list[Unpacked] = []
    for archive in archives:
        relative = archive.relative_to(root).as_posix()
        try:
            one = unpack(archive, partial(read, archive), *options)
        except DataError as error:
            problems.append(Problem(UNREADABLE_ARCHIVE, relative, str(error)))
            continue
        examples += (replace(example, id=f"{relative}/{example.id or example.image}") for example in one.examples)
        problems += one.problems
        named += [split_in_name(archive_stem(archive)) or split_in_folders(relative)] * len(one.examples)
        unpacked.append(one)
    return LoadedDataset(with_splits_of_names(examples, named), [root], problems, notes=[unpacked_note(unpacked)])


def unpacked_note(unpacked: Iterable[Unpacked], what: str = "images") -> str:
    """Say how many images, or files of any kind, were unpacked, and where they are."""
    counts = [(one.images, one.size) for one in unpacked]
    images, size = sum(count for count, _ in counts), sum(size for _, size in counts)
    return f"{images:,} {what} ({files.size_text(size)}) are unpacked in {paths.unpacked_dir()}"
