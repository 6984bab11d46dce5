"""Flickr30k as distributed: ``results.csv``, whose columns ``image_name| comment_number| comment`` are split by ``|``."""

from pathlib import Path

from capgen.datasets.layout import Layout, Problem, Reading, Row, image_folders, lines
from capgen.errors import DataError

RESULTS = "results.csv"
COLUMNS = 3


def recognise(source: Path) -> str | None:
    """Say why ``source`` is this layout, or ``None``."""
    path = _results(source)
    if path is None:
        return None
    _, first = next(lines(path), ("", ""))
    return f"{path.name} has columns split by '|'" if first.replace(" ", "").startswith("image_name|") else None


def read(source: Path) -> Reading:
    """Read ``source``, its folder or its ``results.csv``."""
    path = _results(source)
    if path is None:
        raise DataError(f"there is no {RESULTS} in {source}")
    captions: dict[str, list[str]] = {}
    problems = []
    for number, (place, line) in enumerate(lines(path)):
        if number == 0 and line.replace(" ", "").startswith("image_name|"):
            continue
        parts = [part.strip() for part in line.split("|", COLUMNS - 1)]
        if len(parts) < COLUMNS:
            # the distributed file has one row without its second bar: "2199200615.jpg| 4   A dog runs across the grass ."
            problems.append(Problem("malformed row", place, "it is not image| number| caption"))
            continue
        captions.setdefault(parts[0], []).append(parts[2])
    return Reading([Row(image, tuple(texts)) for image, texts in captions.items()], image_folders(path.parent), problems)


def _results(source: Path) -> Path | None:
    if source.is_file():
        return source if source.suffix == ".csv" else None
    nested = (source, source / "flickr30k_images")
    return next((folder / RESULTS for folder in nested if (folder / RESULTS).is_file()), None)


LAYOUT = Layout("flickr30k", recognise, read)
