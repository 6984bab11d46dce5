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


@dataclass(frozen=True)
class _Axes:
    """The axes of a panel.

    Attributes:
        box: The left, top, right and bottom side of the panel, in pixels.
        epochs: The numbers of the first and of the last epoch.
        values: The lowest and the highest value.
    """

    box: tuple[int, int, int, int]
    epochs: tuple[int, int]
    values: tuple[float, float]

    def position(self, number: int, value: float) -> tuple[float, float]:
        """Return the x and y coordinates of the value of an epoch."""
        left, top, right, bottom = self.box
        (first, last), (low, high) = self.epochs, self.values
        across = (number - first) / max(1, last - first)
        return left + across * (right - left), bottom - (value - low) / ((high - low) or 1.0) * (bottom - top)

    def draw_ends(self, pen: "ImageDraw") -> None:
        """Write the ends of the axes beside them."""
        left, top, right, bottom = self.box
        (first, last), (low, high) = self.epochs, self.values
        pen.text((left - 40, top - 6), f"{high:.3f}", fill="black")
        pen.text((left - 40, bottom - 6), f"{low:.3f}", fill="black")
        pen.text((left, bottom + 6), f"epoch {first}", fill="black")
        pen.text((right - 14, bottom + 6), str(last), fill="black")


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
    numbers, values = zip(*points, strict=True)
    axes = _Axes((left, top, right, bottom), (min(numbers), max(numbers)), (min(values), max(values)))
    axes.draw_ends(pen)
    for curve in curves:
        _draw_line(pen, [axes.position(*point) for point in curve.points], curve.colour)


def _draw_line(pen: "ImageDraw", line: Sequence[tuple[float, float]], colour: str) -> None:
    """Draw a line with a dot at each of its points."""
    pen.line(line, fill=colour, width=2)
    for x, y in line:
        pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colour)
