"""How captions are written: formats, one module each, to stdout or a file; and destinations, a place for each picture."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from capgen.captioner.results import Result
from capgen.errors import UsageError
from capgen.registry import Registry

FORMATS: "Registry[Callable[..., Format]]" = Registry(
    "format",
    {
        "text": "capgen.outputs.text:TextFormat",
        "jsonl": "capgen.outputs.jsonl:JsonLinesFormat",
        "csv": "capgen.outputs.csv:CsvFormat",
    },
)


class Format(Protocol):
    """Results as lines, and back."""

    header: str
    """The line before all others; empty for none."""

    def lines(self, result: Result) -> list[str]:
        """Return the records of a result; none if the format has no place for its status."""
        ...

    def whole(self, record: bytes) -> bool:
        """Tell whether lines read so far, with their ends, are a whole record."""
        ...

    def parse(self, record: bytes) -> tuple[str, str | None] | None:
        """Return the path and the caption that a record holds, or ``None`` if it is none of this format's."""
        ...


def format_of(path: Path, name: str | None) -> Format:
    """Make the format of a file: the one that is named, or the one that its ending says, text by default.

    Raises:
        UnknownNameError: There is no such format.
        UsageError: The name and the ending say different things.
    """
    usual = _ENDINGS.get(path.suffix.lower())
    form = FORMATS[name or usual or "text"]
    if name and usual and name != usual:
        raise UsageError(f"{path} ends as {usual} does, and --format says {name}; change one of the two")
    return form(several=True)


_ENDINGS = {".jsonl": "jsonl", ".csv": "csv"}
