"""Images and attention weights as a report holds them: small JPEGs and arrays of bytes, both written as base64 text."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np

from capgen import images
from capgen.captioner.results import Attention
from capgen.errors import ImageError

LONGEST_SIDE = 256
"""The longer side of an image in pixels."""

QUALITY = 70


def thumbnail(path: Path | None, longest_side: int = LONGEST_SIDE) -> dict[str, Any]:
    """Return an image for the page.

    Args:
        path: The file of the image, if there is one.
        longest_side: The most pixels that the longer side may have.

    Returns:
        ``image``, a data URI, and ``size``, the width and height in pixels; nothing if there is no image that can be read.
    """
    from PIL import Image

    if path is None:
        return {}
    try:
        pixels = images.read_scaled(path, longest_side)  # (H, W, 3) uint8
    except ImageError:
        return {}
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY, optimize=True)
    height, width, _ = pixels.shape
    return {"image": f"data:image/jpeg;base64,{_base64(buffer.getvalue())}", "size": [width, height]}


def attention_maps(attention: Attention | None) -> dict[str, Any]:
    """Return attention weights for the page.

    Returns:
        ``words``, and ``maps``, one for each word, with a byte for each cell, 255 where it is brightest; nothing if there
        are no attention weights.
    """
    if attention is None:
        return {}
    scaled = np.rint(attention.brightness() * 255).astype(np.uint8)  # (T, S, S)
    return {"words": list(attention.words), "maps": [_base64(grid.tobytes()) for grid in scaled]}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
