"""Guidance: words count for as much as the picture itself speaks for them, not for how usual they are."""

import numpy as np

from capgen.captioner.decoding.options import Arrays, StepFunction

_UNGUIDED = "state_unguided_"


class Guided:
    """A decoder whose log-probabilities are pushed away from those that it would give without the picture.

    The probability of a word is that after the picture to the power of ``guidance``, times that after an average picture to
    the power of one less it, normalised (classifier-free guidance: S. Kornblith et al., "Guiding Image Captioning Models
    Toward More Specific Captions", ICCV 2023, who train a decoder without pictures, too).

    Args:
        steps: The decoder.
        average: The features of an average picture, (C, D).
        guidance: How much more the picture counts, at least 1; 1 would change nothing.
    """

    def __init__(self, steps: StepFunction, average: np.ndarray, guidance: float) -> None:
        """Keep them."""
        self._steps, self._average, self._guidance = steps, average, guidance
        self._contexts: Arrays = {}

    def begin(self, features: np.ndarray) -> Arrays:
        """See ``StepFunction.begin``; the steps that follow are those of these pictures."""
        begun = self._steps.begin(self._average[None])
        states = {name: array for name, array in begun.items() if name.startswith("state_")}
        self._contexts = {name: array for name, array in begun.items() if name not in states}
        unguided = {_unguided(name): np.repeat(state, len(features), axis=0) for name, state in states.items()}
        return {**self._steps.begin(features), **unguided}

    def step(self, inputs: Arrays) -> Arrays:
        """See ``StepFunction.step``."""
        guided = {name: array for name, array in inputs.items() if not name.startswith(_UNGUIDED)}
        states = {name: inputs[_unguided(name)] for name in guided if name.startswith("state_")}
        outputs = self._steps.step(guided)
        usual = self._steps.step({"words": inputs["words"], **self._contexts, **states})
        scores = self._guidance * outputs["log_probabilities"] - (self._guidance - 1) * usual["log_probabilities"]  # (R, V)
        scores -= scores.max(axis=1, keepdims=True)
        scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
        return {**outputs, "log_probabilities": scores, **{_unguided(name): usual[name] for name in states}}


def _unguided(name: str) -> str:
    return _UNGUIDED + name.removeprefix("state_")
