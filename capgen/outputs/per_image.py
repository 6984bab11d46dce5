"""The sink that writes the caption of each image into a file of its own, or into the image."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from capgen.captioner.results import ImageVersion, Result, SkipReason
from capgen.errors import Status, StorageError
from capgen.inputs.selection import Found
from capgen.outputs.choices import Existing
from capgen.outputs.destination import Destination, OtherFile
from capgen.outputs.fields import Fields
from capgen.outputs.manifest import Owner, key
from capgen.outputs.policy import OverwriteGuard
from capgen.outputs.sidecar_naming import share_stem
from capgen.storage.hashing import HashSet, caption_hash, hash64


class PerImageSink:
    """Writes captions to a destination, and keeps those that exist as the policy says.

    Args:
        destination: The kind of file.
        guard: Knows which captions may be replaced.
        contested: Tells whether several images may want a file. The first image that asks has it.
        again: Whether an image may come again, since it may be another by then.
    """

    def __init__(
        self,
        destination: Destination,
        guard: OverwriteGuard,
        contested: Callable[[Path], bool] = lambda target: False,
        *,
        again: bool = False,
    ) -> None:
        self.destination, self._guard = destination, guard
        self._files = None if again else HashSet()  # those that captions may be written to
        self._contested, self._first_images = contested, dict[Path, Path]()

    def target(self, item: Found) -> Path:
        """Return the file that is written for an image."""
        return self.destination.target(*item.local())

    def skip_reason(self, item: Found) -> SkipReason | None:
        """Tell why an image keeps the caption that it has; ``None`` if its caption is to be written.

        Raises:
            StorageError: The caption that it has cannot be read, or its file is that of another image.
        """
        target = self.target(item)
        if self._is_shared(item, target):
            return SkipReason.SHARED
        own = self.destination.fields(target)
        if self._guard.existing is Existing.SKIP and own.text is not None:  # nothing about the image is asked then
            return SkipReason.HAS_CAPTION
        if self._is_known_by_another_name(target):
            return SkipReason.SHARED
        others = self.destination.elsewhere(*item.local())
        return self._reason(target, own, others, ImageVersion.of_file(item.path))

    def write(self, item: Found, result: Result) -> SkipReason | None:
        """Write the caption of a captioned image; results of images that were not captioned are ignored.

        Returns:
            Why the image keeps its caption after all, since another run may have written one in the meantime.

        Raises:
            StorageError: The caption cannot be written; the file is as it was before.
        """
        if result.status is not Status.CAPTIONED:
            return None
        target, version = self.target(item), result.version
        if self._is_shared(item, target):
            return SkipReason.SHARED
        with self._guard.manifest.locked():
            own, others = self.destination.fields(target), list(self.destination.elsewhere(*item.local()))
            reason = self._reason(target, own, others, version)
            if reason is not None:
                return reason
            caption, known = result.caption or "", self._known(target, own, others, version)
            written = known.taking(caption, self._guard.existing)
            _check_certain(known, written, item)
            file = OtherFile(target, own, self.destination)
            version = self._write_fields(file, written, item, version, is_beside_others=known.text is not None)
            for other in others:
                self._keep_in_step(other, caption, item, version)
        return None

    def _keep_in_step(self, other: OtherFile, caption: str, item: Found, version: ImageVersion) -> None:
        """Write a caption into another file, too, where that has one: else programs would go on showing the old words."""
        path, fields, files = item.local()[0], other.fields, self._first_images
        if other.destination is None or fields.text is None or files.setdefault(other.path.absolute(), path) != path:
            return
        new = self._known(other.path, fields, (), version).taking(caption, self._guard.existing)
        new = Fields(fields.description and new.description, fields.alternative and new.alternative)
        if new != fields and self._guard.skip_reason(key(other.path), _hash(fields.text), version, fields.hashes) is None:
            self._write_fields(other, new, item, version)

    def _write_fields(
        self, file: OtherFile, new: Fields, item: Found, version: ImageVersion, *, is_beside_others: bool = False
    ) -> ImageVersion:
        """Write fields into a file, remember that, and return the version that the image is afterwards."""
        assert file.destination is not None
        there, field = file.fields, ""
        if self._guard.existing is Existing.FILL and there.text is not None:
            owners, _ = self._owners(file.path, there, version)
            if Owner.CHANGED in owners.values():  # so it stays one that was changed
                file.destination.write(file.path, new)
                return version
            if Owner.THEIRS in owners.values():
                [field] = new.hashes
        text, was_as_read = (new if field else new.or_else(there)).text or "", _is_as_read(item, version)
        self._guard.before_writing(
            key(file.path), _hash(there.text), text, version, there.hashes, is_beside_others=is_beside_others, field=field
        )
        file.destination.write(file.path, new)
        if was_as_read:  # what has changed in the image now is the caption in it
            version = replace(version, state=ImageVersion.of_file(item.path).state)
        # A format may not hold every character, so what counts is the caption as it is read back.
        read = file.destination.fields(file.path)
        self._guard.after_writing(key(file.path), (getattr(read, field) if field else read.text) or text, version)
        return version

    def _reason(self, target: Path, own: Fields, others: Iterable[OtherFile], version: ImageVersion) -> SkipReason | None:
        """Tell why an image keeps its caption, given those of its own file; a person's in others count, too."""
        existing = self._guard.existing
        if existing is Existing.SKIP and own.text is not None:  # wherever its file is, and whoever wrote it
            return SkipReason.HAS_CAPTION
        if existing is Existing.FILL:
            return SkipReason.HAS_CAPTION if self._known(target, own, others, version).is_full else None
        if own.text is None and existing.keeps and self._known(target, own, others, version).text is not None:
            return SkipReason.HAS_CAPTION
        return self._guard.skip_reason(key(target), _hash(own.text), version, own.hashes)

    def _known(self, target: Path, own: Fields, others: Iterable[OtherFile], version: ImageVersion) -> Fields:
        """Return the fields of a file of an image, and where they are missing what a person has written in others.

        What capgen wrote by itself in others does not count. Where it has added a caption to a person's words, or a person
        has changed one, the field has a caption of capgen's already.
        """
        owners, _ = self._owners(target, own, version)
        known = replace(own, done=frozenset(name for name, owner in owners.items() if owner is Owner.OURS))
        for other in others:
            owners, is_joined = self._owners(other.path, other.fields, version)
            alone = {name for name, owner in owners.items() if owner is Owner.OURS and not is_joined}
            kept = {Owner.OURS} if self._guard.force else {Owner.OURS, Owner.CHANGED}
            done = frozenset(name for name, owner in owners.items() if owner in kept)
            known = known.or_else(replace(other.fields.without(alone), done=done - alone))
        return known

    def _owners(self, path: Path, fields: Fields, version: ImageVersion) -> tuple[dict[str, Owner], bool]:
        """Tell whose each field of a file is, and whether capgen has added its caption to a person's words in them."""
        hashes, current = fields.hashes, _hash(fields.text)
        record = None if current is None else self._guard.record(key(path), current, version, hashes)
        if record is None or current is None:
            return dict.fromkeys(hashes, Owner.THEIRS), False
        return record.owners(current, hashes), record.joined

    def _is_known_by_another_name(self, target: Path) -> bool:
        """Tell whether a file has been asked for already under another name, which is a link to it."""
        if self._files is None:
            return False
        try:
            status = target.stat()
        except OSError:
            return False
        return not self._files.add(hash64(f"{status.st_dev} {status.st_ino}"))

    def _is_shared(self, item: Found, target: Path) -> bool:
        """Tell whether an image of the same stem has the file that an image wants, so that they share its caption.

        Raises:
            StorageError: An image that it has nothing to do with has the file.
        """
        if not self._contested(target):
            return False
        path, _ = item.local()
        first = self._first_images.setdefault(target.absolute(), path)
        if first != path and not first.exists():
            first = self._first_images[target.absolute()] = path
        if first != path and not share_stem(first, path):
            raise StorageError(f"{first} has {target} for its caption")
        return first != path

    def close(self) -> None:
        """End helper processes; a second call does nothing."""
        self.destination.close()


def _check_certain(known: Fields, written: Fields, item: Found) -> None:
    """Make sure that no words that may be misread are written back.

    Raises:
        StorageError: Some would be.
    """
    for tag, text in known.doubtful.items():
        if text in (written.description or ""):
            raise StorageError(
                f"cannot add to {tag} of {item.path}: it is not in UTF-8 and does not say in which encoding it is; "
                "convert it, or replace it with `existing='overwrite'`"
            )


def _hash(caption: str | None) -> str | None:
    return None if caption is None else caption_hash(caption)


def _is_as_read(item: Found, version: ImageVersion) -> bool:
    return version.state == ImageVersion.of_file(item.path).state
