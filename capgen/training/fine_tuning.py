"""Fine-tuning an encoder's last blocks: discriminative learning rates, and the blocks as a part of the network."""

import keras
from keras import ops


class DiscriminativeAdamW(keras.optimizers.AdamW):
    """AdamW with discriminative learning rates: some variables have a smaller one (Howard and Ruder 2018).

    The multiplier of those variables rises from 0, because at first the decoder is untrained and its gradients would harm
    the encoder.

    Args:
        learning_rate: The learning rate of the other variables: a number or a schedule.
        variables: The variables with a smaller learning rate.
        multiplier: Their learning rate divided by that of the others, in 0..1.
        warmup_steps: Steps over which the multiplier rises from 0.
        options: Further options of AdamW.
    """

    def __init__(
        self, learning_rate, variables: list[keras.Variable], multiplier: float, warmup_steps: int, **options
    ) -> None:
        super().__init__(learning_rate, **options)
        self._multiplied = {variable.path for variable in variables}
        self._multiplier, self._warmup_steps = multiplier, max(1, warmup_steps)

    def update_step(self, gradient, variable, learning_rate):
        """Update one variable."""
        # A backend hands over variables of its own kind, which have no path.
        if self._trainable_variables[self._get_variable_index(variable)].path in self._multiplied:
            risen = ops.minimum(ops.cast(self.iterations + 1, learning_rate.dtype) / self._warmup_steps, 1.0)
            learning_rate = learning_rate * self._multiplier * risen
        super().update_step(gradient, variable, learning_rate)


def encoder_tail(last_blocks: keras.Model, grid: tuple[int, int], token_width: int) -> keras.Model:
    """Make an encoder's last blocks into the model from cached features to the features that a decoder takes.

    The class-probability token of a captioner with visual words goes past the blocks.

    Args:
        last_blocks: The blocks from (N, C, D) to the grid.
        grid: The cells and the channels of the grid.
        token_width: W, the width of the class-probability token; 0 without one.

    Returns:
        A model from (N, C, D), or with a token (N, C + 1, D + W), to the grid, which with a token has one more cell and W
        more channels.
    """
    _, cells, channels = last_blocks.input_shape
    if not token_width:
        return last_blocks
    features = keras.Input((cells + 1, channels + token_width), name="features")
    encoded = ops.pad(last_blocks(features[:, :cells, :channels]), ((0, 0), (0, 1), (0, token_width)))
    token = ops.pad(features[:, cells:, channels:], ((0, 0), (grid[0], 0), (grid[1], 0)))
    return keras.Model(features, encoded + token, name="encoder_tail")
