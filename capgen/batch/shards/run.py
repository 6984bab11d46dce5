"""One shard: the images of a task are captioned, and written as one file with its statistics."""

import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

from capgen.batch.shards.folder import FAILURES, ShardFolder, ShardStatistics, absolute
from capgen.batch.shards.task import Task
from capgen.captioner.captioner import Captioner, Item
from capgen.captioner.results import Result
from capgen.errors import Status
from capgen.inputs.archives import LazyImage
from capgen.inputs.selection import Found
from capgen.outputs import SHARD_FORMATS
from capgen.storage import files, locations
from capgen.storage.locations import located


def caption_shard(captioner: Captioner, task: Task, folder: ShardFolder) -> Iterator[Result]:
    """Do a task. The shard is the same on any machine that sees the same files, and the same again if it is made twice.

    The shard appears whole or not at all, and after it its statistics, which say that it is finished; until then there is a
    mark beside it. Nothing appears of an archive that cannot be read at all. Of an archive that ends early, the shard holds
    the images before that, and the statistics say that it is not ``whole``. If the iterator is closed before its end, the
    shard is given up.

    Args:
        captioner: The captioner.
        task: What to caption.
        folder: Where the shard goes.

    Yields:
        The result of each image, in order, as the shard is written.

    Raises:
        StorageError: The shard cannot be written; it is as it was before.
        UsageError: A package is missing.
    """
    summary = _Summary(task, folder)
    results = _results(captioner, task, folder)
    first = next(results, None)
    if first is not None and _is_fault(task, first[1]):
        yield summary.add(first[1])
        return
    locations.write_with(folder.mark_path(task.shard), lambda _: None)
    with locations.writing(folder.path(task.shard)) as file, closing(SHARD_FORMATS[folder.form](file)) as shard:
        while first is not None:
            image, result = first
            yield summary.add(result)
            assert result.path is not None
            item = Found(result.path, located(task.archive) if task.archive else result.path.parent)
            written = replace(result, captions=()) if result.status is Status.LOW_CONFIDENCE else result
            shard.write(item, written, image)
            if image is not None:
                image.release()
            first = next(results, None)
    text = files.json_text(summary.statistics().plain(), indent=1) + "\n"
    locations.write_with(folder.statistics_path(task.shard), lambda file: file.write(text.encode()))
    locations.remove(folder.mark_path(task.shard))


class _Summary:
    """Counts the results of a task."""

    def __init__(self, task: Task, folder: ShardFolder) -> None:
        self._task, self._folder, self._started = task, folder, time.monotonic()
        self._counts, self._failed, self._whole = Counter[str](), list[dict[str, str]](), True

    def add(self, result: Result) -> Result:
        """Count a result and return it."""
        self._whole = self._whole and not _is_fault(self._task, result)
        self._counts[result.status] += 1
        if result.failed and len(self._failed) < FAILURES:
            self._failed.append({"path": str(result.path), "status": result.status, "reason": result.reason})
        return result

    def statistics(self) -> ShardStatistics:
        """Return what the results come to."""
        return ShardStatistics(
            shard=self._folder.file_name(self._task.shard),
            counts=dict(self._counts),
            seconds=round(time.monotonic() - self._started, 3),
            failed=tuple(self._failed),
            whole=self._whole,
            captioner=self._folder.captioner,
            options=self._folder.options,
            source=absolute(self._task.archive) if self._task.archive else "",
        )


def _results(captioner: Captioner, task: Task, folder: ShardFolder) -> Iterator[tuple[LazyImage | None, Result]]:
    """Caption the images, which are read only a little ahead."""
    waiting: deque[LazyImage | Result] = deque()

    def sources() -> Iterator[Item]:
        for item in task.items():
            waiting.append(item)
            yield item

    for result in captioner.caption_many(sources(), folder.request):
        item = waiting.popleft()
        yield item if isinstance(item, LazyImage) else None, folder.policy.apply(replace(result, path=item.path))


def _is_fault(task: Task, result: Result) -> bool:
    """Tell the result of an archive itself from those of the images in it."""
    return bool(task.archive) and str(result.path) == task.archive
