"""Reports: one HTML page each, which contains all that it shows, needs no network and opens from disk.

``page.html``, ``page.css`` and ``page.js`` lie beside this module and are the same in every report. The content of a report
is a single JSON object in the page. The script shows the parts that are there:

- ``title``, ``subtitle``: texts;
- ``scores``: ``name``, ``value`` and the 95 % interval ``low`` to ``high`` of each, null where they are not defined;
- ``scale``: the range of the scores in words;
- ``facts``: pairs of a name and a text;
- ``histograms``: ``title``, a sentence that says what is seen, ``labels`` of the bars, ``axis`` and ``unit``, the names of
  the axes across and upwards, and ``series`` of ``name`` and ``values``, one a bar;
- ``gallery``: ``total``, the number of images, and ``cards``, all of them or a selection: ``name``, ``caption``,
  ``references``, ``score``, and where they are known ``image``, ``size``, ``words`` and ``maps`` (see ``thumbnails``);
- ``curves``: ``title``, ``axis`` and ``unit`` as histograms have them, ``series`` of ``name`` and ``points`` (epoch, value),
  and ``marks`` (epoch, text);
- ``samples``: dev images: ``name``, ``references``, ``captions`` (epoch, caption), and ``image`` and ``size``;
- ``tables``: ``title``, ``head``, ``rows`` of texts, and ``open``, whether it is unfolded at first.

Texts that people or captioners wrote are data. No part of the page treats them as HTML.
"""

import base64
import hashlib
import html
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from capgen.errors import StorageError
from capgen.storage import files

_HERE = Path(__file__).parent


def check_target(path: Path) -> None:
    """Make the folder that a report goes to, so that an error is known before the work is done.

    Raises:
        StorageError: Nothing can be written there.
    """
    files.make_folder(path.parent)
    if path.is_dir():
        raise StorageError(f"cannot write {path}: it is a folder; name a file in it, such as {path / 'report.html'}")
    if not os.access(path.parent, os.W_OK):
        raise StorageError(f"cannot write {path}: permission denied; choose another place or change its permissions")


def write(path: Path, values: Mapping[str, Any]) -> None:
    """Write the page, whole or not at all.

    Args:
        path: The file to write.
        values: The content, see the docstring of this module.

    Raises:
        StorageError: It cannot be written.
    """
    files.write_text(path, page(values))


def page(values: Mapping[str, Any]) -> str:
    """Return the page as HTML; ``values`` are described in the docstring of this module."""
    style, script = _part("page.css"), _part("page.js")
    data = files.json_text(_finite(values)).replace("<", "\\u003c")  # because "</script>" in a caption would end the data
    parts = {
        "title": html.escape(str(values["title"])),
        "style-hash": _hash(style),
        "script-hash": _hash(script),
        "style": style,
        "script": script,
        "data": data,
    }
    pieces = _part("page.html").split("{{")
    # Every placeholder is filled once, so that a caption that contains "{{data}}" stays as it is.
    return pieces[0] + "".join(parts[name] + rest for name, rest in (piece.split("}}", 1) for piece in pieces[1:]))


def _part(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return the hash by which the content security policy of the page allows this style or script and no other."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _finite(value: Any) -> Any:
    """Return a value with None in place of numbers that JSON does not have: NaN and infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
