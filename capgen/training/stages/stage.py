"""``Stage``: the form that all stages of training have."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeAlias

from capgen.training.network import CaptionNetwork
from capgen.training.process_group import ProcessGroup
from capgen.training.training_data import TrainingData

OnStep: TypeAlias = Callable[[int, int, float], None]
"""Called after each training step with the step, counted from 1, the number of steps and the mean loss so far."""


class Stage(ABC):
    """One way to train a network.

    Args:
        data: What it learns from.
        network: The network.
        group: The processes that train it.
    """

    def __init__(self, data: TrainingData, network: CaptionNetwork, group: ProcessGroup) -> None:
        self.data, self.network, self.group = data, network, group
        self.config = data.config

    @abstractmethod
    def compile(self) -> None:
        """Give the model the loss and a new optimizer of this stage."""

    @abstractmethod
    def train_epoch(self, number: int, on_step: OnStep) -> float:
        """Train one epoch.

        Args:
            number: The number of the epoch, which with the seed decides everything that is random.
            on_step: Called after each step.

        Returns:
            The mean loss.
        """
