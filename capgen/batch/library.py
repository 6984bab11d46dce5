"""A photo library: which pictures need a caption, captioned, and written where it was asked for."""

from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from capgen.captioner.captioner import Item
from capgen.captioner.request import CaptionRequest
from capgen.captioner.results import Caption, Result, SkipReason
from capgen.errors import Status, StorageError, UsageError
from capgen.images.formats import is_image_file
from capgen.inputs.archives import LazyImage, expand_archives
from capgen.inputs.listing import Listing
from capgen.inputs.selection import Found
from capgen.outputs import policy
from capgen.outputs.destination import Destination
from capgen.outputs.manifest import Manifest, Record, key, whose
from capgen.outputs.stream import Stream
from capgen.storage.hashing import caption_hash, hash64
from capgen.storage.locations import Location

_CLOSING = ",.;:!?)]}'\"…"
"""What follows a word without a space."""

_SHOWN = 3
"""Collisions named before the rest is only counted."""


@dataclass(frozen=True)
class Request:
    """What is to become of every picture.

    Attributes:
        captions: What captions are wanted; the captioner's own way by default.
        destinations: Where its caption goes.
        stream: Where its lines go.
        existing: What becomes of captions that are there, one of ``policy.EXISTING``.
        force: Also of those that a person has changed.
        minimum_confidence: Below it nothing is written.
        prefix: Put before every caption.
        suffix: Put after every caption.
    """

    captions: CaptionRequest | None = None
    destinations: Sequence[Destination] = ()
    stream: Stream | None = None
    existing: str = "skip"
    force: bool = False
    minimum_confidence: float = 0.0
    prefix: str = ""
    suffix: str = ""

    def worded(self, caption: Caption) -> Caption:
        """Put prefix and suffix around a caption, with a space where there is none and no punctuation."""
        before = " " if self.prefix and not self.prefix[-1].isspace() else ""
        after = "" if not self.suffix or self.suffix[0].isspace() or self.suffix[0] in _CLOSING else " "
        return replace(caption, text=f"{self.prefix}{before}{caption.text}{after}{self.suffix}")

    def judged(self, result: Result) -> Result:
        """Word a result's captions as asked for, and say if it is not sure enough."""
        result = replace(result, captions=tuple(map(self.worded, result.captions)))
        if result.status is Status.CAPTIONED and (result.confidence or 0.0) < self.minimum_confidence:
            reason = f"the caption's confidence is {result.confidence:.2f}, less than {self.minimum_confidence:g}"
            return replace(result, status=Status.LOW_CONFIDENCE, reason=reason)
        return result


class CaptionsMany(Protocol):
    """What captions pictures: a ``Captioner``, or one whose work is done elsewhere."""

    def caption_many(self, sources: Iterable[Item], request: CaptionRequest | None = None) -> Iterator[Result]:
        """See ``Captioner.caption_many``."""
        ...


