"""Who wins where there is a caption already."""

from capgen.captioner.results import SkipReason
from capgen.errors import UnknownNameError
from capgen.outputs.manifest import Record, whose

EXISTING = ("skip", "overwrite", "append", "prepend")
"""What can be done with a caption that exists."""

JOINT = ", "
"""Between an old caption and one added to it: what training sets of image generators put between tags."""


def check(existing: str) -> str:
    """Return the name of a policy.

    Raises:
        UnknownNameError: It is none.
    """
    if existing not in EXISTING:
        raise UnknownNameError("policy for existing captions", existing, EXISTING)
    return existing


def decide(current: str | None, record: Record | None, existing: str, *, force: bool) -> SkipReason | None:
    """Tell why a place is left as it is, or ``None`` if it may be written.

    A caption that a person has changed since capgen wrote it is never replaced or added to unless forced, and what capgen
    has added once is not added again.

    Args:
        current: Hash of the caption in place, by ``manifest.digest``; ``None`` for none.
        record: What the manifest knows of the place.
        existing: The policy.
        force: Treat a person's change like any caption.
    """
    if current is None:
        return None
    owner = whose(record, current)
    if existing == "skip":
        return SkipReason.HAS_CAPTION
    if owner == "changed" and not force:
        return SkipReason.CHANGED_BY_HAND
    if existing != "overwrite" and owner == "ours" and not force:
        return SkipReason.OURS_ALREADY
    return None


def combined(current: str | None, caption: str, existing: str) -> str:
    """Return the text to write."""
    if current is None or existing in ("skip", "overwrite"):
        return caption
    parts = (current.strip(), caption) if existing == "append" else (caption, current.strip())
    return JOINT.join(parts)
