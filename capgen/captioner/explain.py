"""A sheet of attention maps: the image once for each word of its caption, bright where that word's weights are greatest."""

import importlib.util
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from capgen import images
from capgen.captioner.captioner import Captioner
from capgen.captioner.request import CaptionRequest
from capgen.captioner.results import Attention, Caption
from capgen.errors import ImageError, UsageError
from capgen.storage import files

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 5
"""Panels in a row."""

PANEL_INCHES, DOTS_PER_INCH = 3.6, 100
"""The width of a panel, and the resolution: five panels are 1,800 pixels wide."""

LONGEST_SIDE = 360
"""Pixels of the image's longer side on the sheet, at most."""


def explain(
    captioner: Captioner,
    path: Path,
    sheet: Path,
    request: CaptionRequest | None = None,
    on_font_search: Callable[[], None] = lambda: None,
) -> Caption:
    """Caption an image, and draw the attention of each word.

    Args:
        captioner: A captioner with attention.
        path: The file of the image.
        sheet: The PNG file that is written; one that exists is replaced.
        request: What caption is wanted.
        on_font_search: Called before Matplotlib searches this machine for fonts, which takes it some seconds, once.

    Raises:
        UsageError: The sheet is not a PNG file or is the image itself, Matplotlib is not installed, the captioner has no
            attention, or the caption has no words.
        ImageError: The image cannot be read.
        StorageError: The sheet cannot be written.
    """
    if sheet.suffix.lower() != ".png":
        raise UsageError(f"{sheet}: the sheet is a PNG file; let its name end in .png")
    if sheet.exists() and path.exists() and sheet.samefile(path):
        raise UsageError(f"{sheet} is the photograph itself; name another file to draw into")
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("attention is drawn with Matplotlib, which is not installed here: pip install matplotlib")
    try:
        caption = captioner.caption(path, request, output_attention=True)
    except ImageError as error:
        raise ImageError(error.status, f"{path}: {error}") from error
    if caption.attention is None or not caption.attention.words:
        raise UsageError(f"{path}: its caption has no words to explain")
    if not _knows_fonts():
        on_font_search()
    files.write_bytes(sheet, draw_attention(images.read_scaled(path, LONGEST_SIDE), caption.attention))
    return caption


def _knows_fonts() -> bool:
    """Tell whether Matplotlib has searched for fonts before: it keeps what it found in its cache."""
    import matplotlib

    return any(Path(matplotlib.get_cachedir()).glob("fontlist-*.json"))


def draw_attention(image: np.ndarray, attention: Attention) -> bytes:
    """Draw an image, and after it the same image once for each word of its caption.

    Args:
        image: (H, W, 3) uint8, upright.
        attention: The attention weights of each word.

    Returns:
        A PNG file, at most 1,800 pixels wide.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height, width = image.shape[:2]
    panels = len(attention.words) + 1
    columns = min(COLUMNS, panels)
    rows = math.ceil(panels / columns)
    tall = min(2.0, max(0.5, height / width)) * PANEL_INCHES + 0.5  # half an inch for the label
    figure = Figure(
        figsize=(columns * PANEL_INCHES, rows * tall), dpi=DOTS_PER_INCH, layout="constrained", facecolor="white"
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for axis in axes:
        axis.axis("off")
    axes[0].imshow(image)
    _label(axes[0], "the photograph")
    for axis, word, bright in zip(axes[1:], attention.words, attention.brightness(), strict=False):
        axis.imshow(image)
        # the cells are smoothed over the whole image, and cells with little weight are darkened
        axis.imshow(
            bright,
            cmap="inferno",
            alpha=0.6,
            interpolation="bicubic",
            extent=(-0.5, width - 0.5, height - 0.5, -0.5),
            vmin=0,
            vmax=1,
        )
        _label(axis, word)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _label(axis: "Axes", text: str) -> None:
    axis.set_title(text.replace("$", r"\$"), fontsize=18, pad=6)