class Library:
    """Captions the pictures that need it.

    Args:
        captioner: Writes the captions.
        request: What is asked for.
        manifest: What capgen has written before.
    """

    def __init__(self, captioner: CaptionsMany, request: Request, manifest: Manifest) -> None:
        """Keep them."""
        self._captioner, self._request, self._manifest = captioner, request, manifest
        self._claims: dict[Path, Path] = {}

    def claimed(self, found: Found) -> str | None:
        """Tell which picture that came before wants the same file, of those that arrive one by one; ``None`` for none."""
        for destination in self._request.destinations:
            place = destination.place(*found.local()).absolute()
            path, _ = found.local()
            owner = self._claims.setdefault(place, path)
            if owner != path and not owner.exists():
                owner = self._claims[place] = path
            if owner != path:
                return f"{owner} has {place} for its caption"
        return None

    def plan(self, found: Iterable[Found]) -> Iterator[tuple[Found, list[Path], str]]:
        """Tell for each picture which files its caption would be written to, and why not to others; nothing is written."""
        for one in found:
            places, reasons = [], []
            reason: str | None
            for destination in self._request.destinations:
                place = destination.place(*one.local())
                try:
                    settled = self._settled(destination, place)
                    reason = settled and settled.sentence
                except StorageError as error:
                    reason = str(error)
                if reason is None:
                    places.append(place)
                else:
                    reasons.append(f"{place}: {reason}")
            stream = self._request.stream
            if stream is not None and stream.place is not None:
                settled = stream.settled(one.path)
                reason = settled and settled.sentence
                if reason is None:
                    places.append(stream.place)
                else:
                    reasons.append(f"{stream.place}: {reason}")
            yield one, places, "; ".join(reasons)

    def run(self, found: Iterable[Found]) -> Iterator[Result]:
        """Caption pictures and write what is asked for; yield what became of each, in order."""
        waiting: deque[tuple[Found, Item]] = deque()

        def sources() -> Iterator[Item]:
            for one, item in expand_archives(found):
                waiting.append((one, item))
                yield self._needless(one) or item

        for result in self._captioner.caption_many(sources(), self._request.captions):
            one, item = waiting.popleft()
            if isinstance(item, LazyImage):
                item.release()
            yield self._put(one, self._request.judged(replace(result, path=one.path)))

    def _needless(self, found: Found) -> Result | None:
        """Return the result of a picture that has its captions, or whose captions cannot be written."""
        stream, reasons = self._request.stream, []
        if stream is not None:
            reason = stream.settled(found.path)
            if reason is None:
                return None
            reasons.append(reason)
        for destination in self._request.destinations:
            place = destination.place(*found.local())
            try:
                reason = self._settled(destination, place)
            except StorageError as error:
                return Result(found.path, Status.WRITE_FAILED, reason=str(error))
            if reason is None:
                return None
            reasons.append(reason)
        foremost = _foremost(reasons)
        return Result(found.path, Status.SKIPPED, reason=foremost.sentence, skip_reason=foremost)

    def _settled(self, destination: Destination, place: Path) -> SkipReason | None:
        """Tell why a place stays as it is, or ``None``."""
        current = destination.read(place)
        record = self._manifest.get(key(place))
        return policy.decide(
            None if current is None else caption_hash(current), record, self._request.existing, force=self._request.force
        )

    def _put(self, found: Found, result: Result) -> Result:
        """Write a result where it was asked for, and return what became of it."""
        if result.status is Status.CAPTIONED and self._request.destinations:
            result = self._written(found, result)
        stream = self._request.stream
        if stream is not None and result.status is not Status.SKIPPED and stream.settled(found.path) is None:
            stream.write(replace(result, captions=()) if result.status is Status.LOW_CONFIDENCE else result)
        return result

    def _written(self, found: Found, result: Result) -> Result:
        places, failures, reasons = [], [], []
        for destination in self._request.destinations:
            place = destination.place(*found.local())
            try:
                reason = self._write(destination, place, result.caption or "")
            except StorageError as error:
                failures.append(str(error))
                continue
            if reason is None:
                places.append(place)
            else:
                reasons.append(reason)
        if failures:
            return replace(result, status=Status.WRITE_FAILED, reason="; ".join(failures), written=tuple(places))
        if reasons and not places and self._request.stream is None:
            foremost = _foremost(reasons)
            return replace(result, status=Status.SKIPPED, captions=(), reason=foremost.sentence, skip_reason=foremost)
        return replace(result, written=tuple(places))

    def _write(self, destination: Destination, place: Path, caption: str) -> SkipReason | None:
        """Write a caption unless the place is settled by now; another run may have been there since."""
        name = key(place)
        with self._manifest.locked():
            reason = self._settled(destination, place)
            if reason is not None:
                return reason
            current = destination.read(place)
            text = policy.combined(current, caption, self._request.existing)
            before = "" if current is None else caption_hash(current)
            self._manifest.put(name, Record(caption_hash(text), before, whose(self._manifest.get(name), before)))
            destination.write(place, text)
            # as it reads back: a format may not hold every character
            self._manifest.put(name, Record(caption_hash(destination.read(place) or text)))
        return None


def check(listing: Listing, destinations: Sequence[Destination], outputs: Sequence[Path]) -> None:
    """Make sure that nothing that will be written takes the place of anything else.

    Args:
        listing: The pictures.
        destinations: Where their captions go.
        outputs: Files of lines that are written, too.

    Raises:
        UsageError: Names some that want the same place, or a picture that is there.
    """
    if not destinations and not outputs:
        return
    for path in outputs:
        if is_image_file(path):
            raise UsageError(f"{path} is a picture, which would be lost; name another file to write to")
    written = array("Q", map(_short, outputs))
    if len(set(written)) < len(outputs):
        raise UsageError(f"--output and --report name the same file, {outputs[0]}; choose two")
    pictures = array("Q", (_short(found.path) for found in listing))
    if taken := [path for path in outputs if _short(path) in pictures]:
        raise UsageError(f"{taken[0]} is one of the photographs; choose another file to write to")
    for destination in destinations:
        for found in listing:
            place = destination.place(*found.local())
            if place != found.path:  # else it goes into the picture
                written.append(_short(place))
    values, counts = np.unique(np.array(written, np.uint64), return_counts=True)
    twice = {*values[counts > 1].tolist(), *np.intersect1d(values, np.array(pictures, np.uint64)).tolist()}
    if twice:
        raise UsageError(_collisions(listing, destinations, twice))


def _foremost(reasons: Sequence[SkipReason]) -> SkipReason:
    """Return the reason why a picture was skipped that a person should know of several."""
    return SkipReason.CHANGED_BY_HAND if SkipReason.CHANGED_BY_HAND in reasons else reasons[-1]


def _short(place: Location) -> int:
    return hash64(place.absolute() if isinstance(place, Path) else place)


def _collisions(listing: Listing, destinations: Sequence[Destination], twice: set[int]) -> str:
    """Say which pictures want the same file, or one that is there for something else."""
    wanting: dict[int, list[Location]] = {}
    files: dict[int, Path] = {}
    for destination in destinations:
        for found in listing:
            place = destination.place(*found.local())
            short = _short(place)
            if place != found.path and short in twice and (short in wanting or len(wanting) < _SHOWN):
                wanting.setdefault(short, []).append(found.path)
                files[short] = place
    named = "; ".join(
        f"{' and '.join(map(str, paths))} would share {files[short]}"
        if len(paths) > 1
        else f"the sidecar of {paths[0]} would be {files[short]}, which is something else's"
        for short, paths in wanting.items()
    )
    more = f"; and {len(twice) - len(wanting)} more" if len(twice) > len(wanting) else ""
    return f"nothing was written: {named}{more}; rename some, leave some out with --exclude, or use --output with jsonl"
