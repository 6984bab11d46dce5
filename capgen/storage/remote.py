"""Files at URLs, through fsspec, which is imported only when there are any. What goes wrong is an ``ImageError``."""

import logging
import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from capgen.errors import ImageError, Status, UsageError, one_line
from capgen.storage.remote_errors import image_errors

_BLOCK = 1 << 24
"""The most bytes that are read at once."""

_SILENCE_SECONDS = 60
"""Seconds without an answer after which a web server is given up."""

_WEB = ("http", "https")

_OF_MEMBERS = ("zip", "tar", "libarchive")
"""Protocols of files in an archive, behind whose address that of the archive follows."""

_COLONS = "\x1f\x1f"
"""Stands for two colons in a name while fsspec, which takes these for the beginning of another address, reads a URL."""

_WHOLE = "its server sends files as a whole, and of an archive or a table parts are read; download it first"
"""What is wrong where a web server cannot serve parts of a file."""

_PARTIAL = 206
"""The status code of HTTP with which a part of a file is sent."""

_BUSY, _PAUSES = (429, 500, 502, 503, 504), (0.5, 1, 2, 4)
"""Status codes of HTTP after which a request is repeated, and the seconds before each repetition."""


def is_web(url: str) -> bool:
    """Return whether a URL is a web address, and not one of an object store."""
    return url.partition("://")[0].lower() in _WEB


def split_archive(url: str) -> tuple[str, str]:
    """Return the address of a file, and ``::`` with that of the archive which it is in, or nothing if it is in none.

    Two colons may also be in a name, such as ``s3://bucket/a::b.jpg`` and ``zip://a::b.jpg::s3://bucket/c.zip``.
    """
    if url.partition("://")[0].lower() not in _OF_MEMBERS:
        return url, ""
    ends = [match.start() for match in re.finditer("::", url)]
    end = next((end for end in ends if _ADDRESS.match(url, end + 2)), ends[-1] if ends else len(url))
    return url[:end], url[end:]


_ADDRESS = re.compile(r"/|[A-Za-z][A-Za-z0-9+.-]*://")
"""How a URL or the path of an archive begins."""


@contextmanager
def open_stream(url: str) -> Iterator[BinaryIO]:
    """Open a file to read it from its beginning to its end, as it arrives.

    Raises:
        ImageError: It cannot be opened, or be read later within the block.
    """
    with image_errors():
        system, path = _file_system(url)
        with closing(_WebFile(system, path)) if is_web(url) else system.open(path, "rb", cache_type="readahead") as file:
            yield cast(BinaryIO, file)


