"""``text``: the caption alone for one picture, ``path<TAB>caption`` for several."""

import os

from capgen.captioner.results import Result
from capgen.errors import Status

ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_MEANINGS = {"\\\\": "\\", "\\t": "\t", "\\n": "\n", "\\r": "\r"}


class TextFormat:
    """Lines for people and for ``cut``.

    Args:
        several: Whether each line begins with its path.
    """

    header = ""

    def __init__(self, *, several: bool) -> None:
        """Keep the choice."""
        self.several = several

    def lines(self, result: Result) -> list[str]:
        """Return a line a caption; of alternatives each has its confidence before it. None for a file that failed."""
        if result.status is not Status.CAPTIONED:
            return []
        place = [str(result.path).translate(ESCAPES)] if self.several else []
        many = len(result.captions) > 1
        return [
            "\t".join([*place, *([f"{caption.confidence:.3f}"] if many else []), caption.text.translate(ESCAPES)])
            for caption in result.captions
        ]

    def whole(self, record: bytes) -> bool:
        """See ``Format``."""
        return record.endswith(b"\n")

    def parse(self, record: bytes) -> tuple[str, str | None] | None:
        """See ``Format``."""
        path, *rest = os.fsdecode(record.rstrip(b"\r\n")).split("\t")
        return (_plain(path), _plain(rest[-1]) or None) if rest else None


def _plain(text: str) -> str:
    """Undo the escapes."""
    import re

    return re.sub(r"\\[\\tnr]", lambda match: _MEANINGS[match[0]], text)
