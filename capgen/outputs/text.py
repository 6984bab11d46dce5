"""``text``: the caption alone for one image, ``path<TAB>caption`` for several."""

import os

from capgen.captioner.results import Result
from capgen.errors import Status
from capgen.outputs.format import LineFormat

ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_MEANINGS = {"\\\\": "\\", "\\t": "\t", "\\n": "\n", "\\r": "\r"}


class TextFormat(LineFormat):
    """Lines for people and for ``cut``. Only ``several`` lines begin with their path."""

    def lines(self, result: Result) -> list[str]:
        """Return a line for each caption, with its rank and its confidence before it if there is more than one caption.

        There is no line for an image without a caption.
        """
        if result.status is not Status.CAPTIONED:
            return []
        path = [str(result.path).translate(ESCAPES)] if self.several else []
        many = len(result.captions) > 1
        return [
            "\t".join([*path, *((str(rank), f"{caption.confidence:.3f}") if many else ()), caption.text.translate(ESCAPES)])
            for rank, caption in enumerate(result.captions, 1)
        ]

    def parse(self, record: bytes) -> tuple[str, str | None] | None:
        """Return the path and the caption in a line, or ``None`` if there is no tab in it."""
        path, *rest = os.fsdecode(record.rstrip(b"\r\n")).split("\t")
        return (_unescaped(path), _unescaped(rest[-1]) or None) if rest else None


def _unescaped(text: str) -> str:
    import re

    return re.sub(r"\\[\\tnr]", lambda match: _MEANINGS[match[0]], text)
