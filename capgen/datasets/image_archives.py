"""Archives that are taken for what they are when they are unpacked by hand: a whole data set, or the images of one.

Archives of images, such as ``images.zip`` and ``train2017.zip``, lie beside the files that have their captions. They are
looked into where images are missing.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

from capgen.datasets.image_locator import AMBIGUOUS, MISSING, ImageLocator, comparable
from capgen.datasets.layout import Example, LoadedDataset, Problem
from capgen.datasets.source_folders import image_folders, names_in
from capgen.datasets.splits import split_of_folder
from capgen.datasets.unpacking import UNREADABLE_MEMBER, ImageWriter, Unpacked, unpack, unpacked_note
from capgen.errors import DataError, ImageError
from capgen.inputs.archive_endings import TAR_ENDINGS
from capgen.inputs.archives import archive_stem, open_members
from capgen.inputs.archives.members import is_hidden, read_image, read_whole
from capgen.inputs.folders import visible_files
from capgen.inputs.passed_over import is_hidden as is_hidden_name
from capgen.storage.files import is_file, is_folder

ENDINGS = (".zip", *TAR_ENDINGS)
"""How the names of these archives end."""


ANNOTATION_ENDINGS = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt", ".caption", ".parquet")
"""How the names of files end that have the captions of a data set, or its splits."""


def unpack_dataset(archive: Path) -> tuple[Path, Unpacked]:
    """Unpack the images of an archive and the files that may have their captions.

    Returns:
        The folder of the data set, which is the one in the archive if there is nothing else, and what was unpacked.

    Raises:
        DataError: It has no such file, and so is not unpacked, or it cannot be read.
        StorageError: The files cannot be written.
    """
    try:
        if not _has_member(archive, _is_annotation):
            raise DataError(f"{archive} has no file that may have captions ({', '.join(ANNOTATION_ENDINGS)})")
    except ImageError as error:
        raise DataError(f"{archive} cannot be read: {error}") from error
    unpacked = unpack(archive, partial(_unpack_dataset, archive), "whole data set")
    return list(_folders(unpacked.folder))[-1], unpacked


def split_archives(source: Path) -> dict[Path, str]:
    """Return the archives in a folder that are named for splits, such as ``train.zip``, with their splits."""
    named = {source / name: split_of_folder(archive_stem(Path(name))) for name in names_in(source)}
    return {path: split for path, split in named.items() if split and is_image_archive(path)}


def is_image_archive(path: Path) -> bool:
    """Return whether a file is an archive that may have images, by its ending."""
    return path.name.lower().endswith(ENDINGS) and is_file(path)


def with_unpacked_images(dataset: LoadedDataset) -> LoadedDataset:
    """Unpack the archives that lie in the image folders of a data set, or are named in place of one, for missing images.

    Returns:
        The data set, with the folders of the unpacked images behind its own.

    Raises:
        StorageError: The images cannot be written.
    """
    archives = _archives(dataset)
    missing = _missing(dataset) if archives else []
    if not missing:
        return dataset
    unpacked, beside = _unpacked_for(missing, archives, dataset.image_folders[0])
    if not unpacked:
        return dataset
    absent = set(missing)
    return replace(
        dataset,
        examples=[_beside(example, beside) if example in absent else example for example in dataset.examples],
        image_folders=[*dataset.image_folders, *_image_folders(unpacked, beside)],
        problems=[*dataset.problems, *(problem for one in unpacked for problem in one.problems)],
        notes=[*dataset.notes, unpacked_note(unpacked)],
    )


def _unpacked_for(
    missing: Iterable[Example], archives: Iterable[Path], root: Path
) -> tuple[list[Unpacked], dict[Path, dict[str, Path]]]:
    """Unpack the archives that have missing images.

    Args:
        missing: Examples whose images are not there.
        archives: All archives that may have them.
        root: The first folder of images.

    Returns:
        What was unpacked; and for each folder below or outside ``root`` that has archives of these, by the names of their
        images, where those are now.
    """
    names = {_plain(example.image) for example in missing}
    unpacked: list[Unpacked] = []
    beside: dict[Path, dict[str, Path]] = {}
    for archive in archives:
        is_inside = archive.parent.is_relative_to(root)
        if _has_one_of(names, archive, unreadable=is_inside):
            folder = archive.parent.relative_to(root).as_posix() if is_inside else ""
            unpacked.append(unpack(archive, partial(_unpack, archive, folder), folder))
            if archive.parent != root:
                beside.setdefault(archive.parent, {}).update(_by_name(unpacked[-1].folder / folder))
    return unpacked, beside


def _missing(dataset: LoadedDataset) -> list[Example]:
    """Return the examples whose images are not there."""
    locator = ImageLocator(dataset)
    located = ((example, locator.locate(example)) for example in dataset.examples)
    return [example for example, found in located if isinstance(found, Problem) and found.kind == MISSING]


def _by_name(folder: Path) -> dict[str, Path]:
    """Return the folder for each name of an image that is in it, or in folders in it."""
    return {_plain(path.name): folder for path in visible_files(folder)}


def _beside(example: Example, beside: Mapping[Path, Mapping[str, Path]]) -> Example:
    """Return an example with its new folder, if the archive with its image lies beside the file that names it."""
    folders = beside.get(example.folder, {}) if example.folder else {}
    return replace(example, folder=folders.get(_plain(example.image), example.folder))


def _image_folders(unpacked: Iterable[Unpacked], beside: Mapping[Path, Mapping[str, Path]]) -> Iterator[Path]:
    """Yield the folders of unpacked images, those of an archive that lies deeper among them."""
    for one in unpacked:
        yield from _folders(one.folder)
    for folder in dict.fromkeys(folder for by_name in beside.values() for folder in by_name.values()):
        yield from (inner for inner in image_folders(folder) if inner.is_relative_to(folder))


def _archives(dataset: LoadedDataset) -> list[Path]:
    named = (folder / name for folder in dataset.image_folders for name in names_in(folder) if not is_hidden_name(name))
    return [path for path in dict.fromkeys((*named, *dataset.image_folders)) if is_image_archive(path)]


def _has_one_of(names: set[str], archive: Path, *, unreadable: bool) -> bool:
    """Return whether an archive has images of these names; ``unreadable`` if it cannot be read."""
    try:
        return _has_member(archive, lambda name: _plain(name) in names)
    except ImageError:
        return unreadable


def _has_member(archive: Path, fits: Callable[[str], bool]) -> bool:
    """Return whether a file in an archive has a name that fits, as far as the archive can be read.

    Raises:
        ImageError: The archive cannot be read, and no name before that fits.
    """
    opened, read_members = open_members(archive)
    with opened as file:
        return any(fits(member.name) for member in read_members(file))


def _is_annotation(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in ANNOTATION_ENDINGS and not is_hidden(name)


def _unpack_dataset(archive: Path, writer: ImageWriter) -> Iterator[Problem]:
    opened, read_members = open_members(archive)
    with opened as file:
        for member in read_members(file):
            data = read_whole(member) if _is_annotation(member.name) else read_image(member)
            if isinstance(data, ImageError):
                yield Problem(UNREADABLE_MEMBER, f"{archive.name}/{member.name}", str(data))
            elif data is not None:
                yield from _added(writer, archive, member.name, member.name, data)


def _unpack(archive: Path, folder: str, writer: ImageWriter) -> Iterator[Problem]:
    """Write the images of an archive, see ``unpacking.Read``; those for one split are put into a folder of its name."""
    stem = archive_stem(archive)
    opened, read_members = open_members(archive)
    with opened as file:
        for member in read_members(file):
            data = read_image(member)
            if isinstance(data, ImageError):
                yield Problem(UNREADABLE_MEMBER, f"{archive.name}/{member.name}", str(data))
            elif data is not None:
                is_inside = split_of_folder(stem) is None or PurePosixPath(member.name).parts[0] == stem
                path = "/".join((folder, "" if is_inside else stem, member.name))
                yield from _added(writer, archive, member.name, path, data)


def _added(writer: ImageWriter, archive: Path, name: str, path: str, data: bytes) -> Iterator[Problem]:
    """Write a file under a path, and yield the problem that another one has that path already, as after ``tar --append``."""
    is_second = path in writer
    written = writer.add(path, data)
    if is_second:
        yield Problem(AMBIGUOUS, f"{archive.name}/{name}", f"another one has that name; this one is {written}")


def _folders(folder: Path) -> Iterator[Path]:
    """Yield a folder, and the one in it if that is all, unless it is named for a split and so is looked into by that."""
    yield folder
    names = list(folder.iterdir()) if is_folder(folder) else []
    if len(names) == 1 and is_folder(names[0]) and split_of_folder(names[0].name) is None:
        yield from _folders(names[0])


def _plain(name: str) -> str:
    return comparable(name).rpartition("/")[2]
