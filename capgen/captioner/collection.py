"""The captioners at hand, those that ship and those of this user, and what is done with them.

A captioner of this user is a folder in the data folder, which carries its name. It comes whole or not at all, after every
hash in it was checked; what ships is never touched.
"""

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capgen.captioner import bundle, container
from capgen.captioner.bundle import Bundle, Description
from capgen.errors import BundleError, StorageError, UnknownNameError, UsageError
from capgen.storage import files, paths


@dataclass(frozen=True)
class Entry:
    """A captioner at hand.

    Attributes:
        name: What it is called.
        place: Its folder.
        ships: Whether it is one of those inside the package.
        hidden: Whether it cannot be named, because one of this user has the same name.
        default: Whether it is used when none is named.
        size: Bytes of its files.
        description: What it says of itself, ``None`` if it is damaged.
        fault: What is wrong with it, empty if nothing is.
    """

    name: str
    place: Path
    ships: bool
    hidden: bool
    default: bool
    size: int
    description: Description | None
    fault: str = ""

    def plain(self) -> dict[str, Any]:
        """Return it for JSON."""
        described = self.description
        return {
            "name": self.name,
            "place": str(self.place),
            "ships": self.ships,
            "hidden": self.hidden,
            "default": self.default,
            "size": self.size,
            "encoder": described and described.encoder,
            "decoder": described and described.decoder,
            "training": described and described.training,
            "scores": described and described.scores,
            "fault": self.fault or None,
        }


def entries() -> list[Entry]:
    """List the captioners at hand by name, those that ship first, each after checking every file of it."""
    try:
        default = bundle.find(None)
    except BundleError:
        default = None
    own = yours()
    shipped = sorted(place.parent for place in bundle.SHIPPED.glob(f"*/{bundle.DESCRIPTION}"))
    ships = [_entry(place, True, place.name in own, place == default) for place in shipped]
    return ships + [_entry(place, False, False, place == default) for place in own.values()]


def yours() -> dict[str, Path]:
    """Return the folders of this user's captioners by name, damaged ones among them; nothing in them is read."""
    try:
        places = sorted(paths.models_dir().iterdir())
    except OSError:
        return {}
    return {place.name: place for place in places if not place.name.startswith(".") and _is_captioner(place)}


def export(model: str | Path, file: Path, *, overwrite: bool = False) -> Path:
    """Check a captioner and pack it into one file.

    Args:
        model: A name or a path.
        file: Where to; it ends in ``.capgen``.
        overwrite: Replace a file that is there.

    Returns:
        Where the captioner lies.

    Raises:
        UsageError: There is no such captioner, the file ends otherwise, or is there already.
        BundleError: The captioner is damaged.
        StorageError: The file cannot be written.
    """
    if file.suffix != bundle.SUFFIX:
        raise UsageError(f"{file} does not end in {bundle.SUFFIX}, by which a packed captioner is known; add it")
    place = bundle.find(model)
    if os.path.lexists(file) and not overwrite:
        raise UsageError(f"{file} exists; choose another name, or replace it with --overwrite")
    contents = Bundle(place).contents()
    files.write_with(file, lambda out: container.pack(out, contents))
    return place


def take(source: Path, name: str | None = None, *, overwrite: bool = False) -> Path:
    """Check a captioner, packed or in a folder, and put it into the data folder.

    Args:
        source: The file or the folder.
        name: What it will be called; what it calls itself by default.
        overwrite: Replace one of that name.

    Returns:
        Where it lies now.

    Raises:
        BundleError: It is missing, incomplete, changed, of another version, or nothing that capgen would have written.
        UsageError: It cannot be called so, or one is called so already.
        StorageError: It cannot be written.
    """
    if not os.path.lexists(source):
        raise BundleError(f"there is no captioner at {source}")
    opened = Bundle(source)
    called = opened.description.name if name is None else name
    if not paths.NAME.fullmatch(called):
        raise UsageError(f"{called[:60]!r} cannot be a name; give one with --name, of letters, digits, '.', '_' and '-'")
    place = paths.models_dir() / called
    if _occupied(place):
        raise BundleError(f"{place} exists and is no captioner; it would be lost: choose another name with --name")
    if not overwrite:
        if os.path.lexists(place):
            raise UsageError(
                f"there is a captioner {called!r} already; choose another --name, or replace it with --overwrite"
            )
        if called in _shipped():
            raise UsageError(f"{called!r} ships with capgen; choose another --name, or hide that one with --overwrite")
    contents = opened.contents()
    if place.is_symlink():  # what it leads to is not replaced
        place.unlink()
    files.write_folder(place, contents)
    return place


