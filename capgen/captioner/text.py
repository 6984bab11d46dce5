"""``CaptionText``: captions as people read them to the ids that a decoder learns and says, and back."""

from collections.abc import Sequence

import numpy as np

from capgen.captioner.slots import ClassScores, VisualWords
from capgen.captioner.vocabulary import Vocabulary


class CaptionText:
    """The text of one captioner: its vocabulary, and the visual words that fill its slots.

    Args:
        vocabulary: The words, slots and domain tokens of the captioner.
        visual_words: The visual words that fill its slots, if it has slots.
        min_class_probability: The probability from which the classifier's best visual word of a group may fill a slot.
    """

    def __init__(self, vocabulary: Vocabulary, visual_words: VisualWords | None, min_class_probability: float) -> None:
        self.vocabulary, self.visual_words = vocabulary, visual_words
        self._min_class_probability = min_class_probability
        self._is_token = np.array(vocabulary.is_token)  # (V,)

    def encode(self, text: str, class_scores: ClassScores | None) -> list[int]:
        """Return the ids of a caption's words, with slots for the visual words that agree with the classifier.

        Args:
            text: A caption.
            class_scores: The class scores of its image; without them there are no slots.
        """
        return self.vocabulary.ids(self.delexicalise(text, class_scores))

    def delexicalise(self, text: str, class_scores: ClassScores | None) -> list[str]:
        """Return the entries of a caption, as ``encode`` does, before they become ids."""
        caption = self.vocabulary.words(text)
        if not (self.visual_words and class_scores):
            return caption
        return self.visual_words.delexicalise(caption, class_scores, self._min_class_probability)

    def decode(self, ids: Sequence[int], class_scores: ClassScores | None) -> str:
        """Return the caption of ``ids`` up to the end token, its slots filled with what the classifier found.

        Args:
            ids: The ids of a caption.
            class_scores: The class scores of its image; without them slots stay as they are.
        """
        caption = self.vocabulary.words_of(ids)
        if self.visual_words and class_scores:
            caption = self.visual_words.relexicalise(caption, class_scores)
        return self.vocabulary.join(caption)

    def decode_with_positions(
        self, ids: Sequence[int], class_scores: ClassScores | None, skip: int = 0
    ) -> list[tuple[str, int]]:
        """Return the words of ``decode``, each with the position in ``ids`` that it comes from.

        Args:
            ids: The ids of a caption, without the end token.
            class_scores: The class scores of its image; without them slots stay as they are.
            skip: The number of first ids whose words are left out, although slots are filled with regard to them.
        """
        entries = [self.vocabulary.entries[index] for index in ids]
        if self.visual_words and class_scores:
            found = self.visual_words.relexicalise_with_positions(entries, class_scores)
        else:
            found = [(word, position) for position, word in enumerate(entries)]
        return [(word, position) for word, position in found if position >= skip]

    def has_slots(self, ids: Sequence[int]) -> bool:
        """Return whether a caption has slots, so that it says different things of different images."""
        return bool(self._is_token[list(ids)].any())
