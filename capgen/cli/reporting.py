"""What is said on stderr of the images of a job."""

import os
import time
from collections import Counter
from typing import TYPE_CHECKING

from capgen.captioner.results import Result, SkipReason
from capgen.cli.console import choice, complain, printable, say
from capgen.errors import Status
from capgen.inputs.passed_over import PassedOverLog

if TYPE_CHECKING:
    from capgen.batch.request import Outputs


class Reporter:
    """Counts results, and says on stderr which images failed, and in the end how many came to what, and where.

    Args:
        outputs: Where the captions go.
        several: Whether the job is over several images; of a single one it is also said why it was skipped.
        quiet: Say nothing but failures.
        arriving: Whether images are captioned as they arrive, so that each is said that is not printed.
    """

    def __init__(self, outputs: "Outputs", *, several: bool, quiet: bool, arriving: bool = False) -> None:
        self._outputs, self._several, self._quiet = outputs, several, quiet
        self._names_all = arriving and not outputs.standard_output
        self._counts: Counter[Status] = Counter()
        self._reasons: Counter[SkipReason] = Counter()
        self._started = time.monotonic()

    @property
    def done(self) -> int:
        """How many images have been reported."""
        return self._counts.total()

    @property
    def worked_on(self) -> int:
        """How many of them were not skipped, and so took the time that captioning takes."""
        return self.done - self._counts[Status.SKIPPED]

    @property
    def failed(self) -> int:
        """How many of them failed."""
        return sum(count for status, count in self._counts.items() if status.failed)

    @property
    def note(self) -> str:
        """How many images were not captioned, for the progress bar."""
        low = self._counts[Status.LOW_CONFIDENCE]
        parts = ((self.failed, "failed"), (self._counts[Status.SKIPPED], "skipped"), (low, Status.LOW_CONFIDENCE))
        return ", ".join(f"{count:,} {what}" for count, what in parts if count)

    def info(self, text: str) -> None:
        """Say something that is not a failure."""
        if not self._quiet:
            say(text)

    def add(self, result: Result) -> None:
        """Count a result, and name the image if something is wrong with it, or if nothing else tells that it came."""
        self._counts[result.status] += 1
        if result.status is Status.SKIPPED:
            self._reasons[result.skip_reason or SkipReason.HAS_CAPTION] += 1
        path = printable(os.fsencode(str(result.path)).decode("utf-8", "replace"))
        if result.failed:
            complain(f"{path}: {printable(result.reason or result.status)}")
        elif result.reason and not self._several:
            say(f"capgen: {path}: {result.status}: {printable(result.reason)}")
        elif self._names_all and result.status is Status.CAPTIONED:
            self.info(printable(f"{path}: {result.caption}"))

    def add_skipped(self, count: int) -> None:
        """Count images that an earlier run has captioned."""
        self._counts[Status.SKIPPED] += count
        self._reasons[SkipReason.HAS_CAPTION] += count

    def summarise(self, passed_over: PassedOverLog | None = None) -> None:
        """Say how many images came to what, where the captions are, and what was passed over where they were found.

        Of a single image that is said only if its caption was written and not printed.
        """
        captioned, where = self._counts[Status.CAPTIONED], self._where()
        if self._quiet or not (self._several or (captioned and where)):
            return
        seconds = time.monotonic() - self._started
        statuses = [status for status in Status if self._counts[status] and status is not Status.SKIPPED]
        counts = ", ".join(f"{self._counts[status]:,} {status}" for status in statuses)
        none = "nothing captioned" if self.done else "no photographs found"
        parts = [f"{counts or none} in {seconds:,.1f} s" + (f", {where}" if captioned and where else "")]
        if self._counts[Status.SKIPPED]:
            parts.append(f"{self._counts[Status.SKIPPED]:,} skipped: {self._why_skipped()}")
        if passed_over:
            parts.append(f"passed over: {passed_over}")
        say(printable("; ".join(parts)))

    def _where(self) -> str:
        """Return in words where the captions are; empty if they were only printed."""
        outputs, beside = self._outputs, "it" if self._counts[Status.CAPTIONED] == 1 else "them"
        if outputs.shards is not None:
            return f"in {outputs.shards}"
        folder = f"in {outputs.output_dir}" if outputs.output_dir is not None else f"beside {beside}"
        kinds = [*([self._ending] if outputs.sidecar is not None else []), *([".xmp"] if outputs.xmp else [])]
        ones = " and ".join(f"a {kind}" for kind in kinds)
        targets = [f"{ones} file {folder}" if beside == "it" else f"{' and '.join(kinds)} files {folder}"] if kinds else []
        targets += ["the photographs" if beside == "them" else "the photograph"] * outputs.embed
        targets += [str(outputs.file)] * (outputs.file is not None)
        return f"in {choice(targets, 'and')}" if targets else ""

    @property
    def _ending(self) -> str:
        return f".{(self._outputs.sidecar or '').lstrip('.')}"

    def _why_skipped(self) -> str:
        """Return in words why images were skipped; how many for which reason, if there are several."""
        reasons = [(reason, count) for reason, count in self._reasons.most_common() if count]
        if len(reasons) == 1:
            reason, count = reasons[0]
            return f"{'it' if count == 1 else 'they'} {self._phrase(reason, one=count == 1)}"
        return ", ".join(f"{count:,} {self._phrase(reason, one=count == 1)}" for reason, count in reasons)

    def _phrase(self, reason: SkipReason, *, one: bool) -> str:
        have, are, were = ("has", "is", "was") if one else ("have", "are", "were")
        outputs = self._outputs
        if reason is SkipReason.CHANGED_BY_HAND:
            return f"{were} changed by hand (--force replaces that)"
        if reason is SkipReason.OURS_ALREADY:
            return f"{have} capgen's caption already"
        if reason is SkipReason.SHARED:
            return f"{have} the file of another image"
        if outputs.is_per_image or outputs.standard_output:
            alone = outputs.sidecar is not None and not (outputs.xmp or outputs.embed or outputs.file)
            return f"{have} a {self._ending if alone else 'caption'}"
        return f"{are} in {outputs.shards if outputs.file is None else outputs.file} already"
