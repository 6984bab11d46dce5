"""``TrainedCaptioner``: what a training loop ends with, and an export takes."""

from dataclasses import dataclass

from capgen.captioner.slots import VisualWords
from capgen.captioner.vocabulary import Vocabulary
from capgen.training.history import Epoch
from capgen.training.network import CaptionGenerator, CaptionNetwork
from capgen.training.training_data import TrainingData
from capgen.training.warm_start import WarmStart


@dataclass(frozen=True)
class TrainedCaptioner:
    """A trained decoder with all that belongs to it.

    Attributes:
        data: The data that it learnt from, with the config.
        network: The decoder with its best weights.
        generator: Generates captions with it.
        epochs: What each epoch achieved on dev.
    """

    data: TrainingData
    network: CaptionNetwork
    generator: CaptionGenerator
    epochs: tuple[Epoch, ...]

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary of what it says, whose entries are ids of the decoder."""
        return self.data.vocabulary

    @property
    def visual_words(self) -> VisualWords | None:
        """The visual words that fill slots."""
        return self.data.visual_words

    def warm_start(self) -> WarmStart:
        """Return a copy of the weights, with which another training can begin."""
        return WarmStart(self.vocabulary, self.visual_words, self.data.constraint_config, self.network.weights())
