"""``text``: the caption alone for one picture, ``path<TAB>caption`` for several."""

from capgen.results import Result

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class TextFormat:
    """Lines for people and for ``cut``.

    Args:
        several: Whether each line begins with its path.
    """

    def __init__(self, *, several: bool) -> None:
        """Keep the choice."""
        self.several = several

    def lines(self, result: Result) -> list[str]:
        """Return a line a caption; of alternatives each begins with its probability. None for a file that failed."""
        place = [str(result.path).translate(_ESCAPES)] if self.several else []
        many = len(result.captions) > 1
        return [
            "\t".join([*place, *([f"{caption.probability:.4g}"] if many else []), caption.text])
            for caption in result.captions
        ]
