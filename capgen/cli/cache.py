"""``capgen cache``: what the cache holds, which data sets use it, and the removal of what none needs."""

from typing import TYPE_CHECKING, Annotated

import typer

from capgen.cli import app
from capgen.cli.console import SOME_FAILED, Verbose, command, complain, confirm
from capgen.cli.help_text import Commands

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capgen.training.cache import Removal

cache_app = Commands(
    help="Show and empty the cache: features, encoders, unpacked archives.\n\nAll of it is made again when it is needed.",
    no_args_is_help=True,
)
app.add_typer(cache_app, name="cache")


@cache_app.command("dir")
@command("run it again")
def dir_command(verbose: Verbose = False) -> None:
    """Print the folder of the cache."""
    import os

    from capgen.storage.paths import cache_dir

    typer.echo(os.fsencode(cache_dir().absolute()))


@cache_app.command("size")
@command("run it again")
def size_command(verbose: Verbose = False) -> None:
    """Print what the cache holds and which prepared data sets use it."""
    from capgen.storage import files
    from capgen.training import cache

    found = cache.usage()
    rows = [("store", "images", "size", "used by")]
    for entry in found:
        users = ", ".join(entry.datasets) or "nothing"
        rows.append((entry.store.name, f"{entry.images:,}", files.size_text(entry.size), users))
    rows.append(("total", "", files.size_text(sum(entry.size for entry in found)), ""))
    names, images, sizes = (max(len(row[column]) for row in rows) for column in range(3))
    for name, count, size, users in rows:
        typer.echo(f"{name:<{names}}  {count:>{images}}  {size:>{sizes}}  {users}".rstrip())


@cache_app.command("prune")
@command("run it again and it goes on")
def prune_command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    verbose: Verbose = False,
) -> None:
    """Remove what no prepared data set needs any more.

    What a running job uses is left alone, and named; the exit code is then 3.
    """
    from capgen.training import cache

    _remove_each(cache.unneeded(), dry_run=dry_run)


@cache_app.command("clear")
@command("run it again and it goes on")
def clear_command(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    verbose: Verbose = False,
) -> None:
    """Remove all features, encoders and unpacked archives; data sets and captioners stay.

    What a running job uses is left alone, and named; the exit code is then 3.
    """
    from capgen.storage import paths
    from capgen.training import cache

    if not yes:
        confirm(
            f"remove all features, encoders and unpacked archives in {paths.cache_dir()}? preparing makes them again",
            unasked="remove all features, encoders and unpacked archives from the cache",
        )
    _remove_each(cache.everything(), dry_run=False)


def _remove_each(found: "Iterator[Removal]", *, dry_run: bool) -> None:
    """Remove what is found, or only name it, and say what that frees."""
    from capgen.storage import files
    from capgen.training import cache

    freed, any_in_use = 0, False
    for removal in found:
        if removal.in_use:
            complain(f"{removal.store.name} is left as it is: {removal.reason}")
            any_in_use = True
        if not removal.paths:
            continue
        if not dry_run:
            cache.remove(removal)
        freed += removal.size
        size = files.size_text(removal.size)
        typer.echo(f"{'would remove' if dry_run else 'removed'} {size} of {removal.store.name}: {removal.reason}")
    typer.echo(f"{'would free' if dry_run else 'freed'} {files.size_text(freed)}")
    if any_in_use:
        raise typer.Exit(SOME_FAILED)
