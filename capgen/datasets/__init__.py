"""The public layouts of captioned image data sets, loaded into one form.

Each layout is a module with a ``LAYOUT``. ``recognise`` finds out which layout a source is in, and says how it knows;
``read`` loads the source.
"""

from dataclasses import replace
from pathlib import Path

from capgen.datasets.layout import Layout, LoadedDataset
from capgen.errors import DataError
from capgen.registry import Registry

LAYOUTS: Registry[Layout] = Registry(
    "layout",
    {
        "karpathy": "capgen.datasets.karpathy:LAYOUT",
        "coco": "capgen.datasets.coco:LAYOUT",
        "flickr8k": "capgen.datasets.flickr8k:LAYOUT",
        "flickr30k": "capgen.datasets.flickr30k:LAYOUT",
        "flickr30k-entities": "capgen.datasets.flickr30k_entities:LAYOUT",
        "csv": "capgen.datasets.csv:LAYOUT",
        "jsonl": "capgen.datasets.jsonl:LAYOUT",
        "folder": "capgen.datasets.folder:LAYOUT",
    },
)
"""The layouts in the order in which they are tried, the most particular first."""

AUTO = "auto"


def recognise(source: Path, layout: str = AUTO) -> tuple[Layout, str]:
    """Find the layout of a source.

    Args:
        source: A file or a folder.
        layout: The name of a layout, or ``"auto"`` to look at the source.

    Returns:
        The layout, and in words how it was recognised.

    Raises:
        DataError: The source does not exist, or it is not in a known layout.
        UnknownNameError: There is no layout of that name.
    """
    if layout != AUTO:
        named = LAYOUTS[layout]
        _must_exist(source)
        return named, "named with --format"
    _must_exist(source)
    for name in LAYOUTS:
        candidate: Layout = LAYOUTS[name]
        if reason := candidate.recognise(source):
            return candidate, reason
    raise DataError(f"{source} is not in a known layout ({', '.join(LAYOUTS)}); name one with --format, or see the README")


def read(source: Path, layout: str = AUTO, images: Path | None = None) -> LoadedDataset:
    """Read the captions of a source, and where its images may lie; no image is opened.

    Args:
        source: A file or a folder.
        layout: The name of a layout, or ``"auto"``.
        images: The folder of the images, where they are not in the layout's own folders.

    Raises:
        DataError: The source does not exist, is not in a known layout, or holds nothing that can be used.
        UnknownNameError: There is no layout of that name.
    """
    if images is not None and not images.is_dir():
        reason = "is a file, not a folder" if images.exists() else "does not exist"
        raise DataError(f"the image folder {images} {reason}; give the folder with --images")
    found, recognised_by = recognise(source, layout)
    dataset = replace(found.read(source), layout=found.name, recognised_by=recognised_by)
    if not dataset.examples:
        raise DataError(f"{source} holds no captions in the {found.name} layout")
    if images is None:
        return dataset
    examples = [replace(example, folder=None) if example.folder else example for example in dataset.examples]
    return replace(dataset, examples=examples, image_folders=[images])


def _must_exist(source: Path) -> None:
    if not source.exists():
        raise DataError(f"there is no data set at {source}; give the folder or file it was unpacked to")
