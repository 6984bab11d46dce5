"""The public layouts of captioned image data sets, read into one form.

Each layout is a module with a ``LAYOUT``; ``read`` recognises which one a source is, and says why.
"""

from pathlib import Path

from capgen.datasets.layout import Layout, Reading
from capgen.errors import DataError
from capgen.registry import Registry

LAYOUTS = Registry(
    "layout",
    {
        "karpathy": "capgen.datasets.karpathy:LAYOUT",
        "coco": "capgen.datasets.coco:LAYOUT",
        "flickr8k": "capgen.datasets.flickr8k:LAYOUT",
        "flickr30k": "capgen.datasets.flickr30k:LAYOUT",
        "csv": "capgen.datasets.tables:CSV_LAYOUT",
        "jsonl": "capgen.datasets.tables:JSONL_LAYOUT",
        "folder": "capgen.datasets.folder:LAYOUT",
    },
)
"""In the order in which they are tried, the most particular first."""

AUTO = "auto"


def recognise(source: Path, layout: str = AUTO) -> tuple[Layout, str]:
    """Find the layout of ``source``.

    Args:
        source: A file or a folder.
        layout: A name, or ``"auto"`` to look at the source.

    Returns:
        The layout, and in words how it was recognised.

    Raises:
        DataError: There is nothing there, or it is in no known layout.
        UnknownNameError: There is no layout of that name.
    """
    if layout != AUTO:
        named: Layout = LAYOUTS[layout]
        _must_exist(source)
        return named, "as you said"
    _must_exist(source)
    for name in LAYOUTS:
        candidate: Layout = LAYOUTS[name]
        if why := candidate.recognise(source):
            return candidate, why
    raise DataError(f"{source} is in no known layout ({', '.join(LAYOUTS)}); name one with --format, or see the README")


def read(source: Path, layout: str = AUTO, images: Path | None = None) -> Reading:
    """Read captions and where their pictures are; no picture is opened.

    Args:
        source: A file or a folder.
        layout: A name, or ``"auto"``.
        images: The folder of the pictures, where the layout's own places do not do.

    Raises:
        DataError: Nothing there, no known layout, or nothing usable in it.
        UnknownNameError: There is no layout of that name.
    """
    if images is not None and not images.is_dir():
        reason = "is a file, not a folder" if images.exists() else "does not exist"
        raise DataError(f"the image folder {images} {reason}; give the folder with --images")
    found, why = recognise(source, layout)
    reading = found.read(source)
    if images is not None:
        reading.folders[:] = [images]
    reading.layout, reading.why = found.name, why
    if not reading.rows:
        raise DataError(f"{source} holds no captions in the {found.name} layout")
    return reading


def _must_exist(source: Path) -> None:
    if not source.exists():
        raise DataError(f"there is no data set at {source}; give the folder or file it was unpacked to")
