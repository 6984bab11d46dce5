"""Every hyper-parameter of a training run, with the reason for its default, read from TOML and ``key=value`` pairs."""

import dataclasses
import difflib
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capgen.datasets.prepared import in_target_domain
from capgen.errors import ConfigError, TrainingError
from capgen.training.decoders import DECODERS
from capgen.training.encoders import PROBABILITIES, Encoder

if TYPE_CHECKING:
    from capgen.datasets.prepared import PreparedImage

RECIPES = Path(__file__).parent / "recipes"
"""The recipes that ship, one TOML file each."""

CONTINUE = "continue"
"""The recipe for going on from a captioner."""


def _field(default: Any, meaning: str, *, at_least: float | None = None, at_most: float | None = None, choices=()) -> Any:
    return field(
        default=default, metadata={"meaning": meaning, "at_least": at_least, "at_most": at_most, "choices": choices}
    )


@dataclass(frozen=True)
class TrainingConfig:
    """The hyper-parameters of one run; saved with it."""

    decoder: str = _field("attention", "the family of decoders", choices=tuple(DECODERS))
    embedding_size: int = _field(512, "width of the word embedding", at_least=1)
    lstm_size: int = _field(512, "width of the LSTM states and of the layers after them", at_least=1)
    heads: int = _field(8, "attention heads; must divide lstm_size", at_least=1)
    dropout: float = _field(
        0.5, "share of activations dropped; 6,000 images overfit in a few epochs", at_least=0, at_most=0.95
    )
    minimum_count: int = _field(5, "occurrences in the training captions that make a word known", at_least=1)
    slots_below: int = _field(
        0, "names of ImageNet's classes said less often than this are said through slots; 0 for none", at_least=0
    )
    maximum_words: int = _field(16, "words a training caption is cut to; 1 in 14 of Flickr8k's is longer", at_least=1)
    captions_per_image: int = _field(5, "captions of an image in one step; they share one look at its grid", at_least=1)
    batch_size: int = _field(64, "images a step", at_least=1)
    epochs: int = _field(7, "passes over the training images; the learning rate falls to zero over them", at_least=0)
    encoder_epochs: int = _field(
        0, "passes before those in which the encoder's last blocks are trained along; prepare with --views flip", at_least=0
    )
    encoder_share: float = _field(0.1, "step size of the encoder as a share of the decoder's", at_least=0, at_most=1)
    learning_rate: float = _field(1e-3, "peak step size of Adam", at_least=0)
    schedule: str = _field("cosine", "how the learning rate falls", choices=("cosine", "constant"))
    warmup_steps: int = _field(100, "steps over which the learning rate rises", at_least=0)
    weight_decay: float = _field(0.01, "decoupled weight decay of AdamW; 0 is plain Adam", at_least=0)
    clip_norm: float = _field(5.0, "greatest norm of the whole gradient", at_least=0.001)
    label_smoothing: float = _field(0.1, "share of each target spread over all words", at_least=0, at_most=0.9)
    patience: int = _field(3, "epochs without a better CIDEr-D on dev before it stops", at_least=1)
    scst_epochs: int = _field(0, "rounds of self-critical training after the others, each judged on dev", at_least=0)
    scst_images: int = _field(3000, "images a round; only those with captions_per_image captions or more", at_least=1)
    scst_samples: int = _field(5, "captions drawn an image, each judged against the others", at_least=2)
    scst_temperature: float = _field(
        0.5, "softness of the policy in drawing and in the loss; at 1 the beam collapses", at_least=0.05
    )
    scst_distinct: float = _field(
        0.0, "how much of its CIDEr-D with the captions of similar images a drawn caption loses", at_least=0
    )
    scst_learning_rate: float = _field(3e-5, "step size of Adam in self-critical training", at_least=0)
    beam: int = _field(5, "beam when dev is captioned, and the bundle's default", at_least=1)
    length_power: float = _field(0.7, "power of the length that scores are divided by", at_least=0)
    guidance: float = _field(
        1.0, "how much more the image counts in a search than what is said of any; 1 for no more", at_least=1, at_most=5
    )
    variety: float = _field(
        0.0, "what a caption loses in a beam search, times the log of how many training images it is said of", at_least=0
    )
    seed: int = _field(0, "seed of weights, dropout and order", at_least=0)

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            ConfigError: Names the field and what it takes.
        """
        for item in fields(self):
            _check(item, getattr(self, item.name))
        if self.decoder == "attention" and self.lstm_size % self.heads:
            raise ConfigError(f"heads = {self.heads} does not divide lstm_size = {self.lstm_size}")
        if not self.epochs + self.encoder_epochs + self.scst_epochs:
            raise ConfigError("epochs, encoder_epochs and scst_epochs are all 0; there is nothing to train")

    def judged(self, pictures: Iterable["PreparedImage"]) -> list["PreparedImage"]:
        """Choose the pictures that captions are drawn for: with human ones enough, in the captioner's own style."""
        return [picture for picture in in_target_domain(pictures) if len(picture.captions) >= self.captions_per_image]

    def check(self, encoder: Encoder, pictures: Iterable["PreparedImage"], *, begun: bool) -> None:
        """Make sure that a run can reach its end.

        Args:
            encoder: Of the data set.
            pictures: Those that train.
            begun: Whether it goes on from a captioner.

        Raises:
            ConfigError: There is nothing to draw captions with.
            TrainingError: The encoder does not know what the slots stand for, or there is nothing to judge captions by.
        """
        if not begun and not self.epochs + self.encoder_epochs:
            raise ConfigError("with epochs = 0 there is nothing to draw captions with; go on from a captioner with --from")
        if not begun and self.slots_below and PROBABILITIES not in encoder.outputs:
            raise TrainingError(f"{encoder.name} does not know ImageNet's classes, so there are no slots; set slots_below=0")
        if self.scst_epochs and not self.judged(pictures):
            raise TrainingError(
                f"no training image has {self.captions_per_image} captions to judge drawn ones by; set scst_epochs=0"
            )


