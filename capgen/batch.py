"""Many files: which ones, captioned in batches on threads, given out in order as they are done."""

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import numpy as np

from capgen import images
from capgen.captioner import Captioner
from capgen.decoding import DecodingOptions
from capgen.errors import ImageError
from capgen.pipeline import map_ahead
from capgen.results import Result

BATCH = 16
"""Pictures whose captions are searched together by a worker; 32 are little faster and cost 110 MB more."""


def discover(paths: Iterable[Path], *, recursive: bool) -> Iterator[Path]:
    """List files in a stable order: those given as they are, and the pictures in folders sorted by name.

    Args:
        paths: Files, and folders if ``recursive``; without it a folder is given out as it is, and fails later.
        recursive: Look into folders and their sub-folders; hidden ones and links to folders are left alone.
    """
    for path in paths:
        if recursive and path.is_dir():
            yield from _pictures(path)
        else:
            yield path


def _pictures(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:  # named when it is its turn, like a file that cannot be read
        yield folder
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _pictures(Path(entry.path))
        elif Path(entry.name).suffix.lower() in images.SUFFIXES:
            yield Path(entry.path)


def caption_files(
    captioner: Captioner, paths: Iterable[Path], options: DecodingOptions | None = None, *, workers: int | None = None
) -> Iterator[Result]:
    """Caption files.

    A few files are captioned by ``captioner`` itself, which may use all processors for one picture. Of more, each worker
    captions a batch at a time with graphs of its own on one thread, which keeps all processors a third busier.

    Args:
        captioner: Not used by anyone else meanwhile.
        paths: The files; read only a little ahead, so that any number of them takes the same memory.
        options: How to search; the captioner's own way by default.
        workers: Threads; one a processor by default.

    Yields:
        One result a file, in the order of ``paths``.
    """
    count = workers or os.cpu_count() or 1
    batches = _batches(paths)
    first, second = next(batches, []), next(batches, [])
    if count == 1 or not second:
        for batch in chain([first, second], batches):
            yield from _captioned(captioner, batch, options)
        return
    own = threading.local()

    def work(batch: Sequence[Path]) -> list[Result]:
        if not hasattr(own, "captioner"):
            own.captioner = Captioner(captioner.bundle, threads=1)
        return _captioned(own.captioner, batch, options)

    for _, results in map_ahead(work, chain([first, second], batches), count):
        yield from results


def _batches(paths: Iterable[Path]) -> Iterator[list[Path]]:
    iterator = iter(paths)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def _captioned(captioner: Captioner, paths: Sequence[Path], options: DecodingOptions | None) -> list[Result]:
    """Read, describe and caption a batch of files."""
    described: list[np.ndarray | ImageError] = []  # (C, D) each
    for path in paths:
        try:
            described.append(captioner.encode(images.read(path, captioner.preprocessing)))
        except ImageError as error:
            described.append(error)
    features = [entry for entry in described if not isinstance(entry, ImageError)]
    written = iter(captioner.write(np.stack(features), options) if features else [])
    return [
        Result(path, entry.status, reason=str(entry))
        if isinstance(entry, ImageError)
        else Result(path, "captioned", tuple(next(written)))
        for path, entry in zip(paths, described, strict=True)
    ]
