"""The sink that writes the caption of each image into a file of its own, or into the image."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from capgen.captioner.results import ImageVersion, Result, SkipReason
from capgen.errors import Status, StorageError
from capgen.inputs.selection import Found
from capgen.outputs.destination import Destination, OtherFile
from capgen.outputs.fields import Fields
from capgen.outputs.manifest import key
from capgen.outputs.policy import Existing, OverwriteGuard
from capgen.outputs.sidecar_naming import share_stem
from capgen.storage.hashing import caption_hash


class PerImageSink:
    """Writes captions to a destination, and keeps those that exist as the policy says.

    Args:
        destination: The kind of file.
        guard: Knows which captions may be replaced.
        contested: Tells whether several images may want a file. The first image that asks has it.
    """

    def __init__(
        self, destination: Destination, guard: OverwriteGuard, contested: Callable[[Path], bool] = lambda target: False
    ) -> None:
        self.destination, self._guard = destination, guard
        self._contested, self._owners = contested, dict[Path, Path]()

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
        others = self.destination.elsewhere(*item.local())
        return self._reason(target, own, others, ImageVersion.of_file(item.path))

    def write(self, item: Found, result: Result) -> SkipReason | None:
        """Write the caption of a captioned image; the results of others have no place here.

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
            caption = result.caption or ""
            written = self._known(own, others, version).taking(caption, self._guard.existing)
            if own.text is not None and self._guard.existing is Existing.FILL:
                self.destination.write(target, written)  # beside a person's words; so the whole stays theirs
                return None
            version = self._put(OtherFile(target, own, self.destination), written, item, version)
            for other in others:
                self._keep_in_step(other, caption, item, version)
        return None

    def _keep_in_step(self, other: OtherFile, caption: str, item: Found, version: ImageVersion) -> None:
        """Write a caption into another file, too, where that has one: else programs would go on showing the old words."""
        path, fields = item.local()[0], other.fields
        if other.destination is None or fields.text is None or self._owners.setdefault(other.path.absolute(), path) != path:
            return
        new = fields.taking(caption, self._guard.existing)
        new = Fields(fields.description and new.description, fields.alternative and new.alternative)
        if new != fields and self._guard.skip_reason(key(other.path), _hash(fields.text), version) is None:
            self._put(other, new, item, version)

    def _put(self, file: OtherFile, new: Fields, item: Found, version: ImageVersion) -> ImageVersion:
        """Write fields into a file, remember that, and return the version that the image is afterwards."""
        assert file.destination is not None
        text, was_as_read = new.or_else(file.fields).text or "", version.state == ImageVersion.of_file(item.path).state
        self._guard.before_writing(key(file.path), _hash(file.fields.text), text, version)
        file.destination.write(file.path, new)
        if was_as_read:  # what has changed in the image now is the caption in it
            version = replace(version, state=ImageVersion.of_file(item.path).state)
        # A format may not hold every character, so what counts is the caption as it is read back.
        self._guard.after_writing(key(file.path), file.destination.read(file.path) or text, version)
        return version

    def _reason(self, target: Path, own: Fields, others: Iterable[OtherFile], version: ImageVersion) -> SkipReason | None:
        """Tell why an image keeps its caption, given those of its own file; a person's in others count, too."""
        existing = self._guard.existing
        if existing is Existing.SKIP and own.text is not None:  # wherever its file is, and whoever wrote it
            return SkipReason.HAS_CAPTION
        if existing is Existing.FILL:
            return SkipReason.HAS_CAPTION if self._known(own, others, version).is_full else None
        if own.text is None and existing.keeps and self._known(own, others, version).text is not None:
            return SkipReason.HAS_CAPTION
        return self._guard.skip_reason(key(target), _hash(own.text), version)

    def _known(self, own: Fields, others: Iterable[OtherFile], version: ImageVersion) -> Fields:
        """Return the fields of an image's own file, and where they are missing what a person has written in others."""
        for other in others:
            text, fields = other.fields.text, other.fields
            is_ours = text is not None and self._guard.is_ours(key(other.path), caption_hash(text), version)
            own = own.or_else(Fields(in_exif=fields.in_exif) if is_ours else fields)
        return own

    def _is_shared(self, item: Found, target: Path) -> bool:
        """Tell whether an image of the same stem has the file that an image wants, so that they share its caption.

        Raises:
            StorageError: An image that it has nothing to do with has the file.
        """
        if not self._contested(target):
            return False
        path, _ = item.local()
        first = self._owners.setdefault(target.absolute(), path)
        if first != path and not first.exists():
            first = self._owners[target.absolute()] = path
        if first != path and not share_stem(first, path):
            raise StorageError(f"{first} has {target} for its caption")
        return first != path

    def close(self) -> None:
        """End helper processes; a second call does nothing."""
        self.destination.close()


def _hash(caption: str | None) -> str | None:
    return None if caption is None else caption_hash(caption)
