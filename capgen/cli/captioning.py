"""What ``capgen caption`` does with its options: a run over files, a dry run, or a watch."""

import errno
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import typer

from capgen import files, images, policy
from capgen.captioner import Captioner
from capgen.cli.console import SOME_FAILED, printable, progress, say
from capgen.cli.engine import LOCAL, Engine, clustered
from capgen.clustered import ClusteredCaptioner
from capgen.errors import ImageError, UsageError
from capgen.library import Library, Listing, Request, check
from capgen.manifest import Manifest
from capgen.outputs import FORMATS, format_of
from capgen.outputs.destination import Destination
from capgen.outputs.jsonl import JsonLinesFormat
from capgen.outputs.stream import OutputFile, OutputLook, Standard, Stream
from capgen.remote import Url, is_url
from capgen.results import STATUSES, Result
from capgen.selection import Found, Selection, has_wildcard, parse_shard, read_list
from capgen.shards.sources import is_archive
from capgen.watch import Arrivals


@dataclass(frozen=True)
class Wanted:
    """What to caption, and where captions go; the fields are the command's options."""

    selection: Selection
    arguments: Sequence[str]
    listed: Sequence[str]
    form: str | None
    output: Path | None
    destinations: Sequence[Destination]
    existing: str
    force: bool
    prefix: str
    suffix: str
    minimum_confidence: float
    report: Path | None

    @property
    def header(self) -> bool:
        """Whether a CSV begins with its header; of shards only the first does, so that ``cat`` merges them."""
        return self.selection.shard is None or self.selection.shard[0] == 1


def selection(
    *,
    recursive: bool,
    include: list[str] | None,
    exclude: list[str] | None,
    hidden: bool,
    follow_links: bool,
    shard: str | None,
) -> Selection:
    """Make the selection of files."""
    part = parse_shard(shard) if shard else None
    return Selection(recursive, tuple(include or ()), tuple(exclude or ()), hidden, follow_links, part)


def listed(paths: list[str], from_file: Path | None, *, nul: bool, watch: bool) -> list[str]:
    """Return the paths on stdin, if ``-`` is among ``paths``, and those in a list.

    Raises:
        UsageError: There is nothing to look at, or the list cannot be read.
    """
    if not paths and from_file is None:
        raise UsageError("nothing to caption: name photographs, folders with --recursive, or - for paths on stdin")
    if watch and "-" in paths:
        raise UsageError("--watch looks again and again, and stdin can be read only once; name folders or --from-file LIST")
    if nul and from_file is None and "-" not in paths:
        raise UsageError("-0 is about paths from --from-file or stdin; add - or --from-file LIST")
    given: list[str] = []
    if "-" in paths:
        given += read_list(sys.stdin.buffer, nul=nul)
    if from_file is not None:
        try:
            with from_file.open("rb") as file:
                given += read_list(file, nul=nul)
        except OSError as error:
            raise UsageError(f"the list {from_file} cannot be read: {error.strerror}") from error
    return given


def destinations(sidecar: str | None, output_dir: Path | None, *, xmp: bool, embed: bool) -> list[Destination]:
    """Make the destinations asked for.

    Raises:
        UsageError: They do not fit together, or exiftool is missing.
    """
    found: list[Destination] = []
    if output_dir is not None and sidecar is None and not xmp:
        raise UsageError("--output-dir says where sidecars go; add --sidecar .txt or --xmp")
    if sidecar is not None:
        from capgen.outputs.sidecar import Sidecar

        found.append(Sidecar(sidecar, output_dir))
    if xmp:
        from capgen.outputs.xmp import XmpSidecar

        found.append(XmpSidecar(output_dir))
    if embed:
        from capgen.outputs.embedded import Embedded

        found.append(Embedded())
    return found


def explain(sheet: Path, paths: Sequence[str], model: str | None, wishes: dict[str, Any], *, alone: bool) -> None:
    """Print the caption of one photograph, and draw where the captioner looked for each word.

    Raises:
        UsageError: More is asked for, or the captioner does not say where it looks.
        ImageError: The photograph cannot be read.
        StorageError: The sheet cannot be written.
    """
    if sheet.suffix.lower() != ".png":
        raise UsageError(f"{sheet}: the sheet is a PNG file; let its name end in .png")
    if len(paths) != 1 or not alone:
        raise UsageError("--explain draws one photograph; give one path, and no options of folders, lists or outputs")
    if is_url(paths[0]) or is_archive(Path(paths[0])):
        raise UsageError(f"--explain draws a photograph in a folder here, and {paths[0]} is none; fetch it first")
    if sheet.exists() and sheet.samefile(paths[0]):
        raise UsageError(f"{sheet} is the photograph itself; name another file to draw into")
    captioner = Captioner.load(model)
    try:
        caption = captioner.attend(paths[0], captioner.wish(**wishes))
    except ImageError as error:
        raise ImageError(error.status, f"{paths[0]}: {error}") from error
    if caption.attention is None or not caption.attention.words:
        raise UsageError(f"{paths[0]}: its caption has no words to explain")
    from capgen.explain import PHOTOGRAPH
    from capgen.explain import sheet as drawn

    files.write_bytes(sheet, drawn(images.shrunk(paths[0], PHOTOGRAPH), caption.attention))
    typer.echo(caption.text)


