"""The two kinds of work of a job: captioning images, and writing shards. Both can be sent to other processes."""

import io
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from capgen.batch.engines import Worker
from capgen.batch.shards.folder import ShardFolder
from capgen.batch.shards.run import caption_shard
from capgen.batch.shards.task import Task
from capgen.captioner import bundle, container
from capgen.captioner.bundle import Bundle
from capgen.captioner.captioner import Captioner, Item
from capgen.captioner.request import CaptionRequest
from capgen.captioner.results import Result
from capgen.errors import ImageError
from capgen.storage.locations import Url, located

_NOT_NEEDED = (bundle.WEIGHTS, bundle.MODEL_CARD)
"""Files of a captioner that captioning does not read."""


@dataclass(frozen=True)
class PortableCaptioner:
    """A captioner that can be pickled. In another process it runs on one processor, in the folder that this one runs in.

    Attributes:
        captioner: The captioner.
    """

    captioner: Captioner

    @cached_property
    def _packed(self) -> bytes:
        contents = self.captioner.bundle.contents()
        buffer = io.BytesIO()
        container.pack(buffer, {name: data for name, data in contents.items() if name not in _NOT_NEEDED})
        return buffer.getvalue()

    def __reduce__(self) -> tuple[object, tuple[bytes, str]]:
        return _unpacked, (self._packed, os.getcwd())  # noqa: PTH109


def _unpacked(packed: bytes, folder: str) -> PortableCaptioner:
    """Open a packed captioner.

    Everything that it needs is read at once, so that no file is left behind if the process is killed.
    """
    with suppress(OSError):  # relative paths, for which alone it matters, will then not be found
        os.chdir(folder)
    with tempfile.TemporaryDirectory(prefix="capgen-") as temporary:
        path = Path(temporary) / f"captioner{bundle.SUFFIX}"
        path.write_bytes(packed)
        captioner = Captioner(Bundle(path), threads=1)
        captioner.caption(np.zeros((1, 1, 3), np.uint8))
    return PortableCaptioner(captioner)


@dataclass(frozen=True)
class CaptionWork:
    """Captions images. An item is a ``Source``, or a ``Result``, which is given back as it is.

    Attributes:
        portable: The captioner.
        request: What captions are asked for.
    """

    portable: PortableCaptioner
    request: CaptionRequest

    def start(self) -> Worker:
        """Return the function that captions images."""

        def caption(items: Iterable[Item]) -> Iterator[Result]:
            return self.portable.captioner.caption_many(items, self.request)

        return caption

    def given_up(self, item: Item, error: ImageError) -> Result:
        """Return the result of an image that cannot be captioned."""
        return Result(item if isinstance(item, Path | Url) else None, error.status, reason=str(error))


@dataclass(frozen=True)
class ShardWork:
    """Captions tasks and writes the shard of each. In this process a task's results come one by one, elsewhere as a list.

    Attributes:
        portable: The captioner.
        folder: Where the shards go, and what they are made with.
        is_here: Whether this is the process that made it.
    """

    portable: PortableCaptioner
    folder: ShardFolder
    is_here: bool = True

    def __reduce__(self) -> tuple[object, tuple[PortableCaptioner, ShardFolder, bool]]:
        return ShardWork, (self.portable, self.folder, False)

    def start(self) -> Worker:
        """Return the function that does tasks."""

        def write(tasks: Iterable[Task]) -> Iterator[Iterable[Result]]:
            for task in tasks:
                results = caption_shard(self.portable.captioner, task, self.folder)
                yield results if self.is_here else list(results)

        return write

    def given_up(self, task: Task, error: ImageError) -> list[Result]:
        """Return the results of a task whose shard cannot be written: one of its archive, or one of each of its images."""
        paths = (task.archive,) if task.archive else task.files
        return [Result(located(path), error.status, reason=str(error)) for path in paths]
