"""A folder of images with a ``.txt`` file of captions beside each, one a line; sub-folders count."""

from pathlib import Path

from capgen.datasets.layout import Layout, Reading, Row, lines
from capgen.errors import DataError
from capgen.images.formats import SUFFIXES


def recognise(source: Path) -> str | None:
    """Say why ``source`` is this layout, or ``None``."""
    if not source.is_dir():
        return None
    first = next((path for path in _images(source) if path.with_suffix(".txt").is_file()), None)
    return f"{first.name} has a .txt file beside it" if first else None


def read(source: Path) -> Reading:
    """Read ``source``, the folder."""
    if not source.is_dir():
        raise DataError(f"{source} is a file; the folder layout takes a folder of images with .txt files")
    rows = []
    for path in _images(source):
        sidecar = path.with_suffix(".txt")
        captions = tuple(line.strip() for _, line in lines(sidecar)) if sidecar.is_file() else ()
        rows.append(Row(str(path.relative_to(source)), captions))
    return Reading(rows, [source])


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


LAYOUT = Layout("folder", recognise, read)
