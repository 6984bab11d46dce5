"""What a cell of a table, or a value of a JSON object, holds: names of image files, or captions.

Data frames write a list of captions into one cell, as Python, NumPy or JSON shows it. Such a text is read as the list that
it was and never evaluated as a program.
"""

import json
import re
from typing import Any

from capgen.images.formats import ends_like_image

_QUOTED = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_ITEM = re.compile(_QUOTED, re.DOTALL)
_SHOWN_LIST = re.compile(rf"(?:array\()?\[\s*{_QUOTED}(?:[\s,]+{_QUOTED})*\s*,?\s*\](?:,\s*dtype=\w+\))?", re.DOTALL)
"""A list of texts as Python shows it, or an array of NumPy, which has no commas."""

_ESCAPE = re.compile(r"\\(?:(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"'}

_BEGINS_LIST = re.compile(r"(?:array\()?\[\s*['\"{]")
_LINE_BREAKS = re.compile(r"[\n\r]+")
_TEXT_KEYS = ("caption", "text", "raw")
"""What an object in a list of captions calls its text: in capgen's own JSON lines, and in Karpathy's sentences."""


def image_names(value: Any) -> tuple[str, ...]:
    """Return the names of image files that a value holds: of one, or of a list of them; none if it holds something else."""
    values = value if isinstance(value, list) else [value]
    items = [item.get("path") if isinstance(item, dict) else item for item in values]  # as the Hub's image features are
    names = [item.strip() for item in items if isinstance(item, str)]
    return tuple(filter(None, names)) if len(names) == len(items) else ()


def names_image_files(value: Any) -> bool:
    """Tell whether a value holds names that end like those of image files."""
    names = image_names(value)
    return bool(names) and all(ends_like_image(name) for name in names)


def texts(value: Any) -> tuple[str, ...] | None:
    """Return the texts that a value holds, with line breaks as spaces; ``None`` if it holds none.

    Args:
        value: One text or object with a text, a list of them, or a text that shows such a list.

    Raises:
        ValueError: It begins like a list of texts and is not one.
    """
    if isinstance(value, str):
        value = _shown_list(value) or [value]
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        return None
    found = [_text(item) for item in value]
    if any(text is None for text in found):
        return None
    return tuple(_LINE_BREAKS.sub(" ", text) for text in found if text is not None)


def _text(item: Any) -> str | None:
    if isinstance(item, dict):
        item = next((item[key] for key in _TEXT_KEYS if key in item), None)
    return item if isinstance(item, str) else None


def _shown_list(text: str) -> list[Any] | None:
    """Return the list that a text shows; ``None`` if it is a text and nothing else.

    Raises:
        ValueError: It begins like a list of texts and is not one.
    """
    text = text.strip()
    if not text.startswith(("[", "array([")):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = _python_list(text)
    if isinstance(value, list) and value and all(_text(item) is not None for item in value):
        return value
    if _BEGINS_LIST.match(text):
        raise ValueError("it begins like a list of captions, but cannot be read as one")
    return None


def _python_list(text: str) -> list[str] | None:
    if not _SHOWN_LIST.fullmatch(text):
        return None
    try:
        return [_ESCAPE.sub(_unescaped, item[1:-1]) for item in _ITEM.findall(text)]
    except ValueError:  # the number of a character that does not exist
        return None


def _unescaped(match: re.Match[str]) -> str:
    """Return the character that an escape stands for; Python keeps the backslash of one that it does not know."""
    code = match[1] or match[2] or match[3]
    return chr(int(code, 16)) if code else _ESCAPED.get(match[4], match[0])
