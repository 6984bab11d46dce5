"""``TrainingConfig``: every hyper-parameter of a training run, with its meaning and what it takes."""

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from capgen.datasets.prepared import in_target_domain
from capgen.errors import ConfigError, TrainingError, near_names
from capgen.training.decoders import DECODERS
from capgen.training.encoders.encoder import PROBABILITIES, EncoderSpec

if TYPE_CHECKING:
    from capgen.datasets.prepared import PreparedImage


def _field(
    default: Any,
    meaning: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    choices=(),
) -> Any:
    limits = {"at_least": at_least, "at_most": at_most, "choices": choices}
    return field(default=default, metadata={"meaning": meaning, **limits})


@dataclass(frozen=True)
class TrainingConfig:
    """The hyper-parameters of one run. They are saved with the run and with the captioner that it makes.

    The defaults are those for some thousand images. ``Settings.for_data`` adapts those of ``data_defaults.defaults_for``.
    """

    decoder: str = _field("attention", "the architecture of the decoder", choices=tuple(DECODERS))
    embedding_size: int = _field(512, "width of the word embedding", at_least=1)
    lstm_size: int = _field(512, "width of the LSTM states and of the layers after them", at_least=1)
    heads: int = _field(8, "number of attention heads; it must divide lstm_size", at_least=1)
    dropout: float = _field(
        0.5, "fraction of activations that dropout sets to 0; 6,000 images overfit in a few epochs", at_least=0, at_most=0.95
    )
    min_count: int = _field(
        5,
        "a word enters the vocabulary when the training captions have it at least this often; by default 5, or less where "
        "the vocabulary would know under 90 % of their words",
        at_least=1,
    )
    slots_below: int = _field(
        0,
        "names of ImageNet's classes that the training captions have less often than this are replaced by slots; "
        "0 for no slots",
        at_least=0,
    )
    max_words: int = _field(
        20,
        "training captions are cut to this many words; by default as many as 98 % of the training captions do not exceed",
        at_least=1,
    )
    generation_max_words: int = _field(
        20,
        "the most words that the captioner says unless it is asked for more; by default max_words, and with --from at least "
        "as many as that captioner says; 20 in runs and recipes from before there was this setting",
        at_least=1,
    )
    captions_per_image: int = _field(
        5, "captions of an image in one step; they share one projection of its grid", at_least=1
    )
    batch_size: int = _field(
        64,
        "images in one step; by default 64, or less where an epoch would have fewer than 16 steps",
        at_least=1,
    )
    epochs: int = _field(
        7,
        "cross-entropy epochs, passes over the training images; the learning rate decays over them; by default as many as "
        "make 660 steps, but 7 to 60",
        at_least=0,
    )
    encoder_epochs: int = _field(
        0,
        "cross-entropy epochs before those, in which the encoder's last blocks are fine-tuned together with a decoder; "
        "prepare with --augment flip",
        at_least=0,
    )
    encoder_lr_multiplier: float = _field(
        0.1, "learning rate of the encoder's last blocks divided by that of the decoder", at_least=0, at_most=1
    )
    learning_rate: float = _field(1e-3, "peak learning rate of AdamW", at_least=0)
    schedule: str = _field("cosine", "how the learning rate decays after its warm-up", choices=("cosine", "constant"))
    warmup_steps: int = _field(
        100,
        "steps over which the learning rate rises from 0 to its peak; by default a sixth of all steps, but at most 100",
        at_least=0,
    )
    weight_decay: float = _field(0.01, "decoupled weight decay of AdamW; with 0 it is plain Adam", at_least=0)
    clip_norm: float = _field(5.0, "the global norm of the gradient is clipped to this", at_least=0.001)
    label_smoothing: float = _field(
        0.1, "probability of each target that label smoothing spreads over the vocabulary", at_least=0, at_most=0.9
    )
    patience: int = _field(
        3,
        "cross-entropy training stops when so many epochs after the warm-up have bettered neither the captions for dev nor "
        "the loss on dev; by default 3 for 7 epochs",
        at_least=1,
    )
    scst_epochs: int = _field(
        0, "epochs of self-critical sequence training (SCST) after the cross-entropy epochs", at_least=0
    )
    scst_images: int = _field(
        3000, "images of a self-critical epoch; only images with captions_per_image captions or more are used", at_least=1
    )
    scst_samples: int = _field(
        5, "captions sampled for an image; the mean reward of the others is the baseline of each", at_least=2
    )
    scst_temperature: float = _field(
        0.5, "temperature of the policy in sampling and in the loss; at 1 beam search gets worse", at_least=0.05
    )
    scst_distinctiveness: float = _field(
        0.0,
        "the reward of a sample is lowered by this times its mean CIDEr-D with the human captions of similar images",
        at_least=0,
    )
    scst_learning_rate: float = _field(3e-5, "learning rate of Adam in self-critical training", at_least=0)
    num_beams: int = _field(
        5,
        "beams when dev is captioned, and the captioner's default; with --from that of the captioner, like the next three",
        at_least=1,
    )
    length_penalty: float = _field(
        0.7, "a caption's score is its log-probability divided by its length to this power", at_least=0
    )
    guidance: float = _field(
        1.0,
        "scale of guidance: how much the image counts in a search beyond the average image; 1 for none",
        at_least=1,
        at_most=5,
    )
    common_caption_penalty: float = _field(
        0.0,
        "the score of a caption in a beam search is lowered by this times the logarithm of the number of training images "
        "that it is the caption of",
        at_least=0,
    )
    seed: int = _field(0, "seed of the initial weights, dropout, sampling and the order of the images", at_least=0)

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            ConfigError: A value does not fit; the message names the setting and what it takes.
        """
        for item in fields(self):
            _check(item, getattr(self, item.name))
        # The decoder is known by its name here: its class could say whether it has heads, but that would import Keras, and
        # settings are read before anything heavy is loaded.
        if self.decoder == "attention" and self.lstm_size % self.heads:
            raise ConfigError(f"heads = {self.heads} does not divide lstm_size = {self.lstm_size}")
        if not self.epochs + self.encoder_epochs + self.scst_epochs:
            raise ConfigError("epochs, encoder_epochs and scst_epochs are all 0; there is nothing to train")

    def self_critical_images(self, images: Iterable["PreparedImage"]) -> list["PreparedImage"]:
        """Return the images that self-critical training samples captions for.

        They are in the captioner's target domain and have at least ``captions_per_image`` human captions.
        """
        return [image for image in in_target_domain(images) if len(image.captions) >= self.captions_per_image]

    def for_encoder_fine_tuning(self) -> "TrainingConfig":
        """Return the config of the loop that fine-tunes the encoder, whose cross-entropy epochs are ``encoder_epochs``."""
        return dataclasses.replace(self, epochs=self.encoder_epochs, encoder_epochs=0, scst_epochs=0)

    def check(self, encoder: EncoderSpec, images: Iterable["PreparedImage"], *, warm_start: bool) -> None:
        """Make sure that a run can reach its end.

        Args:
            encoder: The encoder of the data set.
            images: The training images.
            warm_start: Whether the run continues a captioner.

        Raises:
            ConfigError: There would be no decoder to sample captions with.
            TrainingError: The encoder does not know what the slots stand for, or no image has enough captions for a reward.
        """
        if not warm_start and not self.epochs + self.encoder_epochs:
            raise ConfigError(
                "with epochs = 0 there is no trained decoder to sample captions with; continue a captioner with `captioner`"
            )
        if not warm_start and self.slots_below and PROBABILITIES not in encoder.outputs:
            raise TrainingError(f"{encoder.name} does not know ImageNet's classes, so there are no slots; set slots_below=0")
        if self.scst_epochs and not self.self_critical_images(images):
            raise TrainingError(
                f"no training image has {self.captions_per_image} captions, which the reward of self-critical training "
                "needs; set scst_epochs=0"
            )


def describe() -> dict[str, str]:
    """Return the meaning of every setting by its name."""
    return {item.name: item.metadata["meaning"] for item in fields(TrainingConfig)}


def to_mapping(config: TrainingConfig) -> dict[str, Any]:
    """Return the settings as plain values by name."""
    return dataclasses.asdict(config)


def kind_in_words(kind: Any) -> str:
    """Return what the type of a setting takes, in words."""
    return {int: "a whole number", float: "a number", str: "a text"}[kind]


def _check(item: dataclasses.Field[Any], value: Any) -> None:
    if type(value) is not item.type:
        raise ConfigError(f"{item.name} = {value!r}: it takes {kind_in_words(item.type)}")
    if item.type is float and not math.isfinite(value):
        raise ConfigError(f"{item.name} = {value}: it takes a finite number")
    limits = item.metadata
    if limits["choices"] and value not in limits["choices"]:
        near = near_names(value, limits["choices"])
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"{item.name} = {value!r}: it takes one of {', '.join(limits['choices'])}{hint}")
    if limits["at_least"] is not None and not value >= limits["at_least"]:
        raise ConfigError(f"{item.name} = {value}: it must be at least {limits['at_least']}")
    if limits["at_most"] is not None and not value <= limits["at_most"]:
        raise ConfigError(f"{item.name} = {value}: it must be at most {limits['at_most']}")
