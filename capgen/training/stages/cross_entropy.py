"""Cross-entropy training (XE): teacher forcing on the human captions, a pass over the training images an epoch."""

import keras

from capgen.training.losses import CaptionLoss
from capgen.training.plan import LearningRatePlan
from capgen.training.stages.stage import OnStep, Stage


class CrossEntropyStage(Stage):
    """Trains with AdamW on the cross-entropy of each next word."""

    def compile(self) -> None:
        """Give the model the cross-entropy and AdamW with the learning rate planned for all epochs."""
        plan = LearningRatePlan.from_config(self.config, self.config.epochs * self.data.steps_per_epoch())
        optimizer = self._optimizer(plan)
        model = self.network.model
        model.compile(optimizer, CaptionLoss(self.config.label_smoothing), jit_compile=self.group.jit_compile)
        optimizer.build(model.trainable_variables)

    def train_epoch(self, number: int, on_step: OnStep) -> float:
        """Go through the training images once."""
        batches = self.data.train_batches(number)
        return self.group.train_epoch(
            self.network.model, batches, self.config.batch_size, lambda step, loss: on_step(step, len(batches), loss)
        )

    def _optimizer(self, plan: LearningRatePlan) -> keras.optimizers.Optimizer:
        optimizer = keras.optimizers.AdamW(
            learning_rate_schedule(plan), weight_decay=self.config.weight_decay, global_clipnorm=self.config.clip_norm
        )
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        return optimizer


def learning_rate_schedule(plan: LearningRatePlan) -> "keras.optimizers.schedules.LearningRateSchedule | float":
    """Return a planned learning rate as Keras takes it."""
    if plan.constant:
        return plan.peak
    return keras.optimizers.schedules.CosineDecay(
        0.0, plan.decay_steps, warmup_target=plan.peak, warmup_steps=plan.warmup_steps
    )
