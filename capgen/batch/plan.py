"""What a job would write, and whether two things that it writes would be one file."""

import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np

from capgen.errors import UsageError
from capgen.images.formats import is_image_file
from capgen.inputs.archives import is_archive
from capgen.inputs.listing import Listing
from capgen.inputs.names import folded
from capgen.outputs.destination import Destination
from capgen.outputs.sidecar_naming import share_stem
from capgen.storage import platform
from capgen.storage.files import is_file
from capgen.storage.hashing import hash64
from capgen.storage.locations import Location

_NAMED = 3
"""The number of collisions that are named; the others are only counted."""


@dataclass(frozen=True)
class PlannedImage:
    """What would become of an image; ``str`` says it in one line.

    Attributes:
        path: The image.
        targets: The files that its caption would be written to.
        kept: The files that would be left as they are, each with the reason.
        data: The image, if it is not in a file.
    """

    path: Location
    targets: tuple[Path, ...]
    kept: tuple[str, ...]
    data: bytes | None = field(default=None, repr=False)

    def __str__(self) -> str:
        if self.data is None and isinstance(self.path, Path) and not is_file(self.path):
            return f"{self.path}: would fail: it is not a file, or does not exist"
        what = f"would write {', '.join(map(str, self.targets))}" if self.targets else ""
        left = f"left as it is: {'; '.join(self.kept)}" if self.kept else ""
        return f"{self.path}: {'; '.join(filter(None, (what, left))) or 'would be captioned'}"


def check_targets(listing: Listing, destinations: Sequence[Destination], files: Sequence[Path]) -> frozenset[int]:
    """Make sure that nothing that will be written replaces another output or an image.

    Args:
        listing: The images.
        destinations: What is written for each image.
        files: The files that are written besides, each for all images.

    Returns:
        The ``target_hash`` of each file that images of one stem share.

    Raises:
        UsageError: Two other images want the same file, or a file is an image; it is named.
    """
    if not destinations and not files:
        return frozenset()
    hashes, written = array("Q"), _check_files(files)
    for found in listing:
        hashes.append(target_hash(found.path))
        targets = (destination.target(*found.local()) for destination in destinations)
        written.extend(target_hash(target) for target in targets if target != found.path)
    images = np.array(hashes, np.uint64)
    for path in files:
        if target_hash(path) in images:
            raise UsageError(f"{path} is one of the photographs; choose another file to write to")
    values, counts = np.unique(np.array(written, np.uint64), return_counts=True)
    taken = {*values[counts > 1].tolist(), *np.intersect1d(values, images).tolist()}
    if not taken:
        return frozenset()
    collisions, shared = _collisions(listing, destinations, files, taken)
    if collisions:
        more = f"; and {len(collisions) - _NAMED} more" if len(collisions) > _NAMED else ""
        raise UsageError(
            f"nothing was written: {'; '.join(collisions[:_NAMED])}{more}; rename some, leave some out with `exclude`, "
            "or use `output` with jsonl"
        )
    return frozenset(shared)


def target_hash(location: Location) -> int:
    """Return a hash that is the same for all names that some file system takes for one."""
    if not isinstance(location, Path):
        return hash64(location)
    path = os.fspath(location)
    if not os.path.isabs(path):  # noqa: PTH117 - asked of every file, and paths take much longer
        path = os.path.join(os.getcwd(), path)  # noqa: PTH109, PTH118
    return hash64(folded(path))


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


def _check_files(files: Sequence[Path]) -> "array[int]":
    """Return the hashes of the files that are written besides, after making sure that they are not images."""
    for path in files:
        if is_image_file(path):
            raise UsageError(f"{path} is an image, which would be lost; name another file to write to")
    hashes = array("Q", map(target_hash, files))
    if len(set(hashes)) < len(files):
        raise UsageError(f"`output` and `report` name the same file, {files[0]}; choose two")
    return hashes


def _targets(listing: Listing, destination: Destination) -> Iterator[tuple[Location, Path]]:
    for found in listing:
        yield found.path, destination.target(*found.local())


def _collisions(
    listing: Listing, destinations: Sequence[Destination], files: Sequence[Path], taken: set[int]
) -> tuple[list[str], set[int]]:
    """Say which images want the same file, or one that is something else already, and which share one.

    Returns:
        A text for each file that cannot be written, and the hashes of those that are shared by images of one stem.
    """
    others = _other_files(listing, files, taken)
    collisions, shared = [], set()
    for hashed, targets in _wanting(listing, destinations, taken).items():
        is_one = len(targets) > 1 and platform.takes_for_one(*list(targets)[:2])
        wanted = {next(iter(targets)): list(chain(*targets.values()))} if is_one else targets
        for target, paths in wanted.items():
            if target.absolute() in others:
                collisions.append(f"the sidecar of {paths[0]} would be {target}, which is something else's")
            elif is_one or not all(share_stem(paths[0], path) for path in paths):
                collisions.append(f"{' and '.join(map(str, paths))} would share {target}")
            else:
                shared.add(hashed)
    return collisions, shared


def _other_files(listing: Listing, files: Sequence[Path], taken: set[int]) -> set[Path]:
    """Return the absolute paths of the files that may be wanted by images and are something else already."""
    images = (found.path for found in listing if target_hash(found.path) in taken)
    return {path.absolute() for path in (*files, *images) if isinstance(path, Path)}


def _wanting(listing: Listing, destinations: Sequence[Destination], taken: set[int]) -> dict[int, dict[Path, list[Path]]]:
    """Return, by the hash of each file that is wanted more than once, its names with the images that want them."""
    wanting: dict[int, dict[Path, list[Path]]] = {}
    for destination in destinations:
        for path, target in _targets(listing, destination):
            if target != path and target_hash(target) in taken and isinstance(path, Path):
                wanting.setdefault(target_hash(target), {}).setdefault(target, []).append(path)
    return wanting
