"""What the arguments of the library are called as options of the command.

Messages of the library speak of its arguments, in backquotes as Python has them: `` `sidecar='.txt'` ``. What the command
says of them is what a person types: ``--sidecar .txt``.
"""

import re

_SAME = (
    "address", "allow_missing", "caption_column", "devices", "embed", "encoder_weights", "engine", "exclude", "existing",
    "follow_links", "force", "format", "from_file", "hidden", "image_column", "images", "language", "name", "out", "output",
    "output_dir", "overwrite", "predictions", "recursive", "report", "resume", "shard_size", "sidecar", "sidecar_name",
    "split", "strict", "watch", "weight", "workers", "xmp",
)  # fmt: skip
"""Arguments whose option is the same word, with hyphens."""

OPTIONS = {
    **{name: f"--{name.replace('_', '-')}" for name in _SAME},
    "captioner": "--from",
    "nul": "-0",
    "num_beams": "--beam",
}
"""The option of each argument that a message of the library names."""

_ARGUMENT = re.compile(r"`([a-z_]+)(?:=([^`]*))?`")


def as_typed(text: str) -> str:
    """Return a message of the library with the options of the command in place of arguments of the library."""
    return _ARGUMENT.sub(_option, text)


def _option(match: re.Match[str]) -> str:
    name, value = match.groups()
    if name not in OPTIONS:
        return match[0]
    return OPTIONS[name] if value in (None, "True") else f"{OPTIONS[name]} {value.strip(chr(39))}"
