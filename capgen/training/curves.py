"""The curves of a run's history as an image: losses on the left, CIDEr-D on the right.

They are drawn with Pillow, which is loaded to decode images anyway.
"""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

    from capgen.training.history import Epoch

WIDTH, HEIGHT, MARGIN = 900, 360, 48
"""Pixels."""

COLOURS = {"loss": "#1f77b4", "dev_loss": "#ff7f0e", "cider_d": "#2ca02c"}
LABELS = {"loss": "training loss (smoothed)", "dev_loss": "dev loss", "cider_d": "dev CIDEr-D"}


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
    cross_entropy = [epoch for epoch in epochs if epoch.is_cross_entropy]
    _draw_panel(pen, (0, half), cross_entropy or epochs, ("loss", "dev_loss"))
    _draw_panel(pen, (half, WIDTH), epochs, ("cider_d",))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _draw_panel(pen: "ImageDraw", sides: tuple[int, int], epochs: "Sequence[Epoch]", names: Sequence[str]) -> None:
    """Draw some columns of the history between two x coordinates."""
    left, right, top, bottom = sides[0] + MARGIN, sides[1] - MARGIN // 2, MARGIN, HEIGHT - MARGIN
    values = [getattr(epoch, name) for epoch in epochs for name in names]
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    first, last = epochs[0].number, epochs[-1].number

    def point(number: int, value: float) -> tuple[float, float]:
        across = (number - first) / max(1, last - first)
        return left + across * (right - left), bottom - (value - low) / span * (bottom - top)

    pen.rectangle((left, top, right, bottom), outline="#cccccc")
    pen.text((left - 40, top - 6), f"{high:.3f}", fill="black")
    pen.text((left - 40, bottom - 6), f"{low:.3f}", fill="black")
    pen.text((left, bottom + 6), f"epoch {first}", fill="black")
    pen.text((right - 14, bottom + 6), str(last), fill="black")
    for index, name in enumerate(names):
        points = [point(epoch.number, getattr(epoch, name)) for epoch in epochs]
        pen.line(points, fill=COLOURS[name], width=2)
        for x, y in points:
            pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=COLOURS[name])
        pen.text((left + 170 * index, top - 24), LABELS[name], fill=COLOURS[name])
