"""From what was read to what can be used: pictures found, hashed, decoded once, given a split; all else reported."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from capgen import images
from capgen.captioner.vocabulary import words
from capgen.datasets.layout import Problem, Reading, Row
from capgen.datasets.prepared import SPLITS, PreparedPicture
from capgen.errors import ImageError
from capgen.storage.pipeline import map_ahead

HELD_OUT = 0.1
"""Share of the pictures in each of dev and test when the source has no splits."""

HELD_OUT_MOST = 5000
"""Pictures in each of them at most; more would only slow evaluation down."""


@dataclass
class Validated:
    """What can be used, and what was left out.

    Attributes:
        pictures: One an image file.
        problems: All that was left out, in the order in which it was found.
        drawn_split: Whether some of the pictures were split by lot, for want of official splits.
    """

    pictures: list[PreparedPicture] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    drawn_split: bool = False


@dataclass(frozen=True)
class Share:
    """What of a reading goes into a data set, and how.

    Attributes:
        reading: The source as read.
        weight: How often its pictures are seen in an epoch of training.
        style: Name of the way in which its captions are written.
        train_only: Whether its pictures only train: its train split, or all of it if it has no splits.
        left_out: Names of pictures that are not used.
    """

    reading: Reading
    weight: float = 1.0
    style: str = ""
    train_only: bool = False
    left_out: frozenset[str] = frozenset()

    def takes(self, row: Row) -> bool:
        """Whether a row is used at all."""
        elsewhere = self.train_only and row.split not in (None, "train")
        return not elsewhere and Path(row.image).name not in self.left_out


@dataclass
class _Candidate:
    path: Path
    captions: list[str]
    split: str | None
    share: Share


def validate(
    sources: Sequence[Share],
    *,
    seed: int = 0,
    workers: int = 2,
    is_known: Callable[[str], bool] = lambda image_hash: False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Validated:
    """Check everything that was read.

    Args:
        sources: What was read.
        seed: Decides the split where there is none.
        workers: Threads that read and decode.
        is_known: Tells of a content hash whether that image has been decoded before, to save doing it again.
        on_progress: Called with the number of images checked and in all.
    """
    result = Validated()
    candidates = [candidate for share in sources for candidate in _found(share, result.problems)]

    def check(candidate: _Candidate) -> str | ImageError:
        try:
            data = candidate.path.read_bytes()
            image_hash = hashlib.sha256(data).hexdigest()
            if not is_known(image_hash):
                images.read(data, images.Preprocessing())
        except ImageError as error:
            return error
        except OSError as error:
            return ImageError("denied", error.strerror or str(error))
        return image_hash

    pictures: dict[str, PreparedPicture] = {}
    for done, (candidate, checked) in enumerate(map_ahead(check, candidates, workers), 1):
        on_progress(done, len(candidates))
        if isinstance(checked, ImageError):
            result.problems.append(Problem("unreadable image", str(candidate.path), str(checked)))
            continue
        split = candidate.split or ("train" if candidate.share.train_only else "")
        picture = PreparedPicture(
            path=str(candidate.path.resolve()),
            image_hash=checked,
            split=split,
            captions=tuple(candidate.captions),
            weight=candidate.share.weight,
            style=candidate.share.style,
        )
        first = pictures.setdefault(checked, picture)
        if first is not picture:
            pictures[checked] = _kept_duplicate(first, picture, result.problems)
    result.pictures, result.drawn_split = _with_splits(list(pictures.values()), seed)
    return result


def _found(share: Share, problems: list[Problem]) -> list[_Candidate]:
    """Look up the files of a source, join the rows of one picture, and leave empty captions out."""
    reading = share.reading
    problems += reading.problems
    named = Counter(Path(image).name for image in {row.image for row in reading.rows})
    candidates: dict[str, _Candidate] = {}
    for row in filter(share.takes, reading.rows):
        kept = [caption for caption in row.captions if words(caption)]
        problems += [Problem("empty caption", row.image) for caption in row.captions if not words(caption)]
        path = locate(row.image, reading.folders, by_name=named[Path(row.image).name] == 1)
        if path is None:
            kind = "missing image" if row.split != "unused" else "caption without an image"
            problems.append(Problem(kind, row.image, f"not in {reading.folders[0]}"))
        elif not row.captions:
            problems.append(Problem("image without a caption", row.image))
        elif row.split == "unused":
            problems.append(Problem("image in no split", row.image))
        elif kept:
            candidate = candidates.setdefault(str(path), _Candidate(path, [], row.split, share))
            if candidate.split != row.split:
                candidate.split, left = _more_protected(candidate.split, row.split)
                problems.append(
                    Problem("image in two splits", row.image, f"kept in {candidate.split}, not {left or 'none'}")
                )
            candidate.captions += kept
    return list(candidates.values())


def locate(image: str, folders: Sequence[Path], *, by_name: bool = True) -> Path | None:
    """Find the file of a picture as written in a source: below one of the folders, else ``by_name`` alone."""
    for name in dict.fromkeys((image, Path(image).name) if by_name else (image,)):
        for folder in folders:
            try:
                if (folder / name).is_file():
                    return folder / name
            except (OSError, ValueError):  # a name that no file can have
                return None
    return None


def _kept_duplicate(first: PreparedPicture, second: PreparedPicture, problems: list[Problem]) -> PreparedPicture:
    """Of two files with the same content, keep the one in the split that must stay whole: test, then dev, then train."""
    kept, left = (second, first) if _more_protected(first.split, second.split)[0] != first.split else (first, second)
    same = Path(kept.path).name
    if first.split != second.split:
        detail = f"the same as {same}, kept in {kept.split or 'no split'}"
        problems.append(Problem("image in two splits", Path(left.path).name, detail))
    else:
        problems.append(Problem("duplicate image", Path(left.path).name, f"the same as {same}"))
    return kept


def _more_protected(first: str | None, second: str | None) -> tuple[str | None, str | None]:
    """Order two splits: what is in test must not be trained on or chosen by, what is in dev must not be trained on."""
    rank = {split: index for index, split in enumerate((None, "", *SPLITS))}
    return (first, second) if rank[first] >= rank[second] else (second, first)


def _with_splits(pictures: list[PreparedPicture], seed: int) -> tuple[list[PreparedPicture], bool]:
    """Draw a split for the pictures that have none.

    Each picture's lot is a hash of the seed and its content, so that adding pictures moves few of the others.
    """
    without = [picture for picture in pictures if not picture.split]
    without.sort(key=lambda picture: hashlib.sha256(f"{seed}:{picture.image_hash}".encode()).digest())
    held_out = min(HELD_OUT_MOST, round(HELD_OUT * len(without))) or int(len(without) >= len(SPLITS))
    drawn = {
        picture.image_hash: "dev" if index < held_out else "test" if index < 2 * held_out else "train"
        for index, picture in enumerate(without)
    }
    return [replace(p, split=drawn.get(p.image_hash, p.split)) for p in pictures], bool(without)
