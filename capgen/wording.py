"""``Wording``: from the ids that a search finds to the text that people read, and which of them a picture allows."""

from collections.abc import Collection, Sequence

import numpy as np

from capgen.decoding import Arrays, StepFunction
from capgen.names import Guess, Names, slot
from capgen.vocabulary import SPECIAL, Vocabulary, words


class Wording:
    """How one captioner speaks.

    Args:
        vocabulary: Its words. Besides them it may have marks: slots of names, and starts of other styles.
        names: What fills its slots.
    """

    def __init__(self, vocabulary: Vocabulary, names: Names | None) -> None:
        """Look for marks."""
        self.vocabulary, self.names = vocabulary, names
        self._marks = [index for index in range(len(SPECIAL), len(vocabulary)) if vocabulary.entries[index].startswith("<")]

    def ids(self, caption: str, guess: Guess | None) -> list[int]:
        """Return the ids of a caption's words, with slots for the names that agree with what the picture shows."""
        said = words(caption)
        return self.vocabulary.ids(self.names.slotted(said, guess) if self.names and guess else said)

    def text(self, ids: Sequence[int], guess: Guess | None) -> str:
        """Return the caption of ``ids``, its slots filled with what the picture was guessed to show."""
        said = self.vocabulary.decode(ids)
        return " ".join(self.names.filled(said.split(), guess)) if self.names and guess else said

    def placed(self, ids: Sequence[int], guess: Guess | None) -> list[tuple[str, int]]:
        """Return the words of ``text``, each with the place in ``ids``, which have no end mark, that it comes from."""
        said = [self.vocabulary.entries[index] for index in ids]
        return self.names.placed(said, guess) if self.names and guess else [(word, place) for place, word in enumerate(said)]

    def allowing(self, steps: StepFunction, guesses: Sequence[Guess | None], unsaid: Collection[str] = ()) -> StepFunction:
        """Keep a search from marks: from those of styles, and from slots that cannot be filled.

        Args:
            steps: The decoder.
            guesses: Of the N pictures that will be searched, if the captioner has names.
            unsaid: Words that no name may contain.
        """
        if not self._marks:
            return steps
        penalties = np.zeros((len(guesses), len(self.vocabulary)), np.float32)
        penalties[:, self._marks] = -np.inf
        for row, guess in zip(penalties, guesses, strict=True):
            groups = self.names.fillable(guess, unsaid) if self.names and guess else ()
            row[self.vocabulary.ids([slot(group, plural=plural) for group in groups for plural in (False, True)])] = 0.0
        return _Penalised(steps, penalties)


class _Penalised:
    """A decoder with something added to the log-probabilities of each picture.

    Args:
        steps: The decoder.
        penalties: (N, V).
    """

    def __init__(self, steps: StepFunction, penalties: np.ndarray) -> None:
        self._steps, self._penalties = steps, penalties

    def begin(self, features: np.ndarray) -> Arrays:
        return {**self._steps.begin(features), "context_penalties": self._penalties}

    def step(self, inputs: Arrays) -> Arrays:
        others = dict(inputs)
        penalties = others.pop("context_penalties")
        outputs = self._steps.step(others)
        scores = outputs["log_probabilities"]
        scores.reshape(len(penalties), -1, scores.shape[-1])[...] += penalties[:, None]
        return outputs
