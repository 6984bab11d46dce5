"""``ImageCaptioning``: captions the images that need a caption, and writes the captions wherever that is asked for."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from capgen.batch.engines import Engine
from capgen.batch.plan import PlannedImage
from capgen.batch.request import OutputPolicy
from capgen.batch.work import CaptionWork
from capgen.captioner.captioner import Item
from capgen.captioner.results import Result, SkipReason
from capgen.errors import Status, StorageError
from capgen.inputs.archives import LazyImage, expand_archives
from capgen.inputs.selection import Found
from capgen.outputs.per_image import PerImageSink
from capgen.outputs.sink import Sink
from capgen.storage.files import is_folder


class ImageCaptioning:
    """Captions the images that need it, and writes their captions.

    Args:
        engine: Where the work is done; entered.
        work: The captioner and what captions are asked for.
        policy: What becomes of a caption before it is written.
        per_image: The sinks that write a file for each image.
        stream: The sink that writes one file, or the standard output, for all images.
    """

    def __init__(
        self,
        engine: Engine,
        work: CaptionWork,
        policy: OutputPolicy,
        per_image: Sequence[PerImageSink],
        stream: Sink | None = None,
    ) -> None:
        self._engine, self._work, self._policy = engine, work, policy
        self._per_image, self._stream = per_image, stream

    def plan(self, found: Iterable[Found]) -> Iterator[PlannedImage]:
        """Tell for each image which files its caption would be written to, and why not to others. Nothing is written."""
        for item in found:
            targets, kept = [], []
            for sink in self._sinks():
                target = sink.target(item)
                if target is None:
                    continue
                try:
                    skipped = sink.skip_reason(item)
                except StorageError as error:
                    kept.append(str(error))
                    continue
                if skipped is None:
                    targets.append(target)
                else:
                    kept.append(skipped.sentence if target == item.path else f"{target}: {skipped.sentence}")
            yield PlannedImage(item.path, tuple(targets), tuple(kept), item.data)

    def run(self, found: Iterable[Found]) -> Iterator[Result]:
        """Caption images and write their captions; yield what became of each, in order."""
        waiting: deque[tuple[Found, Item]] = deque()

        def items() -> Iterator[Item]:
            for one, item in expand_archives(found):
                waiting.append((one, item))
                yield self._skip_result(one) or item

        for result in self._engine.map(self._work, items()):
            one, item = waiting.popleft()
            if isinstance(item, LazyImage):
                item.release()
            yield self._write_result(one, self._policy.apply(replace(result, path=one.path)))

    def _sinks(self) -> Iterator[Sink]:
        yield from self._per_image
        if self._stream is not None:
            yield self._stream

    def _skip_result(self, found: Found) -> Result | None:
        """Return the result of an image that keeps all its captions, or whose captions cannot be written."""
        reasons = []
        for sink in sorted(self._sinks(), key=lambda sink: sink is not self._stream):  # the stream first: it is cheap to ask
            try:
                reason = sink.skip_reason(found)
            except StorageError as error:
                if isinstance(found.path, Path) and is_folder(found.path):
                    return None  # a folder that cannot be listed: reading it says why
                return Result(found.path, Status.WRITE_FAILED, reason=str(error))
            if reason is None:
                return None
            reasons.append(reason)
        return _skipped(found, reasons) if reasons else None

    def _write_result(self, found: Found, result: Result) -> Result:
        """Write a result wherever that is asked for, and return what became of it."""
        if result.status is Status.CAPTIONED and self._per_image:
            result = self._write_per_image(found, result)
        if self._stream is not None and result.status is not Status.SKIPPED:
            # A caption of low confidence is not written, only that it was found.
            is_low = result.status is Status.LOW_CONFIDENCE
            reason = self._stream.write(found, replace(result, captions=()) if is_low else result)
            if reason is not None and result.status is Status.CAPTIONED and not result.written:
                return _skipped(found, [reason])
        return result

    def _write_per_image(self, found: Found, result: Result) -> Result:
        written, failures, reasons = [], [], []
        for sink in self._per_image:
            try:
                reason = sink.write(found, result)
            except StorageError as error:
                failures.append(str(error))
                continue
            if reason is None:
                written.append(sink.target(found))
            else:
                reasons.append(reason)
        if failures:
            return replace(result, status=Status.WRITE_FAILED, reason="; ".join(failures), written=tuple(written))
        if reasons and not written and self._stream is None:
            return _skipped(found, reasons)
        return replace(result, written=tuple(written))


def _skipped(found: Found, reasons: Sequence[SkipReason]) -> Result:
    reason = _most_important(reasons)
    return Result(found.path, Status.SKIPPED, reason=reason.sentence, skip_reason=reason)


def _most_important(reasons: Sequence[SkipReason]) -> SkipReason:
    """Return the one of several reasons that a person should know."""
    return SkipReason.CHANGED_BY_HAND if SkipReason.CHANGED_BY_HAND in reasons else reasons[-1]
