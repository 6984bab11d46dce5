"""The captioners at hand by name: those inside the package and those of this user, and which is the default."""

import os
from pathlib import Path

from capgen.captioner.container import DESCRIPTION, SUFFIX
from capgen.errors import BundleError, UnknownNameError
from capgen.storage import paths

SHIPPED = Path(__file__).parents[1] / "models"
"""Where the captioners inside the package lie."""

DEFAULT = "photo-en-v1"
"""The captioner used when none is named and the user chose no other."""

ALIASES = {"everyday": "photo-en-v1"}
"""Earlier names of the captioners inside the package; a captioner of the user's own that has such a name goes before."""


def find(model: str | Path | None) -> Path:
    """Return the folder or the file of a captioner.

    Args:
        model: A path, the name of one in the data folder or of one that ships, or ``None`` for the default.

    Raises:
        UnknownNameError: There is none; the message offers the nearest.
        BundleError: There is nothing at the path, or the captioner chosen as the default has gone.
    """
    if model is None:
        return _default()
    name = str(model)
    given = Path(os.path.expanduser(name))  # noqa: PTH111 - Path.expanduser raises for unknown users
    if os.sep in name or given.suffix == SUFFIX or _exists(given / DESCRIPTION):
        if not _exists(given):
            raise BundleError(f"there is no captioner at {given}")
        return given
    if folder := _named(name):
        return folder
    raise UnknownNameError("captioner", name, names())


def shipped(name: str) -> Path | None:
    """Return the folder of a captioner inside the package by its name or an earlier one; ``None`` if there is none."""
    folder = SHIPPED / ALIASES.get(name, name)
    return folder if _exists(folder / DESCRIPTION) else None


def _named(name: str) -> Path | None:
    own = paths.models_dir() / name
    return own if _exists(own / DESCRIPTION) else shipped(name)


def _default() -> Path:
    name = chosen()
    if name is None:
        return SHIPPED / DEFAULT
    if folder := _named(name):
        return folder
    raise BundleError(
        f"{name!r}, the captioner chosen as the default, is not there any more;"
        " go back to the one that ships with: capgen models default --reset"
    )


def chosen() -> str | None:
    """Return the name of the captioner that this user chose as the default, ``None`` if there is no choice.

    Raises:
        BundleError: What was written down cannot be read, or is not a name.
    """
    file = paths.default_file()
    try:
        name = file.read_text().removesuffix("\n")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError):
        name = ""
    if not paths.NAME.fullmatch(name):
        raise BundleError(f"{file} does not name a captioner; go back to the one that ships: capgen models default --reset")
    return name


def names() -> list[str]:
    """Return the names of all captioners at hand."""
    descriptions = (file for folder in (paths.models_dir(), SHIPPED) for file in folder.glob(f"*/{DESCRIPTION}"))
    return sorted({file.parent.name for file in descriptions})


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that no file can have
        return False
