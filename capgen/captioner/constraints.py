"""``Wording``: from the ids that a search finds to the text that people read, and which of them a picture allows."""

from collections.abc import Collection, Sequence

import numpy as np

from capgen.captioner.decoding import Arrays, StepFunction
from capgen.captioner.slots import ClassScores, VisualWord, VisualWords, slot
from capgen.captioner.vocabulary import SPECIAL, Vocabulary, words

EAGER = 5.5
"""How much a search favours slots, see ``Wording.led``; chosen on dev, with the power."""

SURE = 3
"""Power of the classifier's certainty: what it half believes is hardly favoured."""

AGAIN = -50.0
"""What is added to the log-probability of a word that is not said twice; finite, as there may be nothing else to say."""


class Wording:
    """How one captioner speaks.

    Args:
        vocabulary: Its words. Besides them it may have marks: slots of names, and starts of other styles.
        names: What fills its slots.
    """

    def __init__(self, vocabulary: Vocabulary, names: VisualWords | None) -> None:
        """Look for marks."""
        self.vocabulary, self.visual_words = vocabulary, names
        self._marks = np.array([entry.startswith("<") and entry not in SPECIAL for entry in vocabulary.entries])
        repeated = vocabulary.entries if vocabulary.repeated is None else {*SPECIAL, *vocabulary.repeated}
        self._once = np.array([entry not in repeated for entry in vocabulary.entries])
        # The entry that stands for what each says: a thing in either number is one. The plurals are the package's, so that
        # captioners made by an earlier one heed them, too.
        self._noun = np.arange(len(vocabulary))
        for name in VisualWords.imagenet().names if self._once.any() else ():
            singular, plural = vocabulary.ids(_ends(name))
            if self._once[[singular, plural]].all():
                self._noun[plural] = singular

    def has_marks(self, ids: Sequence[int]) -> bool:
        """Tell whether a caption has slots, so that it says different things of different pictures."""
        return bool(self._marks[list(ids)].any())

    def ids(self, caption: str, class_scores: ClassScores | None) -> list[int]:
        """Return the ids of a caption's words, with slots for the names that agree with what the picture shows."""
        said = words(caption)
        return self.vocabulary.ids(
            self.visual_words.delexicalise(said, class_scores) if self.visual_words and class_scores else said
        )

    def text(self, ids: Sequence[int], class_scores: ClassScores | None) -> str:
        """Return the caption of ``ids``, its slots filled with what the picture was guessed to show."""
        said = self.vocabulary.decode(ids)
        return (
            " ".join(self.visual_words.relexicalise(said.split(), class_scores))
            if self.visual_words and class_scores
            else said
        )

    def placed(self, ids: Sequence[int], class_scores: ClassScores | None, given: int = 0) -> list[tuple[str, int]]:
        """Return the words of ``text``, each with the place in ``ids``, which have no end mark, that it comes from.

        Args:
            ids: Of a caption.
            class_scores: Of the picture.
            given: How many of the ids to leave out at the beginning, once they have had their say in how slots are filled.
        """
        said = [self.vocabulary.entries[index] for index in ids]
        if self.visual_words and class_scores:
            found = self.visual_words.placed(said, class_scores)
        else:
            found = [(word, place) for place, word in enumerate(said)]
        return [(word, place) for word, place in found if place >= given]

    def led(
        self,
        steps: StepFunction,
        class_scores_list: Sequence[ClassScores | None],
        unsaid: Collection[str] = (),
        *,
        eager: float = EAGER,
        repeating: bool = False,
    ) -> StepFunction:
        """Lead a search by what its pictures show.

        No mark of a style is said, no slot that cannot be filled, and no word again that people do not say again, be it in
        the other number or in what fills a slot. Slots that can be filled are favoured until one has been said, the more
        the surer the classifier is of the name.

        Args:
            steps: The decoder.
            class_scores_list: Of the N pictures that will be searched, if the captioner has names.
            unsaid: Words that no name may contain.
            eager: What is added to the log-probability of a slot, times how sure the classifier is of its name, cubed.
            repeating: Let any word be said again.
        """
        once = np.zeros_like(self._once) if repeating else self._once
        if not self._marks.any() and not once.any():
            return steps
        favours = np.full((len(class_scores_list), len(self.vocabulary)), -np.inf, np.float32)
        nouns = np.tile(self._noun, (len(class_scores_list), 1))
        for row, noun, class_scores in zip(favours, nouns, class_scores_list, strict=True):
            if not (self.visual_words and class_scores):
                continue
            for group, name in self.visual_words.fillable(class_scores, unsaid).items():
                slots = self.vocabulary.ids(slot(group, plural=plural) for plural in (False, True))
                row[slots] = eager * class_scores.sure[group] ** SURE
                noun[slots] = self._head(name, slots[0])
        return _Led(steps, self._marks, once, favours, nouns)

    def _head(self, name: VisualWord, otherwise: int) -> int:
        """Return the noun that a name says at its end, "engine" of "fire engine", if the vocabulary has it."""
        known = (index for index in self.vocabulary.ids(_ends(name)) if self._once[index])
        return next((int(self._noun[index]) for index in known), otherwise)


def _ends(name: VisualWord) -> tuple[str, str]:
    """Return the last words of a name and of its plural."""
    return words(name.singular)[-1], words(name.plural)[-1]


class _Led:
    """A decoder whose log-probabilities heed what a picture shows and what has been said of it.

    Args:
        steps: The decoder.
        marks: Which entries are marks, (V,) bool.
        once: Which entries are not said twice, (V,) bool.
        favours: What is added to the log-probabilities of marks, (N, V), until one of them has been said.
        nouns: The entry that stands for what each entry says, (N, V).
    """

    def __init__(
        self, steps: StepFunction, marks: np.ndarray, once: np.ndarray, favours: np.ndarray, nouns: np.ndarray
    ) -> None:
        self._steps, self._is_mark, self._once = steps, marks, once
        self._marks = np.flatnonzero(marks)  # (M,)
        self._favours, self._nouns = favours[:, self._marks], nouns
        self._tied = np.flatnonzero((nouns != np.arange(len(once))).any(axis=0))  # for which others may stand

    def begin(self, features: np.ndarray) -> Arrays:
        count = len(features)
        said = {"state_slotted": np.zeros(count, bool), "state_said": np.zeros((count, len(self._once)), bool)}
        return {**self._steps.begin(features), **said, "context_favours": self._favours, "context_nouns": self._nouns}

    def step(self, inputs: Arrays) -> Arrays:
        memory = dict(inputs)
        words, favours, nouns = memory["words"], memory.pop("context_favours"), memory.pop("context_nouns")
        rows = np.arange(len(words))
        images = rows // (len(rows) // len(nouns))
        delexicalise = memory.pop("state_slotted") | self._is_mark[words]
        said = memory.pop("state_said").copy()
        said[rows, nouns[images, words]] |= self._once[words]
        outputs = self._steps.step(memory)
        scores = outputs["log_probabilities"]  # (R, V)
        favours = favours[images]  # (R, M)
        favours[delexicalise] = np.minimum(favours[delexicalise], 0.0)
        more = np.exp(scores[:, self._marks]) * np.expm1(np.maximum(favours, 0.0))
        scores[:, self._marks] += favours
        scores -= np.log1p(more.sum(axis=1, keepdims=True))  # so that the chances add up to no more than one
        again = said.copy()
        again[:, self._tied] = said[rows[:, None], nouns[images[:, None], self._tied]]
        scores[again] += AGAIN
        return {**outputs, "state_slotted": delexicalise, "state_said": said}