def load(file: Path | None = None, settings: Iterable[str] = (), **options: Any) -> TrainingConfig:
    """Put a config together: defaults, then the TOML file, then ``key=value`` settings, then options that are not None.

    Args:
        file: A TOML file, or the name of a recipe that ships.
        settings: Texts such as ``"dropout=0.3"``.
        options: Values of fields by name.

    Raises:
        ConfigError: A field that does not exist, or a value that does not fit.
    """
    values: dict[str, Any] = {}
    if file is not None:
        values.update(_read(file))
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set {setting}: write it as key=value")
        name = key.strip().replace(".", "_")  # scst.epochs, as in a table of TOML
        values[name] = _parsed(name, text.strip())
    values.update({key: value for key, value in options.items() if value is not None})
    return from_mapping(values)


def from_mapping(values: Mapping[str, Any]) -> TrainingConfig:
    """Make a config of a mapping of field names to values.

    Raises:
        ConfigError: A field that does not exist, or a value that does not fit.
    """
    known = {item.name: item for item in fields(TrainingConfig)}
    for key in values:
        if key not in known:
            raise ConfigError(_unknown(key))
    fitted: dict[str, Any] = {
        key: float(v) if known[key].type is float and type(v) is int else v for key, v in values.items()
    }
    return TrainingConfig(**fitted)


def describe() -> dict[str, str]:
    """Return the meaning of every field by its name."""
    return {item.name: item.metadata["meaning"] for item in fields(TrainingConfig)}


def to_mapping(config: TrainingConfig) -> dict[str, Any]:
    """Return the fields as plain values."""
    return dataclasses.asdict(config)


def _read(file: Path) -> dict[str, Any]:
    shipped = RECIPES / f"{file}.toml"
    path = shipped if not file.is_file() and shipped.is_file() else file
    try:
        return _flat(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        recipes = ", ".join(sorted(p.stem for p in RECIPES.glob("*.toml")))
        raise ConfigError(f"there is no config file {file}; the recipes that ship are {recipes}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file} cannot be read as TOML: {error}") from error


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    """Name the fields of tables: ``epochs`` of ``[scst]`` is ``scst_epochs``; an empty table stays, and is no field."""
    tables = {
        f"{table}_{key}": v for table, inside in values.items() if isinstance(inside, dict) for key, v in inside.items()
    }
    return {key: value for key, value in values.items() if not isinstance(value, dict) or not value} | tables


def _parsed(key: str, text: str) -> Any:
    """Read a value as the type of its field."""
    kinds = {item.name: item.type for item in fields(TrainingConfig)}
    if key not in kinds:
        raise ConfigError(_unknown(key))
    try:
        return kinds[key](text)  # type: ignore[operator]
    except ValueError as error:
        raise ConfigError(f"{key} = {text}: it takes {_named(kinds[key])}") from error


def _check(item: dataclasses.Field, value: Any) -> None:
    if type(value) is not item.type:
        raise ConfigError(f"{item.name} = {value!r}: it takes {_named(item.type)}")
    if item.type is float and not math.isfinite(value):
        raise ConfigError(f"{item.name} = {value}: it takes a finite number")
    limits = item.metadata
    if limits["choices"] and value not in limits["choices"]:
        near = difflib.get_close_matches(value, limits["choices"], n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"{item.name} = {value!r}: it takes one of {', '.join(limits['choices'])}{hint}")
    if limits["at_least"] is not None and not value >= limits["at_least"]:
        raise ConfigError(f"{item.name} = {value}: it must be at least {limits['at_least']}")
    if limits["at_most"] is not None and not value <= limits["at_most"]:
        raise ConfigError(f"{item.name} = {value}: it must be at most {limits['at_most']}")


def _unknown(key: str) -> str:
    names = [item.name for item in fields(TrainingConfig)]
    near = difflib.get_close_matches(key, names, n=1, cutoff=0.4)
    return f"there is no setting named {key!r}; " + (f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}")


def _named(kind: Any) -> str:
    return {int: "a whole number", float: "a number", str: "a text"}[kind]
