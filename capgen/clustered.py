"""``ClusteredCaptioner``: a captioner whose pictures are captioned by the workers of a cluster."""

import io
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from capgen import archive, bundle
from capgen.bundle import Bundle
from capgen.captioner import Captioner, Item
from capgen.cluster import Cluster
from capgen.decoding import DecodingOptions
from capgen.results import Result

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
        archive.pack(buffer, {name: data for name, data in contents.items() if name not in _NOT_NEEDED})
        self._packed, self._cluster, self._options = buffer.getvalue(), cluster, captioner.options

    def caption_many(self, sources: Iterable[Item], options: DecodingOptions | None = None) -> Iterator[Result]:
        """See ``Captioner.caption_many``; sources are paths, which the workers must be able to read, and results.

        Raises:
            EngineError: Ray cannot go on.
        """
        iterator = iter(sources)
        while window := list(islice(iterator, WINDOW)):
            paths = [source for source in window if isinstance(source, (str, os.PathLike))]
            places = [os.fsencode(os.path.abspath(path)) for path in paths]  # noqa: PTH100 - workers run elsewhere
            found = self._cluster.map(CaptionWork, (self._packed, options or self._options), places) if places else iter(())
            for source in window:
                if isinstance(source, Result):
                    yield source
                else:
                    yield replace(next(found), path=source)


_NOT_NEEDED = (bundle.WEIGHTS, bundle.MODEL_CARD)


class CaptionWork:
    """What a worker does: captions files on one processor.

    Args:
        packed: The captioner, as ``archive.pack`` packs it.
        options: How to search.
    """

    def __init__(self, packed: bytes, options: DecodingOptions) -> None:
        """Open the captioner."""
        self._folder = tempfile.TemporaryDirectory(prefix="capgen-")
        place = Path(self._folder.name) / f"captioner{bundle.SUFFIX}"
        place.write_bytes(packed)
        self._captioner, self._options = Captioner(Bundle(place), threads=1), options

    def __call__(self, items: Sequence[bytes]) -> list[Result]:
        """Caption files, given as bytes of their paths."""
        return list(self._captioner.caption_many(map(os.fsdecode, items), self._options))
