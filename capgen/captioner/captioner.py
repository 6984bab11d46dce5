"""``Captioner``: photographs to captions, one or any number of them, from any thread. What the command uses, too."""

import os
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import TypeAlias

import numpy as np

from capgen import images
from capgen.captioner import bundle
from capgen.captioner.backends.litert_lstm import EncodedImage, Model
from capgen.captioner.decoding import DecodingOptions
from capgen.captioner.results import Caption, Likelihood, Result
from capgen.captioner.vocabulary import words
from capgen.errors import ImageError, Status
from capgen.images import Source
from capgen.storage.locations import Url, located
from capgen.storage.pipeline import map_ahead

BATCH = 16
"""Pictures whose captions are searched together by a worker; more are little faster and take more memory."""

Item: TypeAlias = "Source | Result"
"""What ``caption_many`` takes: a picture, or what has become of one already."""


class Captioner:
    """Writes captions. Safe to use from several threads.

    Args:
        opened: The bundle.
        threads: Processors to use; all by default.
    """

    def __init__(self, opened: bundle.Bundle, threads: int | None = None) -> None:
        """Read the description; the graphs are opened when first used, and then kept."""
        self.bundle = opened
        self.options = opened.description.decoding
        self.threads = threads or os.cpu_count() or 1
        self._whole = Model(opened, self.threads)
        self._whole_lock = threading.Lock()
        self._idle: list[Model] = []  # append and pop are atomic

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
        return cls(bundle.Bundle(bundle.find(model)), threads)

    def caption(self, source: Source, options: DecodingOptions | None = None) -> Caption:
        """Caption one picture with all processors.

        Args:
            source: A path, the bytes of a file, a binary file, a PIL image, or an array (H, W, 3) uint8.
            options: How to search; the captioner's own way by default.

        Raises:
            ImageError: Why it cannot be captioned, with its status.
        """
        pixels = images.read(source, self._whole.preprocessing)
        with self._whole_lock:
            (found,) = self._whole.write([self._whole.encode(pixels)], options, [_key(pixels)])
        return found[0]

    def attend(self, source: Source, options: DecodingOptions | None = None) -> Caption:
        """Do what ``caption`` does, and say of each word where the captioner looked: see ``Caption.attention``.

        Raises:
            ImageError: Why it cannot be captioned, with its status.
            UsageError: The captioner does not say where it looks.
        """
        pixels = images.read(source, self._whole.preprocessing)
        with self._whole_lock:
            (found,) = self._whole.attend([self._whole.encode(pixels)], options, [_key(pixels)])
        return found[0]

    @property
    def has_attention(self) -> bool:
        """Whether it can say where it looks."""
        with self._whole_lock:
            return self._whole.has_attention

    def score(self, source: Source, captions: Sequence[str]) -> list[Likelihood]:
        """Say how likely the captioner finds captions of a picture, without writing one.

        Args:
            source: As ``caption`` takes it.
            captions: Any text; words that the captioner does not know count as its unknown word.

        Raises:
            ImageError: Why the picture cannot be read, with its status.
        """
        pixels = images.read(source, self._whole.preprocessing)
        with self._whole_lock:
            return self._whole.score(self._whole.encode(pixels), captions)

    def caption_many(self, sources: Iterable[Item], options: DecodingOptions | None = None) -> Iterator[Result]:
        """Caption pictures, each worker a batch at a time with graphs of its own on one processor.

        Args:
            sources: As ``caption`` takes them; read only a little ahead, so that any number of them takes the same memory.
                A ``Result`` among them is passed on in its turn.
            options: How to search; the captioner's own way by default.

        Yields:
            One result a picture, in order; a picture that cannot be captioned gives its status and reason.
        """
        return self._many(sources, lambda model, pictures, keys: model.write(pictures, options, keys))

    def attend_many(self, sources: Iterable[Item], options: DecodingOptions | None = None) -> Iterator[Result]:
        """Do what ``caption_many`` does, and say of each word where the captioner looked: see ``Caption.attention``.

        Raises:
            UsageError: The captioner does not say where it looks.
        """
        return self._many(sources, lambda model, pictures, keys: model.attend(pictures, options, keys))

    def _many(self, sources: Iterable[Item], writing: "_Writing") -> Iterator[Result]:
        batches = _batches(sources)
        first, second = next(batches, []), next(batches, [])
        if self.threads == 1 or not second:  # of a few pictures, all processors work on each
            for batch in chain([first, second], batches):
                with self._whole_lock:
                    results = _captioned(self._whole, batch, writing)
                yield from results
            return
        for _, results in map_ahead(lambda batch: self._work(batch, writing), chain([first, second], batches), self.threads):
            yield from results

    def wish(
        self,
        *,
        beam: int | None = None,
        count: int = 1,
        start: str = "",
        avoid: Sequence[str] = (),
        minimum_words: int = 1,
        maximum_words: int | None = None,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> DecodingOptions:
        """Make options from words and numbers; see ``DecodingOptions`` for what they mean.

        Args:
            beam: The captioner's own by default, or ``count`` if that is more.
            count: Captions a picture.
            start: Text that the caption begins with and goes on from.
            avoid: Words that are not said; those that the captioner does not know it never says anyway.
            minimum_words: Fewest words.
            maximum_words: Most words; the captioner's own by default.
            temperature: Draws words if it is more than 0.
            top_p: Draws words if it is less than 1.
            seed: Of the drawing.

        Raises:
            UsageError: The numbers do not fit together.
        """
        vocabulary = self.bundle.vocabulary
        given = tuple(vocabulary.encode(start))
        if maximum_words is None:
            usual = self.options.max_words
            maximum_words = max(usual, minimum_words, len(given) + usual // 2)
        return DecodingOptions(
            num_beams=max(self.options.num_beams, count) if beam is None else beam,
            num_captions=count,
            length_penalty=self.options.length_penalty,
            guidance=self.options.guidance,
            common_caption_penalty=self.options.common_caption_penalty,
            max_words=maximum_words,
            min_words=minimum_words,
            prompt_ids=given,
            prompt=start.strip(),
            suppressed_ids=tuple(sorted({index for text in avoid for index in vocabulary.encode(text)})),
            suppressed_words=tuple(sorted({word for text in avoid for word in words(text)}))
            if self.bundle.visual_words
            else (),
            temperature=temperature or (1.0 if top_p < 1 else 0.0),
            top_p=top_p,
            seed=seed,
        )

    def _work(self, batch: Sequence[Item], writing: "_Writing") -> list[Result]:
        with self._borrowed() as model:
            return _captioned(model, batch, writing)

    @contextmanager
    def _borrowed(self) -> Iterator[Model]:
        """Lend a model of one thread, and keep it for the next worker."""
        try:
            model = self._idle.pop()
        except IndexError:
            model = Model(self.bundle, threads=1)
        try:
            yield model
        finally:
            self._idle.append(model)


_Writing: TypeAlias = "Callable[[Model, Sequence[EncodedImage], Sequence[int]], list[list[Caption]]]"
"""How a model captions described pictures, told apart by keys."""


def _batches(sources: Iterable[Item]) -> Iterator[list[Item]]:
    iterator = iter(sources)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def _captioned(model: Model, sources: Sequence[Item], writing: "_Writing") -> list[Result]:
    """Read, describe and caption a batch."""
    described: list[EncodedImage | ImageError | Result] = []
    keys = []
    for source in sources:
        if isinstance(source, Result):
            described.append(source)
            continue
        try:
            pixels = images.read(source, model.preprocessing)
        except ImageError as error:
            described.append(error)
        else:
            described.append(model.encode(pixels))
            keys.append(_key(pixels))
    pictures = [entry for entry in described if isinstance(entry, EncodedImage)]
    written = iter(writing(model, pictures, keys) if pictures else [])
    results = []
    for source, entry in zip(sources, described, strict=True):
        if isinstance(entry, Result):
            results.append(entry)
            continue
        path = located(source) if isinstance(source, (str, os.PathLike, Url)) else None
        if isinstance(entry, ImageError):
            results.append(Result(path, entry.status, reason=str(entry)))
        else:
            results.append(Result(path, Status.CAPTIONED, tuple(next(written))))
    return results


def _key(pixels: np.ndarray) -> int:
    """Tell pictures apart by what is in them, for drawing."""
    return zlib.crc32(pixels.tobytes())
