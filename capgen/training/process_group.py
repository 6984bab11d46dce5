"""``ProcessGroup``: the processes and devices that train a run.

By default that is this process alone, with TensorFlow and what devices it finds. Several devices or processes train with
JAX; see ``jax_process_group``.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

import numpy as np

if TYPE_CHECKING:
    import keras

    from capgen.training.batches import CaptionBatches
    from capgen.training.config import TrainingConfig


T = TypeVar("T")

Batch: TypeAlias = dict[str, np.ndarray]


class ProcessGroup:
    """The processes that train a run. This class is the group of one process with TensorFlow."""

    jit_compile: ClassVar[bool] = False
    """Whether Keras compiles training steps with XLA."""

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that validates, writes and reports."""
        return True

    @classmethod
    def single(cls) -> "ProcessGroup":
        """Return the group of this process alone."""
        return ProcessGroup()

    def check(self, config: "TrainingConfig") -> None:
        """Check that this group can train a run.

        Raises:
            ConfigError: It cannot.
        """

    def broadcast(self, make: Callable[[], T]) -> T:
        """Let the first process make a value and return it in every process; all of them must call this.

        The value consists of what JSON knows and of arrays; a tuple may arrive as a list.
        """
        return make()

    def train_epoch(
        self, model: "keras.Model", batches: "CaptionBatches", batch_size: int, on_step: Callable[[int, float], None]
    ) -> float:
        """Train on all batches.

        Args:
            model: A compiled training model.
            batches: The batches of the epoch.
            batch_size: The number of images of a full batch.
            on_step: Called after each step with its number, counted from 1, and the mean loss so far.

        Returns:
            The mean loss.
        """
        import keras

        report = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: on_step(batch + 1, float((logs or {}).get("loss", float("nan"))))
        )
        history = model.fit(batches, epochs=1, shuffle=False, verbose=0, callbacks=[report])
        return float(history.history["loss"][-1])

    def train_step(
        self, model: "keras.Model", inputs: Batch, targets: np.ndarray, batch_size: int, weights: np.ndarray | None = None
    ) -> float:
        """Take one step of training.

        Args:
            model: A compiled training model.
            inputs: The inputs of a batch.
            targets: The next word at each position, (P,).
            batch_size: The number of images of a full batch.
            weights: The sample weights of the targets, (P,); 1 by default.

        Returns:
            The loss.
        """
        return model.train_on_batch(inputs, targets, sample_weight=weights)

    def predictor(self, model: "keras.Model", batch_size: int) -> Callable[[Batch], Any]:
        """Return a function from the inputs of a batch to what a model predicts for them, in this process alone."""
        return model.predict_on_batch