def run(
    wanted: Wanted,
    model: str | None,
    wishes: dict[str, Any],
    engine: Engine,
    *,
    dry_run: bool,
    fail_fast: bool,
    watch: bool,
    quiet: bool,
) -> None:
    """Do what is wanted.

    Raises:
        Exit: With code 3, if some files failed.
    """
    check_wishes(wanted.existing, wishes)
    where = clustered(engine)
    if watch:
        _check_watch(wanted, dry_run=dry_run)
    named = [*wanted.arguments, *wanted.listed]
    if wanted.destinations and (afar := [name for name in named if is_url(name) or is_archive(Path(name))]):
        raise UsageError(f"captions cannot be put beside or into the pictures of {afar[0]}; use --output")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C, so that what was begun is finished
    with ExitStack() as stack:
        for destination in wanted.destinations:
            stack.callback(destination.close)
        manifest = Manifest()
        stack.callback(manifest.close)
        captioner = Captioner.load(model)
        options = captioner.wish(**wishes)
        unsharded = replace(wanted.selection, shard=None)  # two shards must not want one file either
        whole = Listing(() if watch else unsharded.find(wanted.arguments, wanted.listed))
        archives = any(is_archive(found.path) for found in whole)
        if archives and engine.name != LOCAL:
            raise UsageError("with --engine ray archives are captioned into shards: give --output a folder, ending in /")
        listing = Listing(filter(wanted.selection.holds, whole)) if wanted.selection.shard else whole
        several = (
            watch
            or wanted.selection.shard is not None
            or len(listing) != 1
            or len(wanted.arguments) != 1
            or archives
            or (is_url(wanted.arguments[0]) and wanted.arguments[0].endswith("/"))
            or os.path.isdir(wanted.arguments[0])  # noqa: PTH112 - Path.is_dir raises for a name that is too long
        )
        outputs = [path for path in (wanted.output, wanted.report) if path is not None]
        for path in outputs:
            if images.begins_like_picture(path):
                raise UsageError(f"{path} is a picture, which would be lost; name another file to write to")
        check(whole, wanted.destinations, outputs)
        stream = _stream(wanted, manifest, several=several, dry_run=dry_run)
        if stream is not None:
            stack.callback(stream.close)
        cluster = None if dry_run else stack.enter_context(where)
        library = Library(
            ClusteredCaptioner(captioner, cluster) if cluster else captioner,
            Request(
                options, wanted.destinations, stream, wanted.existing, wanted.force, wanted.minimum_confidence,
                wanted.prefix, wanted.suffix,
            ),
            manifest,
        )  # fmt: skip
        if dry_run:
            _say_plan(library, listing)
            return
        report = stack.enter_context(Report(wanted.report)) if wanted.report else None
        teller = Teller(several=several, quiet=quiet, report=report)
        if watch:
            _watch(library, wanted, teller, fail_fast=fail_fast)
        else:
            shown = several and not quiet and (wanted.output is not None or stream is None or not sys.stdout.isatty())
            with progress("Captioning", shown=shown) as tell:
                _go(
                    library.run(listing),
                    teller,
                    fail_fast=fail_fast,
                    tell=lambda: tell(teller.done, 0 if archives else len(listing), teller.note),
                )
        teller.summarise()
    if teller.failed:
        raise typer.Exit(SOME_FAILED)


def check_wishes(existing: str, wishes: dict[str, Any]) -> None:
    """Make sure that options fit together.

    Raises:
        UsageError: They do not.
    """
    policy.check(existing)
    if wishes["seed"] and not (wishes["temperature"] > 0 or wishes["top_p"] < 1):
        raise UsageError("--seed is about drawn words; add --temperature 1 or --top-p 0.9")


def _check_watch(wanted: Wanted, *, dry_run: bool) -> None:
    for path in (*wanted.arguments, *wanted.listed):
        if is_url(path):
            raise UsageError(f"--watch looks into folders here, and {path} is elsewhere; caption it without")
    missing = [path for path in wanted.arguments if not (os.path.lexists(path) or has_wildcard(path))]
    if missing:
        raise UsageError(f"there is no {missing[0]} to watch; make it first")
    if dry_run:
        raise UsageError("--watch goes on for ever and --dry-run does nothing; choose one")


def _stream(wanted: Wanted, manifest: Manifest, *, several: bool, dry_run: bool) -> Stream | None:
    """Make what takes lines: the file, or stdout unless captions go elsewhere and no format was asked for."""
    if wanted.output is not None:
        form = format_of(wanted.output, wanted.form)
        kind = OutputLook if dry_run else OutputFile
        return kind(wanted.output, form, manifest, wanted.existing, force=wanted.force, header=wanted.header)
    if dry_run or (wanted.form is None and wanted.destinations):
        return None
    return Standard(FORMATS[wanted.form or "text"](several=several), header=wanted.header)


