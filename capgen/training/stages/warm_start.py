"""A warm start: nothing is trained, so that the weights which a training begins with are validated."""

from capgen.training.losses import CaptionLoss
from capgen.training.stages.stage import OnStep, Stage


class WarmStartStage(Stage):
    """Leaves the weights as they are."""

    def compile(self) -> None:
        """Give the model an optimizer that is never used, because a checkpoint holds one."""
        self.network.model.compile("sgd", CaptionLoss(0.0), jit_compile=self.group.jit_compile)
        self.network.model.optimizer.build(self.network.model.trainable_variables)

    def train_epoch(self, number: int, on_step: OnStep) -> float:
        """Train nothing, with a loss of 0."""
        return 0.0
