"""Where an image comes from: a file here or elsewhere, bytes, an open file; all of them to the bytes of an image file."""

import errno
import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeAlias

from capgen.errors import ImageError, Status, os_reason
from capgen.storage import remote
from capgen.storage.locations import Url, located

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

MAX_BYTES = 1 << 30
"""The size in bytes of the largest file that is read."""


_WEB_ADDRESS = re.compile(r"www\.|https?:/|[\w.-]+\.(?:com|org|net|edu|gov|io)/", re.IGNORECASE)
"""How an address begins of which the scheme was left out, or mistyped."""


class Readable(Protocol):
    """An open binary file, or anything else that returns the bytes of one."""

    def read(self) -> bytes:
        """Return all bytes from the present position to the end."""


Encoded: TypeAlias = "str | os.PathLike[str] | Url | bytes | bytearray | memoryview | Readable"
"""An image file: its path or URL, its bytes, or the open file."""

Source: TypeAlias = "Encoded | Image | np.ndarray"
"""What an image can be read from: an image file in any form, a Pillow image, or an array of pixels."""


def read_source(source: Encoded) -> bytes:
    """Return the bytes of an image file that is given in any form.

    Raises:
        ImageError: The bytes cannot be read; the status of the error says why.
        TypeError: ``source`` is not an image file in one of these forms.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    if isinstance(source, (str, os.PathLike, Url)):
        return read_bytes(source)
    if hasattr(source, "read"):
        return _read_stream(source)
    raise TypeError(
        f"an image can be a path, a URL, bytes, a binary file, a Pillow image or an array, not {type(source).__name__}"
    )


def read_bytes(source: str | os.PathLike[str] | Url) -> bytes:
    """Read a whole image file, here or at a URL.

    Raises:
        ImageError: It cannot be read, or has more than ``MAX_BYTES`` bytes.
    """
    location = located(source)
    if isinstance(location, Url):
        return remote.read_bytes(location.text, MAX_BYTES)
    with open_file(location) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_BYTES:
            raise ImageError(Status.TOO_LARGE, f"it has {size:,} bytes, more than is safe to read at once")
        return file.read()


@contextmanager
def open_file(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading; a pipe or a device could go on for ever.

    Raises:
        ImageError: It cannot be opened, or be read later within the block, with the status that says why.
    """
    try:
        _check_regular(path)
        with path.open("rb") as file:
            yield file
    except PermissionError as error:
        raise ImageError(Status.DENIED, "permission denied") from error
    except OSError as error:
        if error.errno in {errno.EIO, errno.ESTALE}:
            raise ImageError(Status.UNREADABLE, os_reason(error)) from error
        hint = "; a web address begins with https://" if _WEB_ADDRESS.match(os.fspath(path)) else ""
        raise ImageError(Status.MISSING, os_reason(error) + hint) from error
    except ValueError as error:  # a name that no file can have, such as one with a zero byte
        raise ImageError(Status.MISSING, "no such file; no name has zero bytes in it") from error
    except MemoryError as error:
        raise ImageError(Status.TOO_LARGE, "it does not fit into memory") from error


def _check_regular(path: Path) -> None:
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        if not os.access(path, os.R_OK | os.X_OK):
            raise ImageError(Status.DENIED, "permission denied")
        raise ImageError(Status.UNSUPPORTED, "it is a folder; `recursive=True` captions what is in it")
    if not stat.S_ISREG(mode):
        raise ImageError(Status.UNSUPPORTED, "it is not a regular file")


def _read_stream(stream: Readable) -> bytes:
    try:
        data = None if isinstance(stream, io.TextIOBase) else stream.read()
    except (OSError, ValueError) as error:  # a ``ValueError`` if the file is closed
        reason = os_reason(error) if isinstance(error, OSError) else "it is closed"
        raise ImageError(Status.UNREADABLE, f"it cannot be read: {reason}") from error
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise ImageError(Status.UNSUPPORTED, "it gives no bytes; open it in binary mode")
    return bytes(data)
