"""The curves of a run's history as an image: losses on the left, the primary metric on the right.

They are drawn with Pillow, which is loaded to decode images anyway.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capgen.evaluation.metrics import PRIMARY

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

    from capgen.training.history import Epoch

WIDTH, HEIGHT, MARGIN = 900, 360, 48
"""Pixels."""

BLUE, ORANGE, GREEN = "#1f77b4", "#ff7f0e", "#2ca02c"


@dataclass(frozen=True)
class _Curve:
    """One line of a panel.

    Attributes:
        label: What stands above it.
        colour: The colour of line and label.
        points: The number of each epoch and its value; epochs without one are left out.
    """

    label: str
    colour: str
    points: Sequence[tuple[int, float]]


def draw(epochs: "Sequence[Epoch]") -> bytes:
    """Draw the history of a run.

    Args:
        epochs: At least one.

    Returns:
        The content of a PNG file.
    """
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    pen = ImageDraw.Draw(image)
    half = WIDTH // 2
    compared = [epoch for epoch in epochs if epoch.is_cross_entropy] or epochs
    losses = [
        _Curve("training loss (smoothed)", BLUE, [(epoch.number, epoch.loss) for epoch in compared]),
        _Curve("dev loss", ORANGE, [(epoch.number, epoch.dev_loss) for epoch in compared]),
    ]
    scored = [(epoch.number, epoch.scores[PRIMARY]) for epoch in epochs if PRIMARY in epoch.scores]
    _draw_panel(pen, (0, half), losses)
    _draw_panel(pen, (half, WIDTH), [_Curve(f"dev {PRIMARY}" + ("" if scored else " is not defined"), GREEN, scored)])
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _draw_panel(pen: "ImageDraw", sides: tuple[int, int], curves: Sequence[_Curve]) -> None:
    """Draw curves between two x coordinates."""
    left, right, top, bottom = sides[0] + MARGIN, sides[1] - MARGIN // 2, MARGIN, HEIGHT - MARGIN
    pen.rectangle((left, top, right, bottom), outline="#cccccc")
    for index, curve in enumerate(curves):
        pen.text((left + 170 * index, top - 24), curve.label, fill=curve.colour)
    points = [point for curve in curves for point in curve.points]
    if not points:
        return
    low, high = min(value for _, value in points), max(value for _, value in points)
    span = (high - low) or 1.0
    first, last = min(number for number, _ in points), max(number for number, _ in points)

    def position(number: int, value: float) -> tuple[float, float]:
        across = (number - first) / max(1, last - first)
        return left + across * (right - left), bottom - (value - low) / span * (bottom - top)

    pen.text((left - 40, top - 6), f"{high:.3f}", fill="black")
    pen.text((left - 40, bottom - 6), f"{low:.3f}", fill="black")
    pen.text((left, bottom + 6), f"epoch {first}", fill="black")
    pen.text((right - 14, bottom + 6), str(last), fill="black")
    for curve in curves:
        line = [position(*point) for point in curve.points]
        pen.line(line, fill=curve.colour, width=2)
        for x, y in line:
            pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=curve.colour)
