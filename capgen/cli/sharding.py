"""What ``capgen caption`` does when its output is a folder: shards, each whole or absent, until all are there."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from capgen.batch.engines.clustered import ClusteredCaptioner
from capgen.batch.library import Request, check
from capgen.batch.shards.run import caption_shard
from capgen.batch.shards.target import Plan, Target
from capgen.captioner.captioner import Captioner
from capgen.captioner.results import Result
from capgen.cli.captioning import Wanted, begin
from capgen.cli.console import SOME_FAILED, progress
from capgen.cli.reporting import Report, Teller
from capgen.errors import UsageError
from capgen.inputs.listing import Listing
from capgen.storage.locations import is_url

if TYPE_CHECKING:
    from capgen.batch.engines.ray import Cluster


SIZE = 10_000
"""Pictures of a numbered shard."""


def run(wanted: Wanted, place: str, size: int | None) -> None:
    """Write the shards that are not there yet.

    Args:
        wanted: What to caption.
        place: Folder or URL.
        size: Pictures of a numbered shard.

    Raises:
        Exit: With code 3, if some files failed.
    """
    where = begin(wanted)
    if wanted.destinations or wanted.watch or wanted.force:
        raise UsageError(
            "shards go into a folder of their own, so no --sidecar, --xmp, --embed, --watch or --force with them"
        )
    if wanted.existing not in {"skip", "overwrite"}:
        raise UsageError(f"nothing is added to captions in shards; --existing {wanted.existing} is for other outputs")
    with ExitStack() as stack:
        captioner = Captioner.load(wanted.model)
        request = Request(
            wanted.captions, existing=wanted.existing, minimum_confidence=wanted.minimum_confidence,
            prefix=wanted.prefix, suffix=wanted.suffix,
        )  # fmt: skip
        target = Target.of(captioner, place, wanted.form or "jsonl", request)
        found = Listing(wanted.selection.find(wanted.arguments, wanted.listed))
        _check_report(wanted.report, place, found)
        overwrite = wanted.existing == "overwrite"
        plan = Plan(found, target, size or SIZE, overwrite=overwrite, part=wanted.selection.shard or (1, 1))
        if wanted.dry_run:
            _say_plan(plan, target)
            return
        cluster = stack.enter_context(where) if len(plan) else None
        report = stack.enter_context(Report(wanted.report)) if wanted.report else None
        teller = Teller(several=True, quiet=wanted.quiet, report=report)
        teller.skip(plan.settled)
        finished = 0
        with progress("Shards", shown=not wanted.quiet) as show:

            def tell(result: Result | None = None) -> None:
                if result is not None:
                    teller.take(result)
                show(finished, len(plan), ", ".join(filter(None, (f"{teller.done:,} pictures", teller.note))))

            for _ in _shards(captioner, plan, target, cluster, tell):
                finished += 1
                tell()
                if wanted.fail_fast and teller.failed:
                    break
        if plan.done:
            teller.mention(f"{len(plan.done):,} of {len(plan.done) + len(plan):,} shards were there before")
        if teller.done or not plan.done:
            teller.summarise()
    if teller.failed:
        raise typer.Exit(SOME_FAILED)


def _check_report(report: Path | None, place: str, found: Listing) -> None:
    """Make sure that a report takes the place of nothing else.

    Raises:
        UsageError: It would.
    """
    if report is None:
        return
    if not is_url(place) and report.absolute().parent.resolve() == Path(place).resolve():
        raise UsageError(f"{report} is among the shards; name a file elsewhere for --report")
    check(found, (), [report])


def _shards(
    captioner: Captioner, plan: Plan, target: Target, cluster: "Cluster | None", tell: Callable[[Result], object]
) -> Iterator[None]:
    """Do the tasks of a plan, here or by the workers of a cluster, and come back after each."""
    if cluster is None:
        for task in plan:
            caption_shard(captioner, task, target, tell)
            yield
        return
    for results in ClusteredCaptioner(captioner, cluster).caption_shards(plan, target):
        for result in results:
            tell(result)
        yield


def _say_plan(plan: Plan, target: Target) -> None:
    for shard in plan.done:
        typer.echo(f"{target.place(shard)}: left as it is: it is done")
    for task in plan:
        source = task.archive or f"{len(task.files):,} pictures, the first {task.files[0]}"
        typer.echo(f"{target.place(task.shard)}: would be written from {source}".encode("utf-8", "surrogateescape"))
