"""Checks of what a job is asked to do: whether its inputs, its outputs and its policy fit together."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from capgen.batch.request import Inputs, OutputPolicy, Outputs
from capgen.errors import UsageError
from capgen.inputs.archives import is_archive
from capgen.inputs.patterns import has_wildcard
from capgen.outputs.choices import Existing
from capgen.outputs.destination import Destination
from capgen.storage.locations import Location, Url, is_url

_ONLY_SHARDS = (
    "shards go into a folder of their own, so no `sidecar`, `xmp`, `embed`, `output_dir`, `watch` or `force` with them"
)


def check_locations(locations: Iterable[Location], destinations: Sequence[Destination]) -> None:
    """Make sure that captions which belong beside or into images can be put there.

    Raises:
        UsageError: They cannot, as the images are in an archive or at a URL.
    """
    if not destinations:
        return
    for location in locations:
        if isinstance(location, Url) or is_archive(location):
            raise UsageError(f"captions cannot be put beside or into the images of {location}; use `output`")


def check_standard_input(inputs: Inputs, outputs: Outputs) -> None:
    """Make sure that an image on the standard input gets its caption where that is possible.

    Raises:
        UsageError: Its caption is to be put beside or into its file, which it does not have, or into shards.
    """
    if inputs.standard_input is None:
        return
    if outputs.shards is not None:
        raise UsageError("an image on stdin is not captioned into shards; name a file with `output`, or none")
    asked = {"sidecar": outputs.sidecar is not None, "xmp": outputs.xmp, "embed": outputs.embed}
    output = next((output for output, is_asked in asked.items() if is_asked), None)
    if output is not None:
        raise UsageError(
            f"`{output}` is for images in files, and the one on stdin is in none; use `output`, or name its file"
        )


def check_shard_outputs(outputs: Outputs, policy: OutputPolicy) -> None:
    """Make sure that captions which are written in shards are not written in another way besides.

    Args:
        outputs: Where captions go; its ``shards`` are the folder or URL of the shards.
        policy: What becomes of captions that exist.

    Raises:
        UsageError: They are, or the policy is not one for shards.
    """
    if outputs.file is not None or outputs.standard_output:
        other = outputs.file or "the standard output"
        raise UsageError(f"captions are written either into shards or to {other}; choose one")
    if outputs.is_per_image or outputs.output_dir is not None or policy.force:
        raise UsageError(_ONLY_SHARDS)
    if policy.existing not in (Existing.SKIP, Existing.OVERWRITE):
        raise UsageError(f"shards are written whole; `existing='{policy.existing}'` is for other outputs")
    location, report = outputs.shards, outputs.report
    if location is None or is_url(location) or report is None:
        return
    if report.absolute().parent.resolve() == Path(location).resolve():
        raise UsageError(f"{report} is among the shards; name a file elsewhere for `report`")


def check_watched(inputs: Inputs, outputs: Outputs) -> None:
    """Make sure that images can be watched for, and be captioned as they arrive.

    Raises:
        UsageError: What is to be watched does not exist or is at a URL, or captions are written in shards.
    """
    if outputs.shards is not None:
        raise UsageError(_ONLY_SHARDS)
    for path in (*inputs.paths, *inputs.listed):
        if is_url(path):
            raise UsageError(f"`watch` looks into folders here, and {path} is elsewhere; caption it without")
    missing = [path for path in inputs.paths if not (os.path.lexists(path) or has_wildcard(path))]
    if missing:
        raise UsageError(f"there is no {missing[0]} to watch; make it first")
