"""``Task``: what one shard is made from."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from capgen import images
from capgen.captioner.results import Result
from capgen.inputs.archives import LazyImage, images_in
from capgen.storage.locations import located


@dataclass(frozen=True)
class Task:
    """The images that go into one shard. It is small, and means the same on every machine that sees the same files.

    Attributes:
        shard: The name of the shard, without an ending.
        archive: The path or the URL of the archive with the images; empty for none.
        files: The paths or URLs of the images, if there is no archive.
    """

    shard: str
    archive: str = ""
    files: tuple[str, ...] = ()

    def items(self) -> Iterator[LazyImage | Result]:
        """Yield the images, and a result in the place of each that cannot be read; as ``images_in`` does for an archive."""
        if self.archive:
            yield from images_in(located(self.archive))
        for file in self.files:
            path = located(file)
            yield LazyImage(path, path.name, partial(images.read_bytes, path))
