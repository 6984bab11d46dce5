"""The sink that writes the caption of each image into a file of its own, or into the image."""

from dataclasses import replace
from pathlib import Path

from capgen.captioner.results import ImageVersion, Result, SkipReason
from capgen.errors import Status
from capgen.inputs.selection import Found
from capgen.outputs import policy
from capgen.outputs.destination import Destination
from capgen.outputs.manifest import key
from capgen.outputs.policy import OverwriteGuard
from capgen.storage.hashing import caption_hash


class PerImageSink:
    """Writes captions to a destination, and keeps those that exist as the policy says.

    Args:
        destination: The kind of file.
        guard: Knows which captions may be replaced.
    """

    def __init__(self, destination: Destination, guard: OverwriteGuard) -> None:
        self.destination, self._guard = destination, guard

    def target(self, item: Found) -> Path:
        """Return the file that is written for an image."""
        return self.destination.target(*item.local())

    def skip_reason(self, item: Found) -> SkipReason | None:
        """Tell why an image keeps the caption that it has; ``None`` if its caption is to be written.

        Raises:
            StorageError: The caption that it has cannot be read.
        """
        target = self.target(item)
        return self._guard.skip_reason(key(target), _hash(self.destination.read(target)), ImageVersion.of_file(item.path))

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
        with self._guard.manifest.locked():
            current = self.destination.read(target)
            reason = self._guard.skip_reason(key(target), _hash(current), version)
            if reason is not None:
                return reason
            text = policy.combined(current, result.caption or "", self._guard.existing)
            self._guard.before_writing(key(target), _hash(current), text, version)
            is_as_read = version.state == ImageVersion.of_file(item.path).state
            self.destination.write(target, text)
            if is_as_read:  # what has changed in the image now is the caption in it
                version = replace(version, state=ImageVersion.of_file(item.path).state)
            # A format may not hold every character, so what counts is the caption as it is read back.
            self._guard.after_writing(key(target), self.destination.read(target) or text, version)
        return None

    def close(self) -> None:
        """End helper processes; a second call does nothing."""
        self.destination.close()


def _hash(caption: str | None) -> str | None:
    return None if caption is None else caption_hash(caption)
