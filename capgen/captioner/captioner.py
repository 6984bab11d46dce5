"""``Captioner``: images to captions, one or any number of them, from any thread. The command uses it, too."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import TypeAlias, Unpack, cast

import numpy as np

from capgen import images
from capgen.captioner import bundle, catalogue
from capgen.captioner.backends import BACKENDS
from capgen.captioner.backends.model import Capability, CaptionModel, needed
from capgen.captioner.decoding import DecodingOptions
from capgen.captioner.request import CaptionRequest, RequestFields
from capgen.captioner.results import Caption, ImageVersion, Likelihood, Result
from capgen.errors import ImageError, Status, UsageError
from capgen.images import Source
from capgen.storage.hashing import content_hash
from capgen.storage.locations import Url, located
from capgen.storage.pipeline import map_ahead
from capgen.storage.platform import processors

BATCH = 16
"""Images whose captions a worker searches together; more are little faster and take more memory."""

Item: TypeAlias = "Source | Result"
"""What ``caption_many`` takes: an image, or what has become of one already."""


class Captioner:
    """Writes captions. Safe to use from several threads.

    Args:
        opened: The bundle.
        threads: Processors to use; all by default.
    """

    def __init__(self, opened: bundle.Bundle, threads: int | None = None) -> None:
        self.bundle = opened
        self.threads = threads or processors()
        self._backend = BACKENDS[opened.description.backend]
        self._shared: CaptionModel = self._backend(opened, self.threads)  # opens its files when first used
        self._shared_lock = threading.Lock()
        self._idle: list[CaptionModel] = []  # append and pop are atomic

    @classmethod
    def load(cls, model: str | Path | None = None, threads: int | None = None) -> "Captioner":
        """Open a captioner.

        Args:
            model: A name or a path; by default the captioner that ``capgen models default`` names.
            threads: Processors to use; all by default.

        Raises:
            UnknownNameError: There is none of that name.
            BundleError: It is missing, incomplete, changed or of another version.
        """
        return cls(bundle.Bundle(catalogue.find(model)), threads)

    def caption(
        self,
        source: Source,
        request: CaptionRequest | None = None,
        *,
        output_attention: bool = False,
        **options: Unpack[RequestFields],
    ) -> Caption:
        """Caption one image with all processors.

        Args:
            source: A path, the bytes of a file, a binary file, a PIL image, or an array (H, W, 3) uint8.
            request: What captions are wanted; the captioner's own values by default.
            output_attention: Return attention weights, too, as ``Caption.attention``.
            options: Fields of ``CaptionRequest``, such as ``num_beams=3``, in place of those of ``request``.

        Raises:
            ImageError: The image cannot be captioned; the status of the error says why.
            UnknownNameError: There is no such option; the message offers the nearest.
            UsageError: The captioner cannot do what is wanted.
        """
        generate = self._generation(CaptionRequest.of(request, **options), output_attention=output_attention)
        pixels = images.read(source, self._shared.preprocessing)
        with self._shared_lock:
            (captions,) = generate(self._shared, [pixels])
        return captions[0]

    def caption_many(
        self,
        sources: "Iterable[Item] | Item",
        request: CaptionRequest | None = None,
        *,
        output_attention: bool = False,
        **options: Unpack[RequestFields],
    ) -> Iterator[Result]:
        """Caption images; each worker takes a batch at a time and has a model of its own on one processor.

        Args:
            sources: As ``caption`` takes them. They are read only a little ahead, so that any number of them takes the same
                memory. A ``Result`` among them is passed on in its turn. A single path or image is taken as the only one.
            request: What captions are wanted; the captioner's own values by default.
            output_attention: Return attention weights, too, as ``Caption.attention``.
            options: Fields of ``CaptionRequest``, such as ``num_beams=3``, in place of those of ``request``.

        Returns:
            One result an image, in order; an image that cannot be captioned gives its status and reason.

        Raises:
            UnknownNameError: There is no such option; the message offers the nearest.
            UsageError: The captioner cannot do what is wanted.
        """
        generate = self._generation(CaptionRequest.of(request, **options), output_attention=output_attention)
        return self._results(_several(sources), generate)

    def score(self, source: Source, captions: Sequence[str] | str) -> list[Likelihood]:
        """Return how likely the captioner finds captions of an image, without writing one.

        Args:
            source: As ``caption`` takes it.
            captions: Any texts, or one; words that the captioner does not know count as its unknown word.

        Raises:
            ImageError: The image cannot be read; the status of the error says why.
            UsageError: The captioner cannot score captions.
        """
        self._require(Capability.SCORING)
        pixels = images.read(source, self._shared.preprocessing)
        with self._shared_lock:
            return self._shared.score(pixels, [captions] if isinstance(captions, str) else captions)

    @property
    def has_attention(self) -> bool:
        """Whether the captioner can return attention weights."""
        with self._shared_lock:
            return self._shared.why_not(Capability.ATTENTION) is None

    def decoding(self, request: CaptionRequest | None = None) -> DecodingOptions:
        """Return the decoding options of a request, with the captioner's own values where the request leaves them open.

        Raises:
            UsageError: The request does not fit the captioner.
        """
        return self._shared.resolve(request or CaptionRequest())

    def check(self, request: CaptionRequest | None = None, *, output_attention: bool = False) -> None:
        """Make sure that the captioner can do what is wanted, before anything is captioned.

        Args:
            request: What captions are wanted; the captioner's own values by default.
            output_attention: Whether attention weights are wanted, too.

        Raises:
            UsageError: The captioner lacks a capability, or the request does not fit it.
        """
        wanted = request or CaptionRequest()
        self._require(*needed(wanted), *([Capability.ATTENTION] if output_attention else []))
        self.decoding(wanted)

    def _generation(self, request: CaptionRequest | None, *, output_attention: bool) -> "_Generate":
        """Return the function that captions a batch of images in the way that is wanted.

        Raises:
            UsageError: The captioner cannot do what is wanted.
        """
        wanted = request or CaptionRequest()
        self.check(wanted, output_attention=output_attention)
        return lambda model, pixels: model.generate(pixels, wanted, output_attention=output_attention)

    def _require(self, *capabilities: Capability) -> None:
        for capability in capabilities:
            with self._shared_lock:
                reason = self._shared.why_not(capability)
            if reason is not None:
                raise UsageError(f"the captioner {self.bundle.description.name} cannot {capability}: {reason}")

    def _results(self, sources: Iterable[Item], generate: "_Generate") -> Iterator[Result]:
        batches = _batches(sources)
        first, second = next(batches, []), next(batches, [])
        if self.threads == 1 or not second:  # for a few images, all processors work on each
            for batch in chain([first, second], batches):
                with self._shared_lock:
                    results = _caption_batch(self._shared, batch, generate)
                yield from results
            return
        for _, results in map_ahead(
            lambda batch: self._work(batch, generate), chain([first, second], batches), self.threads
        ):
            yield from results

    def _work(self, batch: Sequence[Item], generate: "_Generate") -> list[Result]:
        with self._borrowed() as model:
            return _caption_batch(model, batch, generate)

    @contextmanager
    def _borrowed(self) -> Iterator[CaptionModel]:
        """Lend a model of one thread, and keep it for the next worker."""
        try:
            model = self._idle.pop()
        except IndexError:
            model = self._backend(self.bundle, 1)
        try:
            yield model
        finally:
            self._idle.append(model)


_Generate: TypeAlias = "Callable[[CaptionModel, Sequence[np.ndarray]], list[list[Caption]]]"
"""Captions the images of a batch, (S, S, 3) uint8 each, with a model."""


def _several(sources: "Iterable[Item] | Item") -> Iterable[Item]:
    """Return what ``caption_many`` was given as several images: one image is the only one of them."""
    if isinstance(sources, np.ndarray):
        is_single = sources.ndim == 3  # noqa: PLR2004 - (H, W, 3), one image
    else:
        is_single = isinstance(sources, _SINGLE) or hasattr(sources, "read") or not isinstance(sources, Iterable)
    return cast("Iterable[Item]", [sources] if is_single else sources)


_SINGLE = (str, os.PathLike, Url, bytes, bytearray, memoryview, Result)
"""Types of a single image; a Pillow image is known by not being iterable."""


def _batches(sources: Iterable[Item]) -> Iterator[list[Item]]:
    iterator = iter(sources)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def _caption_batch(model: CaptionModel, sources: Sequence[Item], generate: "_Generate") -> list[Result]:
    """Read and caption a batch."""
    read: list[np.ndarray | ImageError | Result] = []
    versions: list[ImageVersion] = []
    for source in sources:
        # The state is taken first: whatever is written to the file while it is read, or later, gives it another.
        versions.append(ImageVersion.of_file(source))
        if isinstance(source, Result):
            read.append(source)
            continue
        try:
            pixels = images.read(source, model.preprocessing)
            versions[-1] = replace(versions[-1], content=content_hash(np.ascontiguousarray(pixels).data))
            read.append(pixels)
        except ImageError as error:
            read.append(error)
    arrays = [entry for entry in read if isinstance(entry, np.ndarray)]
    captions = iter(generate(model, arrays) if arrays else [])
    return [
        entry
        if isinstance(entry, Result)
        else _result(source, entry if isinstance(entry, ImageError) else next(captions), version)
        for source, entry, version in zip(sources, read, versions, strict=True)
    ]


def _result(source: Item, outcome: ImageError | Sequence[Caption], version: ImageVersion) -> Result:
    path = located(source) if isinstance(source, (str, os.PathLike, Url)) else None
    if isinstance(outcome, ImageError):
        return Result(path, outcome.status, reason=str(outcome))
    return Result(path, Status.CAPTIONED, tuple(outcome), version=version)
