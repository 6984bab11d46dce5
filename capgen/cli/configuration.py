"""One's own defaults: which options have one, where they are read from, which of them holds, and why.

A setting is called like its option of ``capgen caption``. What a person has typed goes before the environment variable
``CAPGEN_`` with the name of the setting, that before ``capgen.toml`` of a library or a project, and that before the file in
the folder of the user's configuration. Programs that use capgen from Python are not affected by any of them.

A ``capgen.toml`` may come from a stranger, with the photographs. It can therefore set only what neither changes photographs
nor captions that exist, and writes nowhere but beside the photographs; and a command says what it takes from it.
"""

import os
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from capgen.errors import CapgenError, ConfigError, UnknownNameError, os_reason, toml_fault
from capgen.outputs.choices import Existing
from capgen.storage import paths
from capgen.storage.locations import is_url

NAME = "capgen.toml"
"""The file of settings in the folder of a library or a project."""

PREFIX = "CAPGEN_"
"""How the environment variables begin that hold settings."""

KEYS: dict[str, type] = {
    "model": str, "recursive": bool, "include": list, "exclude": list, "hidden": bool, "follow-links": bool,
    "format": str, "sidecar": str, "xmp": bool, "embed": bool, "sidecar-name": str, "existing": str,
    "prefix": str, "suffix": str, "prompt": str, "min-words": int, "max-words": int, "suppress": list,
    "min-confidence": float, "beam": int, "temperature": float, "top-p": float,
}  # fmt: skip
"""The settings and the types of their values; a list is one of texts. All other options are about a single run."""

_ONLY_OWN = {
    "embed": "it changes the photographs themselves",
    "hidden": "it takes what other programs keep for themselves",
    "follow-links": "it leads out of the folder",
}
"""The settings that a ``capgen.toml`` does not set, and why."""

_DESTINATIONS = {"output", "format", "sidecar", "xmp", "embed", "explain"}
_RIVALS: dict[str, set[str]] = {
    **{key: _DESTINATIONS - {key} for key in ("format", "sidecar", "xmp", "embed")},
    **{key: {"explain"} for key in ("include", "exclude", "recursive", "hidden", "follow-links")},
    **{key: {"explain"} for key in ("prefix", "suffix", "min-confidence")},
    "beam": {"temperature", "top-p"},
    "temperature": {"beam"},
    "top-p": {"beam"},
    "model": {"predictions"},
}
"""The options beside which a setting does not hold if they are chosen in a place that goes before it."""

_ONLY_WITH = {"sidecar-name": {"sidecar", "xmp"}, "existing": {"sidecar", "xmp", "embed"}}
"""The settings that are about captions beside or in photographs, and the options of which one has to hold with them."""

_TYPES = {str: "a text in quotes", bool: "true or false", int: "a whole number", float: "a number", list: "a list of texts"}

Convert = Callable[[str, Any], Any]
"""Turns the value of a setting into that of its option; raises ``ConfigError`` where it does not fit."""


@dataclass(frozen=True)
class Setting:
    """A default of one's own.

    Attributes:
        key: Its name, which is that of the option without dashes in front.
        value: Its value, of the option's type.
        origin: The file or the environment variable that it was read from.
        of_folder: Whether it is from a ``capgen.toml``.
    """

    key: str
    value: Any
    origin: str
    of_folder: bool = False

    @property
    def words(self) -> list[str]:
        """The words that one would type instead; none where the value is that of an option which is not given."""
        values = self.value if isinstance(self.value, (list, tuple)) else [self.value]
        if isinstance(self.value, bool):
            return [f"--{self.key}"] * self.value
        return [word for value in values for word in (f"--{self.key}", str(value))]


@dataclass(frozen=True)
class Configuration:
    """What holds of the settings.

    Attributes:
        holding: The settings that hold, by name.
        overruled: Those that do not, each with the reason.
        note: What should be said about where they were read from; empty if nothing should.
    """

    holding: Mapping[str, Setting]
    overruled: Sequence[tuple[Setting, str]] = ()
    note: str = ""

    def of_folder(self) -> str:
        """Say what holds because of a ``capgen.toml``; empty if nothing does."""
        found = [setting for setting in self.holding.values() if setting.of_folder and setting.words]
        return f"{found[0].origin} sets {shlex.join(word for setting in found for word in setting.words)}" if found else ""

    def origins(self, message: str) -> str:
        """Say which options that a message names were not typed; empty if all were."""
        found = [
            setting
            for setting in self.holding.values()
            if f"--{setting.key}" in message or (isinstance(setting.value, str) and repr(setting.value) in message)
        ]
        return "; ".join(f"--{setting.key} is set in {setting.origin}" for setting in found)


