"""A folder of finished shards: what a shard's files are called, which are done, and how the next are numbered."""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import count, islice
from typing import Any

from capgen.batch.library import Request
from capgen.captioner.captioner import Captioner
from capgen.captioner.decoding import DecodingOptions, current_names
from capgen.errors import ImageError, StorageError, UsageError
from capgen.inputs.archives import Task, is_archive
from capgen.inputs.listing import Listing
from capgen.inputs.selection import Found
from capgen.outputs.shards import FORMATS
from capgen.outputs.shards.parquet import utf8
from capgen.storage import locations
from capgen.storage.hashing import HashSet, hash64
from capgen.storage.locations import Location

STATS = "_stats.json"
"""What follows a shard's name in the name of its statistics, which say that it is done."""

MARK = "_unfinished"
"""What follows it in the name of an empty file that is there while the shard is written: a shard that has neither this nor
statistics is somebody else's file."""

FAILED = 1000
"""Failures that the statistics of a shard name, at most."""


@dataclass(frozen=True)
class Stats:
    """What became of the pictures of a shard.

    Attributes:
        shard: Name of its file.
        counts: Pictures by status.
        seconds: It took.
        failed: Path, status and reason of the first that failed.
        whole: Whether the archive that they come from could be read to its end; else it will be done again.
        captioner: Name and SHA-256 of the description.
        options: What was asked for.
        source: The archive that they come from, as a whole path or a URL; empty for other pictures.
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
        totals = {"pictures": sum(self.counts.values()), "captioned": self.counts.get("captioned", 0)}
        return {"shard": self.shard, **totals, **{key: value for key, value in asdict(self).items() if key != "shard"}}


@dataclass(frozen=True)
class Target:
    """Where shards go and what they are made with; can be sent to another machine.

    Attributes:
        folder: A path or a URL.
        form: One of ``shards.FORMATS``.
        request: How to search and word; its destinations and stream are not used.
        captioner: Name and SHA-256 of the description.
        decoding: How the captioner decodes for the request.
    """

    folder: str
    form: str
    request: Request
    captioner: dict[str, str]
    decoding: DecodingOptions

    @classmethod
    def of(cls, captioner: Captioner, folder: str, form: str, request: Request) -> "Target":
        """Make one for a captioner.

        Raises:
            UnknownNameError: There is no such format.
            UsageError: The folder cannot be written to, or a package is missing.
        """
        FORMATS[form]  # known
        locations.check_writable(folder)
        written = captioner.bundle
        about = {"name": written.description.name, "sha256": hashlib.sha256(written.written).hexdigest()}
        return cls(folder, form, request, about, captioner.decoding(request.captions))

    @property
    def options(self) -> dict[str, Any]:
        """What a shard's statistics say of how it was made."""
        asked = self.request
        wording = {"prefix": asked.prefix, "suffix": asked.suffix, "minimum_confidence": asked.minimum_confidence}
        return {"format": self.form, **self.decoding.plain(), **{name: value for name, value in wording.items() if value}}

    def place(self, shard: str) -> str:
        """Return the path or URL of a shard."""
        return locations.join(self.folder, shard + FORMATS[self.form].ending)

    def stats_place(self, shard: str) -> str:
        """Return the path or URL of its statistics."""
        return locations.join(self.folder, shard + STATS)

    def mark_place(self, shard: str) -> str:
        """Return the path or URL of the mark that it is being written."""
        return locations.join(self.folder, shard + MARK)

    def done(self, shard: str, present: Iterable[str] | None = None, source: str | None = None) -> bool:
        """Tell whether a shard is there, whole, and made in this way.

        Args:
            shard: Its name.
            present: Names of the files in the folder; looked up by default.
            source: The archive that it must come from; any by default.

        Raises:
            StorageError: Its statistics cannot be read.
            UsageError: It was made by another captioner or in another way, or from something else.
        """
        present = locations.names(self.folder) if present is None else present
        if shard + STATS not in present:
            return False
        stats = self.stats(shard)
        if (stats.get("captioner"), _options_of(stats)) != (self.captioner, self.options):
            raise UsageError(
                f"{self.stats_place(shard)}: this shard was made by another captioner or with other options;"
                " choose another folder, or do all again with --existing overwrite"
            )
        if source is not None and stats.get("source", "") != source:
            raise UsageError(
                f"{self.place(shard)} has the captions of {stats.get('source') or 'other pictures'}, and {source} wants the"
                " same name; choose another folder"
            )
        return bool(stats.get("whole")) and shard + FORMATS[self.form].ending in present

    def stats(self, shard: str) -> dict[str, Any]:
        """Read the statistics of a shard.

        Raises:
            StorageError: They cannot be read.
        """
        place = self.stats_place(shard)
        with locations.reading(place) as file:
            try:
                values = json.loads(file.read())
            except ValueError as error:
                raise StorageError(f"{place} is damaged; remove it, and the shard is made anew") from error
        return values if isinstance(values, dict) else {}

    def paths(self, shard: str) -> Iterator[str]:
        """Read the paths of the pictures that a finished shard tells of."""
        place = self.place(shard)
        with locations.reading(place) as file:
            try:
                yield from FORMATS[self.form].paths(file)
            except (ValueError, KeyError, TypeError, ImageError) as error:  # pyarrow's errors are of the first kind
                raise StorageError(f"{place} is damaged; remove it, and it is made anew") from error


