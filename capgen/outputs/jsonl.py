"""``jsonl``: one JSON object a picture, failed ones included."""

import json
from os import fsencode

from capgen.captioner.results import Result
from capgen.errors import Status
from capgen.storage.files import json_text


class JsonLinesFormat:
    """Lines for programs.

    Args:
        several: Makes no difference: every line is complete.
    """

    header = ""

    def __init__(self, *, several: bool) -> None:
        """Take what every format takes."""

    def lines(self, result: Result) -> list[str]:
        """Return one line: ``path``, ``status``, the best caption, all ``captions``, ``written`` files, a ``reason``."""
        captions = [
            {"caption": c.text, "confidence": c.confidence, "log_probability": c.log_probability} for c in result.captions
        ]
        values: dict[str, object] = {
            "path": str(result.path),
            "status": result.status,
            "caption": result.caption,
            "confidence": result.confidence,
            "captions": captions,
        }
        if result.written:
            values["written"] = [str(place) for place in result.written]
        if result.reason:
            values["reason"] = result.reason
        return [json_text(values)]

    def whole(self, record: bytes) -> bool:
        """See ``Format``."""
        return record.endswith(b"\n")

    def parse(self, record: bytes) -> tuple[str, str | None] | None:
        """See ``Format``."""
        try:
            values = json.loads(record)
            path, caption, status = values["path"], values["caption"], values["status"]
            fsencode(path + (caption or ""))  # half a character can be neither
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        if not isinstance(path, str) or not isinstance(caption, str | None):
            return None
        return path, (caption or None) if status == Status.CAPTIONED else None
