"""A folder of images with a ``.txt`` file of captions beside each, one caption a line; folders inside it count, too."""

from pathlib import Path

from capgen.datasets.layout import MALFORMED, Example, Layout, LoadedDataset, Problem, lines
from capgen.errors import DataError
from capgen.images.formats import SUFFIXES


def recognise(source: Path) -> str | None:
    """Say why ``source`` is in this layout, or return ``None``."""
    if not source.is_dir():
        return None
    first = next((path for path in _find(source) if path.with_suffix(".txt").is_file()), None)
    return f"{first.name} has a .txt file beside it" if first else None


def read(source: Path) -> LoadedDataset:
    """Read a folder; an image without a ``.txt`` file is an example without captions.

    Raises:
        DataError: The source is a file, or no image in it has a ``.txt`` file.
    """
    if not source.is_dir():
        raise DataError(f"{source} is a file; the folder layout takes a folder of images with .txt files")
    if recognise(source) is None:
        raise DataError(f"there is no image with a .txt file of captions beside it in {source}")
    examples: list[Example] = []
    problems: list[Problem] = []
    for path in _find(source):
        sidecar = path.with_suffix(".txt")
        try:
            captions = tuple(line.strip() for _, line in lines(sidecar)) if sidecar.is_file() else ()
        except DataError as error:
            problems.append(Problem(MALFORMED, str(sidecar.relative_to(source)), str(error)))
            continue
        examples.append(Example(str(path.relative_to(source)), captions))
    return LoadedDataset(examples, [source], problems)


def _find(source: Path) -> list[Path]:
    return sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


LAYOUT = Layout("folder", recognise, read)
