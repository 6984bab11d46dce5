"""``capgen config``: one's own defaults of options: show, get, set and unset them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from capgen.cli import app
from capgen.cli.configurable import caption_options, check_usable, configured, converter, shown
from capgen.cli.configuration import KEYS, NAME, check_key, check_of_folder, folder_file, user_file
from capgen.cli.console import FAILED, Quiet, Verbose, command, printable, say
from capgen.cli.help_text import Commands
from capgen.errors import ConfigError, UsageError, os_reason, toml_fault
from capgen.outputs import FORMATS
from capgen.outputs.choices import Existing, SidecarName

if TYPE_CHECKING:
    from collections.abc import Iterable

    import tomlkit

config_app = Commands(
    help="Show and change your own defaults of the options of caption.\n\n"
    "What is typed goes before CAPGEN_SIDECAR and the like, these before capgen.toml in the folder of the photographs, the"
    " working folder or one above, and that before your own file.",
    invoke_without_command=True,
)
app.add_typer(config_app, name="config")


def _values(ctx: typer.Context) -> list[str]:
    """Return the values that a setting can have, for completion; none where these are not a few."""
    from capgen.captioner import catalogue

    key = ctx.params.get("key", "")
    named: dict[str, Iterable[str]] = {"format": FORMATS, "existing": Existing, "sidecar-name": SidecarName}
    if KEYS.get(key) is bool:
        return ["true", "false"]
    return catalogue.names() if key == "model" else list(named.get(key, ()))


Key = Annotated[
    str, typer.Argument(metavar="KEY", help="The name of an option of caption.", autocompletion=lambda: list(KEYS))
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--folder", metavar="FOLDER", help=f"Change {NAME} in FOLDER, which holds for all who use it, and not your own."
    ),
]


@config_app.callback()
@command("run it again")
def show_command(context: typer.Context) -> None:
    """Show what holds in the working folder, and why, unless a subcommand is named."""
    if context.invoked_subcommand is not None:
        return
    from capgen.cli.tables import show_table

    found = configured(context)
    rows = [(setting.key, shown(setting.value), setting.origin) for setting in found.holding.values()]
    rows += [(setting.key, shown(setting.value), f"{setting.origin}: {why}") for setting, why in found.overruled]
    if rows:
        show_table([("setting", "value", "from"), *rows])
    else:
        say(f"nothing is set; set it with: capgen config set KEY VALUE, where KEY is {', '.join(KEYS)}")
    folder, _ = folder_file()
    say(printable(f"your file: {user_file()}; {NAME}: {folder or 'none here or above'}"))


@config_app.command("get")
@command("run it again")
def get_command(context: typer.Context, key: Key, verbose: Verbose = False) -> None:
    """Print the value that holds in the working folder; the exit code is 1 if there is none."""
    check_key(key, caption_options(context))
    setting = configured(context).holding.get(key)
    if setting is None:
        raise typer.Exit(FAILED)
    typer.echo(shown(setting.value, "\n").encode("utf-8", "surrogateescape"))


@config_app.command("set")
@command("nothing was changed; run it again")
def set_command(
    context: typer.Context,
    key: Key,
    values: Annotated[
        list[str],
        typer.Argument(metavar="VALUE", help="Its value; several of include, exclude, suppress.", autocompletion=_values),
    ],
    folder: Folder = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Set a default, in your own file or in a folder's; comments in it stay."""
    check_key(key, caption_options(context))
    value = _checked(context, key, values)
    if folder is not None:
        check_of_folder(key, value)
    file, document = _opened(folder)
    document[key] = value
    _write(file, document)
    if not quiet:
        say(printable(f"{key} is {shown(value)} in {file}"))


@config_app.command("unset")
@command("nothing was changed; run it again")
def unset_command(
    key: Key,
    folder: Folder = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Remove a default from your own file, or from a folder's."""
    file, document = _opened(folder)
    if key not in document:
        raise UsageError(f"{key} is not set in {file}; capgen config shows what is set, and where")
    del document[key]
    _write(file, document)
    if not quiet:
        say(printable(f"{key} is not set in {file} any more"))


@config_app.command("path")
@command("run it again")
def path_command(verbose: Verbose = False) -> None:
    """Print the path of your own file."""
    import os

    typer.echo(os.fsencode(user_file().absolute()))


def _checked(context: typer.Context, key: str, values: list[str]) -> Any:
    """Return a value that was typed with the type that it has in a file.

    Raises:
        CapgenError: It does not fit.
    """
    if KEYS[key] is list:
        return values
    if len(values) > 1:
        raise UsageError(f"{key} has one value; put it in quotes: {' '.join(values)!r}")
    try:
        value = converter(context)(key, values[0])
    except ConfigError as error:
        raise ConfigError(f"{key} = {values[0]!r} does not fit: {error}") from error
    check_usable(key, value)
    if key == "model":
        return _from_everywhere(value)
    return value if isinstance(value, (bool, int, float)) else str(value)


def _from_everywhere(captioner: str) -> str:
    """Return the name of a captioner, or its path from everywhere."""
    from capgen.captioner import catalogue

    known = captioner in catalogue.names() or captioner in catalogue.ALIASES
    return captioner if known else str(catalogue.find(captioner).absolute())


def _opened(folder: Path | None) -> "tuple[Path, tomlkit.TOMLDocument]":
    """Return the file that is to be changed, and what is in it.

    Raises:
        ConfigError: It cannot be read.
        UsageError: There is no such folder.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    if folder is not None and not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    file = user_file().resolve() if folder is None else folder / NAME  # one's own may be a link into a repository
    try:
        return file, tomlkit.parse(file.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        return file, tomlkit.document()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {os_reason(error)}; mend or remove it") from error
    except (TOMLKitError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not TOML ({toml_fault(error)}); mend or remove it") from error


def _write(file: Path, document: "tomlkit.TOMLDocument") -> None:
    from capgen.storage import files

    with files.writing(file) as opened:
        opened.write(document.as_string().encode())
