"""A destination keeps the caption of each image in a file of its own, one module a kind; and what those modules share."""

import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from capgen.errors import StorageError, os_reason
from capgen.images.formats import HEAD_BYTES, ends_like_image, looks_like_image
from capgen.inputs.selection import Found
from capgen.outputs.fields import Fields
from capgen.storage import files


class Destination(Protocol):
    """One kind of file, or part of a file, that holds the caption of one image."""

    def target(self, path: Path, root: Path) -> Path:
        """Return the file that is written for the image at ``path``, which was found under the folder ``root``."""
        ...

    def survey(self, images: Iterable[Found]) -> None:
        """Look at the folders that hold images, on which the names of their targets may depend, before they are asked for.

        Args:
            images: All images of a run, or those that have arrived since the last time.
        """
        ...

    def read(self, target: Path) -> str | None:
        """Return the caption that the file holds; ``None`` if there is no file, or none in it, or only white space.

        Raises:
            StorageError: The file cannot be read.
        """
        ...

    def fields(self, target: Path) -> Fields:
        """Return the caption by field; ``read`` is its text. A file that has only one text has it for both fields.

        Raises:
            StorageError: The file cannot be read.
        """
        ...

    def elsewhere(self, path: Path, root: Path) -> "Iterator[OtherFile]":
        """Yield the other files in which programs look for the same caption of an image.

        Args:
            path: The image.
            root: The folder it was found under.
        """
        ...

    def write(self, target: Path, caption: Fields | str) -> None:
        """Write the caption into the file, whole or not at all.

        Args:
            target: The file.
            caption: What each field takes; a text is that of both.

        Raises:
            StorageError: The file cannot be written; it is as it was before.
        """
        ...

    def close(self) -> None:
        """End helper processes; a second call does nothing."""
        ...


@dataclass(frozen=True)
class OtherFile:
    """A file in which programs look for the caption of an image that is kept in another.

    Attributes:
        path: The file.
        fields: What it says.
        destination: What writes it where it has to be kept in step; ``None`` if it is written only when that is asked for.
    """

    path: Path
    fields: Fields
    destination: Destination | None = None


def sibling(path: Path, root: Path, output_dir: Path | None, ending: str) -> Path:
    """Return the path of the file with ``ending`` that belongs to the image at ``path``.

    Only an ending that images have is replaced. An image may be called ``a.txt`` or ``a.v2``: with its ending replaced, the
    sidecar of ``a.txt`` would be the image itself, and that of ``a.v2`` would be that of ``a.v3``, too.

    Args:
        path: An image.
        root: The folder it was found under.
        output_dir: The folder in which the folders below ``root`` are made anew; ``None`` for a file beside the image.
        ending: The ending, with its dot.
    """
    name = (path.stem if ends_like_image(path) else path.name) + ending
    if output_dir is None:
        return path.with_name(name)
    below = path.parent.relative_to(root) if path.is_relative_to(root) and path != root else Path()
    # A path with ".." may begin with the root and yet lead out of it, so it would lead out of output_dir.
    return output_dir / (Path() if ".." in below.parts else below) / name


class OutputFolders:
    """Makes the folders that files of captions go into.

    Beside images no folder is ever made: a folder that is missing has been moved or unmounted. An output folder is made
    once, and later only the folders below it are.

    Args:
        output_dir: The output folder; ``None`` if the files are written beside the images.
    """

    def __init__(self, output_dir: Path | None) -> None:
        self.output_dir = output_dir
        self._is_made = False

    def write(self, target: Path, data: bytes) -> None:
        """Write a file, whole or not at all. A link to the file stays one.

        Raises:
            StorageError: The file cannot be written, or its folder is gone.
        """
        if self.output_dir is not None:
            self._make(target.parent, self.output_dir)
        real = target.resolve() if target.is_symlink() else target
        files.write_bytes(real, data, make_folders=False)

    def _make(self, folder: Path, output_dir: Path) -> None:
        if not self._is_made:
            files.make_folder(output_dir)
            self._is_made = True
        step = output_dir
        try:
            for part in folder.relative_to(output_dir).parts:
                step /= part
                step.mkdir(exist_ok=True)  # without its parents: a missing output folder is an error
        except OSError as error:
            raise files.storage_error(step, error) from error


def is_file(target: Path) -> bool:
    """Tell whether there is a file at ``target``; ``False`` if there is nothing.

    Raises:
        StorageError: There is something else, such as a folder, or the system does not say.
    """
    try:
        mode = target.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise unreadable(target, error) from error
    if not stat.S_ISREG(mode):
        raise StorageError(f"{target} is {'a folder' if stat.S_ISDIR(mode) else 'not a regular file'}; move it away")
    return True


def contents(target: Path) -> bytes | None:
    """Return the bytes of the file at ``target``; ``None`` if there is no file.

    Raises:
        StorageError: There is something that is not a file, cannot be read, or is an image.
    """
    try:
        data = target.read_bytes() if is_file(target) else None
    except OSError as error:
        raise unreadable(target, error) from error
    if data is not None and looks_like_image(data[:HEAD_BYTES]):
        raise StorageError(f"{target} is an image itself; left as it is")
    return data


def unreadable(target: Path, error: OSError) -> StorageError:
    """Turn an operating-system error in reading ``target`` into one that says what to do."""
    return StorageError(f"cannot read {target}: {os_reason(error)}; change its permissions or move it away")
