"""The text files of data sets: UTF-8 or UTF-16, whole or by lines, and JSON.

A file that cannot be read is a ``DataError`` that says why.
"""

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from capgen.errors import DataError, json_fault, os_reason

BROKEN_SHARE = 0.1
"""A text of which more of the lines than this are not UTF-8 is in another encoding."""


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, with or without a byte order mark, or in UTF-16 with one.

    Raises:
        DataError: The file cannot be read, or it is not such text.
    """
    try:
        return decoded(path.read_bytes())
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start}); convert it first") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {os_reason(error)}") from error


def decoded(data: bytes, errors: str = "strict") -> str:
    r"""Decode UTF-8, with or without a byte order mark, or UTF-16 with one, as spreadsheets write it.

    Args:
        data: The bytes of a text.
        errors: What becomes of bytes that are not UTF-8, as in ``bytes.decode``.

    Returns:
        The text; every line of it ends in ``\n``, whatever the file has.

    Raises:
        UnicodeDecodeError: It is neither.
    """
    is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = data.decode("utf-16") if is_utf16 else data.decode("utf-8-sig", errors)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_rows_text(path: Path) -> str:
    """Read a text file of rows, of which a few may have bytes that are not UTF-8; ``has_broken_bytes`` recognises these.

    Raises:
        DataError: The file cannot be read, or it is in another encoding.
    """
    try:
        return read_text(path)
    except DataError as error:
        try:
            text = decoded(path.read_bytes(), "surrogateescape")
        except (OSError, UnicodeDecodeError):
            raise error from None
        if sum(map(has_broken_bytes, text.split("\n"))) > BROKEN_SHARE * text.count("\n"):
            raise
        return text


def has_broken_bytes(text: str) -> bool:
    """Tell whether there are bytes in a text of ``read_rows_text`` that are not UTF-8."""
    return re.search("[\udc80-\udcff]", text) is not None


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: The file cannot be read, or it is not JSON.
    """
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {json_fault(error)}") from error


def lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the lines of a text file that are not blank, each after ``file:number``, which names it in messages."""
    yield from numbered(read_text(path), path.name)


def numbered(content: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield the lines of a text that are not blank, each after ``name:number``, which names it in messages."""
    for number, line in enumerate(content.split("\n"), 1):
        if line.strip():
            yield f"{name}:{number}", line


def require_text(value: Any) -> str:
    """Return a value of a JSON file that must be a text.

    Raises:
        TypeError: The value is not a text.
    """
    if not isinstance(value, str):
        raise TypeError(f"{value!r} in place of a text")
    return value


def has_keys(path: Path, *keys: str) -> bool:
    """Tell whether a file has these keys anywhere; big files are not parsed for it, nor do damaged ones have to be whole."""
    try:
        content = decoded(path.read_bytes(), "replace")
    except (OSError, UnicodeDecodeError):
        return False
    return all(re.search(rf'"{key}"\s*:', content) for key in keys)


def is_damaged_json(path: Path) -> bool:
    """Tell whether a file cannot be read as JSON."""
    try:
        read_json(path)
    except DataError:
        return True
    return False
