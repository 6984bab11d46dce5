"""What a job would write, and whether two things that it writes would be one file."""

import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from capgen.errors import UsageError
from capgen.images.formats import is_image_file
from capgen.inputs.archives import is_archive
from capgen.inputs.listing import Listing
from capgen.outputs.destination import Destination
from capgen.storage.hashing import hash64
from capgen.storage.locations import Location, Url

_NAMED = 3
"""The number of collisions that are named; the others are only counted."""


@dataclass(frozen=True)
class PlannedImage:
    """What would become of an image; ``str`` says it in one line.

    Attributes:
        path: The image.
        targets: The files that its caption would be written to.
        kept: The files that would be left as they are, each with the reason.
    """

    path: Location
    targets: tuple[Path, ...]
    kept: tuple[str, ...]

    def __str__(self) -> str:
        if not isinstance(self.path, Url) and not os.path.isfile(self.path):  # noqa: PTH113 - Path.is_file raises for a name that is too long
            return f"{self.path}: would fail: it is not a file, or does not exist"
        what = f"would write {', '.join(map(str, self.targets))}" if self.targets else ""
        left = f"left as it is: {'; '.join(self.kept)}" if self.kept else ""
        return f"{self.path}: {'; '.join(filter(None, (what, left))) or 'would be captioned'}"


def check_targets(listing: Listing, destinations: Sequence[Destination], files: Sequence[Path]) -> None:
    """Make sure that nothing that will be written replaces another output or an image.

    Args:
        listing: The images.
        destinations: What is written for each image.
        files: The files that are written besides, each for all images.

    Raises:
        UsageError: Two images want the same file, or a file is an image; it is named.
    """
    if not destinations and not files:
        return
    written = _check_files(listing, files)
    for destination in destinations:
        written.extend(_hash(target) for path, target in _targets(listing, destination) if target != path)
    images = np.array(array("Q", (_hash(found.path) for found in listing)), np.uint64)
    values, counts = np.unique(np.array(written, np.uint64), return_counts=True)
    taken = {*values[counts > 1].tolist(), *np.intersect1d(values, images).tolist()}
    if taken:
        raise UsageError(_collisions(listing, destinations, taken))


def check_names(listing: Listing, file: Path, name: Callable[[Location], object]) -> None:
    """Make sure that a file which does not call images by their paths can hold the captions of all of them.

    Args:
        listing: The images. Archives among them are passed over: what they hold is known only when they are read.
        file: The file.
        name: What the file calls an image.

    Raises:
        UsageError: It calls two images the same.
    """
    images = (found.path for found in listing if not is_archive(found.path))
    hashes = np.array(array("Q", (hash64(str(name(path))) for path in images)), np.uint64)
    values, counts = np.unique(hashes, return_counts=True)
    twice = set(values[counts > 1].tolist())
    if not twice:
        return
    same: dict[str, list[str]] = {}
    for found in listing:
        if not is_archive(found.path) and hash64(str(name(found.path))) in twice:
            same.setdefault(str(name(found.path)), []).append(str(found.path))
    called, paths = next(iter(same.items()))
    more = f", and {len(same) - 1:,} more" if len(same) > 1 else ""
    raise UsageError(
        f"{' and '.join(paths[:2])} would both be called {called} in {file}{more}; use a .jsonl file, which has whole paths"
    )


def _check_files(listing: Listing, files: Sequence[Path]) -> "array[int]":
    """Return the hashes of the files that are written besides, after making sure that they are not images."""
    for path in files:
        if is_image_file(path):
            raise UsageError(f"{path} is an image, which would be lost; name another file to write to")
    hashes = array("Q", map(_hash, files))
    if len(set(hashes)) < len(files):
        raise UsageError(f"--output and --report name the same file, {files[0]}; choose two")
    taken = set(hashes).intersection(_hash(found.path) for found in listing)
    if taken:
        path = next(path for path in files if _hash(path) in taken)
        raise UsageError(f"{path} is one of the photographs; choose another file to write to")
    return hashes


def _targets(listing: Listing, destination: Destination) -> Iterator[tuple[Location, Path]]:
    for found in listing:
        yield found.path, destination.target(*found.local())


def _hash(location: Location) -> int:
    return hash64(location.absolute() if isinstance(location, Path) else location)


def _collisions(listing: Listing, destinations: Sequence[Destination], taken: set[int]) -> str:
    """Say which images want the same file, or one that is something else already."""
    wanting: dict[int, list[Location]] = {}
    files: dict[int, Path] = {}
    for destination in destinations:
        for path, target in _targets(listing, destination):
            target_hash = _hash(target)
            if target != path and target_hash in taken and (target_hash in wanting or len(wanting) < _NAMED):
                wanting.setdefault(target_hash, []).append(path)
                files[target_hash] = target
    named = "; ".join(
        f"{' and '.join(map(str, paths))} would share {files[target_hash]}"
        if len(paths) > 1
        else f"the sidecar of {paths[0]} would be {files[target_hash]}, which is something else's"
        for target_hash, paths in wanting.items()
    )
    more = f"; and {len(taken) - len(wanting)} more" if len(taken) > len(wanting) else ""
    return f"nothing was written: {named}{more}; rename some, leave some out with --exclude, or use --output with jsonl"
