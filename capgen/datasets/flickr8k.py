"""Flickr8k as distributed: a file of ``image#k<TAB>caption``, and lists of its splits; Flickr30k in its first form."""

from pathlib import Path

from capgen.datasets.layout import MALFORMED, UNUSED, Example, Layout, LoadedDataset, Problem
from capgen.datasets.source_folders import image_folders
from capgen.datasets.splits import read_split_lists
from capgen.datasets.text_files import lines
from capgen.errors import DataError
from capgen.storage.files import is_file

TOKENS = "Flickr8k.token.txt"
TOKENS_OF_FLICKR30K = "results_20130124.token"
SPLIT_FILES = {"train": "Flickr_8k.trainImages.txt", "dev": "Flickr_8k.devImages.txt", "test": "Flickr_8k.testImages.txt"}


def recognise(source: Path) -> str | None:
    """Say why ``source`` is in this layout, or return ``None``."""
    path = _find(source)
    return f"there is {path.name}" if path else None


def read(source: Path) -> LoadedDataset:
    """Read the token file, or the folder that holds it; the lists of the splits lie beside it.

    Raises:
        DataError: There is no such file, or a file is not UTF-8 text.
    """
    path = _find(source)
    if path is None:
        raise DataError(f"there is no {TOKENS} in {source}")
    problems: list[Problem] = []
    splits = read_split_lists(path.parent, SPLIT_FILES, problems)
    captions: dict[str, list[str]] = {image: [] for image in splits}
    for where, line in lines(path):
        key, tab, caption = line.partition("\t")
        image, hash_mark, _ = key.rpartition("#")
        if not tab or not hash_mark or "\t" in caption:  # two tabs: two rows without a line end between them
            problems.append(Problem(MALFORMED, where, "it is not image#number<TAB>caption"))
            continue
        captions.setdefault(image, []).append(caption)
    examples = [
        Example(image, tuple(texts), splits.get(image, UNUSED) if splits else None) for image, texts in captions.items()
    ]
    return LoadedDataset(examples, image_folders(path.parent), problems)


def _find(source: Path) -> Path | None:
    if is_file(source):
        return source if source.name.endswith(("token.txt", ".token")) else None
    candidates = (source / TOKENS, source / "Flickr8k_text" / TOKENS, source / TOKENS_OF_FLICKR30K)
    return next((path for path in candidates if is_file(path)), None)


LAYOUT = Layout("flickr8k", recognise, read)
