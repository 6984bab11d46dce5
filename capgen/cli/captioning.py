"""What ``capgen caption`` does with its options: a run over files, a dry run, or a watch."""

import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from capgen import images
from capgen.batch.library import CaptionsMany, Library, Request, check
from capgen.captioner.captioner import Captioner
from capgen.captioner.request import CaptionRequest
from capgen.captioner.results import Result
from capgen.cli.console import SOME_FAILED, progress, say
from capgen.cli.engine import LOCAL, Engine, clustered
from capgen.cli.reporting import Report, Teller
from capgen.errors import ImageError, Status, UsageError
from capgen.inputs.archives import is_archive
from capgen.inputs.listing import Listing
from capgen.inputs.lists import read_list
from capgen.inputs.patterns import has_wildcard
from capgen.inputs.selection import Found, Selection, parse_shard
from capgen.inputs.watch import Arrivals
from capgen.outputs import FORMATS, format_of, policy, shards
from capgen.outputs.destination import Destination
from capgen.outputs.manifest import Manifest
from capgen.outputs.stream import OutputFile, OutputLook, Standard, Stream
from capgen.storage import files
from capgen.storage.locations import Location, Url, is_url, located

if TYPE_CHECKING:
    from capgen.batch.engines.ray import Cluster


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
    model: str | None
    captions: CaptionRequest
    engine: Engine
    dry_run: bool
    fail_fast: bool
    watch: bool
    quiet: bool

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


def shard_folder(output: str | None, form: str | None) -> str | None:
    """Return the folder or URL that shards are written to, ``None`` if lines are written instead.

    Raises:
        UsageError: It is a URL but no folder, or the format is one of shards and this is none.
    """
    if output is not None and (output.endswith("/") or (not is_url(output) and os.path.isdir(output))):  # noqa: PTH112
        return output
    if output is not None and is_url(output):
        raise UsageError(f"lines cannot be added to {output}; end it in / to write shards into it, or name a file here")
    if form is not None and form in set(shards.FORMATS) - set(FORMATS):
        raise UsageError(f"{form} is written in shards: give --output a folder, ending in /")
    return None


def explain(sheet: Path, paths: Sequence[str], model: str | None, captions: CaptionRequest, *, alone: bool) -> None:
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
        caption = captioner.caption(paths[0], captions, output_attention=True)
    except ImageError as error:
        raise ImageError(error.status, f"{paths[0]}: {error}") from error
    if caption.attention is None or not caption.attention.words:
        raise UsageError(f"{paths[0]}: its caption has no words to explain")
    from capgen.captioner.explain import PHOTOGRAPH
    from capgen.captioner.explain import sheet as drawn

    files.write_bytes(sheet, drawn(images.read_scaled(paths[0], PHOTOGRAPH), caption.attention))
    typer.echo(caption.text)


def run(wanted: Wanted) -> None:
    """Do what is wanted.

    Raises:
        Exit: With code 3, if some files failed.
    """
    where = begin(wanted)
    if wanted.watch:
        _check_watch(wanted)
    named = map(located, (*wanted.arguments, *wanted.listed))
    with ExitStack() as stack:
        for destination in wanted.destinations:
            stack.callback(destination.close)
        manifest = Manifest()
        stack.callback(manifest.close)
        captioner = Captioner.load(wanted.model)
        captioner.decoding(wanted.captions)  # refused before anything is looked at
        unsharded = replace(wanted.selection, shard=None)  # two shards must not want one file either
        whole = Listing(() if wanted.watch else unsharded.find(wanted.arguments, wanted.listed))
        _check_places(wanted, named if wanted.watch else (found.path for found in whole))
        if whole.archives and wanted.engine.name != LOCAL:
            raise UsageError("with --engine ray archives are captioned into shards: give --output a folder, ending in /")
        listing = Listing(filter(wanted.selection.holds, whole)) if wanted.selection.shard else whole
        several = (
            wanted.watch
            or wanted.selection.shard is not None
            or len(listing) != 1
            or len(wanted.arguments) != 1
            or whole.archives
            or (is_url(wanted.arguments[0]) and wanted.arguments[0].endswith("/"))
            or os.path.isdir(wanted.arguments[0])  # noqa: PTH112 - Path.is_dir raises for a name that is too long
        )
        check(whole, wanted.destinations, [path for path in (wanted.output, wanted.report) if path is not None])
        stream = _stream(wanted, manifest, several=several)
        if stream is not None:
            stack.callback(stream.close)
        cluster = None if wanted.dry_run else stack.enter_context(where)
        library = Library(
            _clustered(captioner, cluster) if cluster else captioner,
            Request(
                wanted.captions, wanted.destinations, stream, wanted.existing, wanted.force, wanted.minimum_confidence,
                wanted.prefix, wanted.suffix,
            ),
            manifest,
        )  # fmt: skip
        if wanted.dry_run:
            _say_plan(library, listing)
            return
        report = stack.enter_context(Report(wanted.report)) if wanted.report else None
        teller = Teller(several=several, quiet=wanted.quiet, report=report)
        if wanted.watch:
            _watch(library, wanted, teller)
        else:
            shown = several and not wanted.quiet and (wanted.output is not None or stream is None or not sys.stdout.isatty())
            with progress("Captioning", shown=shown) as tell:
                _go(
                    library.run(listing),
                    teller,
                    fail_fast=wanted.fail_fast,
                    tell=lambda: tell(teller.done, 0 if whole.archives else len(listing), teller.note),
                )
        teller.summarise()
    if teller.failed:
        raise typer.Exit(SOME_FAILED)


