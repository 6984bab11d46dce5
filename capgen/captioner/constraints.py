"""What one captioner may say of an image: the logits processors that its slots and its vocabulary ask for.

Letters: N images, A unfinished images, K rows an image, T words, V entries of the vocabulary, M slots and domain tokens.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import numpy as np

from capgen.captioner.decoding import LogitsProcessor, Prefixes
from capgen.captioner.slots import ClassScores, VisualWord, VisualWords, slot
from capgen.captioner.vocabulary import Vocabulary, words


@dataclass(frozen=True, kw_only=True)
class ConstraintConfig:
    """The constants of the constraints, chosen on dev. What a captioner says depends on them.

    Attributes:
        slot_bonus: Added to the log-probability of a slot of which the classifier is certain; see ``SlotBonus``.
        slot_bonus_power: Power of the classifier's probability that the bonus is multiplied by: a slot of which the
            classifier is half certain gets little.
        repeat_penalty: Added to the log-probability of a word that is said already; finite, since there may be nothing else
            to say.
        min_class_probability: Probability from which the classifier's best visual word of a group may fill a slot.
        plurals: Nouns with their plurals; the two are one thing that is not said twice.
    """

    slot_bonus: float = 5.5
    slot_bonus_power: float = 3.0
    repeat_penalty: float = -50.0
    min_class_probability: float = 0.15
    plurals: tuple[tuple[str, str], ...] = ()

    @classmethod
    @cache
    def default(cls) -> "ConstraintConfig":
        """Return the constants that new captioners are given, with the nouns of ImageNet's classes."""
        pairs = (_last_words(name) for name in VisualWords.imagenet().names)
        return cls(plurals=tuple(dict.fromkeys(pairs)))

    @classmethod
    def from_plain(cls, values: Any) -> "ConstraintConfig":
        """Undo ``plain``.

        Raises:
            TypeError, KeyError, ValueError: It is not what ``plain`` makes.
        """
        numbers = {field.name: float(values[field.name]) for field in fields(cls) if field.name != "plurals"}
        if not all(map(math.isfinite, numbers.values())):
            raise ValueError("a constraint is not a finite number")
        plurals = tuple((singular, plural) for singular, plural in values["plurals"])
        if not all(isinstance(word, str) and word.isprintable() for pair in plurals for word in pair):
            raise TypeError("a noun is not printable text")
        if unknown := sorted(set(values) - {field.name for field in fields(cls)}):
            raise TypeError(f"there are no constraints {', '.join(unknown)}")
        return cls(**numbers, plurals=plurals)

    def plain(self) -> dict[str, Any]:
        """Return the constants for JSON."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**values, "plurals": [list(pair) for pair in self.plurals]}


class SlotBonus:
    """Prefers slots that can be filled until a caption has one; other slots and domain tokens are never chosen.

    With p(m) the probability of entry m and b(m) its bonus, 0 for words, log p(m) becomes log p(m) + b(m) - log z, where
    z = 1 + Σ p(m) (exp b(m) - 1) keeps the sum of the probabilities. Once a row has said a slot, all bonuses are 0. An entry
    that must not be said has a bonus of -inf, and does not count in z.

    Args:
        is_token: (V,) bool, which entries are slots or domain tokens.
        bonuses: (N, M) float32, the bonus of each of them for each image of the batch.
    """

    def __init__(self, is_token: np.ndarray, bonuses: np.ndarray) -> None:
        self._is_token, self._tokens, self._bonuses = is_token, np.flatnonzero(is_token), bonuses

    def process(self, scores: np.ndarray, prefixes: Prefixes) -> np.ndarray:
        """Return the changed scores; see ``LogitsProcessor``."""
        said = self._is_token[prefixes.ids].any(axis=2)  # (A, K)
        bonuses = np.repeat(self._bonuses[prefixes.images][:, None], said.shape[1], axis=1)  # (A, K, M)
        bonuses[said] = np.minimum(bonuses[said], 0.0)
        gained = np.exp(scores[..., self._tokens]) * np.expm1(np.maximum(bonuses, 0.0))  # (A, K, M)
        scores[..., self._tokens] += bonuses
        scores -= np.log1p(gained.sum(axis=-1, keepdims=True))
        return scores


class RepeatPenalty:
    """Keeps a caption from repeating words that people do not repeat, also in singular and plural or through a slot.

    With c(w) the entry that stands for what entry w says, the penalty is added to log p(w) if the row has said a word v that
    people do not repeat and for which c(v) = c(w).

    Args:
        once: (V,) bool, the entries that people do not repeat.
        nouns: (N, V), for each image of the batch and each entry the entry that stands for what it says.
        penalty: The number that is added to the log-probability of a repeated word; it is negative.
    """

    def __init__(self, once: np.ndarray, nouns: np.ndarray, penalty: float) -> None:
        self._once, self._nouns, self._penalty = once, nouns, penalty
        self._shared = np.flatnonzero((nouns != np.arange(len(once))).any(axis=0))  # entries for which others may stand

    def process(self, scores: np.ndarray, prefixes: Prefixes) -> np.ndarray:
        """Return the changed scores; see ``LogitsProcessor``."""
        nouns = self._nouns[prefixes.images]  # (A, V)
        images, rows, positions = np.nonzero(self._once[prefixes.ids])  # of the words that must not come again
        repeated = np.zeros(scores.shape, bool)  # (A, K, V), first for the entries that stand for others, then for all
        repeated[images, rows, nouns[images, prefixes.ids[images, rows, positions]]] = True
        repeated[..., self._shared] = np.take_along_axis(repeated, nouns[:, None, self._shared], axis=2)
        scores[repeated] += self._penalty
        return scores


class Constraints:
    """Builds the processors for the images of a batch.

    Args:
        vocabulary: The vocabulary of the captioner.
        visual_words: The visual words that fill its slots, if it has slots.
        config: The constants.
    """

    def __init__(self, vocabulary: Vocabulary, visual_words: VisualWords | None, config: ConstraintConfig) -> None:
        self.vocabulary, self.visual_words, self.config = vocabulary, visual_words, config
        self._is_token = np.array(vocabulary.is_token)  # (V,)
        self._once = ~np.array(vocabulary.is_repeatable)  # (V,)
        self._nouns = np.arange(len(vocabulary))  # (V,), the singular for each plural
        for singular, plural in map(vocabulary.ids, self.config.plurals if self._once.any() else ()):
            if self._once[[singular, plural]].all():
                self._nouns[plural] = singular

    def processors(
        self,
        class_scores: Sequence[ClassScores | None],
        suppressed_words: Collection[str] = (),
        *,
        allow_repeats: bool = False,
    ) -> list[LogitsProcessor]:
        """Return the processors for a search.

        Args:
            class_scores: The class scores of each of the N images that are searched; ``None`` for captioners without slots.
            suppressed_words: Words that a visual word which fills a slot must not contain.
            allow_repeats: Leave ``RepeatPenalty`` out, so that any word may be repeated.
        """
        bonuses = np.full((len(class_scores), len(self.vocabulary)), -np.inf, np.float32)  # (N, V)
        nouns = np.tile(self._nouns, (len(class_scores), 1))  # (N, V)
        for image, scores in enumerate(class_scores):
            if scores is None or self.visual_words is None:
                continue
            fillable = self.visual_words.fillable(scores, self.config.min_class_probability, suppressed_words)
            for group, name in fillable.items():
                slots = self.vocabulary.ids(slot(group, plural=plural) for plural in (False, True))
                bonuses[image, slots] = self._bonus(scores.best_probabilities[group])
                nouns[image, slots] = self._noun(name, otherwise=slots[0])
        found: list[LogitsProcessor] = []
        if self._is_token.any():
            found.append(SlotBonus(self._is_token, bonuses[:, self._is_token]))
        if self._once.any() and not allow_repeats:
            found.append(RepeatPenalty(self._once, nouns, self.config.repeat_penalty))
        return found

    def _bonus(self, probability: float) -> float:
        return self.config.slot_bonus * probability**self.config.slot_bonus_power

    def _noun(self, name: VisualWord, otherwise: int) -> int:
        """Return the entry of the noun at the end of a visual word, "engine" of "fire engine", if the vocabulary has it."""
        known = (index for index in self.vocabulary.ids(_last_words(name)) if self._once[index])
        return next((int(self._nouns[index]) for index in known), otherwise)


def _last_words(name: VisualWord) -> tuple[str, str]:
    """Return the last words of a visual word and of its plural."""
    return words(name.singular)[-1], words(name.plural)[-1]
