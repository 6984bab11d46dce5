"""A picture of where a captioner looked: the photograph once for each word, bright where it looked more than for others."""

import io
import math
from typing import TYPE_CHECKING

import numpy as np

from capgen.captioner.results import Attention

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ACROSS = 5
"""Photographs in a row."""

INCHES, DOTS = 3.6, 100
"""Width of each, and dots an inch: five of them make 1,800 pixels."""

PHOTOGRAPH = 360
"""The most pixels of the photograph's longer side."""


def sheet(photograph: np.ndarray, attention: Attention) -> bytes:
    """Draw a photograph and below it the same once for each word of its caption.

    Args:
        photograph: (H, W, 3) uint8, upright.
        attention: Where the captioner looked for each word.

    Returns:
        A PNG file, at most 1,800 pixels wide.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height, width = photograph.shape[:2]
    panels = len(attention.words) + 1
    columns = min(ACROSS, panels)
    rows = math.ceil(panels / columns)
    tall = min(2.0, max(0.5, height / width)) * INCHES + 0.5  # the label's half inch
    figure = Figure(figsize=(columns * INCHES, rows * tall), dpi=DOTS, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for axis in axes:
        axis.axis("off")
    axes[0].imshow(photograph)
    _label(axes[0], "the photograph")
    for axis, word, bright in zip(axes[1:], attention.words, attention.brightness(), strict=False):
        axis.imshow(photograph)
        # the cells, smoothed, over the whole photograph; what was not looked at is darkened
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
