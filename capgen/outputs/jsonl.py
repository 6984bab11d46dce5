"""``jsonl``: one JSON object a picture, failed ones included."""

import json

from capgen.batch import Result


class JsonLinesFormat:
    """Lines for programs.

    Args:
        several: Makes no difference: every line is complete.
    """

    def __init__(self, *, several: bool) -> None:
        """Take what every format takes."""

    def lines(self, result: Result) -> list[str]:
        """Return one line: ``path``, ``status``, ``caption``, ``probability``, ``captions``; ``reason`` if it failed."""
        captions = [{"caption": c.text, "probability": c.probability} for c in result.captions]
        best = captions[0] if captions else {"caption": None, "probability": None}
        values = {"path": str(result.path), "status": result.status, **best, "captions": captions}
        if result.failed:
            values["reason"] = result.reason
        # a path that is no UTF-8 keeps its bytes as surrogates, which JSON can only carry escaped
        return [json.dumps(values, ensure_ascii=not _is_utf8(str(result.path)))]


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
