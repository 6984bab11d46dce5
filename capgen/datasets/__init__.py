"""The public layouts of captioned image data sets, loaded into one form.

Each layout is a module with a ``LAYOUT``. ``recognise`` finds out which layout a source is in, and says how it knows;
``read`` loads the source. The help of the command names the layouts, so this module loads nothing heavy by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from capgen.errors import DataError, UsageError
from capgen.registry import Registry
from capgen.storage import paths
from capgen.storage.files import is_file, is_folder

if TYPE_CHECKING:
    from capgen.datasets.layout import Columns, Example, Layout, LoadedDataset

LAYOUTS: "Registry[Layout]" = Registry(
    "layout",
    {
        "karpathy": "capgen.datasets.karpathy:LAYOUT",
        "coco": "capgen.datasets.coco:LAYOUT",
        "flickr8k": "capgen.datasets.flickr8k:LAYOUT",
        "flickr30k": "capgen.datasets.flickr30k:LAYOUT",
        "flickr30k-entities": "capgen.datasets.flickr30k_entities:LAYOUT",
        "csv": "capgen.datasets.csv:LAYOUT",
        "jsonl": "capgen.datasets.jsonl:LAYOUT",
        "json": "capgen.datasets.json:LAYOUT",
        "folder": "capgen.datasets.folder:LAYOUT",
        "webdataset": "capgen.datasets.webdataset:LAYOUT",
        "parquet": "capgen.datasets.parquet:LAYOUT",
    },
)
"""The layouts in the order in which they are tried, the most particular first."""

AUTO = "auto"

FOLDER = "folder"

WEBDATASET = "webdataset"

SHOWN = 5
"""The most things that the message about a source in no layout lists."""


def recognise(source: Path, layout: str = AUTO, columns: "Columns | None" = None) -> "tuple[Layout, str]":
    """Find the layout of a source.

    Args:
        source: A file or a folder.
        layout: The name of a layout, or ``"auto"`` to look at the source.
        columns: The columns of a table that a person names; then only layouts with columns are looked for.

    Returns:
        The layout, and in words how it was recognised.

    Raises:
        DataError: The source does not exist, or it is not in a known layout; the message says what was seen.
        UsageError: Columns are named, and the layout has none.
        UnknownNameError: There is no layout of that name.
    """
    if layout != AUTO:
        named = _named(layout, columns)
        _must_exist(source)
        return named, "named with `format`"
    _must_exist(source)
    candidates = [_named(name, columns) for name in LAYOUTS if columns is None or LAYOUTS[name].with_columns]
    for candidate in candidates:
        if reason := candidate.recognise(source):
            return candidate, reason
    raise DataError(f"{source} is not in a known layout ({', '.join(LAYOUTS)}): {_seen(source, candidates, columns)}")


def read(source: Path, layout: str = AUTO, images: Path | None = None, columns: "Columns | None" = None) -> "LoadedDataset":
    """Read the captions of a source, and where its images may lie; images in archives are unpacked, and none is decoded.

    Args:
        source: A file or a folder.
        layout: The name of a layout, or ``"auto"``.
        images: The folder or the archive of the images, where they are not in the layout's own folders.
        columns: The columns of a table, where they are not called as capgen expects.

    Raises:
        DataError: The source does not exist, is not in a known layout, or holds nothing that can be used.
        UsageError: Columns are named, and the layout has none.
        UnknownNameError: There is no layout of that name.
        StorageError: Images cannot be unpacked.
    """
    from capgen.datasets.image_archives import is_image_archive, split_archives, with_unpacked_images

    if images is not None:
        _must_have_images(images)
    if is_image_archive(source) and not _is_webdataset(source, layout):
        return _read_packed(source, layout, images, columns)
    try:
        found, recognised_by = recognise(source, layout, columns)
        dataset = replace(found.read(source), layout=found.name, recognised_by=recognised_by)
    except DataError:
        archives = split_archives(source)
        if not archives:
            raise
        return _read_split_archives(archives, layout, images, columns)
    _must_have_examples(source, dataset)
    if layout == AUTO and found.with_columns is not None:
        dataset = replace(dataset, notes=[*dataset.notes, *_other_tables(source, found.name, columns)])
    if images is not None:
        dataset = replace(dataset, examples=list(map(_looked_for_elsewhere, dataset.examples)), image_folders=[images])
    return with_unpacked_images(dataset)


def _must_have_images(images: Path) -> None:
    from capgen.datasets.image_archives import is_image_archive

    if not is_folder(images) and not is_image_archive(images):
        reason = "is a file, not a folder" if images.exists() else "does not exist"
        raise DataError(f"the image folder {images} {reason}; give the folder with `images`")


def _must_have_examples(source: Path, dataset: "LoadedDataset") -> None:
    if not dataset.examples:
        first = "".join(f"; the first problem: {problem.where}: {problem.detail}" for problem in dataset.problems[:1])
        raise DataError(f"{source} holds no captions in the {dataset.layout} layout{first}")


def _is_webdataset(archive: Path, layout: str) -> bool:
    """Return whether an archive is read as one of WebDataset, and not unpacked as a whole data set."""
    return layout == WEBDATASET or (layout == AUTO and bool(LAYOUTS[WEBDATASET].recognise(archive)))


def _other_tables(source: Path, layout: str, columns: "Columns | None") -> list[str]:
    """Say which captions of other layouts could be read in place of those that are, which a program may have written."""
    later = [
        name
        for name in list(LAYOUTS)[list(LAYOUTS).index(layout) + 1 :]
        if (LAYOUTS[name].with_columns and name != WEBDATASET) or (name == FOLDER and columns is None)
    ]
    reasons = {name: _named(name, columns).recognise(source) for name in later}
    return [f"{reason}, too, and is not read; `format={name}` reads it" for name, reason in reasons.items() if reason]


def _looked_for_elsewhere(example: "Example") -> "Example":
    """Return an example without the folder where its image is looked for first, unless the image was unpacked into it."""
    is_unpacked = example.folder is not None and example.folder.is_relative_to(paths.unpacked_dir())
    return example if is_unpacked else replace(example, folder=None)


def _read_split_archives(
    archives: Mapping[Path, str], layout: str, images: Path | None, columns: "Columns | None"
) -> "LoadedDataset":
    """Read a data set each of whose splits is in an archive with its captions, such as ``train.zip``."""
    loaded = [
        _in_archive(_read_packed(archive, layout, images, columns), archive, split) for archive, split in archives.items()
    ]
    return replace(
        loaded[0],
        examples=[example for dataset in loaded for example in dataset.examples],
        image_folders=[folder for dataset in loaded for folder in dataset.image_folders],
        problems=[problem for dataset in loaded for problem in dataset.problems],
        notes=[note for dataset in loaded for note in dataset.notes],
    )


def _in_archive(dataset: "LoadedDataset", archive: Path, split: str) -> "LoadedDataset":
    """Return a data set that is one of several: its examples have the split of its archive, and are named with that."""
    examples = [
        replace(
            example,
            split=example.split or split,
            folder=example.folder or dataset.image_folders[0],
            where=example.where and f"{archive.name}/{example.where}",
            id=f"{archive.name}/{example.id or example.image}",
        )
        for example in dataset.examples
    ]
    problems = [replace(problem, where=f"{archive.name}/{problem.where}") for problem in dataset.problems]
    return replace(dataset, examples=examples, problems=problems)


def _read_packed(archive: Path, layout: str, images: Path | None, columns: "Columns | None") -> "LoadedDataset":
    """Read a whole data set that is in an archive."""
    from capgen.datasets.image_archives import unpack_dataset
    from capgen.datasets.unpacking import unpacked_note

    folder, unpacked = unpack_dataset(archive)
    try:
        dataset = read(folder, layout, images, columns)
    except DataError as error:
        reasons = "".join(f"; {problem.where}: {problem.detail}" for problem in unpacked.problems[:1])
        raise DataError(f"{archive} was unpacked, but {error}{reasons}") from error
    problems = [*unpacked.problems, *dataset.problems]
    return replace(dataset, problems=problems, notes=[unpacked_note([unpacked], "files"), *dataset.notes])


def _named(name: str, columns: "Columns | None") -> "Layout":
    layout = LAYOUTS[name]
    if columns is None:
        return layout
    if layout.with_columns is None:
        raise UsageError(f"the {name} layout has no columns; leave `image_column` and `caption_column` out")
    return layout.with_columns(columns)


def _seen(source: Path, layouts: "Sequence[Layout]", columns: "Columns | None") -> str:
    """Say what was seen of a source in no layout, and what would make it readable."""
    from capgen.datasets.columns import NEEDED

    seen = [text for layout in layouts for text in layout.seen(source)]
    what = "; ".join(seen[:SHOWN]) or _contents(source)
    if columns is not None:
        image, caption = columns.image or "a column of a known name", columns.caption or "a column of a known name"
        return f"{what}; none of its first rows has the name of an image in {image} and a text, or texts, in {caption}"
    return (
        f"{what}; it needs a table with {NEEDED} (`image_column` and `caption_column` name others), or a .txt file of "
        "captions beside each image; or name a layout with `format`"
    )


def _contents(source: Path) -> str:
    from capgen.inputs.folders import visible_files

    if is_file(source):
        return f"it has the ending {source.suffix!r}, and none of a table" if source.suffix else "its name has no ending"
    names = [path.relative_to(source).as_posix() for path in islice(visible_files(source), SHOWN)]
    return f"there is {', '.join(names)} in it" if names else "it is empty"


def _must_exist(source: Path) -> None:
    if not source.exists():
        raise DataError(f"there is no data set at {source}; give the folder or file it was unpacked to")
