"""Which shards a job makes: those that are finished are left, and the next ones are numbered."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice

from capgen.batch.shards.folder import MARK, STATISTICS, ShardFolder, absolute
from capgen.batch.shards.task import Task
from capgen.errors import UsageError
from capgen.images.formats import ends_like_image
from capgen.inputs.archives import archive_stem, is_archive
from capgen.inputs.listing import Listing
from capgen.inputs.selection import Found
from capgen.outputs import SHARD_FORMATS
from capgen.outputs.shards.parquet import utf8
from capgen.storage import locations
from capgen.storage.hashing import HashSet, hash64
from capgen.storage.locations import Location


@dataclass(frozen=True)
class PlannedShard:
    """What would become of a shard; ``str`` says it in one line.

    Attributes:
        path: The path or URL of the shard.
        task: What it would be made from; ``None`` if it is finished.
    """

    path: str
    task: Task | None

    def __str__(self) -> str:
        if self.task is None:
            return f"{self.path}: left as it is: it is done"
        source = self.task.archive or f"{len(self.task.files):,} images, the first {self.task.files[0]}"
        return f"{self.path}: would be written from {source}"


class ShardPlan:
    """The tasks that are left to do, and what is finished already. It is iterated over as often as needed, one at a time.

    Args:
        found: Images and archives. An archive gives a shard of its own name; other images are put into numbered shards.
        folder: Where the shards go.
        size: Images in a numbered shard.
        overwrite: Make all shards, whatever is there.
        part: (i, n) if ``found`` is the i-th of n parts, so that no two of them, done at once, use the same number.

    Attributes:
        finished: Names of the archives' shards that are there.
        skipped: The number of images that are in finished numbered shards.

    Raises:
        UsageError: Two archives want the same shard, or what is there was made in another way or is not a shard of capgen's,
            or an image.
        StorageError: The folder cannot be read.
    """

    def __init__(
        self, found: Iterable[Found], folder: ShardFolder, size: int, *, overwrite: bool, part: tuple[int, int] = (1, 1)
    ) -> None:
        self._folder, self._size, self._part = folder, size, part
        self._archives = dict[str, Location]()
        self.finished: list[str] = []
        self.skipped = 0
        there = locations.names(folder.location)
        self._check_no_images(there)
        self._files = Listing(self._without_archives(found))
        present = set() if overwrite else there
        self._check_names(present)
        numbered = self._finished_numbers(present)
        self._taken = numbered | set(self._archives)
        self._leave_finished_archives(present)
        if numbered:
            self._leave_finished_images(numbered)
        if len(self._files):
            self._check_left_over(there)

    def __len__(self) -> int:
        """How many tasks there are."""
        return len(self._archives) + -(-len(self._files) // self._size)

    def __iter__(self) -> Iterator[Task]:
        """Yield the archives as they were given, then numbered shards with the lowest numbers that are free."""
        for shard, archive in self._archives.items():
            yield Task(shard, archive=str(archive))
        files, numbers = iter(self._files), self._numbers()
        while names := tuple(str(one.path) for one in islice(files, self._size)):
            yield Task(next(numbers), files=names)

    def shards(self) -> Iterator[PlannedShard]:
        """Yield all shards, the finished ones first."""
        for shard in self.finished:
            yield PlannedShard(self._folder.path(shard), None)
        for task in self:
            yield PlannedShard(self._folder.path(task.shard), task)

    def _numbers(self) -> Iterator[str]:
        """Yield the names of the numbered shards that come next."""
        everything = (f"{number:05}" for number in count(self._part[0] - 1, self._part[1]))
        return (shard for shard in everything if shard not in self._taken)

    def _without_archives(self, found: Iterable[Found]) -> Iterator[Found]:
        """Remember archives and yield other files."""
        for one in found:
            if not is_archive(one.path):
                yield one
                continue
            shard = archive_stem(one.path)
            other = self._archives.setdefault(shard, one.path)
            if other != one.path:
                raise UsageError(f"{other} and {one.path} would share the shard {shard}; caption them into two folders")

    def _check_no_images(self, there: set[str]) -> None:
        """Make sure that captions do not land among photographs."""
        if any(map(ends_like_image, there)):
            raise UsageError(
                f"there are photographs in {self._folder.location}, among which captions would land; name another folder"
            )

    def _check_names(self, present: set[str]) -> None:
        """Make sure that no archive and no file of somebody else would be replaced."""
        for shard, archive in self._archives.items():
            if absolute(self._folder.path(shard)) == absolute(str(archive)):
                raise UsageError(f"{archive} would be lost, as its captions would take its place; choose another folder")
        ending = SHARD_FORMATS[self._folder.form].ending
        for shard in sorted(name.removesuffix(ending) for name in present if name.endswith(ending)):
            is_wanted = shard in self._archives or (len(self._files) and re.fullmatch(r"[0-9]{5,}", shard))
            if is_wanted and not present & {shard + STATISTICS, shard + MARK}:
                raise UsageError(
                    f"{self._folder.path(shard)} is there without {shard}{STATISTICS}, so it may be somebody's; choose"
                    " another folder, or replace it with `existing='overwrite'`"
                )

    def _finished_numbers(self, present: set[str]) -> set[str]:
        """Return the names of the numbered shards that are finished."""
        if not len(self._files):
            return set()
        numbered = (name.removesuffix(STATISTICS) for name in present if re.fullmatch(rf"[0-9]{{5,}}{STATISTICS}", name))
        return {shard for shard in numbered if shard not in self._archives and self._folder.is_finished(shard, present)}

    def _leave_finished_archives(self, present: set[str]) -> None:
        for shard, archive in list(self._archives.items()):
            if self._folder.is_finished(shard, present, absolute(str(archive))):
                del self._archives[shard]
                self.finished.append(shard)

    def _leave_finished_images(self, numbered: set[str]) -> None:
        known = HashSet()
        for path in (path for shard in sorted(numbered) for path in self._folder.image_paths(shard)):
            known.add(hash64(utf8(path)))
        everything = len(self._files)
        self._files = Listing(one for one in self._files if known.add(hash64(utf8(str(one.path)))))
        self.skipped = everything - len(self._files)

    def _check_left_over(self, present: set[str]) -> None:
        """Make sure that no shard of an earlier run would stay beside those that are made anew, with the same images."""
        anew = set(islice(self._numbers(), -(-len(self._files) // self._size)))
        ours = {match[1] for name in present if (match := re.fullmatch(rf"([0-9]{{5,}})(?:{STATISTICS}|{MARK})", name))}
        left = {one for one in ours - anew - self._taken if int(one) % self._part[1] == self._part[0] - 1}
        if left:
            raise UsageError(
                f"{self._folder.path(min(left))} would stay as an earlier run left it, beside those of this one; remove it"
                " and what belongs to it, or choose another folder"
            )
