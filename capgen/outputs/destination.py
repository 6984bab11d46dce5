"""A destination: where the caption of one picture is written, one module a kind; and what those modules share."""

import stat
from pathlib import Path
from typing import Protocol

from capgen.errors import StorageError
from capgen.images.formats import HEAD_BYTES, SUFFIXES, looks_like_image


class Destination(Protocol):
    """A place for the caption of each picture."""

    def place(self, path: Path, root: Path) -> Path:
        """Return the file that is written for the picture at ``path``, found under the folder ``root``."""
        ...

    def read(self, place: Path) -> str | None:
        """Return the caption that is there now; None if there is none: no file, a blank one or no such field.

        Raises:
            StorageError: What is there cannot be read.
        """
        ...

    def write(self, place: Path, caption: str) -> None:
        """Put the caption there, whole or not at all.

        Raises:
            StorageError: It cannot be written; what was there is as it was.
        """
        ...

    def close(self) -> None:
        """End helper processes; may be called twice."""
        ...


def sibling(path: Path, root: Path, output_dir: Path | None, ending: str) -> Path:
    """Return the name of the file with ``ending`` that belongs to the picture at ``path``.

    It takes the place of a picture's ending only: a picture may be called ``a.txt`` or ``a.v2``, and ``a.txt`` for the
    one would be the picture itself, for the other the same as for ``a.v3``.

    Args:
        path: A picture.
        root: The folder it was found under.
        output_dir: Where the folders below ``root`` are built anew; beside the picture if None.
        ending: With its dot.
    """
    name = (path.stem if path.suffix.lower() in SUFFIXES else path.name) + ending
    if output_dir is None:
        return path.with_name(name)
    below = path.parent.relative_to(root) if path.is_relative_to(root) and path != root else Path()
    # A path with ".." may begin with the root and yet lead out of it, so it would lead out of output_dir.
    return output_dir / (Path() if ".." in below.parts else below) / name


def is_file(place: Path) -> bool:
    """Tell whether there is a file at ``place``; False if there is nothing.

    Raises:
        StorageError: There is something else, such as a folder, or it cannot be told.
    """
    try:
        mode = place.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise unreadable(place, error) from error
    if not stat.S_ISREG(mode):
        raise StorageError(f"{place} is {'a folder' if stat.S_ISDIR(mode) else 'no regular file'}; move it away")
    return True


def contents(place: Path) -> bytes | None:
    """Return the bytes of the file at ``place``; None if there is none.

    Raises:
        StorageError: What is there is no file, cannot be read, or is a picture.
    """
    try:
        data = place.read_bytes() if is_file(place) else None
    except OSError as error:
        raise unreadable(place, error) from error
    if data is not None and looks_like_image(data[:HEAD_BYTES]):
        raise StorageError(f"{place} is a picture itself; left as it is")
    return data


def unreadable(place: Path, error: OSError) -> StorageError:
    """Turn an operating-system error in reading ``place`` into one that says what to do."""
    return StorageError(f"cannot read {place}: {error.strerror or error}; change its permissions or move it away")


def both(description: str | None, alternative: str | None) -> str | None:
    """Join the two fields that capgen keeps alike: one text if they agree or one is empty, else a text of neither.

    So a person's words in either of them are a caption that exists, or one that was changed.
    """
    texts = (text.strip() for text in (description, alternative) if text and text.strip())
    return "\n".join(dict.fromkeys(texts)) or None


def target(place: Path) -> Path:
    """Return the file behind a link, so that the link stays one."""
    return place.resolve() if place.is_symlink() else place


def check_folder(place: Path, output_dir: Path | None) -> None:
    """Make sure that the folder of a picture is still there: made anew, it would hide that a disk has gone.

    Raises:
        StorageError: It is not.
    """
    if output_dir is None and not place.parent.is_dir():
        raise StorageError(f"cannot write {place}: its folder is gone")
