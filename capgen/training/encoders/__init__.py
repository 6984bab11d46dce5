"""The registry of encoders: what each is called, what it takes and what it gives. Importing it loads no TensorFlow.

An encoder is a Keras model from (N, S, S, 3) float32 RGB in 0..255 to named outputs, its preprocessing inside:

- ``grid`` (N, C, D): the last layer before pooling, one row a cell;
- ``vector`` (N, 1, D): where the encoder has a layer of its own that describes the whole picture;
- ``middle`` (N, C, D): what its last blocks, which can be trained further, make the grid of;
- ``probabilities`` (N, 1, 1000): the probabilities of ImageNet's classes, where its head is at hand.
"""

from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from capgen.errors import UnknownNameError
from capgen.images import Preprocessing

if TYPE_CHECKING:
    import keras
    import numpy as np

MIDDLE, PROBABILITIES = "middle", "probabilities"


@dataclass(frozen=True)
class Encoder:
    """One pretrained CNN.

    Attributes:
        name: What ``--encoder`` calls it.
        module: The module of this package whose ``build(encoder, weights)`` makes the Keras model.
        outputs: Shape (C, D) of each output.
        origin: Where its weights come from, and their licence.
        shipped: Whether the weights are inside the package, so that it works offline.
        preprocessing: The picture it takes.
        sharpness: What the logits of its ImageNet head are multiplied by, as pictures larger than those that it was trained
            on make it less sure than it should be.
        revision: Raised whenever the code that builds it changes its numbers, so that cached features are not reused.
        given_revision: The same for what changes only the numbers of other weights than its own.
    """

    name: str
    module: str
    outputs: dict[str, tuple[int, int]]
    origin: str
    shipped: bool = False
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    sharpness: float = 1.0
    revision: int = 1
    given_revision: int = 0

    @property
    def weights_file(self) -> Path:
        """Where the weights of a shipped encoder lie."""
        return Path(__file__).parent / "weights" / f"{self.name}.npz"

    def output_for(self, preferred: str) -> str:
        """Return ``preferred`` (``grid`` or ``vector``) if the encoder gives it, else ``grid``."""
        return preferred if preferred in self.outputs else "grid"

    def build(self, weights: Path | str | None = None) -> "keras.Model":
        """Build the Keras model.

        Args:
            weights: A file of weights; ``None`` for the encoder's own; ``"random"`` for untrained ones.

        Raises:
            DataError: The weights are missing or do not fit.
        """
        return import_module(f"capgen.training.encoders.{self.module}").build(self, weights)

    def build_last_blocks(self, weights: Path | None) -> "keras.Model":
        """Build the part that makes the grid of ``middle``, to be trained further; arguments as for ``build``."""
        return import_module(f"capgen.training.encoders.{self.module}").build_last_blocks(self, weights)

    def tuned_weights(self, weights: Path | None, last_blocks: "keras.Model") -> dict[str, "np.ndarray"]:
        """Return what ``build`` takes as an ``.npz``: the weights given, and last blocks that were trained further."""
        return import_module(f"capgen.training.encoders.{self.module}").tuned_weights(self, weights, last_blocks)


_IMAGENET = "trained on ImageNet-1k"
_KERAS = f"keras.applications, {_IMAGENET}; downloaded and checked by Keras, or --encoder-weights FILE"
_LITE = f"TensorFlow's EfficientNet-Lite, {_IMAGENET}, Apache-2.0; inside the package"

# Pictures of 288 pixels, for which its weights (trained on 260) are good still: benchmarks/encoders.py
_LITE2 = {"grid": (81, 1280), "middle": (81, 208), PROBABILITIES: (1, 1000)}
_LITE0 = {"grid": (49, 1280), "middle": (49, 192), PROBABILITIES: (1, 1000)}

ENCODERS = {
    encoder.name: encoder
    for encoder in (
        Encoder("efficientnet-lite0", "efficientnet_lite", _LITE0, _LITE, shipped=True, revision=3, given_revision=1),
        Encoder(
            "efficientnet-lite2",
            "efficientnet_lite",
            _LITE2,
            _LITE,
            shipped=True,
            preprocessing=Preprocessing(size=288),
            sharpness=1.5,
            revision=4,
            given_revision=1,
        ),
        Encoder("vgg16", "applications", {"grid": (49, 512), "vector": (1, 4096)}, _KERAS),
        Encoder("resnet50", "applications", {"grid": (49, 2048)}, _KERAS),
        Encoder("mobilenetv3", "applications", {"grid": (49, 960)}, _KERAS),
        Encoder("efficientnetv2b0", "applications", {"grid": (49, 1280)}, _KERAS),
    )
}


def encoder(name: str) -> Encoder:
    """Return the encoder called ``name``.

    Raises:
        UnknownNameError: There is none; the message offers the nearest.
    """
    if name not in ENCODERS:
        raise UnknownNameError("encoder", name, ENCODERS)
    return ENCODERS[name]