def _go(results: Iterator[Result], teller: "Teller", *, fail_fast: bool, tell: Any = lambda: None) -> None:
    for result in results:
        teller.take(result)
        tell()
        if fail_fast and result.failed:
            break


def _watch(library: Library, wanted: Wanted, teller: "Teller", *, fail_fast: bool) -> None:
    """Caption what arrives until it is interrupted, which is how a watch ends well."""
    selection = replace(wanted.selection, lenient=True)
    arrivals = Arrivals(lambda: selection.find(wanted.arguments, wanted.listed))
    teller.mention("watching for pictures; Ctrl-C ends it")
    try:
        for found in arrivals.for_ever():
            _go(_settling(library.run(_free(library, found, teller)), arrivals), teller, fail_fast=fail_fast)
            if fail_fast and teller.failed:
                break
    except KeyboardInterrupt:
        say("")


def _settling(results: Iterator[Result], arrivals: Arrivals) -> Iterator[Result]:
    """Keep a picture that its caption was put into from arriving again."""
    for result in results:
        if result.path in result.written:
            arrivals.settle(result.path)
        yield result


def _free(library: Library, found: list[Found], teller: "Teller") -> Iterable[Found]:
    """Leave out pictures that want the file of another: of a watch they cannot all be known before."""
    for one in found:
        reason = library.claimed(one)
        if reason is None:
            yield one
        else:
            teller.take(Result(one.path, "write-failed", reason=reason))


def _say_plan(library: Library, listing: Listing) -> None:
    for found, places, reasons in library.plan(listing):
        what = f"would write {', '.join(map(str, places))}" if places else "" if reasons else "would be captioned"
        left = f"left as it is: {reasons}" if reasons else ""
        if not isinstance(found.path, Url) and not os.path.isfile(found.path):  # noqa: PTH113 - Path.is_file raises for a name that is too long
            what, left = "would fail: it is no file, or there is none", ""
        typer.echo(f"{found.path}: {'; '.join(filter(None, (what, left)))}".encode("utf-8", "surrogateescape"))


class Report:
    """What became of each file, as JSON lines, each written at once.

    Args:
        path: The file; an older one is replaced.
    """

    def __init__(self, path: Path) -> None:
        """Know where it is to be."""
        self._path, self._form = path, JsonLinesFormat(several=True)

    def __enter__(self) -> "Report":
        try:
            files.make_folder(self._path.absolute().parent)
            self._file: BinaryIO = self._path.open("wb", buffering=0)
        except OSError as error:
            raise files.storage_error(self._path, error) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def put(self, result: Result) -> None:
        """Write a line.

        Raises:
            StorageError: It cannot be written.
        """
        try:
            for line in self._form.lines(result):
                data = line.encode("utf-8", "surrogateescape") + b"\n"
                if self._file.write(data) != len(data):
                    raise files.storage_error(self._path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        except OSError as error:
            raise files.storage_error(self._path, error) from error


class Teller:
    """Counts what became of files, and says on stderr what failed and, of several, what it comes to."""

    def __init__(self, *, several: bool, quiet: bool, report: Report | None) -> None:
        """Begin the clock."""
        self._several, self._quiet, self._report = several, quiet, report
        self._counts: Counter[str] = Counter()
        self._started = time.monotonic()
        self.failed = 0

    @property
    def done(self) -> int:
        """How many files have been dealt with."""
        return self._counts.total()

    @property
    def note(self) -> str:
        """What did not go as usual, for the progress bar."""
        parts = ((self.failed, "failed"), (self._counts["skipped"], "skipped"), (self._counts["unsure"], "unsure"))
        return ", ".join(f"{count:,} {what}" for count, what in parts if count)

    def mention(self, what: str) -> None:
        """Say something that is no failure."""
        if not self._quiet:
            say(what)

    def take(self, result: Result) -> None:
        """Count a result, report it, and name it if something is wrong."""
        self._counts[result.status] += 1
        self.failed += result.failed
        if self._report is not None:
            self._report.put(result)
        if result.failed or (result.reason and not self._several):
            path = printable(os.fsencode(str(result.path)).decode("utf-8", "replace"))
            say(f"capgen: {path}: {result.status}: {result.reason}")

    def skip(self, count: int) -> None:
        """Count pictures that an earlier run has captioned."""
        self._counts["skipped"] += count

    def summarise(self) -> None:
        """Say how many files came to what."""
        if not self._several or self._quiet:
            return
        seconds = time.monotonic() - self._started
        counts = ", ".join(f"{self._counts[status]:,} {status}" for status in STATUSES if self._counts[status])
        say(f"{counts or 'no photographs found'} in {seconds:,.1f} s")
