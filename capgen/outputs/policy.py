"""Which of two captions stays where there is one already: the one that exists, the new one, or both joined."""

from enum import StrEnum

from capgen.captioner.results import SkipReason
from capgen.errors import UnknownNameError
from capgen.outputs.manifest import Manifest, Owner, Record, owner
from capgen.storage.hashing import caption_hash

JOINT = ", "
"""The text between an old caption and one added to it: what training sets of image generators put between tags."""


class Existing(StrEnum):
    """What is done with a caption that exists."""

    SKIP = "skip"
    OVERWRITE = "overwrite"
    APPEND = "append"
    PREPEND = "prepend"

    @classmethod
    def named(cls, name: str) -> "Existing":
        """Return the policy of a name.

        Raises:
            UnknownNameError: There is no such policy; the message offers the nearest.
        """
        if name not in list(cls):
            raise UnknownNameError("policy for existing captions", name, cls)
        return cls(name)

    @property
    def adds(self) -> bool:
        """Whether the new caption is joined to the old one."""
        return self in (Existing.APPEND, Existing.PREPEND)


def decide(current: str | None, record: Record | None, existing: Existing, *, force: bool) -> SkipReason | None:
    """Tell why a caption is left as it is, or ``None`` if it may be written.

    A caption that a person has changed since capgen wrote it is never replaced or added to unless forced, and what capgen
    has added once is not added again.

    Args:
        current: Hash of the caption that is there, by ``caption_hash``; ``None`` if there is none.
        record: What the manifest knows of the caption.
        existing: The policy.
        force: Treat a caption that a person has changed like any other.
    """
    if current is None:
        return None
    if existing is Existing.SKIP:
        return SkipReason.HAS_CAPTION
    written_by = owner(record, current)
    if written_by is Owner.CHANGED and not force:
        return SkipReason.CHANGED_BY_HAND
    if existing.adds and written_by is Owner.OURS and not force:
        return SkipReason.OURS_ALREADY
    return None


def combined(current: str | None, caption: str, existing: Existing) -> str:
    """Return the text to write, given the caption that is there and the new one."""
    if current is None or not existing.adds:
        return caption
    parts = (current.strip(), caption) if existing is Existing.APPEND else (caption, current.strip())
    return JOINT.join(parts)


class OverwriteGuard:
    """Keeps captions that exist as the policy says, and remembers in the manifest which are capgen's own.

    Args:
        manifest: The manifest.
        existing: The policy.
        force: Treat a caption that a person has changed like any other.
    """

    def __init__(self, manifest: Manifest, existing: Existing = Existing.SKIP, *, force: bool = False) -> None:
        self.manifest, self.existing, self.force = manifest, existing, force

    def skip_reason(self, key: bytes, current: str | None) -> SkipReason | None:
        """Tell why the caption with a manifest key, whose hash is ``current``, is left as it is; ``None`` if it is not."""
        return decide(current, self.manifest.get(key), self.existing, force=self.force)

    def before_writing(self, key: bytes, current: str | None, text: str) -> None:
        """Remember that ``text`` is about to be written, and whose the caption is that was there before."""
        before = current or ""
        self.manifest.put(key, Record(caption_hash(text), before, owner(self.manifest.get(key), before)))

    def after_writing(self, key: bytes, text: str) -> None:
        """Remember that ``text`` has been written."""
        self.manifest.put(key, Record(caption_hash(text)))