class _WebFile:
    """A file on the web, read from its beginning to its end. If the connection breaks off, it goes on from there.

    A server needs to do nothing but answer. One that cannot send a part of a file sends all of it again.

    Args:
        system: fsspec's file system of the web.
        path: The address.
    """

    def __init__(self, system: Any, path: str) -> None:
        self._system, self._path, self._position = system, path, 0
        self._known = 0  # how many bytes are sent again that were read before
        self._file = self._opened()

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes, none at the end."""
        from aiohttp import ClientError

        for seconds in _PAUSES:
            try:
                return self._next(size)
            except ClientError:
                if _version(self._file.r) is None:
                    raise
            time.sleep(seconds)
            self._go_on()
        return self._next(size)

    def close(self) -> None:
        """End the connection."""
        self._file.close()

    def _opened(self, **headers: str) -> Any:
        return self._system.open(self._path, "rb", block_size=0, headers=headers)  # all with a single request

    def _next(self, size: int) -> bytes:
        while self._known > 0 and (data := self._file.read(min(self._known, _BLOCK))):
            self._known -= len(data)
        data = self._file.read(size)
        self._position += len(data)
        return data

    def _go_on(self) -> None:
        """Ask for what was not read.

        Raises:
            ImageError: The file is another by now.
        """
        before = _version(self._file.r)
        self._file.close()
        self._file = self._opened(Range=f"bytes={self._position}-")
        if _version(self._file.r) != before:
            raise ImageError(Status.UNREADABLE, "it changed while it was fetched; run it again")
        self._known = 0 if self._file.r.status == _PARTIAL else self._position


def _version(response: Any) -> str | None:
    """Return what identifies this content of a URL (ETag or date); ``None`` if a part of it cannot be asked for."""
    headers = response.headers
    return None if "Content-Encoding" in headers else headers.get("ETag") or headers.get("Last-Modified")


@contextmanager
def open_seekable(url: str) -> Iterator[BinaryIO]:
    """Open a file to read parts of it; a web server must be able to serve parts of files for that.

    Raises:
        ImageError: It cannot be opened, or be read later within the block.
    """
    with image_errors():
        system, path = _file_system(url)
        if is_web(url):
            _check_parts(system, path)
        with system.open(path, "rb") as file:
            yield file


def _check_parts(system: Any, path: str) -> None:
    """Make sure that a web server can serve parts of a file, which whoever reads them would take for damage if it cannot."""
    with system.open(path, "rb", cache_type="none") as file:
        try:
            file.seek(1)
            file.read(1)
        except ValueError as error:  # what fsspec raises then
            raise ImageError(Status.UNREADABLE, _WHOLE) from error


def read_bytes(url: str, limit: int) -> bytes:
    """Fetch a whole file.

    Args:
        url: The URL of the file.
        limit: The most bytes that are fetched.

    Raises:
        ImageError: It cannot be fetched, or is larger than ``limit``.
    """
    if url.endswith("/"):
        with image_errors():
            system, path = _file_system(url)
            system.ls(path)  # raises an error if there is no such folder
        raise ImageError(Status.UNSUPPORTED, "it is a folder; `recursive=True` captions what is in it")
    with open_stream(url) as file:
        parts, left = [], limit + 1
        while left > 0 and (part := file.read(min(left, _BLOCK))):  # a stream may return less than it is asked for
            parts.append(part)
            left -= len(part)
    if left <= 0:
        raise ImageError(Status.TOO_LARGE, f"it has more than {limit:,} bytes, more than is safe to read at once")
    return b"".join(parts)


def list_files(folder: str, *, recursive: bool = True) -> list[str]:
    """Return the paths from a folder to the files in it, sorted.

    Args:
        folder: The URL of the folder.
        recursive: List the files at any depth; else those in the folder itself, and the folders in it, which end in ``/``.

    Raises:
        ImageError: The folder cannot be listed, or there is nothing in it.
    """
    with image_errors():
        system, path = _file_system(folder)
        root = path.rstrip("/") + "/"
        if recursive:
            found = system.find(path)
        else:
            entries = system.ls(path, detail=True)
            found = [entry["name"].rstrip("/") + "/" * (entry["type"] == "directory") for entry in entries]
    names = sorted(str(file).removeprefix(root) for file in found if file not in {path, root})
    if not names:
        raise ImageError(Status.MISSING, "there is nothing in it")
    return names


def list_names(folder: str) -> set[str]:
    """Return the names of what is in a folder, as they are now.

    Raises:
        ImageError: It cannot be listed; its status is ``missing`` if there is no such folder.
    """
    with image_errors():
        system, path = _file_system(folder)
        system.invalidate_cache(path)
        return {str(entry).rstrip("/").rpartition("/")[2] for entry in system.ls(path, detail=False)}


def upload(file: Path, url: str) -> None:
    """Copy a file of this machine to a URL; it appears there whole or not at all.

    Raises:
        ImageError: It cannot be copied.
    """
    with image_errors():
        system, path = _file_system(url)
        system.put_file(str(file), path)


def remove(url: str) -> None:
    """Remove a file.

    Raises:
        ImageError: It cannot be removed; its status is ``missing`` if there is no such file.
    """
    with image_errors():
        system, path = _file_system(url)
        system.rm_file(path)


def check_writable(folder: str) -> None:
    """Check from the URL of a folder alone that files can be written to it.

    Raises:
        UsageError: It is on the web, of a kind that is not known, or a package is missing.
    """
    if is_web(folder):
        raise UsageError(f"{folder} can only be read; write to s3://, gs:// or a folder")
    _file_system(folder)


def _file_system(url: str) -> tuple[Any, str]:
    """Return fsspec's file system for a URL, and the path in it.

    Raises:
        UsageError: The URL is of a kind that is not known, or a package is missing.
    """
    try:
        from fsspec.core import url_to_fs

        logging.getLogger("gcsfs").setLevel(logging.CRITICAL)  # it prints each error with its traceback besides raising it
        address, archive = split_archive(url)
        scheme = (archive.removeprefix("::") or url).partition("://")[0].lower()
        options = {scheme: _web_options()} if scheme in _WEB else {}
        system, path = url_to_fs(address.replace("::", _COLONS) + archive, **options)
    except ImportError as error:
        raise UsageError(f"{url} takes more packages ({one_line(error)}): pip install 'capgen[remote]'") from error
    except ValueError as error:
        if archive and "range requests" in str(error):
            raise ImageError(Status.UNREADABLE, _WHOLE) from error
        raise UsageError(f"{url} cannot be used: {one_line(error)}") from error
    return system, path.replace(_COLONS, "::")


def _web_options() -> dict[str, Any]:
    """Return options that give a whole archive the time it takes, where aiohttp allows five minutes, but end a silence.

    What fails for now is asked for again, as s3fs and gcsfs do by themselves.
    """
    from aiohttp import ClientTimeout

    timeout = ClientTimeout(total=None, sock_connect=_SILENCE_SECONDS, sock_read=_SILENCE_SECONDS)
    return {"client_kwargs": {"timeout": timeout, "middlewares": (_ask_again,)}}


async def _ask_again(request: Any, handler: Any) -> Any:
    """Send a request of aiohttp, and again after a while if the server is busy or breaks the connection off."""
    import asyncio

    from aiohttp import ClientConnectionError, ClientConnectorError, ClientPayloadError

    for seconds in _PAUSES:
        try:
            response = await handler(request)
            if response.status == _PARTIAL and not request.headers["Range"].endswith("-"):
                await response.read()  # a part of known size, which is kept for whoever asked for it
        except ClientConnectorError:  # there is no such server
            raise
        except (ClientConnectionError, ClientPayloadError):
            await asyncio.sleep(seconds)
            continue
        if response.status not in _BUSY:
            return response
        wanted = response.headers.get("Retry-After", "")
        response.release()
        await asyncio.sleep(min(int(wanted), _SILENCE_SECONDS) if wanted.isdecimal() else seconds)
    return await handler(request)
