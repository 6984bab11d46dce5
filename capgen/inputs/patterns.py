"""Patterns of file names, as a shell has them, and the rules about names by which files in folders are chosen.

``*`` and ``?`` stand for anything but ``/``, ``[abc]`` for one of its letters, and ``**`` between slashes for any number of
folders. Upper and lower case are the same, as cameras write ``.JPG``, and so are composed and decomposed accents. Brackets
also stand for themselves: ``[2024] *.jpg`` is what it looks like. Paths here are relative, with ``/`` on every system.
"""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache

from capgen.inputs.names import composed
from capgen.inputs.passed_over import PassedOver, kind_of_name


def has_wildcard(text: str) -> bool:
    """Return whether a text may be a pattern."""
    return any(sign in text for sign in "*?[")


@dataclass(frozen=True)
class PathPattern:
    """A pattern of paths below a folder.

    Attributes:
        parts: The pattern, split at its slashes.
        recursive: Whether everything in a folder that matches is accepted as well.
    """

    parts: tuple[str, ...]
    recursive: bool = False

    def accepts(self, path: str) -> bool:
        """Return whether a file matches."""
        names = path.split("/")
        return _matches_beginning(self.parts, names) if self.recursive else _matches(self.parts, names)

    def may_accept_below(self, folder: str) -> bool:
        """Return whether a file in a folder, at any depth, could match."""
        names = folder.split("/")
        return _may_lead_to(self.parts, names) or (self.recursive and _matches_beginning(self.parts, names))


@dataclass(frozen=True)
class NameRules:
    """Which files and folders are looked at, by their paths from the folder that was given.

    Attributes:
        include: Patterns of which a file must match one, if there are any. A pattern without ``/`` is matched with the name,
            one with ``/`` with the whole path.
        exclude: Patterns of which neither a file nor any folder that it is in may match one.
        hidden: Whether names that ``kind_of_name`` passes over are taken, too.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    hidden: bool = False

    def passed_over(self, path: str) -> PassedOver | None:
        """Return the kind for which a file or a folder is passed over, ``None`` if it is not; its own folder is not."""
        kind = None if self.hidden else kind_of_name(path.rpartition("/")[2])
        return PassedOver.EXCLUDED if kind is None and _matches_any(self.exclude, path) else kind

    def passed_over_above(self, path: str) -> PassedOver | None:
        """Return the kind for which a file, or the outermost folder above it, is passed over; ``None`` if none is."""
        names = path.split("/")
        kinds = (self.passed_over("/".join(names[:end])) for end in range(1, len(names) + 1))
        return next(filter(None, kinds), None)

    def include_file(self, path: str) -> bool:
        """Return whether a file matches one of the patterns in ``include``, or there are none."""
        return not self.include or _matches_any(self.include, path)


def _matches_any(patterns: Iterable[str], path: str) -> bool:
    """Match the patterns of ``NameRules``."""
    names = path.split("/")
    return any(_matches(parts, names if whole else names[-1:]) for parts, whole in map(_rule, patterns))


@lru_cache(1024)
def _rule(pattern: str) -> tuple[tuple[str, ...], bool]:
    """Return the parts of a pattern, and whether it is matched with the whole path.

    ``./`` or ``/`` before it and ``/`` after it make no difference to the parts.
    """
    pattern = pattern.replace(os.sep, "/")
    return tuple(part for part in pattern.split("/") if part not in {"", "."}), "/" in pattern.rstrip("/")


def _matches(parts: tuple[str, ...], names: Sequence[str]) -> bool:
    if not parts:
        return not names
    if parts[0] == "**":
        rest = parts[1:] or ("*",)  # at the end it stands for what is in folders, but not for the folder before it
        return any(_matches(rest, names[start:]) for start in range(len(names) + 1))
    return bool(names) and _matches_name(parts[0], names[0]) and _matches(parts[1:], names[1:])


def _matches_beginning(parts: tuple[str, ...], names: Sequence[str]) -> bool:
    """Return whether a path matches, or a folder that it is in."""
    return any(_matches(parts, names[:end]) for end in range(1, len(names) + 1))


def _may_lead_to(parts: tuple[str, ...], names: Sequence[str]) -> bool:
    """Return whether something below the folder with these names could match."""
    if "**" in parts[: len(names) + 1]:
        fixed = parts.index("**")
        return all(map(_matches_name, parts[:fixed], names))
    return len(names) < len(parts) and all(map(_matches_name, parts, names))


def _matches_name(part: str, name: str) -> bool:
    return _compiled(part).match(composed(name)) is not None


@lru_cache(1024)
def _compiled(part: str) -> re.Pattern[str]:
    readings = dict.fromkeys((composed(part), composed(part).replace("[", "[[]")))
    return re.compile("|".join(map(translate, readings)), re.IGNORECASE)
