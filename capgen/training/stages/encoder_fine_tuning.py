"""Encoder fine-tuning: cross-entropy training of the decoder together with the encoder's last blocks.

The feature cache holds what those blocks take, so that the rest of the encoder is not computed again.
"""

import keras

from capgen.training.fine_tuning import DiscriminativeAdamW
from capgen.training.plan import LearningRatePlan
from capgen.training.stages.cross_entropy import CrossEntropyStage, learning_rate_schedule


class EncoderFineTuningStage(CrossEntropyStage):
    """Trains like ``CrossEntropyStage``, with a smaller learning rate for the encoder's last blocks."""

    def _optimizer(self, plan: LearningRatePlan) -> keras.optimizers.Optimizer:
        assert self.network.last_blocks is not None
        encoder = self.network.last_blocks.trainable_variables
        optimizer = DiscriminativeAdamW(
            learning_rate_schedule(plan),
            encoder,
            self.config.encoder_lr_multiplier,
            plan.encoder_warmup_steps,
            weight_decay=self.config.weight_decay,
            global_clipnorm=self.config.clip_norm,
        )
        optimizer.exclude_from_weight_decay(var_list=encoder, var_names=["bias"])
        return optimizer
