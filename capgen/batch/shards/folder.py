"""A folder of finished shards: what the files of a shard are called, which shards are finished, and what they hold."""

import hashlib
import json
import os
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from capgen.batch.request import OutputPolicy
from capgen.captioner.captioner import Captioner
from capgen.captioner.decoding import current_names
from capgen.captioner.request import CaptionRequest
from capgen.errors import ImageError, StorageError, UsageError
from capgen.outputs import SHARD_FORMATS
from capgen.storage import locations

STATISTICS = "_stats.json"
"""What follows a shard's name in the name of its statistics, which say that it is finished."""

MARK = "_unfinished"
"""What follows it in the name of an empty file that is there while the shard is written. A shard that has neither this nor
statistics is somebody else's file."""

FAILURES = 1000
"""The most failures that the statistics of a shard name."""


@dataclass(frozen=True)
class ShardStatistics:
    """What became of the images of a shard.

    Attributes:
        shard: Name of its file.
        counts: Number of images by status.
        seconds: How long it took.
        failed: Path, status and reason of the first images that failed.
        whole: Whether the archive of the images could be read to its end; if not, the shard will be made again.
        captioner: Name and SHA-256 of the captioner's description.
        options: What was asked for.
        source: The archive of the images, as an absolute path or a URL; empty for other images.
    """

    shard: str
    counts: dict[str, int]
    seconds: float
    failed: tuple[dict[str, str], ...]
    whole: bool
    captioner: dict[str, str]
    options: dict[str, Any]
    source: str

    def plain(self) -> dict[str, Any]:
        """Return it for JSON."""
        totals = {"images": sum(self.counts.values()), "captioned": self.counts.get("captioned", 0)}
        return {"shard": self.shard, **totals, **{key: value for key, value in asdict(self).items() if key != "shard"}}


@dataclass(frozen=True)
class ShardFolder:
    """Where shards go and what they are made with. It can be pickled.

    Attributes:
        location: A path or a URL.
        form: One of ``SHARD_FORMATS``.
        request: What captions are asked for.
        policy: What becomes of them.
        options: What the statistics of a shard say of how it was made.
        captioner: Name and SHA-256 of the captioner's description.
    """

    location: str
    form: str
    request: CaptionRequest
    policy: OutputPolicy
    options: dict[str, Any]
    captioner: dict[str, str]

    @classmethod
    def of(
        cls,
        captioner: Captioner,
        location: str,
        form: str,
        request: CaptionRequest | None = None,
        policy: OutputPolicy | None = None,
    ) -> "ShardFolder":
        """Return the folder of the shards that a captioner makes.

        Raises:
            UnknownNameError: There is no such format.
            UsageError: The folder cannot be written to, or a package is missing.
        """
        request, policy = request or CaptionRequest(), policy or OutputPolicy()
        SHARD_FORMATS[form]  # raises for a name that is not known
        locations.check_writable(location)
        description = captioner.bundle
        about = {"name": description.description.name, "sha256": hashlib.sha256(description.description_bytes).hexdigest()}
        affixes = {"prefix": policy.prefix, "suffix": policy.suffix, "min_confidence": policy.min_confidence}
        options = {
            "format": form,
            **captioner.decoding(request).plain(),
            **{name: value for name, value in affixes.items() if value},
        }
        return cls(location, form, request, policy, options, about)

    def path(self, shard: str) -> str:
        """Return the path or URL of a shard."""
        return locations.join(self.location, self.file_name(shard))

    def file_name(self, shard: str) -> str:
        """Return the name of a shard's file."""
        return shard + SHARD_FORMATS[self.form].ending

    def statistics_path(self, shard: str) -> str:
        """Return the path or URL of a shard's statistics."""
        return locations.join(self.location, shard + STATISTICS)

    def mark_path(self, shard: str) -> str:
        """Return the path or URL of the mark that a shard is being written."""
        return locations.join(self.location, shard + MARK)

    def is_finished(self, shard: str, present: Collection[str], source: str | None = None) -> bool:
        """Tell whether a shard is there, is whole, and was made by this captioner with these options.

        Args:
            shard: The name of the shard.
            present: Names of the files in the folder.
            source: The archive that the shard must come from; any by default.

        Raises:
            StorageError: Its statistics cannot be read.
            UsageError: It was made by another captioner or in another way, or from something else.
        """
        if shard + STATISTICS not in present:
            return False
        stored = self.statistics(shard)
        if (stored.get("captioner"), _options(stored)) != (self.captioner, self.options):
            raise UsageError(
                f"{self.statistics_path(shard)}: this shard was made by another captioner or with other options;"
                " choose another folder, or do all again with `existing='overwrite'`"
            )
        if source is not None and stored.get("source", "") != source:
            raise UsageError(
                f"{self.path(shard)} has the captions of {stored.get('source') or 'other images'}, and {source} wants the"
                " same name; choose another folder"
            )
        return bool(stored.get("whole")) and self.file_name(shard) in present

    def statistics(self, shard: str) -> dict[str, Any]:
        """Read the statistics of a shard.

        Raises:
            StorageError: They cannot be read.
        """
        path = self.statistics_path(shard)
        with locations.reading(path) as file:
            try:
                values = json.loads(file.read())
            except ValueError as error:
                raise StorageError(f"{path} is damaged; remove it, and the shard is made anew") from error
        return values if isinstance(values, dict) else {}

    def image_paths(self, shard: str) -> Iterator[str]:
        """Read the paths of the images in a finished shard.

        Raises:
            StorageError: The shard cannot be read.
        """
        path = self.path(shard)
        with locations.reading(path) as file:
            try:
                yield from SHARD_FORMATS[self.form].paths(file)
            except (ValueError, KeyError, TypeError, ImageError) as error:  # pyarrow raises subclasses of ValueError
                raise StorageError(f"{path} is damaged; remove it, and it is made anew") from error


def _options(stored: dict[str, Any]) -> dict[str, Any]:
    """Return the options in statistics, under the names that they have today; none if they are damaged."""
    try:
        options = current_names(stored.get("options", {}))
    except TypeError:
        return {}
    return {"min_confidence" if name == "minimum_confidence" else name: value for name, value in options.items()}


def absolute(location: str) -> str:
    """Return an absolute path without links, or a URL as it is."""
    return location if locations.is_url(location) else os.path.realpath(location)