def user_file() -> Path:
    """Return the file of the user's own settings."""
    return paths.config_dir() / "config.toml"


def folder_file(arguments: Iterable[str] = ()) -> tuple[Path | None, str]:
    """Find the ``capgen.toml`` that counts: that of the photographs, or of the working folder where they have none.

    Args:
        arguments: The photographs, folders and patterns of a command. URLs do not count.

    Returns:
        The file, or ``None``; and what should be said about it, empty if nothing should.
    """
    found = {_nearest(os.path.abspath(path)) for path in arguments if path != "-" and not is_url(path)}  # noqa: PTH100
    if len(found) == 1 and (file := next(iter(found))):
        return Path(file), ""
    note = ""
    if others := sorted(filter(None, found)):
        note = f"{others[0]} is not used: not all photographs are in its folder"
    try:
        here = _nearest(os.getcwd())  # noqa: PTH109
    except OSError:  # the working folder has been removed
        here = None
    return (Path(here) if here else None), "" if here in others else note


def _nearest(path: str) -> str | None:
    """Return the ``capgen.toml`` in a folder or the nearest above it, or above a file."""
    return _in_folder(path) or _above(os.path.dirname(path))  # noqa: PTH120 - Path would take a while for many photographs


@cache
def _above(folder: str) -> str | None:
    """Return the ``capgen.toml`` in a folder or the nearest above it; photographs of one folder look for it once."""
    while not (found := _in_folder(folder)):
        if folder == (folder := os.path.dirname(folder)):  # noqa: PTH120
            return None
    return found


def _in_folder(folder: str) -> str | None:
    file = os.path.join(folder, NAME)  # noqa: PTH118
    return file if os.path.isfile(file) else None  # noqa: PTH113 - Path raises where a folder may not be looked into


def load(
    convert: Convert, options: Collection[str], given: Collection[str] = (), arguments: Sequence[str] = ()
) -> Configuration:
    """Read all settings, and find out which hold.

    Args:
        convert: Turns values into those of options.
        options: The names of all options, for messages.
        given: The names of the options that were typed.
        arguments: The photographs that were named.

    Raises:
        ConfigError: A file cannot be read, or something in it does not fit; the message names it.
    """
    _above.cache_clear()
    file, note = folder_file(arguments)
    layers = [list(environment(convert))]
    if file is not None:
        layers.append(list(read(file, convert, options, of_folder=True)))
    layers.append(list(read(user_file(), convert, options)))
    return resolve(layers, given, note)


def resolve(layers: Sequence[Sequence[Setting]], given: Collection[str] = (), note: str = "") -> Configuration:
    """Find out which settings hold.

    Args:
        layers: Settings by where they were read from; the first goes before all others.
        given: The names of the options that were typed, which go before all settings.
        note: What is said about where they were read from.
    """
    holding: dict[str, Setting] = {}
    overruled: list[tuple[Setting, str]] = []
    chosen = dict.fromkeys(given, True)
    for layer in layers:
        for setting in layer:
            rival = next((key for key in sorted(_RIVALS.get(setting.key, ())) if chosen.get(key)), None)
            if setting.key in chosen or rival:
                overruled.append((setting, f"--{setting.key if setting.key in chosen else rival} goes before it"))
            else:
                holding[setting.key] = setting
        chosen.update({setting.key: bool(setting.value) for setting in layer if setting.key in holding})
    for key, others in _ONLY_WITH.items():
        if key in holding and not any(chosen.get(other) for other in others):
            needed = " or ".join(f"--{other}" for other in sorted(others))
            overruled.append((holding.pop(key), f"only with {needed}"))
    if reason := _endangered(holding):
        overruled.append((holding.pop("existing"), reason))
    return Configuration(holding, overruled, note)


