"""A sheet of attention maps: the image once for each word of its caption, bright where that word's weights are greatest."""

import io
import math
from typing import TYPE_CHECKING

import numpy as np

from capgen.captioner.results import Attention

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 5
"""Panels in a row."""

PANEL_INCHES, DOTS_PER_INCH = 3.6, 100
"""The width of a panel, and the resolution: five panels are 1,800 pixels wide."""

LONGEST_SIDE = 360
"""Pixels of the image's longer side on the sheet, at most."""


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
