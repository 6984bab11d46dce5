"""``Settings``: what a run was asked to train with, read from TOML files, ``key=value`` pairs and options.

A recipe is a TOML file of settings. Those in ``recipes/`` ship with capgen and are found by their name. Together with the
defaults, some of which follow from the data, settings are a ``TrainingConfig``.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capgen.errors import ConfigError, near_names, os_reason, toml_fault
from capgen.training.config import TrainingConfig, kind_in_words
from capgen.training.data_defaults import defaults_for
from capgen.training.data_statistics import DataStatistics
from capgen.training.recipe_files import RECIPES, recipe_names

if TYPE_CHECKING:
    from capgen.captioner.decoding import DecodingOptions

RECIPE_ALIASES = {"everyday": "photo-en-v1"}
"""Names under which recipes shipped before, each with the name of today."""

WARM_START_RECIPE = "continue"
"""The recipe that is used with ``--from`` unless another one is named."""

OLD_NAMES = {
    "minimum_count": "min_count",
    "maximum_words": "max_words",
    "encoder_share": "encoder_lr_multiplier",
    "scst_distinct": "scst_distinctiveness",
    "beam": "num_beams",
    "length_power": "length_penalty",
    "variety": "common_caption_penalty",
}
"""Names that settings had before, each with the name of today.

Recipes, the ``config.json`` of runs and captioners that were written with the old names are read by this table.
"""


@dataclass(frozen=True)
class Settings:
    """The settings that a run was given; the others have defaults, some of which follow from the data.

    Attributes:
        given: The values by name, of today or of before.

    Raises:
        ConfigError: There is no such setting, or a value does not fit.
    """

    given: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Check every value."""
        object.__setattr__(self, "given", _renamed(self.given))
        self.with_defaults()

    def with_defaults(self) -> TrainingConfig:
        """Return the config for some thousand images."""
        return config_from_mapping(self.given)

    def for_data(self, data: DataStatistics, *, warm_start: "DecodingOptions | None" = None) -> TrainingConfig:
        """Return the config of a run on a data set, which from then on does not depend on it any more.

        Args:
            data: What there is to learn from.
            warm_start: How the captioner that the run continues searches; ``None`` without one.

        Raises:
            ConfigError: A value does not fit.
        """
        return config_from_mapping({**defaults_for(data, self.given, warm_start), **self.given})


def load_settings(file: Path | None = None, settings: Iterable[str] = (), **options: Any) -> Settings:
    """Put settings together: those of the TOML file, then ``key=value`` settings, then options that are not ``None``.

    Args:
        file: A TOML file, or the name of a recipe that ships.
        settings: Texts such as ``"dropout=0.3"``; of several for one setting the last one counts.
        options: Values of settings by name.

    Raises:
        ConfigError: There is no such setting, or a value does not fit.
    """
    values: dict[str, Any] = {}
    if file is not None:
        values.update(_renamed(_read(file)))
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError(f"{setting}: write a setting as key=value")
        name = key.strip().replace(".", "_")  # scst.epochs names the key of a TOML table
        name = OLD_NAMES.get(name, name)
        values[name] = _parsed(name, text.strip())
    values.update({key: value for key, value in options.items() if value is not None})
    return Settings(values)


def config_from_mapping(values: Mapping[str, Any]) -> TrainingConfig:
    """Make a config from values by the names of settings, be they of today or old ones.

    Raises:
        ConfigError: There is no such setting, or a value does not fit.
    """
    known = {item.name: item for item in fields(TrainingConfig)}
    values = _renamed(values)
    for key in values:
        if key not in known:
            raise ConfigError(_unknown(key))
    fitted: dict[str, Any] = {
        key: float(v) if known[key].type is float and type(v) is int else v for key, v in values.items()
    }
    return TrainingConfig(**fitted)


def _renamed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Give settings that have old names those of today.

    Raises:
        ConfigError: A setting is there under both of its names.
    """
    for old, name in OLD_NAMES.items():
        if old in values and name in values:
            raise ConfigError(f"{old} is the old name of {name}; leave one of them out")
    return {OLD_NAMES.get(key, key): value for key, value in values.items()}


def _read(file: Path) -> dict[str, Any]:
    shipped = RECIPES / f"{RECIPE_ALIASES.get(str(file), file)}.toml"
    path = shipped if not file.is_file() and shipped.is_file() else file
    try:
        return _flat(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise ConfigError(
            f"there is no config file {file}; the recipes that ship are {', '.join(recipe_names())}"
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = os_reason(error) if isinstance(error, OSError) else toml_fault(error)
        raise ConfigError(f"{file} cannot be read as TOML: {reason}") from error


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    """Name the settings in tables: ``epochs`` of ``[scst]`` is ``scst_epochs``.

    An empty table stays, so that its name is refused as an unknown setting.

    Raises:
        ConfigError: A setting is there in both forms.
    """
    tables = {
        f"{table}_{key}": v for table, inside in values.items() if isinstance(inside, dict) for key, v in inside.items()
    }
    for name in tables.keys() & values.keys():
        raise ConfigError(f"{name} is set twice, by itself and in a table; leave one of them out")
    return {key: value for key, value in values.items() if not isinstance(value, dict) or not value} | tables


def _parsed(key: str, text: str) -> Any:
    """Read a value as the type of its setting."""
    kinds = {item.name: item.type for item in fields(TrainingConfig)}
    if key not in kinds:
        raise ConfigError(_unknown(key))
    try:
        return kinds[key](text)  # type: ignore[operator]
    except ValueError as error:
        raise ConfigError(f"{key} = {text}: it takes {kind_in_words(kinds[key])}") from error


def _unknown(key: str) -> str:
    names = [item.name for item in fields(TrainingConfig)]
    near = near_names(key, names)
    return f"there is no setting named {key!r}; " + (f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}")
