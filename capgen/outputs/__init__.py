"""Where captions go: into one file or the standard output, or into a file for each image. One module a format or kind."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capgen.errors import UsageError
from capgen.registry import Registry

if TYPE_CHECKING:
    from capgen.outputs.destination import Destination
    from capgen.outputs.format import Format

FORMATS: "Registry[Callable[..., Format]]" = Registry(
    "format",
    {
        "text": "capgen.outputs.text:TextFormat",
        "jsonl": "capgen.outputs.jsonl:JsonLinesFormat",
        "csv": "capgen.outputs.csv:CsvFormat",
        "coco": "capgen.outputs.coco:CocoFormat",
    },
)
"""Formats of a file with the captions of many images; each is a ``Format``."""

DESTINATIONS: "Registry[Callable[..., Destination]]" = Registry(
    "destination",
    {
        "sidecar": "capgen.outputs.sidecar:Sidecar",
        "xmp": "capgen.outputs.xmp:XmpSidecar",
        "embedded": "capgen.outputs.embedded:Embedded",
    },
)
"""Kinds of files that hold the caption of one image; each is a ``Destination``."""

SHARD_FORMATS: Registry[Any] = Registry(
    "format of shards",
    {
        "jsonl": "capgen.outputs.shards.jsonl:JsonLinesShard",
        "parquet": "capgen.outputs.shards.parquet:ParquetShard",
        "tar": "capgen.outputs.shards.tar:TarShard",
    },
)
"""Formats of shards; each is a ``Shard``."""

ENDINGS = {"": "text", ".txt": "text", ".tsv": "text", ".jsonl": "jsonl", ".csv": "csv", ".json": "coco"}
"""The format that the ending of a file's name stands for."""

_ANY_FORMAT = ("", ".txt")
"""Endings of files in which a format that is named may be written, whichever it is."""


def format_of(path: Path, name: str | None) -> "Format":
    """Return the format of a file: the one that is named, or else the one that the ending of its name stands for.

    Raises:
        UnknownNameError: There is no such format.
        UsageError: The ending stands for no format or for another than is named, or belongs to shards.
    """
    ending = path.suffix.lower()
    if ending.removeprefix(".") in set(SHARD_FORMATS) - set(FORMATS):
        raise UsageError(f"{path}: {ending} files are written as shards: give `output` a folder, ending in /")
    usual = ENDINGS.get(ending)
    chosen = FORMATS[name or usual or "text"]
    if name is None and usual is None:
        known = ", ".join(filter(None, ENDINGS))
        raise UsageError(f"{path}: no format is known by the ending {ending}; known are {known}; or name one with `format`")
    if name and usual and name != usual and ending not in _ANY_FORMAT:
        raise UsageError(f"{path} ends as {usual} does, and `format` says {name}; change one of the two")
    return chosen(several=True)
