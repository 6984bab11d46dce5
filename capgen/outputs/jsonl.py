"""``jsonl``: one JSON object for each image, failed ones included."""

import json
from os import fsencode

from capgen.captioner.results import Result
from capgen.errors import Status
from capgen.outputs.format import LineFormat
from capgen.storage.files import json_text


def shown(confidence: float) -> float:
    """Return a confidence with three digits, as all formats have it: more of it would be noise."""
    return round(confidence, 3)


class JsonLinesFormat(LineFormat):
    """Lines for programs. Every line has every key, since readers infer columns from the first lines.

    What is not there is null, but for the reason, which is an empty text. A column of nothing but null in the first lines
    holds no texts for such readers: where a reason comes later, DuckDB has null, and Polars ends with an error.
    """

    records_failures = True

    def lines(self, result: Result) -> list[str]:
        """Return one line: ``path``, ``status``, the best caption, all ``captions``, ``written`` files, a ``reason``."""
        captions = [
            {"caption": caption.text, "confidence": shown(caption.confidence), "log_probability": caption.log_probability}
            for caption in result.captions
        ]
        values = {
            "path": str(result.path),
            "status": result.status,
            "caption": result.caption,
            "confidence": captions[0]["confidence"] if captions else None,
            "captions": captions or None,
            "written": [str(path) for path in result.written] or None,
            "reason": result.reason,
        }
        return [json_text(values)]

    def parse(self, record: bytes) -> tuple[str, str | None] | None:
        """Return the path and the caption in a line, or ``None`` if it is not such an object."""
        try:
            values = json.loads(record)
            # A person's lines, or another program's, may have no status; what they hold is a caption all the same.
            path, caption, status = values["path"], values["caption"], values.get("status", Status.CAPTIONED)
            fsencode(path + (caption or ""))  # refuses a lone surrogate that stands for no byte
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        if not isinstance(path, str) or not isinstance(caption, str | None):
            return None
        return path, (caption or None) if status == Status.CAPTIONED else None
