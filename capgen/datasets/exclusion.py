"""``excluded_images``: the images that a person lists to be left out, such as those that another captioner is tested on."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from capgen.datasets.image_locator import comparable
from capgen.datasets.layout import Example

Parts = tuple[str, ...]


def excluded_images(names: Iterable[str], examples: Iterable[Example]) -> dict[str, set[Parts]]:
    """Return the images that each of some names stands for, as ``path_parts`` of their examples.

    A bare name stands for every image that is called so, and a path for the images whose path agrees with it as far as both
    go. Where there is none, as for a path of another machine, it stands for the only image of that bare name.

    Args:
        names: Names or paths of images.
        examples: All examples that may be meant.
    """
    by_bare_name: dict[str, set[Parts]] = {}
    for parts in map(path_parts, examples):
        by_bare_name.setdefault("".join(parts[-1:]), set()).add(parts)
    return {name: _meant(_parts(name), by_bare_name) for name in names}


def path_parts(example: Example) -> Parts:
    """Return the parts of the path of an example's image, as they are compared."""
    return _parts(str(example.folder / example.image) if example.folder else example.image)


def _meant(listed: Parts, by_bare_name: Mapping[str, set[Parts]]) -> set[Parts]:
    called_so = by_bare_name.get("".join(listed[-1:]), set())
    agreeing = {parts for parts in called_so if _agree(listed, parts)}
    return agreeing or (called_so if len(called_so) == 1 else set())


def _agree(one: Sequence[str], other: Sequence[str]) -> bool:
    return all(first == second for first, second in zip(reversed(one), reversed(other), strict=False))


def _parts(name: str) -> Parts:
    return tuple(part for part in PurePosixPath(comparable(name)).parts if part != "/")
