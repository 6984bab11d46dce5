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

from capgen.captioner import bundle, catalogue, container
from capgen.captioner.bundle import Bundle, Description
from capgen.errors import BundleError, StorageError, UnknownNameError, UsageError, os_reason
from capgen.storage import files, paths


@dataclass(frozen=True)
class Entry:
    """A captioner at hand.

    Attributes:
        name: The name by which commands find the captioner.
        path: The folder of the captioner.
        ships: Whether the captioner is one of those inside the package.
        hidden: Whether the captioner cannot be named, because one of this user has the same name.
        default: Whether the captioner is used when none is named.
        size: The size of its files in bytes.
        description: The content of its ``bundle.json``; ``None`` if the captioner is damaged.
        fault: What is wrong with the captioner; empty if nothing is.
    """

    name: str
    path: Path
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
            "path": str(self.path),
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
        default = catalogue.find(None)
    except BundleError:
        default = None
    own = yours()
    shipped = sorted(file.parent for file in catalogue.SHIPPED.glob(f"*/{bundle.DESCRIPTION}"))
    ships = [_entry(folder, ships=True, hidden=folder.name in own, default=folder == default) for folder in shipped]
    return ships + [_entry(folder, ships=False, hidden=False, default=folder == default) for folder in own.values()]


def yours() -> dict[str, Path]:
    """Return the folders of this user's captioners by name, damaged ones among them; nothing in them is read."""
    try:
        folders = sorted(paths.models_dir().iterdir())
    except OSError:
        return {}
    return {folder.name: folder for folder in folders if not folder.name.startswith(".") and _is_captioner(folder)}


def export(model: str | Path, file: Path, *, overwrite: bool = False) -> Path:
    """Check a captioner and pack it into one file.

    Args:
        model: A name or a path.
        file: The file to write; it ends in ``.capgen``.
        overwrite: Replace a file that is there.

    Returns:
        The folder or the file that the captioner is in.

    Raises:
        UsageError: The captioner does not exist, or the file ends otherwise or exists.
        BundleError: The captioner is damaged.
        StorageError: The file cannot be written.
    """
    if file.suffix != bundle.SUFFIX:
        raise UsageError(f"{file} does not end in {bundle.SUFFIX}, by which a packed captioner is known; add it")
    path = catalogue.find(model)
    if os.path.lexists(file) and not overwrite:
        raise UsageError(f"{file} exists; choose another name, or replace it with `overwrite=True`")
    contents = Bundle(path).contents()
    files.write_with(file, lambda out: container.pack(out, contents))
    return path


def install(source: Path, name: str | None = None, *, overwrite: bool = False) -> Path:
    """Check a captioner, packed or in a folder, and put it into the data folder.

    Args:
        source: The file or the folder.
        name: What it will be called; what it calls itself by default.
        overwrite: Replace one of that name.

    Returns:
        The folder that it is in now.

    Raises:
        BundleError: It is missing, incomplete, changed, of another version, or not as capgen would have written it.
        UsageError: The name cannot be one, or is taken.
        StorageError: It cannot be written.
    """
    if not os.path.lexists(source):
        raise BundleError(f"there is no captioner at {source}")
    opened = Bundle(source)
    called = opened.description.name if name is None else name
    if not paths.NAME.fullmatch(called):
        raise UsageError(f"{called[:60]!r} cannot be a name; give one with `name`, of letters, digits, '.', '_' and '-'")
    folder = paths.models_dir() / called
    if _occupied(folder):
        raise BundleError(f"{folder} exists and is not a captioner; it would be lost: choose another name with `name`")
    if not overwrite:
        if os.path.lexists(folder):
            raise UsageError(
                f"there is a captioner {called!r} already; choose another `name`, or replace it with `overwrite=True`"
            )
        if catalogue.shipped(called):
            raise UsageError(f"{called!r} ships with capgen; choose another `name`, or hide that one with `overwrite=True`")
    files.write_folder(folder, opened.contents())
    return folder


