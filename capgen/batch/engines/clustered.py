"""``ClusteredCaptioner``: a captioner whose pictures, or whole shards, are captioned by the workers of a cluster."""

import io
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from capgen.batch.engines.ray import BLOCK, Cluster
from capgen.batch.shards.run import caption_shard
from capgen.batch.shards.target import Target
from capgen.captioner import bundle, container
from capgen.captioner.bundle import Bundle
from capgen.captioner.captioner import Captioner, Item
from capgen.captioner.request import CaptionRequest
from capgen.captioner.results import Result
from capgen.errors import UsageError
from capgen.inputs.archives import Task
from capgen.storage.locations import Location, Url, located

WINDOW = 100_000
"""Pictures handed to Ray at once, so that any number of them takes the same memory."""


class ClusteredCaptioner:
    """Captions files as ``Captioner.caption_many`` does, elsewhere. Each worker gets the captioner itself, whatever it has.

    Args:
        captioner: The captioner; it is not run here.
        cluster: Entered.
    """

    def __init__(self, captioner: Captioner, cluster: Cluster) -> None:
        """Pack what captioning reads."""
        contents = captioner.bundle.contents()
        buffer = io.BytesIO()
        container.pack(buffer, {name: data for name, data in contents.items() if name not in _NOT_NEEDED})
        self._packed, self._cluster = buffer.getvalue(), cluster

    def caption_many(self, sources: Iterable[Item], request: CaptionRequest | None = None) -> Iterator[Result]:
        """See ``Captioner.caption_many``; sources are paths, which the workers must be able to read, and results.

        Raises:
            EngineError: Ray cannot go on.
        """
        iterator = iter(sources)
        while window := list(islice(iterator, WINDOW)):
            paths: list[str | os.PathLike[str] | Url] = []
            for source in window:
                if isinstance(source, (str, os.PathLike, Url)):
                    paths.append(source)
                elif not isinstance(source, Result):
                    raise UsageError("workers elsewhere can only be given files")
            places = [_anywhere(located(path)) for path in paths]
            found = (
                self._cluster.map(CaptionWork, (self._packed, request or CaptionRequest()), places) if places else iter(())
            )
            for source in window:
                if isinstance(source, Result):
                    yield source
                else:
                    yield replace(next(found), path=source)

    def caption_shards(self, tasks: Iterable[Task], target: Target) -> Iterator[list[Result]]:
        """Do what ``caption_shard`` does; every worker writes its shards itself.

        Args:
            tasks: What to caption; relative paths are those of the present folder, which the workers must have, too.
            target: Where the shards go.

        Yields:
            The results of each shard, in order.

        Raises:
            EngineError: Ray cannot go on.
            StorageError: A shard cannot be written.
        """
        iterator = iter(tasks)
        while window := list(islice(iterator, WINDOW // BLOCK)):
            yield from self._cluster.map(ShardWork, (self._packed, target, os.getcwd()), window, block=1)  # noqa: PTH109


def _anywhere(location: Location) -> bytes:
    """Return the bytes of a URL or of an absolute path, which mean the same in any folder that a worker runs in."""
    return os.fsencode(location.text if isinstance(location, Url) else os.path.abspath(location))  # noqa: PTH100


_NOT_NEEDED = (bundle.WEIGHTS, bundle.MODEL_CARD)


class CaptionWork:
    """What a worker does with files: captions them on one processor.

    Args:
        packed: The captioner, as ``container.pack`` packs it.
        request: What captions are wanted.
    """

    def __init__(self, packed: bytes, request: CaptionRequest) -> None:
        """Open the captioner."""
        self._captioner, self._request = _unpacked(packed), request

    def __call__(self, items: Sequence[bytes]) -> list[Result]:
        """Caption files, given as bytes of their paths."""
        return list(self._captioner.caption_many((located(os.fsdecode(item)) for item in items), self._request))


class ShardWork:
    """What a worker does with tasks: captions and writes shards on one processor.

    Args:
        packed: The captioner, as ``container.pack`` packs it.
        target: Where the shards go.
        folder: Where relative paths begin.
    """

    def __init__(self, packed: bytes, target: Target, folder: str) -> None:
        """Open the captioner."""
        self._captioner, self._target = _unpacked(packed), target
        with suppress(OSError):  # it matters only for relative paths, which will then not be found
            os.chdir(folder)

    def __call__(self, items: Sequence[Task]) -> list[list[Result]]:
        """Do tasks."""
        done: list[list[Result]] = []
        for task in items:
            results: list[Result] = []
            caption_shard(self._captioner, task, self._target, results.append)
            done.append(results)
        return done


def _unpacked(packed: bytes) -> Captioner:
    """Open a packed captioner; what it needs is read at once, so that no file stays if the worker is killed."""
    with tempfile.TemporaryDirectory(prefix="capgen-") as folder:
        place = Path(folder) / f"captioner{bundle.SUFFIX}"
        place.write_bytes(packed)
        captioner = Captioner(Bundle(place), threads=1)
        captioner.caption(np.zeros((1, 1, 3), np.uint8))
    return captioner
