"""What the options of ``capgen caption`` are grouped by in its help, and which of them go with which."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from capgen.cli.console import choice, refuse_others, typed_options
from capgen.errors import UsageError
from capgen.outputs.choices import Existing

if TYPE_CHECKING:
    from capgen.captioner.request import CaptionRequest

GROUPS = {
    "What to caption": (
        "paths", "recursive", "from_file", "include", "exclude", "hidden", "follow_links", "nul", "watch", "shard",
    ),
    "Output": (
        "output", "output_format", "sidecar", "xmp", "embed", "output_dir", "sidecar_name", "shard_size", "report",
        "explain",
    ),
    "What is there already": ("existing", "force", "dry_run"),
    "Wording": (
        "model", "num", "prompt", "suppress", "min_words", "max_words", "prefix", "suffix", "min_confidence",
    ),
    "Search": ("beam", "temperature", "top_p", "seed"),
    "Where it runs, and what it says": ("engine", "workers", "address", "fail_fast", "quiet", "verbose", "help"),
}  # fmt: skip
"""The parameters by the titles of their groups, the common ones first."""

EXAMPLES = (
    "capgen caption photo.jpg",
    "capgen caption --recursive photos --sidecar .txt",
)

_OF_ONE_PHOTOGRAPH = (
    "paths", "explain", "model", "prompt", "min_words", "max_words", "suppress", "beam", "temperature", "top_p", "seed",
    "quiet", "verbose",
)  # fmt: skip
"""The parameters that go with ``--explain``."""


def refuse_needless(context: typer.Context, request: "CaptionRequest") -> None:
    """Make sure that no option is typed that would have no effect beside the others, and no two that exclude each other.

    Args:
        context: The command as it was typed. What is not typed but a default may be without effect.
        request: What captions are wanted.

    Raises:
        UsageError: There is one; the message names it.
    """
    typed, values = typed_options(context), context.params
    if values["explain"] is not None:
        refuse_others(context, "--explain", "draws one photograph", _OF_ONE_PHOTOGRAPH)
    _refuse_of_search(typed, request)
    _refuse_of_files(typed, values, request.num_captions)
    _refuse_together(values)


def _refuse_of_search(typed: Mapping[str, str], request: "CaptionRequest") -> None:
    """Refuse options of one kind of search beside those of the other."""
    if "seed" in typed and not request.sampling:
        raise UsageError("--seed is for sampled words; add --temperature 1 or --top-p 0.9")
    if "beam" in typed and request.sampling:
        sampling = [*["--temperature"] * (request.temperature > 0), *["--top-p"] * (request.top_p < 1)]
        raise UsageError(f"--beam is for a search, and not for words sampled with {choice(sampling, 'and')}; leave one out")


def _refuse_of_files(typed: Mapping[str, str], values: Mapping[str, Any], count: int) -> None:
    """Refuse options about captions in files where there are none, and more captions than there is room for."""
    per_image = [f"--{name}" for name in ("sidecar", "xmp", "embed") if values[name]]
    in_lines = any(values[name] is not None for name in ("output", "output_format", "report"))
    if per_image and not in_lines and "num" in typed and count > 1:
        room = f"with {choice(per_image, 'and')} there is room for one caption of a photograph"
        raise UsageError(f"{room}; leave out --num, or add --output FILE for all of them")
    of_files = [typed[name] for name in ("existing", "force") if name in typed]
    if values["output"] is None and not per_image and of_files:
        needless = f"captions are printed, which leaves nothing to do for {choice(of_files, 'and')}"
        raise UsageError(f"{needless}; leave it out, or add --sidecar .txt or --output FILE")
    if "force" in typed and not values["watch"] and values["existing"] in (Existing.SKIP, Existing.FILL):
        raise UsageError(f"--existing {values['existing']} replaces nothing, also with --force; add --existing overwrite")


def _refuse_together(values: Mapping[str, Any]) -> None:
    """Refuse what cannot be done at once."""
    if values["watch"] and "-" in (values["paths"] or ()):
        raise UsageError("--watch looks again and again, and stdin can be read only once; name folders or --from-file LIST")
    if values["watch"] and values["dry_run"]:
        raise UsageError("--watch goes on for ever and --dry-run does nothing; choose one")
    if values["dry_run"] and values["report"] is not None:
        raise UsageError("--dry-run writes nothing, and so no --report; choose one")
