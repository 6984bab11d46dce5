"""Many files: which ones, decoded on threads, captioned in batches, given out in order as they are done."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from capgen import images
from capgen.captioner import Captioner
from capgen.decoding import DecodingOptions
from capgen.errors import ImageError
from capgen.pipeline import map_ahead
from capgen.results import Result

BATCH = 32
"""Pictures whose captions are searched together; more gain nothing and cost memory."""


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
    captioner: Captioner, paths: Iterable[Path], options: DecodingOptions | None = None, *, workers: int = 2
) -> Iterator[Result]:
    """Caption files.

    Args:
        captioner: Used from the calling thread only.
        paths: The files; read only a little ahead, so that any number of them takes the same memory.
        options: How to search; the captioner's own way by default.
        workers: Threads that read and decode files.

    Yields:
        One result a file, in the order of ``paths``.
    """

    def decode(path: Path) -> np.ndarray | ImageError:
        try:
            return images.read(path, captioner.preprocessing)
        except ImageError as error:
            return error

    waiting: list[tuple[Path, np.ndarray | ImageError]] = []
    for path, pixels in map_ahead(decode, paths, workers):
        waiting.append((path, pixels if isinstance(pixels, ImageError) else captioner.encode(pixels)))
        if len(waiting) == BATCH:
            yield from _finished(captioner, waiting, options)
            waiting = []
    if waiting:
        yield from _finished(captioner, waiting, options)


def _finished(
    captioner: Captioner, waiting: Sequence[tuple[Path, np.ndarray | ImageError]], options: DecodingOptions | None
) -> Iterator[Result]:
    """Search the captions of a batch: each entry is a path with its features (C, D) or the error that it met."""
    described = [features for _, features in waiting if not isinstance(features, ImageError)]
    written = iter(captioner.write(np.stack(described), options) if described else [])
    for path, features in waiting:
        if isinstance(features, ImageError):
            yield Result(path, features.status, reason=str(features))
        else:
            yield Result(path, "captioned", tuple(next(written)))
