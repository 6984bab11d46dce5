"""What an encoder is: its name, what it takes and what it gives. Importing this module loads no TensorFlow."""

from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from capgen.images import Preprocessing

if TYPE_CHECKING:
    import keras
    import numpy as np

MIDDLE, PROBABILITIES = "middle", "probabilities"


@dataclass(frozen=True)
class EncoderSpec:
    """A pretrained convolutional network.

    Attributes:
        name: What ``--encoder`` calls it.
        module: The module of this package whose ``build(encoder, weights)`` makes the Keras model.
        outputs: The shape (C, D) of each output.
        origin: Where its weights come from, and their licence.
        shipped: Whether the weights are inside the package, so that the encoder works offline.
        preprocessing: How an image is made into its input.
        logit_scale: What the logits of its ImageNet head are multiplied by (an inverse temperature): on images larger than
            those that it was trained on, an encoder is less confident than it is right.
        keras_weights: The names that Keras gives to the file of weights that it downloads, as a pattern; empty for none.
        revision: Raised whenever the code that builds the encoder changes its features, so that cached ones are not reused.
        custom_weights_revision: The same for a change that concerns only weights other than the encoder's own.
    """

    name: str
    module: str
    outputs: dict[str, tuple[int, int]]
    origin: str
    shipped: bool = False
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    logit_scale: float = 1.0
    keras_weights: str = ""
    revision: int = 1
    custom_weights_revision: int = 0

    @property
    def weights_file(self) -> Path:
        """The file of the weights of a shipped encoder."""
        return Path(__file__).parent / "weights" / f"{self.name}.npz"

    def output_for(self, preferred: str) -> str:
        """Return ``preferred`` (``grid`` or ``vector``) if the encoder gives it, else ``grid``."""
        return preferred if preferred in self.outputs else "grid"

    def build(self, weights: Path | str | None = None) -> "keras.Model":
        """Build the Keras model.

        Args:
            weights: A file of weights; ``None`` for the encoder's own; ``"random"`` for untrained ones.

        Returns:
            A model from (N, S, S, 3) float32 RGB in 0..255 to the outputs by name, (N, C, D) each.

        Raises:
            DataError: The weights are missing or do not fit.
        """
        return import_module(self.module).build(self, weights)

    def build_last_blocks(self, weights: Path | None) -> "keras.Model":
        """Build the part that makes ``grid`` of ``middle``, which can be fine-tuned.

        Args:
            weights: As for ``build``.
        """
        return import_module(self.module).build_last_blocks(self, weights)

    def fine_tuned_weights(self, weights: Path | None, last_blocks: "keras.Model") -> dict[str, "np.ndarray"]:
        """Return the weights of the encoder with last blocks that were fine-tuned, which ``build`` takes as an ``.npz``.

        Args:
            weights: The weights before; ``None`` for the encoder's own.
            last_blocks: What ``build_last_blocks`` returned, fine-tuned.
        """
        arrays: dict[str, np.ndarray] = import_module(self.module).fine_tuned_weights(self, weights, last_blocks)
        return arrays
