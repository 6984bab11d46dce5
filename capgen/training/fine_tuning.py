"""Training an encoder's last blocks along with the decoder.

The cache keeps what those blocks take, so that the rest of the encoder is not computed again. Their step is a share of the
decoder's, and rises slowly: at first the decoder knows nothing, and what it asks of the encoder is noise.
"""

import keras
from keras import ops


class SharedRate(keras.optimizers.AdamW):
    """AdamW whose steps are smaller for some variables.

    Args:
        rate: Learning rate or schedule.
        slow: The variables with smaller steps.
        share: Their step as a share of the others'.
        warmup: Steps over which the share rises from zero.
        options: Of AdamW.
    """

    def __init__(self, rate, slow: list[keras.Variable], share: float, warmup: int, **options) -> None:
        """Remember which variables are slow."""
        super().__init__(rate, **options)
        self._slow = {variable.path for variable in slow}
        self._share, self._warmup = share, max(1, warmup)

    def update_step(self, gradient, variable, learning_rate):
        """Take a step with one variable."""
        # backends hand over variables of their own kind
        if self._trainable_variables[self._get_variable_index(variable)].path in self._slow:
            risen = ops.minimum(ops.cast(self.iterations + 1, learning_rate.dtype) / self._warmup, 1.0)
            learning_rate = learning_rate * self._share * risen
        super().update_step(gradient, variable, learning_rate)


def seeing(last_blocks: keras.Model, grid: tuple[int, int], width: int) -> keras.Model:
    """Put the last blocks before a decoder.

    Args:
        last_blocks: (N, C, D) to the grid.
        grid: Cells and channels of the grid.
        width: W, numbers of the cell that stands beside the features; 0 without one.

    Returns:
        Features as they are cached, (N, C, D) or (N, C + 1, D + W), to features as the decoder takes them.
    """
    _, cells, channels = last_blocks.input_shape
    if not width:
        return last_blocks
    features = keras.Input((cells + 1, channels + width), name="features")
    described = ops.pad(last_blocks(features[:, :cells, :channels]), ((0, 0), (0, 1), (0, width)))
    beside = ops.pad(features[:, cells:, channels:], ((0, 0), (grid[0], 0), (grid[1], 0)))
    return keras.Model(features, described + beside, name="seeing")