def begin(wanted: Wanted) -> "AbstractContextManager[Cluster | None]":
    """Do what every run begins with: see that options fit together, and make sure that it can be ended.

    Returns:
        What connects to the cluster that is asked for, and gives ``None`` if the work is done here.

    Raises:
        UsageError: They do not.
    """
    policy.check(wanted.existing)
    if wanted.captions.seed and not wanted.captions.sampling:
        raise UsageError("--seed is about drawn words; add --temperature 1 or --top-p 0.9")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C, so that what was begun is finished
    return clustered(wanted.engine)


def _check_watch(wanted: Wanted) -> None:
    for path in (*wanted.arguments, *wanted.listed):
        if is_url(path):
            raise UsageError(f"--watch looks into folders here, and {path} is elsewhere; caption it without")
    missing = [path for path in wanted.arguments if not (os.path.lexists(path) or has_wildcard(path))]
    if missing:
        raise UsageError(f"there is no {missing[0]} to watch; make it first")
    if wanted.dry_run:
        raise UsageError("--watch goes on for ever and --dry-run does nothing; choose one")


def _check_places(wanted: Wanted, paths: Iterable[Location]) -> None:
    """Make sure that captions which belong beside or into pictures can be put there."""
    afar = (path for path in paths if isinstance(path, Url) or is_archive(path)) if wanted.destinations else iter(())
    if (first := next(afar, None)) is not None:
        raise UsageError(f"captions cannot be put beside or into the pictures of {first}; use --output")


def _clustered(captioner: Captioner, cluster: "Cluster") -> CaptionsMany:
    from capgen.batch.engines.clustered import ClusteredCaptioner  # what only it needs would slow down every start

    return ClusteredCaptioner(captioner, cluster)


def _stream(wanted: Wanted, manifest: Manifest, *, several: bool) -> Stream | None:
    """Make what takes lines: the file, or stdout unless captions go elsewhere and no format was asked for."""
    if wanted.output is not None:
        form = format_of(wanted.output, wanted.form)
        kind = OutputLook if wanted.dry_run else OutputFile
        return kind(wanted.output, form, manifest, wanted.existing, force=wanted.force, header=wanted.header)
    if wanted.dry_run or (wanted.form is None and wanted.destinations):
        return None
    return Standard(FORMATS[wanted.form or "text"](several=several), header=wanted.header)


def _go(results: Iterator[Result], teller: Teller, *, fail_fast: bool, tell: Any = lambda: None) -> None:
    for result in results:
        teller.take(result)
        tell()
        if fail_fast and result.failed:
            break


def _watch(library: Library, wanted: Wanted, teller: Teller) -> None:
    """Caption what arrives until it is interrupted, which is how a watch ends well."""
    selection = replace(wanted.selection, lenient=True)
    arrivals = Arrivals(lambda: selection.find(wanted.arguments, wanted.listed))
    teller.mention("watching for pictures; Ctrl-C ends it")
    try:
        for found in arrivals.for_ever():
            _go(_settling(library.run(_free(library, found, teller)), arrivals), teller, fail_fast=wanted.fail_fast)
            if wanted.fail_fast and teller.failed:
                break
    except KeyboardInterrupt:
        say("")


def _settling(results: Iterator[Result], arrivals: Arrivals) -> Iterator[Result]:
    """Keep a picture that its caption was put into from arriving again."""
    for result in results:
        if result.path in result.written:
            arrivals.settle(result.path)
        yield result


def _free(library: Library, found: list[Found], teller: Teller) -> Iterable[Found]:
    """Leave out pictures that want the file of another: of a watch they cannot all be known before."""
    for one in found:
        reason = library.claimed(one)
        if reason is None:
            yield one
        else:
            teller.take(Result(one.path, Status.WRITE_FAILED, reason=reason))


def _say_plan(library: Library, listing: Listing) -> None:
    for found, places, reasons in library.plan(listing):
        what = f"would write {', '.join(map(str, places))}" if places else "" if reasons else "would be captioned"
        left = f"left as it is: {reasons}" if reasons else ""
        if not isinstance(found.path, Url) and not os.path.isfile(found.path):  # noqa: PTH113 - Path.is_file raises for a name that is too long
            what, left = "would fail: it is no file, or there is none", ""
        typer.echo(f"{found.path}: {'; '.join(filter(None, (what, left)))}".encode("utf-8", "surrogateescape"))
