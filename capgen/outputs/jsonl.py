"""``jsonl``: one JSON object a picture, failed ones included."""

from capgen.files import json_text
from capgen.results import Result


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
        return [json_text(values)]
