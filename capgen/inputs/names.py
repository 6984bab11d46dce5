"""Names with accents: composed (one character) or decomposed (a letter and its accent), they are the same to people.

Linux, Windows and most programs write the first form, and Macs and what they pack often the second. Most file systems take
the two for two names, so a list from one machine may not name the files of another.
"""

import os
import unicodedata
from pathlib import Path


def composed(name: str) -> str:
    """Return a name in its composed form (NFC), in which names are compared."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def folded(name: str) -> str:
    """Return a name as file systems compare it that care neither about case nor about how accents are composed."""
    return name.lower() if name.isascii() else composed(name).casefold()


def on_disk(path: Path) -> Path:
    """Return a path as its files and folders are spelled on the disk, if it differs from that in the form of accents only.

    Returns:
        The path as it is given, if it exists or there is nothing of these names in the other form either.
    """
    if str(path).isascii() or os.path.lexists(path):
        return path
    found = Path(path.anchor)
    for name in path.relative_to(path.anchor).parts:
        spelling = name if os.path.lexists(found / name) else _spelling(found, composed(name))
        if spelling is None:
            return path
        found /= spelling
    return found


def _spelling(folder: Path, name: str) -> str | None:
    """Return the first name in a folder whose composed form is ``name``."""
    try:
        return min((entry for entry in os.listdir(folder) if composed(entry) == name), default=None)  # noqa: PTH208
    except OSError:
        return None
