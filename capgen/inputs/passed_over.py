"""What is passed over in folders: its kinds, recognised by names, and how much there was of each.

Beside people's photographs lies what cameras, editors, file systems and copying programs leave: backups, partial
downloads, previews, recycle bins. Many of these files look like images, but people do not want them captioned.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator
from enum import StrEnum

from capgen.inputs.path_pairs import PathPairs
from capgen.storage.hashing import HashSet, hash64
from capgen.storage.locations import Location, located

_SYSTEM_NAMES = frozenset({
    "__macosx", "desktop.ini", "thumbs.db", "ehthumbs.db", "$recycle.bin", "recycler", "recycled",
    "system volume information", "found.000", "lost+found", "lost.dir", "@eadir", "@recycle", "@recently-snapshot", "@tmp",
    "#recycle", "#snapshot", "network trash folder", "temporary items", "ipod photo cache", "files_trashbin",
})  # fmt: skip
"""What operating systems and storage devices keep for themselves in folders of people, in lower case."""

_PROGRAM_ENDINGS = (
    ".photoslibrary", ".photolibrary", ".migratedphotolibrary", ".aplibrary", ".lrdata", ".lrcat-data",
)  # fmt: skip
"""How the names of folders end in which programs keep photographs and previews in a way of their own."""

_UNFINISHED_ENDINGS = (
    ".part", ".partial", ".crdownload", ".download", ".opdownload", ".filepart", ".incomplete", ".tmp", ".temp",
    ".!qb", ".!ut", ".!bt", ".ut!", ".bc!", "_exiftool_tmp",
)  # fmt: skip
"""How the names of files end that are being copied or written, or were never finished."""

_BACKUP = re.compile(r"\.\w{2,5}(_original|~)$|\.(bak|orig)$", re.IGNORECASE)
"""The end of the names of what exiftool (``photo.jpg_original``) and editors keep of a file that they have changed."""


class PassedOver(StrEnum):
    """Kinds of files and folders that are passed over; the values are the nouns of which a summary says how many."""

    HIDDEN = "hidden name"
    """Its name begins with a dot."""

    SYSTEM = "system folder"
    """A system, a device or a program keeps it for itself."""

    MARKED = "ignored folder"
    """A file in it says that programs should not look for photographs there."""

    BACKUP = "backup"
    """Another program keeps it of a file that it has changed."""

    UNFINISHED = "unfinished file"
    """It is a part of a download, or what another program was writing."""

    THUMBNAIL = "video thumbnail"
    """A camera has written it beside a video."""

    EXCLUDED = "excluded name"
    """``Selection.include`` or ``Selection.exclude`` leaves it out."""

    LINK = "link"
    """It leads out of the folder, or to nothing."""

    FOLDER = "folder"
    """Only the folder around it was asked for."""

    OTHER = "other file"
    """It neither ends nor begins like an image of a format that is read."""


_KINDS = 10
"""The number of kinds that are named in a line: files that are numbered by their endings may have thousands."""

_REMEDIES: dict[str, str] = {
    PassedOver.HIDDEN: "`hidden=True`",
    PassedOver.LINK: "`follow_links=True`",
    PassedOver.FOLDER: "`recursive=True`",
}
"""The fields of ``Selection`` that take what people most often miss."""


def kind_of_name(name: str) -> PassedOver | None:
    """Return the kind for which a file or a folder is passed over by its name; ``None`` if it is not."""
    lower = name.lower()
    if lower in _SYSTEM_NAMES or lower.endswith(_PROGRAM_ENDINGS):
        return PassedOver.SYSTEM
    if name.startswith("."):
        return PassedOver.HIDDEN
    if lower.endswith(".thm"):
        return PassedOver.THUMBNAIL
    if lower.endswith(_UNFINISHED_ENDINGS) or lower.startswith("~syncthing~"):
        return PassedOver.UNFINISHED
    return PassedOver.BACKUP if lower.endswith(("_original", "~", ".bak", ".orig")) and _BACKUP.search(name) else None


def is_hidden(name: str) -> bool:
    """Return whether a file or a folder is passed over for its name unless hidden ones are asked for."""
    return kind_of_name(name) is not None


class PassedOverLog:
    """What was passed over while images were looked for, each file and folder once, and how much of each kind."""

    def __init__(self) -> None:
        self._pairs, self._seen = PathPairs(), HashSet()
        self._counts: Counter[str] = Counter()

    def add(self, location: Location, kind: PassedOver) -> None:
        """Take down a file or a folder."""
        if not self._seen.add(hash64(os.path.abspath(str(location)))):  # noqa: PTH100 - links are not resolved
            return
        self._pairs.add(str(location), kind)
        ending = location.suffix.lower() if kind is PassedOver.OTHER else ""
        self._counts[f"{ending} file" if ending else kind] += 1

    def __len__(self) -> int:
        """How many files and folders were passed over."""
        return len(self._pairs)

    def __iter__(self) -> Iterator[tuple[Location, PassedOver]]:
        """Yield them and their kinds, in the order in which they were found. There can be only one iteration at a time."""
        return ((located(path), PassedOver(kind)) for path, kind in self._pairs)

    def __str__(self) -> str:
        """Say how much there was of each kind, such as ``3 hidden files, 1 backup, 1 .mov file``."""
        counts = self._counts.most_common()
        named = [_counted(kind, count) for kind, count in counts[:_KINDS]]
        others = sum(count for _, count in counts[_KINDS:])
        return ", ".join([*named, *([f"{others:,} others"] if others else [])])


def _counted(kind: str, count: int) -> str:
    remedy = f" ({_REMEDIES[kind]})" if kind in _REMEDIES else ""
    return f"{count:,} {kind}{'' if count == 1 else 's'}{remedy}"
