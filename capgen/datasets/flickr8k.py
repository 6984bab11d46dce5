"""Flickr8k as distributed: ``Flickr8k.token.txt`` (``image#k<TAB>caption``) and three lists of the official split."""

from pathlib import Path

from capgen.datasets.layout import Layout, Problem, Reading, Row, image_folders, lines
from capgen.errors import DataError

TOKENS = "Flickr8k.token.txt"
SPLIT_FILES = {"train": "Flickr_8k.trainImages.txt", "dev": "Flickr_8k.devImages.txt", "test": "Flickr_8k.testImages.txt"}


def recognise(source: Path) -> str | None:
    """Say why ``source`` is this layout, or ``None``."""
    path = _tokens(source)
    return f"there is {path.name}" if path else None


def read(source: Path) -> Reading:
    """Read ``source``, its folder or its token file."""
    path = _tokens(source)
    if path is None:
        raise DataError(f"there is no {TOKENS} in {source}")
    splits: dict[str, str] = {}
    problems: list[Problem] = []
    for split, name in SPLIT_FILES.items():
        if (listing := path.parent / name).is_file():
            for place, image in lines(listing):
                if (other := splits.get(image.strip())) is not None:
                    # the lists come in the order train, dev, test: what is tested on must not be trained on
                    problems.append(Problem("image in two splits", place, f"kept in {split}, not {other}"))
                splits[image.strip()] = split
    captions: dict[str, list[str]] = {image: [] for image in splits}
    for place, line in lines(path):
        key, tab, caption = line.partition("\t")
        image, hash_mark, _ = key.rpartition("#")
        if not tab or not hash_mark:
            problems.append(Problem("malformed row", place, "it is not image#number<TAB>caption"))
            continue
        captions.setdefault(image, []).append(caption)
    rows = [Row(image, tuple(texts), splits.get(image, "unused") if splits else None) for image, texts in captions.items()]
    return Reading(rows, image_folders(path.parent), problems)


def _tokens(source: Path) -> Path | None:
    if source.is_file():
        return source if source.name.endswith("token.txt") else None
    return next((p for p in (source / TOKENS, source / "Flickr8k_text" / TOKENS) if p.is_file()), None)


LAYOUT = Layout("flickr8k", recognise, read)
