"""Pictures and attention as a report holds them: small JPEGs and bytes, written as text."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np

from capgen import images
from capgen.captioner.results import Attention
from capgen.errors import ImageError

LONGEST = 256
"""Pixels of a picture's longer side."""

QUALITY = 70


def small(path: Path | None, longest: int = LONGEST) -> dict[str, Any]:
    """Return a picture for the page.

    Args:
        path: Its file, if there is one.
        longest: The most pixels of its longer side.

    Returns:
        ``picture``, a data URI, and ``size``, width and height; nothing if there is no picture that can be read.
    """
    from PIL import Image

    if path is None:
        return {}
    try:
        pixels = images.read_scaled(path, longest)
    except ImageError:
        return {}
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY, optimize=True)
    height, width, _ = pixels.shape
    return {"picture": f"data:image/jpeg;base64,{_text(buffer.getvalue())}", "size": [width, height]}


def heat(attention: Attention | None) -> dict[str, Any]:
    """Return attention for the page: ``words``, and ``maps``, one a word, a byte a cell, the brightest one 255."""
    if attention is None:
        return {}
    scaled = np.rint(attention.brightness() * 255).astype(np.uint8)  # (T, S, S)
    return {"words": list(attention.words), "maps": [_text(grid.tobytes()) for grid in scaled]}


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
