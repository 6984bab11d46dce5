"""The commands whose options have defaults of one's own: what is configured becomes Click's map of defaults."""

from collections.abc import Collection
from typing import Any

import typer

from capgen.cli import configuration
from capgen.cli.configuration import KEYS, Configuration
from capgen.cli.console import complain, printable, say
from capgen.cli.help_text import PlainCommand
from capgen.errors import CapgenError, ConfigError, UnknownNameError
from capgen.inputs.archive_endings import ARCHIVE_ENDINGS
from capgen.outputs import DESTINATIONS, FORMATS
from capgen.storage.locations import is_url

_PARAMETERS = {"evaluate": {"model": "models"}, "score": {"model": "model"}}
"""The settings of commands that do not have all of them, and the names of their parameters."""

_CONFIGURATION = "capgen.configuration"


class ConfigurableCommand(PlainCommand):
    """A subcommand with ``--model`` or its like, and perhaps the other options of ``capgen caption``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read what is configured before the arguments are, since what is typed goes before it."""
        if not ctx.resilient_parsing:
            given, _, _ = self.make_parser(ctx).parse_args(args=list(args))
            if not given.get("help"):
                self._configure(ctx, {name: value for name, value in given.items() if value not in (None, [], ())})
        return super().parse_args(ctx, args)

    def _configure(self, ctx: Any, given: dict[str, Any]) -> None:
        """Make what is configured the defaults, and say what a file that may be a stranger's has a part in."""
        options = {parameter.name: name for name, parameter in _options(self.params).items()}
        typed = {options.get(name, name) for name in given} | ({"model"} & {"model" for name in given if name == "models"})
        photographs = given.get("paths", ())
        if any(is_url(path) or path.lower().endswith(ARCHIVE_ENDINGS) for path in photographs):
            typed.add("output")  # since nothing can be put beside these photographs, captions go where they go by default
        try:
            found = configured(ctx, typed, photographs)
        except CapgenError as error:
            complain(printable(str(error)))
            raise typer.Exit(error.exit_code) from None
        names = _PARAMETERS.get(str(self.name)) or {
            key: str(parameter.name) for key, parameter in _options(self.params).items() if key in KEYS
        }
        held = {key: setting for key, setting in found.holding.items() if key in names}
        found = Configuration(held, (), found.note)
        ctx.meta[_CONFIGURATION] = found
        ctx.default_map = {
            names[key]: [setting.value] if names[key] == "models" else setting.value for key, setting in held.items()
        }
        for line in filter(None, (found.note, found.of_folder())):
            if not given.get("quiet"):
                say(printable(line))


def configured(ctx: Any, given: Collection[str] = (), arguments: Collection[str] = ()) -> Configuration:
    """Read what is configured, and find out what of it holds.

    Args:
        ctx: The context of any subcommand.
        given: The names of the options that were typed.
        arguments: The photographs that were named.

    Raises:
        ConfigError: Something does not fit; the message names the file.
    """
    options = caption_options(ctx)
    return configuration.load(converter(ctx), options, given, list(arguments))


def caption_options(ctx: Any) -> dict[str, Any]:
    """Return the options of ``capgen caption`` by name, without dashes in front."""
    root = ctx.find_root().command
    return _options((root.commands["caption"] if hasattr(root, "commands") else root).params)


def converter(ctx: Any) -> configuration.Convert:
    """Return what turns the value of a setting into that of its option, as Click does."""
    options = caption_options(ctx)

    def convert(key: str, value: Any) -> Any:
        try:
            return options[key].process_value(ctx, value)
        except typer.BadParameter as error:
            raise ConfigError(error.message[:1].lower() + error.message[1:]) from error

    return convert


def origins(ctx: Any, message: str) -> str:
    """Say which of the options that the message of an error names were configured, and where; empty if all were typed."""
    found = ctx.meta.get(_CONFIGURATION) if ctx is not None else None
    return found.origins(message) if found else ""


def check_usable(key: str, value: Any) -> None:
    """Make sure that a value can be used, as far as that is known before there are photographs.

    Raises:
        CapgenError: It is the name of something that does not exist, or an ending that sidecars cannot have.
    """
    if key == "model":
        from capgen.captioner import catalogue

        catalogue.find(value)
    if key == "format" and value not in FORMATS:
        raise UnknownNameError("format", value, FORMATS)
    if key == "sidecar":
        DESTINATIONS["sidecar"](value)


def shown(value: Any, between: str = " ") -> str:
    """Return the value of a setting as one would type it; ``between`` stands between the texts of a list."""
    if isinstance(value, bool):
        return str(value).lower()
    return between.join(value) if isinstance(value, (list, tuple)) else str(value)


def _options(parameters: Collection[Any]) -> dict[str, Any]:
    return {
        max(parameter.opts, key=len).removeprefix("--"): parameter
        for parameter in parameters
        if parameter.param_type_name == "option"
    }
