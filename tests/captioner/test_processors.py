"""The logits processors of decoding options, each against scores worked out by hand: 1 image, K = 2 rows, V = 7 words."""

import numpy as np
import pytest

from capgen.captioner.decoding import DecodingOptions, Prefixes
from capgen.captioner.decoding.processors import (
    ForcedPrompt,
    MaxWords,
    MinWords,
    NoImmediateRepetition,
    SuppressedIds,
    SuppressedSpecialTokens,
    option_processors,
)
from capgen.captioner.vocabulary import END, PAD, START, UNKNOWN
from capgen.errors import UsageError

NEVER = -np.inf
SCORES = [
    [-1.0, -2.0, -3.0, -4.0, -5.0, -6.0, -7.0],
    [-8.0, -9.0, -10.0, -11.0, -12.0, -13.0, -14.0],
]
"""By row, the log-probabilities of padding, start token, end token, unknown word, and the words 4, 5 and 6."""


def processed(processor, *rows):
    """What the processor makes of ``SCORES`` after the words of each row."""
    ids = np.array([[[START, *row] for row in rows or ((), ())]], np.int32)  # (1, K, T + 1)
    (scores,) = processor.process(np.array([SCORES]), Prefixes(np.arange(1), ids))
    return scores.tolist()


def test_the_special_tokens_have_the_first_columns():
    assert (PAD, START, END, UNKNOWN) == (0, 1, 2, 3)


def test_special_tokens_are_suppressed_in_every_row():
    assert processed(SuppressedSpecialTokens()) == [
        [NEVER, NEVER, -3.0, NEVER, -5.0, -6.0, -7.0],
        [NEVER, NEVER, -10.0, NEVER, -12.0, -13.0, -14.0],
    ]


def test_suppressed_ids_are_suppressed_in_every_row():
    assert processed(SuppressedIds([3, 5])) == [
        [-1.0, -2.0, -3.0, NEVER, -5.0, NEVER, -7.0],
        [-8.0, -9.0, -10.0, NEVER, -12.0, NEVER, -14.0],
    ]


def test_two_words_must_be_left_beside_the_suppressed_ids():
    with pytest.raises(UsageError, match="leave it some"):
        processed(SuppressedIds([UNKNOWN, 4, 5]))


def test_the_last_word_of_each_row_is_not_repeated():
    assert processed(NoImmediateRepetition(), (4, 5), (5, 6)) == [
        [-1.0, -2.0, -3.0, -4.0, -5.0, NEVER, -7.0],
        [-8.0, -9.0, -10.0, -11.0, -12.0, -13.0, NEVER],
    ]


def test_no_caption_ends_before_it_has_the_fewest_words():
    assert processed(MinWords(2), (4,), (5,)) == [
        [-1.0, -2.0, NEVER, -4.0, -5.0, -6.0, -7.0],
        [-8.0, -9.0, NEVER, -11.0, -12.0, -13.0, -14.0],
    ]
    assert processed(MinWords(2), (4, 5), (5, 4)) == SCORES


def test_after_the_most_words_only_the_end_token_is_left_of_the_words():
    assert processed(MaxWords(2), (4,), (5,)) == SCORES
    assert processed(MaxWords(2), (4, 5), (5, 4)) == [
        [-1.0, -2.0, -3.0, NEVER, NEVER, NEVER, NEVER],
        [-8.0, -9.0, -10.0, NEVER, NEVER, NEVER, NEVER],
    ]


def test_the_next_word_of_the_prompt_is_certain_until_the_prompt_is_said():
    assert processed(ForcedPrompt([6, UNKNOWN]), (6,), (6,)) == [[NEVER, NEVER, NEVER, 0.0, NEVER, NEVER, NEVER]] * 2
    assert processed(ForcedPrompt([6, UNKNOWN]), (6, UNKNOWN), (6, UNKNOWN)) == SCORES


def test_a_search_has_the_processors_of_its_options_in_their_order():
    always = [SuppressedSpecialTokens, NoImmediateRepetition, MinWords, MaxWords]
    assert [type(each) for each in option_processors(DecodingOptions())] == always
    every = option_processors(DecodingOptions(suppressed_ids=(4,), prompt_ids=(5,)))
    assert [type(each) for each in every] == [
        SuppressedSpecialTokens,
        SuppressedIds,
        NoImmediateRepetition,
        MinWords,
        MaxWords,
        ForcedPrompt,
    ]
