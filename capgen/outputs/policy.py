"""Which of two captions stays where there is one already: the one that exists, the new one, or both joined."""

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from capgen.captioner.results import UNKNOWN, ImageVersion, SkipReason
from capgen.outputs.choices import Existing
from capgen.outputs.folder_state import FolderStates
from capgen.outputs.manifest import NO_FIELDS, Manifest, Owner, Record
from capgen.storage.hashing import caption_hash

JOINT = ", "
"""The text between an old caption and one added to it: what training sets of image generators put between tags."""


def decide(
    current: str | None,
    record: Record | None,
    existing: Existing,
    *,
    force: bool,
    version: ImageVersion = UNKNOWN,
    fields: Mapping[str, str] = NO_FIELDS,
) -> SkipReason | None:
    """Tell why a caption is left as it is, or ``None`` if it may be written.

    A caption that a person has changed since capgen wrote it is never replaced or added to unless forced, and what capgen
    has added once is not added again, forced or not. A caption is outdated if capgen wrote it, all of it, of another image
    than the file holds now.

    Args:
        current: Hash of the caption that is there, by ``caption_hash``; ``None`` if there is none.
        record: What the manifest knows of the caption.
        existing: The policy.
        force: Treat a caption that a person has changed like any other.
        version: The image as it is now.
        fields: The hash of each of the caption's fields that has a text, by name, if it has fields.
    """
    if current is None:
        return None
    if existing in (Existing.SKIP, Existing.FILL):
        return SkipReason.HAS_CAPTION
    written_by = record.owner(current, fields) if record else Owner.THEIRS
    if written_by is Owner.CHANGED and not force:
        return SkipReason.CHANGED_BY_HAND
    if existing.adds and written_by is Owner.OURS:
        return SkipReason.OURS_ALREADY
    if existing is Existing.OUTDATED and not _is_outdated(record, written_by, version):
        return SkipReason.HAS_CAPTION
    return None


def _is_outdated(record: Record | None, written_by: Owner, version: ImageVersion) -> bool:
    """Tell whether capgen wrote a caption, all of it, of another image than the file holds now."""
    if record is None or written_by is Owner.THEIRS or record.joined:
        return False
    return not record.version.is_that_of(version)


def combined(current: str | None, caption: str, existing: Existing) -> str:
    """Return the text to write, given the caption that is there and the new one; what has the new one in it stays."""
    if current is None or not existing.adds:
        return caption
    if _is_in(caption, current):  # in a copy that was changed, say, or since a person has changed the rest
        return current.strip()
    parts = (current.strip(), caption) if existing is Existing.APPEND else (caption, current.strip())
    return JOINT.join(parts)


_BREAK = r"[^\w\s'’-]|\s*\n"
"""What ends a caption in a text: punctuation, but no apostrophe or hyphen, or the end of a line."""


def _is_in(caption: str, current: str) -> bool:
    """Tell whether a caption is in a text, whole between its ends, its line ends and punctuation, in letters of any case."""
    words = re.escape(caption.strip().strip(",.;:!? "))
    return bool(words and re.search(rf"(?:^|{_BREAK}) *{words} *(?:$|{_BREAK})", current, re.IGNORECASE))