def _endangered(holding: Mapping[str, Setting]) -> str:
    """Say why a policy that changes captions does not hold: a stranger may have chosen which captions these are."""
    policy = holding.get("existing")
    if policy is None or Existing(policy.value).keeps:
        return ""
    return next((f"not with {key} of {NAME}" for key in ("sidecar", "xmp") if key in holding and holding[key].of_folder), "")


def environment(convert: Convert) -> Iterator[Setting]:
    """Yield the settings of environment variables; an empty one counts as not set."""
    for key, kind in KEYS.items():
        variable = PREFIX + key.upper().replace("-", "_")
        if text := os.environ.get(variable):
            value = shlex.split(text) if kind is list else text
            yield Setting(key, _converted(convert, key, value, f"the environment variable {variable}"), variable)


def read(file: Path, convert: Convert, options: Collection[str], *, of_folder: bool = False) -> Iterator[Setting]:
    """Yield the settings of a file; none if it is not there.

    Args:
        file: A TOML file.
        convert: Turns values into those of options.
        options: The names of all options.
        of_folder: Whether it may be a stranger's.

    Raises:
        ConfigError: It cannot be read, or something in it does not fit.
    """
    if not os.path.lexists(file):
        return
    import tomllib

    try:
        found = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {os_reason(error)}; mend or remove it") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f'{file} is not TOML ({toml_fault(error)}); lines in it are such as sidecar = ".txt"') from error
    for key, value in found.items():
        try:
            check_key(key, options)
            _check_type(key, value)
            if of_folder:
                check_of_folder(key, value)
        except CapgenError as error:
            raise ConfigError(f"{file}: {error}") from error
        yield Setting(key, _converted(convert, key, value, str(file)), str(file), of_folder)


def check_key(key: str, options: Collection[str]) -> None:
    """Make sure that there is a setting of a name.

    Raises:
        UsageError: There is none.
    """
    if key in KEYS:
        return
    if key in options:
        raise ConfigError(f"{key} is not a setting: --{key} is typed for each run; leave it out")
    if key == "caption":
        raise ConfigError("settings stand in the file without a table; leave out the line [caption]")
    raise UnknownNameError("setting", key, KEYS)


def check_of_folder(key: str, value: Any) -> None:
    """Make sure that a setting is one that a ``capgen.toml`` may set, whoever wrote it.

    Raises:
        ConfigError: It is not.
    """
    if reason := _ONLY_OWN.get(key):
        raise ConfigError(
            f"{key} is not set here, since {reason}; type --{key}, or set it for yourself: capgen config set {key} true"
        )
    if key == "existing" and value in list(Existing) and not Existing(value).keeps:
        raise ConfigError(
            f"existing = {value!r} is not set here, since captions that are there would change; type --existing {value}"
        )
    if key == "model" and not _is_installed(value):
        raise ConfigError(
            f"model = {value!r} is not among your captioners, and only their names can be set here; capgen models list shows"
            " them, and capgen models import adds one"
        )
    for text in value if isinstance(value, list) else [value]:
        if isinstance(text, str) and not text.isprintable():
            raise ConfigError(f"{key} has characters in it that control a terminal; take them out")


def _is_installed(name: str) -> bool:
    """Tell whether a captioner is meant that is installed or ships, and not a file or folder that lies here."""
    from capgen.captioner import catalogue, container

    return (name in catalogue.names() or name in catalogue.ALIASES) and not Path(name, container.DESCRIPTION).exists()


def _check_type(key: str, value: Any) -> None:
    """Make sure that a value that was read from TOML has the type of its setting.

    Raises:
        ConfigError: It has another.
    """
    kind = KEYS[key]
    fits = type(value) is kind or (kind is float and type(value) is int)
    if not fits or (isinstance(value, list) and not all(isinstance(text, str) for text in value)):
        raise ConfigError(f"{key} = {value!r} does not fit; give {_TYPES[kind]}")


def _converted(convert: Convert, key: str, value: Any, origin: str) -> Any:
    try:
        return convert(key, value)
    except ConfigError as error:
        raise ConfigError(f"{origin}: {key} = {value!r} does not fit: {error}") from error
