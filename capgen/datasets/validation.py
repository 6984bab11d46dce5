"""From loaded sources to the images of a data set: found, hashed, decoded once, given a split; what is left out is reported.

``validate`` takes sources as ``capgen.datasets.read`` loads them and returns a ``ValidationReport``.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from capgen import images
from capgen.captioner.vocabulary import words
from capgen.datasets.layout import UNUSED, Example, LoadedDataset, Problem
from capgen.datasets.prepared import SPLITS, PreparedImage
from capgen.errors import ImageError, Status
from capgen.storage.pipeline import map_ahead

HELD_OUT_SHARE = 0.1
"""The share of the images that goes to each of dev and test where the source has no splits."""

HELD_OUT_LIMIT = 5000
"""The most images that go to each of them; more would only make evaluation slower."""


@dataclass
class ValidationReport:
    """What can be used of the sources, and what was left out.

    Attributes:
        images: One for each content of an image file.
        problems: All that was left out, in the order in which it was found.
        has_random_split: Whether some of the images were split at random, because their source has no splits.
    """

    images: list[PreparedImage] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    has_random_split: bool = False


@dataclass(frozen=True)
class LoadedSource:
    """A source as loaded, and what of it goes into a data set.

    Attributes:
        dataset: The source as loaded.
        weight: How often its images are seen in an epoch of training, on average.
        domain: The name of the domain that its captions are from; empty for the target domain.
        train_only: Whether its images only train: its train split, or all of it if it has no splits.
        excluded: The names of images that are not used.
    """

    dataset: LoadedDataset
    weight: float = 1.0
    domain: str = ""
    train_only: bool = False
    excluded: frozenset[str] = frozenset()

    def takes(self, example: Example) -> bool:
        """Tell whether an example of the source is used at all."""
        held_out = self.train_only and example.split not in (None, "train")
        return not held_out and Path(example.image).name not in self.excluded


@dataclass
class _Candidate:
    """An image file that was found, with all of its captions, before it is read."""

    path: Path
    captions: list[str]
    split: str | None
    source: LoadedSource


def validate(
    sources: Sequence[LoadedSource],
    *,
    seed: int = 0,
    workers: int = 2,
    is_known: Callable[[str], bool] = lambda image_hash: False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> ValidationReport:
    """Check every image and every caption of the sources.

    Args:
        sources: The sources as loaded.
        seed: Decides the split where a source has none.
        workers: The number of threads that read and decode images.
        is_known: Tells of a content hash whether that image has been decoded before, so that it need not be again.
        on_progress: Called with the number of images checked, and of all images.
    """
    report = ValidationReport()
    candidates = [candidate for source in sources for candidate in _find_images(source, report.problems)]
    kept: dict[str, PreparedImage] = {}
    checked = map_ahead(lambda candidate: _check(candidate.path, is_known), candidates, workers)
    for done, (candidate, outcome) in enumerate(checked, 1):
        on_progress(done, len(candidates))
        if isinstance(outcome, ImageError):
            report.problems.append(Problem("unreadable image", str(candidate.path), str(outcome)))
            continue
        image = _prepared_image(candidate, outcome)
        first = kept.setdefault(outcome, image)
        if first is not image:
            kept[outcome] = _choose_duplicate(first, image, report.problems)
    report.images, report.has_random_split = _with_splits(list(kept.values()), seed)
    return report


def locate(image: str, folders: Sequence[Path], *, by_name: bool = True) -> Path | None:
    """Find the file of an image.

    Args:
        image: The name or the path that the source gives.
        folders: Where it may lie; the whole path in any of them goes before the bare name.
        by_name: Whether the bare name will do, too.
    """
    for name in dict.fromkeys((image, Path(image).name) if by_name else (image,)):
        for folder in folders:
            try:
                if (folder / name).is_file():
                    return folder / name
            except (OSError, ValueError):  # a name that no file can have
                return None
    return None


def _check(path: Path, is_known: Callable[[str], bool]) -> str | ImageError:
    """Return the content hash of an image, or the error if it cannot be read."""
    try:
        data = path.read_bytes()
        image_hash = hashlib.sha256(data).hexdigest()
        if not is_known(image_hash):
            images.read(data, images.Preprocessing())
    except ImageError as error:
        return error
    except OSError as error:
        return ImageError(Status.DENIED, error.strerror or str(error))
    return image_hash


def _find_images(source: LoadedSource, problems: list[Problem]) -> list[_Candidate]:
    """Find the image files of a source, and join the examples of one file; what is left out is added to ``problems``."""
    dataset = source.dataset
    problems += dataset.problems
    name_counts = Counter(Path(image).name for image in {example.image for example in dataset.examples})
    candidates: dict[str, _Candidate] = {}
    for example in filter(source.takes, dataset.examples):
        captions = [caption for caption in example.captions if words(caption)]
        problems += [Problem("empty caption", example.image)] * (len(example.captions) - len(captions))
        path = locate(example.image, dataset.image_folders, by_name=name_counts[Path(example.image).name] == 1)
        if path is None:
            kind = "missing image" if example.split != UNUSED else "caption without an image"
            problems.append(Problem(kind, example.image, f"not in {dataset.image_folders[0]}"))
        elif not example.captions:
            problems.append(Problem("image without a caption", example.image))
        elif example.split == UNUSED:
            problems.append(Problem("image in no split", example.image))
        elif captions:
            candidate = candidates.setdefault(str(path), _Candidate(path, [], example.split, source))
            _join(candidate, example, captions, problems)
    return list(candidates.values())


def _join(candidate: _Candidate, example: Example, captions: list[str], problems: list[Problem]) -> None:
    """Add the captions of another example of the same file."""
    if candidate.split != example.split:
        candidate.split, other = _by_protection(candidate.split, example.split)
        detail = f"kept in {candidate.split}, not {other or 'none'}"
        problems.append(Problem("image in two splits", example.image, detail))
    candidate.captions += captions


def _prepared_image(candidate: _Candidate, image_hash: str) -> PreparedImage:
    source = candidate.source
    return PreparedImage(
        path=str(candidate.path.resolve()),
        image_hash=image_hash,
        split=candidate.split or ("train" if source.train_only else ""),
        captions=tuple(candidate.captions),
        weight=source.weight,
        domain=source.domain,
    )


def _choose_duplicate(first: PreparedImage, second: PreparedImage, problems: list[Problem]) -> PreparedImage:
    """Of two files with the same content, keep the one in the split that must stay whole: test, then dev, then train."""
    kept, dropped = (second, first) if _by_protection(first.split, second.split)[0] != first.split else (first, second)
    detail = f"the same as {Path(kept.path).name}"
    if first.split == second.split:
        problems.append(Problem("duplicate image", Path(dropped.path).name, detail))
    else:
        detail += f", kept in {kept.split or 'no split'}"
        problems.append(Problem("image in two splits", Path(dropped.path).name, detail))
    return kept


def _by_protection(first: str | None, second: str | None) -> tuple[str | None, str | None]:
    """Order two splits, the one first that an image must stay in.

    An image of test must be used neither for training nor for choosing a model, an image of dev not for training.
    """
    rank = {split: index for index, split in enumerate((None, "", *SPLITS))}
    return (first, second) if rank[first] >= rank[second] else (second, first)


def _with_splits(images: list[PreparedImage], seed: int) -> tuple[list[PreparedImage], bool]:
    """Give each image without a split one at random; return all images, and whether there were any without.

    The order that decides is a hash of the seed and of each image's content, so that further images move few of the others.
    """
    without = [image for image in images if not image.split]
    without.sort(key=lambda image: hashlib.sha256(f"{seed}:{image.image_hash}".encode()).digest())
    held_out = min(HELD_OUT_LIMIT, round(HELD_OUT_SHARE * len(without))) or int(len(without) >= len(SPLITS))
    splits = {
        image.image_hash: "dev" if index < held_out else "test" if index < 2 * held_out else "train"
        for index, image in enumerate(without)
    }
    return [replace(image, split=splits.get(image.image_hash, image.split)) for image in images], bool(without)
