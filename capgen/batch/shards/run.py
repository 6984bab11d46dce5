"""One shard: the pictures of a task captioned, and written as one file with its statistics."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import chain
from typing import BinaryIO

from capgen.batch.shards.target import FAILED, Stats, Target, real
from capgen.captioner.captioner import Captioner, Item
from capgen.captioner.results import Result
from capgen.errors import Status
from capgen.inputs.archives import LazyImage, Task
from capgen.outputs.shards import FORMATS
from capgen.storage import files, locations


def caption_shard(
    captioner: Captioner, task: Task, target: Target, tell: Callable[[Result], object] = lambda _: None
) -> Stats:
    """Do a task: the same on any machine that sees the same files, and the same again if it is done twice.

    The shard appears whole or not at all, and after it its statistics, which say that it is done; until then there is a mark
    beside it. Of an archive that cannot be read at all nothing appears; of one that ends early, what comes before does, and
    statistics that it is not ``whole``.

    Args:
        captioner: Writes the captions.
        task: What to caption.
        target: Where the shard goes.
        tell: Called with each result, in order.

    Raises:
        StorageError: The shard cannot be written; it is as it was.
        UsageError: A package is missing.
    """
    started = time.monotonic()
    counts, failed = Counter[str](), list[dict[str, str]]()
    whole = True

    def count(result: Result) -> None:
        nonlocal whole
        whole = whole and not _is_fault(task, result)
        counts[result.status] += 1
        if result.failed and len(failed) < FAILED:
            failed.append({"path": str(result.path), "status": result.status, "reason": result.reason})
        tell(result)

    def fill(file: BinaryIO) -> None:
        with closing(FORMATS[target.form](file)) as shard:
            for picture, result in chain([first] if first else [], results):
                count(result)
                shard.put(replace(result, captions=()) if result.status is Status.LOW_CONFIDENCE else result, picture)
                if picture is not None:
                    picture.release()

    def stats() -> Stats:
        seconds = round(time.monotonic() - started, 3)
        name = task.shard + FORMATS[target.form].ending
        source = real(task.archive) if task.archive else ""
        return Stats(name, dict(counts), seconds, tuple(failed), whole, target.captioner, target.options, source)

    results = _results(captioner, task, target)
    first = next(results, None)
    if first is not None and _is_fault(task, first[1]):
        count(first[1])
        return stats()
    locations.write_with(target.mark_place(task.shard), lambda _: None)
    locations.write_with(target.place(task.shard), fill)
    done = stats()
    text = files.json_text(done.plain(), indent=1) + "\n"
    locations.write_with(target.stats_place(task.shard), lambda file: file.write(text.encode()))
    locations.remove(target.mark_place(task.shard))
    return done


def _results(captioner: Captioner, task: Task, target: Target) -> Iterator[tuple[LazyImage | None, Result]]:
    """Caption the pictures, read only a little ahead."""
    waiting: deque[LazyImage | Result] = deque()

    def sources() -> Iterator[Item]:
        for item in task.items():
            waiting.append(item)
            yield item

    for result in captioner.caption_many(sources(), target.request.captions):
        item = waiting.popleft()
        yield item if isinstance(item, LazyImage) else None, target.request.judged(replace(result, path=item.path))


def _is_fault(task: Task, result: Result) -> bool:
    """Tell the result of an archive itself from those of the pictures in it."""
    return bool(task.archive) and str(result.path) == task.archive