class OverwriteGuard:
    """Keeps captions that exist as the policy says, and remembers in manifest and folder which are capgen's own.

    Args:
        manifest: The manifest.
        existing: The policy.
        force: Treat a caption that a person has changed like any other.
    """

    def __init__(self, manifest: Manifest, existing: Existing = Existing.SKIP, *, force: bool = False) -> None:
        self.manifest, self.existing, self.force = manifest, existing, force
        self._folders = FolderStates()

    def skip_reason(
        self, key: bytes, current: str | None, version: ImageVersion, fields: Mapping[str, str] = NO_FIELDS
    ) -> SkipReason | None:
        """Tell why the caption with a manifest key, whose hash is ``current``, is left as it is; ``None`` if it is not.

        Args:
            key: The key, by ``manifest.key``.
            current: The caption's hash; ``None`` if there is none.
            version: The image as it is now. While its content hash is unknown, a caption that may have been moved counts as
                another program's, and one that may be outdated as outdated; call again once the image has been read.
            fields: The hash of each of its fields that has a text, by name.
        """
        if current is None or self.existing is Existing.SKIP:  # whose it is makes no difference
            return decide(current, None, self.existing, force=self.force)
        record = self.record(key, current, version, fields)
        reason = decide(current, record, self.existing, force=self.force, version=version, fields=fields)
        if reason is None or record is None or not version.content:
            return reason
        if record.version.state != version.state or self.manifest.get(key) is None:
            # It is the image still, in a file that was touched, moved or copied: the next run need not read it to know that.
            self._remember(key, replace(record, version=replace(record.version, state=version.state)))
        return reason

    def record(
        self, key: bytes, current: str, version: ImageVersion, fields: Mapping[str, str] = NO_FIELDS
    ) -> Record | None:
        """Return the record of a caption from the manifest or the state file of its folder.

        If there is none, it is that of a caption of the same image, of which this one may be a moved copy.

        The arguments are those of ``skip_reason``.
        """
        target = _target(key)
        here = [self.manifest.get(key), self._folders.get(target) if target else None]
        known = [record for record in here if record is not None]

        def best() -> Record | None:
            # One of them may be older than what another machine, or a run that was killed, has written.
            return min(known, key=lambda record: list(Owner).index(record.owner(current, fields)), default=None)

        found = best()
        if found is None or (found.owner(current, fields) is Owner.CHANGED and _has_other_names(target)):
            content = version.content or (found.version.content if found else "")
            if content and current:
                known += self._folders.moved(target, content, current, fields) if target else ()
                of, replaces = replace(version, content=content), self.existing is Existing.OVERWRITE
                known += self.manifest.moved(key, current, of, fields, changed_copies=replaces)
        return best()

    def before_writing(
        self,
        key: bytes,
        current: str | None,
        text: str,
        version: ImageVersion,
        fields: Mapping[str, str] = NO_FIELDS,
        *,
        is_beside_others: bool = False,
        field: str = "",
    ) -> None:
        """Remember that ``text`` is about to be written, and whose the caption is that was there before.

        Args:
            key: The key, by ``manifest.key``.
            current: The hash of the caption that is there; ``None`` if there is none.
            text: What is going to be there, in ``field`` if that is named.
            version: The image.
            fields: The hash of each field that has a text, by name.
            is_beside_others: Whether a person's words from another file are in the text.
            field: The one field that is written, beside a person's words in the other.
        """
        if field:
            self.manifest.put(key, Record(caption_hash(text), version=version, field=field))
            return
        before, record = current or "", self.record(key, current or "", version, fields)
        # Until it is written, the caption that is there is one of the image before.
        of = record.version if record and current else version
        whose = record.owner(before, fields) if record else Owner.THEIRS
        if self.existing.adds:
            joined = current is not None or is_beside_others
        else:
            joined = self.existing is Existing.FILL and _was_joined(current, record)
        filled = record.field if record and Owner.OURS in record.owners(before, fields).values() else ""
        self.manifest.put(
            key,
            Record(caption_hash(text), before, whose, version=of, joined=joined, field=filled),
        )

    def after_writing(self, key: bytes, text: str, version: ImageVersion) -> None:
        """Remember that ``text`` has been written, and of which image it is."""
        record = self.manifest.get(key) or Record("")
        field = "" if record.before else record.field
        self._remember(key, Record(caption_hash(text), version=version, joined=record.joined, field=field))

    def _remember(self, key: bytes, record: Record) -> None:
        self.manifest.put(key, record)
        if (target := _target(key)) is not None:
            self._folders.put(target, record)


def _was_joined(current: str | None, record: Record | None) -> bool:
    return current is not None and record is not None and record.joined


def _has_other_names(target: Path | None) -> bool:
    try:
        return target is not None and target.stat().st_nlink > 1
    except OSError:
        return False


def _target(key: bytes) -> Path | None:
    """Return the file that holds the caption with a key; ``None`` if it holds the captions of many images."""
    return None if b"\0" in key else Path(os.fsdecode(key))