def own(name: str) -> Path:
    """Return the folder of a captioner of this user, which may be damaged.

    Raises:
        UsageError: There is none of that name, or it is one that ships.
    """
    folders = yours()
    if name in folders:
        return folders[name]
    if catalogue.shipped(name):
        raise UsageError(f"{name!r} ships with capgen and stays; only captioners in {paths.models_dir()} are removed")
    raise UnknownNameError("captioner of yours", name, folders, suggest=False)


def remove(name: str) -> bool:
    """Remove a captioner of this user; if it was the default, the one that ships is the default again.

    Only its own files go. Of a link, the link goes and what it leads to stays.

    Returns:
        Whether something else was in its folder, which is left.

    Raises:
        UsageError: There is none of that name, or it is one that ships.
        StorageError: It cannot be removed.
    """
    folder = own(name)
    try:
        if is_default(name):
            paths.default_file().unlink(missing_ok=True)
        if folder.is_symlink():
            folder.unlink()
            return False
        for file in _files(folder):
            file.unlink(missing_ok=True)
        if any(folder.iterdir()):
            return True
        folder.rmdir()
    except OSError as error:
        raise StorageError(f"cannot remove {error.filename}: {os_reason(error)}; change its permissions") from error
    return False


def size(folder: Path) -> int:
    """Return the bytes of the files of a captioner, which may be damaged."""
    total = 0
    for file in _files(folder):
        with suppress(OSError):
            total += file.stat().st_size
    return total


def is_default(name: str) -> bool:
    """Tell whether this user chose the captioner of that name as the default."""
    try:
        return catalogue.chosen() == name
    except BundleError:
        return False


def choose(name: str) -> Path:
    """Use a captioner whenever none is named, after checking it.

    Returns:
        Its folder.

    Raises:
        UsageError: There is none of that name in the data folder or among those that ship.
        BundleError: It is damaged.
        StorageError: The choice cannot be written down.
    """
    known = catalogue.names()
    if name not in known and not catalogue.shipped(name):
        if os.sep in name or name.endswith(bundle.SUFFIX):
            raise UsageError(f"a default has a name: import {name} with capgen models import, then choose it by its name")
        raise UnknownNameError("captioner", name, known)
    if not paths.NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot be the default; rename its folder, with letters, digits, '.', '_' and '-' only")
    folder = yours().get(name) or catalogue.find(name)
    Bundle(folder).verify()
    if folder == catalogue.SHIPPED / catalogue.DEFAULT:
        reset()
    else:
        files.write_text(paths.default_file(), f"{name}\n")
    return folder


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
        raise StorageError(f"cannot remove {error.filename}: {os_reason(error)}; change its permissions") from error


def _entry(folder: Path, *, ships: bool, hidden: bool, default: bool) -> Entry:
    description, fault = None, ""
    try:
        opened = Bundle(folder)
        opened.verify()
        description = opened.description
    except BundleError as error:
        fault = str(error)
    return Entry(folder.name, folder, ships, hidden, default, size(folder), description, fault)


def _is_captioner(folder: Path) -> bool:
    """Return whether a folder has any file of a captioner, or is a link that leads nowhere."""
    return any(os.path.lexists(folder / name) for name in bundle.FILES) or (folder.is_symlink() and not folder.exists())


def _occupied(folder: Path) -> bool:
    """Return whether something is there that is not a captioner."""
    if not os.path.lexists(folder) or _is_captioner(folder):
        return False
    return not folder.is_dir() or any(folder.iterdir())


def _files(folder: Path) -> list[Path]:
    """List the files of a captioner, the description last, so that an interrupted removal can go on."""
    names = set(bundle.FILES)
    with suppress(BundleError, ValueError, RecursionError, TypeError, AttributeError):  # then the usual ones are all it has
        names.update(json.loads(container.Folder(folder).read(bundle.DESCRIPTION)).get("files", ()))
    plain = sorted(filter(container.is_plain, names), key=lambda name: (name == bundle.DESCRIPTION, name))
    there = (folder / name for name in plain)
    return [path for path in there if path.is_symlink() or (path.exists() and not path.is_dir())]