def own(name: str) -> Path:
    """Return the folder of a captioner of this user, which may be damaged.

    Raises:
        UsageError: There is none of that name, or it is one that ships.
    """
    places = yours()
    if name in places:
        return places[name]
    if name in _shipped():
        raise UsageError(f"{name!r} ships with capgen and stays; only captioners in {paths.models_dir()} are removed")
    raise UnknownNameError("captioner of yours", name, places)


def remove(name: str) -> bool:
    """Remove a captioner of this user; if it was the default, there is no choice any more.

    Only its own files go. Of a link, the link goes and what it leads to stays.

    Returns:
        Whether something else was in its folder, which is left.

    Raises:
        UsageError: There is none of that name, or it is one that ships.
        StorageError: It cannot be removed.
    """
    place = own(name)
    try:
        if is_default(name):
            paths.default_file().unlink(missing_ok=True)
        if place.is_symlink():
            place.unlink()
            return False
        for file in _files(place):
            file.unlink(missing_ok=True)
        if any(place.iterdir()):
            return True
        place.rmdir()
    except OSError as error:
        raise StorageError(f"cannot remove {error.filename}: {error.strerror}; change its permissions") from error
    return False


def size(place: Path) -> int:
    """Return the bytes of the files of a captioner, which may be damaged."""
    total = 0
    for file in _files(place):
        with suppress(OSError):
            total += file.stat().st_size
    return total


def is_default(name: str) -> bool:
    """Tell whether this user chose the captioner of that name as the default."""
    try:
        return bundle.chosen() == name
    except BundleError:
        return False


def choose(name: str) -> Path:
    """Use a captioner whenever none is named, after checking it.

    Returns:
        Where it lies.

    Raises:
        UsageError: There is none of that name in the data folder or among those that ship.
        BundleError: It is damaged.
        StorageError: The choice cannot be written down.
    """
    known = bundle.names()
    if name not in known:
        if os.sep in name or name.endswith(bundle.SUFFIX):
            raise UsageError(f"a default has a name: take {name} in with capgen models import, then choose it by its name")
        raise UnknownNameError("captioner", name, known)
    if not paths.NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot be the default; rename its folder, with letters, digits, '.', '_' and '-' only")
    place = yours().get(name, bundle.SHIPPED / name)
    Bundle(place).verify()
    if place == bundle.SHIPPED / bundle.DEFAULT:
        reset()
    else:
        files.write_text(paths.default_file(), f"{name}\n")
    return place


def reset() -> None:
    """Use the captioner that ships again whenever none is named.

    Raises:
        StorageError: The choice that was written down cannot be removed.
    """
    try:
        paths.default_file().unlink(missing_ok=True)
    except NotADirectoryError:
        pass
    except OSError as error:
        raise StorageError(f"cannot remove {error.filename}: {error.strerror}; change its permissions") from error


def _entry(place: Path, ships: bool, hidden: bool, default: bool) -> Entry:
    description, fault = None, ""
    try:
        opened = Bundle(place)
        opened.verify()
        description = opened.description
    except BundleError as error:
        fault = str(error)
    return Entry(place.name, place, ships, hidden, default, size(place), description, fault)


def _shipped() -> set[str]:
    return {place.parent.name for place in bundle.SHIPPED.glob(f"*/{bundle.DESCRIPTION}")}


def _is_captioner(place: Path) -> bool:
    """Tell whether a folder has any file of a captioner, or is a link that leads nowhere."""
    return any(os.path.lexists(place / name) for name in bundle.FILES) or (place.is_symlink() and not place.exists())


def _occupied(place: Path) -> bool:
    """Tell whether something is there that is no captioner."""
    if not os.path.lexists(place) or _is_captioner(place):
        return False
    return not place.is_dir() or any(place.iterdir())


def _files(place: Path) -> list[Path]:
    """List the files of a captioner, the description last, so that an interrupted removal can go on."""
    names = set(bundle.FILES)
    with suppress(BundleError, ValueError, RecursionError, TypeError, AttributeError):  # then the usual ones are all it has
        names.update(json.loads(container.Folder(place).read(bundle.DESCRIPTION)).get("files", ()))
    plain = sorted(filter(container.is_plain, names), key=lambda name: (name == bundle.DESCRIPTION, name))
    there = (place / name for name in plain)
    return [path for path in there if path.is_symlink() or (path.exists() and not path.is_dir())]
