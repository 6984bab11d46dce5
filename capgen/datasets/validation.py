"""From loaded sources to the images of a data set: found, hashed, decoded once, given a split; what is left out is reported.

``validate`` takes sources as ``capgen.datasets.read`` loads them and returns a ``ValidationReport``.
"""

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from capgen import images
from capgen.captioner.vocabulary import words
from capgen.datasets.exclusion import excluded_images, path_parts
from capgen.datasets.image_locator import MISSING, ImageLocator
from capgen.datasets.layout import UNUSED, Example, LoadedDataset, Problem, problem_of
from capgen.datasets.prepared import SPLITS, PreparedImage
from capgen.errors import ImageError, Status, os_reason
from capgen.storage.pipeline import map_ahead

AS_ASKED = "left out as asked"
"""Problem kind: an image that is left out because a person named it."""

HELD_OUT_SHARE = 0.1
"""The share of the images that goes to each of dev and test where the source has no splits."""

HELD_OUT_LIMIT = 5000
"""The most images that go to each of them; more would only make evaluation slower."""


@dataclass
class ValidationReport:
    """What can be used of the sources, and what was left out.

    Attributes:
        images: One for each content of an image file.
        problems: All that was left out or joined, in the order in which it was found.
        random_splits: The splits that images were put into at random: all of them where images have no split, and dev
            alone where the sources have no dev split.
        without_split: The number of images that had no split.
    """

    images: list[PreparedImage] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    random_splits: tuple[str, ...] = ()
    without_split: int = 0


@dataclass(frozen=True)
class LoadedSource:
    """A source as loaded, and what of it goes into a data set.

    Attributes:
        dataset: The source as loaded.
        weight: How often its images are seen in an epoch of training, on average.
        domain: The name of the domain that its captions are from; empty for the target domain.
        train_only: Whether its images only train: its train split, or all of it if it has no splits.
    """

    dataset: LoadedDataset
    weight: float = 1.0
    domain: str = ""
    train_only: bool = False

    def takes(self, example: Example) -> bool:
        """Tell whether an example of the source is used at all."""
        return not self.train_only or example.split in (None, "train")


@dataclass(eq=False)
class _Candidate:
    """An image file that was found, with all of its captions.

    Attributes:
        path: The file, under the name that the source has for it.
        captions: The captions of all of its rows.
        split: The name of a split; empty if it has none yet.
        source: The first source that it is in.
        image_hash: The SHA-256 of its bytes; empty until it was read.
    """

    path: Path
    captions: list[str]
    split: str
    source: LoadedSource
    image_hash: str = ""


def validate(
    sources: Sequence[LoadedSource],
    *,
    seed: int = 0,
    workers: int = 2,
    is_known: Callable[[str], bool] = lambda image_hash: False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    excluded: Collection[str] = (),
) -> ValidationReport:
    """Check every image and every caption of the sources.

    Args:
        sources: The sources as loaded.
        seed: Decides the splits that are chosen at random.
        workers: The number of threads that read and decode images.
        is_known: Tells of a content hash whether that image has been decoded before, so that it need not be again.
        on_progress: Called with the number of images checked, and of all images.
        excluded: The names or paths of images that are not used, whatever source they are in.
    """
    report = ValidationReport()
    sources = _without(excluded, sources, report.problems)
    candidates = [candidate for source in sources for candidate in _find_images(source, report.problems)]
    kept: dict[str, _Candidate] = {}
    checked = map_ahead(lambda candidate: _check(candidate.path, is_known), candidates, workers)
    for done, (candidate, outcome) in enumerate(checked, 1):
        on_progress(done, len(candidates))
        if isinstance(outcome, ImageError):
            report.problems.append(Problem("unreadable image", str(candidate.path), str(outcome)))
            continue
        candidate.image_hash = outcome
        first = kept.setdefault(outcome, candidate)
        if first is not candidate:
            kept[outcome] = _join_duplicate(first, candidate, report.problems)
    report.without_split = sum(not candidate.split for candidate in kept.values())
    report.random_splits = _split_at_random(list(kept.values()), seed)
    report.images = [_prepared_image(candidate) for candidate in kept.values()]
    return report


def _without(excluded: Collection[str], sources: Sequence[LoadedSource], problems: list[Problem]) -> Sequence[LoadedSource]:
    """Return sources without the images that are named; these, and names without an image, are added to ``problems``."""
    if not excluded:
        return sources
    meant = excluded_images(excluded, (example for source in sources for example in source.dataset.examples))
    left_out = set[tuple[str, ...]]().union(*meant.values())
    remaining = []
    for source in sources:
        examples = source.dataset.examples
        problems += [problem_of(example, AS_ASKED) for example in examples if path_parts(example) in left_out]
        kept = [example for example in examples if path_parts(example) not in left_out]
        remaining.append(replace(source, dataset=replace(source.dataset, examples=kept)))
    problems += [Problem("name to leave out that no image has", name) for name in excluded if not meant[name]]
    return remaining


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
        return ImageError(Status.DENIED, os_reason(error))
    return image_hash