def _options_of(stats: dict[str, Any]) -> dict[str, Any]:
    """Return what a shard's statistics say of how it was made, under the names that options have today."""
    try:
        return current_names(stats.get("options", {}))
    except TypeError:
        return {}


class Plan:
    """The tasks that are left to do, and what is done already. Iterated over as often as needed, one at a time.

    Args:
        found: Pictures and archives. An archive is a shard of its own name; other pictures are put into numbered ones.
        target: Where the shards go.
        size: Pictures of a numbered shard.
        overwrite: Do all of them, whatever is there.
        part: (i, n) if ``found`` is the i-th of n parts, so that no two of them, done at once, use one number.

    Attributes:
        done: Names of the archives' shards that are there.
        settled: Pictures that are in finished numbered shards.

    Raises:
        UsageError: Two archives want the same shard, or what is there was made in another way or is no shard of capgen's.
        StorageError: The folder cannot be read.
    """

    def __init__(
        self, found: Iterable[Found], target: Target, size: int, *, overwrite: bool, part: tuple[int, int] = (1, 1)
    ) -> None:
        """Find out what is there."""
        self._part = part
        self._size, self._archives = size, dict[str, Location]()
        self.done: list[str] = []
        self.settled = 0
        self._files = Listing(self._split(found))
        present = set() if overwrite else locations.names(target.folder)
        self._check(target, present)
        finished = set[str]()
        if len(self._files):
            numbered = (name.removesuffix(STATS) for name in present if re.fullmatch(rf"[0-9]{{5,}}{STATS}", name))
            finished = {shard for shard in numbered if shard not in self._archives and target.done(shard, present)}
        self._taken = finished | set(self._archives)
        sources = {shard: real(str(archive)) for shard, archive in self._archives.items()}
        for shard in [shard for shard in self._archives if target.done(shard, present, sources[shard])]:
            del self._archives[shard]
            self.done.append(shard)
        if finished:
            known = HashSet()
            for path in (path for shard in sorted(finished) for path in target.paths(shard)):
                known.add(hash64(utf8(path)))
            everything = len(self._files)
            self._files = Listing(one for one in self._files if known.add(hash64(utf8(str(one.path)))))
            self.settled = everything - len(self._files)
        if len(self._files):
            self._check_left(target, locations.names(target.folder))

    def __len__(self) -> int:
        """How many tasks there are."""
        return len(self._archives) + -(-len(self._files) // self._size)

    def __iter__(self) -> Iterator[Task]:
        """Yield them: archives as they were given, then numbered shards with the lowest numbers that are free."""
        for shard, archive in self._archives.items():
            yield Task(shard, archive=str(archive))
        files, numbers = iter(self._files), self._numbers()
        while names := tuple(str(one.path) for one in islice(files, self._size)):
            yield Task(next(numbers), files=names)

    def _numbers(self) -> Iterator[str]:
        """Yield the names of the numbered shards that come next."""
        everything = (f"{number:05}" for number in count(self._part[0] - 1, self._part[1]))
        return (shard for shard in everything if shard not in self._taken)

    def _check_left(self, target: Target, present: set[str]) -> None:
        """Make sure that no shard of an earlier run would stay beside those that are made anew, with the same pictures."""
        anew = set(islice(self._numbers(), -(-len(self._files) // self._size)))
        ours = {match[1] for name in present if (match := re.fullmatch(rf"([0-9]{{5,}})(?:{STATS}|{MARK})", name))}
        left = {one for one in ours - anew - self._taken if int(one) % self._part[1] == self._part[0] - 1}
        if left:
            raise UsageError(
                f"{target.place(min(left))} would stay as an earlier run left it, beside those of this one; remove it and"
                " what belongs to it, or choose another folder"
            )

    def _check(self, target: Target, present: set[str]) -> None:
        """Make sure that no file is lost."""
        for shard, archive in self._archives.items():
            if real(target.place(shard)) == real(str(archive)):
                raise UsageError(f"{archive} would be lost, as its captions would take its place; choose another folder")
        ending = FORMATS[target.form].ending
        for shard in sorted(name.removesuffix(ending) for name in present if name.endswith(ending)):
            wanted = shard in self._archives or (len(self._files) and re.fullmatch(r"[0-9]{5,}", shard))
            if wanted and not present & {shard + STATS, shard + MARK}:
                raise UsageError(
                    f"{target.place(shard)} is there without {shard}{STATS}, so it may be somebody's; choose another folder,"
                    " or replace it with --existing overwrite"
                )

    def _split(self, found: Iterable[Found]) -> Iterator[Found]:
        """Put archives aside and pass on other files."""
        for one in found:
            if not is_archive(one.path):
                yield one
                continue
            other = self._archives.setdefault(one.path.stem, one.path)
            if other != one.path:
                raise UsageError(
                    f"{other} and {one.path} would share the shard {one.path.stem}; caption them into two folders"
                )


def real(place: str) -> str:
    """Return a path whole and without links, or a URL as it is."""
    return place if locations.is_url(place) else os.path.realpath(place)