def _find_images(source: LoadedSource, problems: list[Problem]) -> list[_Candidate]:
    """Find the image files of a source, and join the examples of one file; what is left out is added to ``problems``."""
    dataset = source.dataset
    problems += dataset.problems
    locator = ImageLocator(dataset)
    candidates: dict[Path, _Candidate] = {}
    for example in filter(source.takes, dataset.examples):
        captions = [caption for caption in example.captions if words(caption)]
        problems += [problem_of(example, "empty caption")] * (len(example.captions) - len(captions))
        path = locator.locate(example)
        if isinstance(path, Problem):
            is_stray = path.kind == MISSING and example.split == UNUSED
            problems.append(problem_of(example, "caption without an image" if is_stray else path.kind, path.detail))
        elif not example.captions:
            problems.append(problem_of(example, "image without a caption"))
        elif example.split == UNUSED:
            problems.append(problem_of(example, "image in no split"))
        elif captions:
            split = example.split or ("train" if source.train_only else "")
            candidate = candidates.setdefault(path, _Candidate(path, [], split, source))
            _join_row(candidate, split, captions, problems)
    return list(candidates.values())


def _join_row(candidate: _Candidate, split: str, captions: list[str], problems: list[Problem]) -> None:
    """Add the captions of another row of the same file."""
    if candidate.split != split:
        candidate.split, other = sorted((candidate.split, split), key=_protection, reverse=True)
        detail = f"kept in {candidate.split}, not {other or 'none'}"
        problems.append(Problem("image in two splits", str(candidate.path), detail))
    candidate.captions += captions


def _join_duplicate(first: _Candidate, second: _Candidate, problems: list[Problem]) -> _Candidate:
    """Keep one of two files with the same content, the one in the split that must stay whole, and join their captions.

    The captions of another source are not joined to an image of another split or domain: those of dev and test are what
    captioners are compared with.
    """
    kept, other = (second, first) if _protection(second.split) > _protection(first.split) else (first, second)
    in_one_split = first.split == second.split
    is_joined = first.source.domain == second.source.domain and (in_one_split or first.source is second.source)
    if is_joined:
        said = set(kept.captions)
        kept.captions += [caption for caption in other.captions if caption not in said]
    kind = f"duplicate image, {'joined' if is_joined else 'left out'}" if in_one_split else "image in two splits"
    detail = f"the same content as {kept.path}" + ("" if in_one_split else f", kept in {kept.split}")
    problems.append(Problem(kind, str(other.path), detail))
    return kept


def _protection(split: str) -> int:
    """Return how strictly an image must stay in a split.

    An image of test must be used neither for training nor for choosing a model, an image of dev not for training.
    """
    return ("", *SPLITS).index(split)


def _prepared_image(candidate: _Candidate) -> PreparedImage:
    source = candidate.source
    return PreparedImage(
        # Links are not followed: in folders of links only they have the names of the images.
        path=str(candidate.path.absolute()),
        image_hash=candidate.image_hash,
        split=candidate.split,
        captions=tuple(candidate.captions),
        weight=source.weight,
        domain=source.domain,
    )


def _split_at_random(candidates: list[_Candidate], seed: int) -> tuple[str, ...]:
    """Give each image without a split one at random, and choose a dev split from train if there is none.

    The order that decides is a hash of the seed and of each image's content, so that further images move few of the others.

    Returns:
        The splits that images were put into at random.
    """
    by_chance = sorted(candidates, key=lambda one: hashlib.sha256(f"{seed}:{one.image_hash}".encode()).digest())
    without = [candidate for candidate in by_chance if not candidate.split]
    _assign_splits(without)
    if any(candidate.split == "dev" and not candidate.source.domain for candidate in candidates):
        return SPLITS if without else ()
    return ("dev",) if _make_dev_from_train(by_chance) else ()


def _assign_splits(candidates: list[_Candidate]) -> None:
    """Give each image a split: the first ones dev, the next ones test, and the rest train."""
    held_out = _held_out_count(len(candidates), len(SPLITS))
    for index, candidate in enumerate(candidates):
        candidate.split = "dev" if index < held_out else "test" if index < 2 * held_out else "train"


def _make_dev_from_train(candidates: list[_Candidate]) -> int:
    """Put the first images of train into dev, but none of those that only train or are from another domain.

    Returns:
        The number of images that are in dev now.
    """
    own = [one for one in candidates if one.split == "train" and not (one.source.train_only or one.source.domain)]
    held_out = _held_out_count(len(own), 2)
    for candidate in own[:held_out]:
        candidate.split = "dev"
    return held_out


def _held_out_count(images: int, splits: int) -> int:
    """Return how many of the images are held out in a split: at least one if each of the splits can have one."""
    return min(HELD_OUT_LIMIT, round(HELD_OUT_SHARE * images)) or int(images >= splits)
