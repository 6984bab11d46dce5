"""From the rows of a table to examples, for all layouts with named columns.

A row has an image or a list of images, and one caption or several, and it may have a split. In place of captions it may
have a label, the name of what the image shows, of which short captions are made.
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from capgen.captioner.vocabulary import article, words
from capgen.datasets.cells import image_names, texts
from capgen.datasets.columns import Choice, ColumnChooser
from capgen.datasets.layout import MALFORMED, Columns, Example, Problem
from capgen.datasets.splits import SPLIT_NAMES
from capgen.errors import Status

LABEL_CAPTIONS = ("a close up of {}", "{} up close", "a view of {}")
"""The captions of an image of which only the name of the thing in it is known."""

SAMPLE = 1000
"""The number of rows at the beginning of a table by which its columns are chosen."""

NOT_WRITTEN = {str(status) for status in Status} - {Status.CAPTIONED}
"""What capgen's own JSON lines say of images whose captions it did not write."""

Row = tuple[str, Mapping[str, Any]]
"""A row of a table: what names it in messages, and its values by column."""


def examples_of(rows: Iterable[Row | Problem], columns: Columns) -> tuple[list[Example], list[Problem]]:
    """Return the examples that rows hold, and what is wrong with the others."""
    found = list(rows)
    chooser = chooser_for(found, columns)
    examples: list[Example] = []
    problems: list[Problem] = []
    for row in found:
        if isinstance(row, Problem):
            problems.append(row)
            continue
        try:
            examples += _examples(*row, chooser.choose(row[1]))
        except ValueError as error:
            problems.append(Problem(MALFORMED, row[0], str(error)))
    return examples, problems


def chooser_for(rows: Iterable[Row | Problem], columns: Columns) -> ColumnChooser:
    """Return the chooser of a table's columns; it looks at the first rows alone, so that every reader chooses the same."""
    return ColumnChooser((row[1] for row in islice(rows, SAMPLE) if not isinstance(row, Problem)), columns)


def is_usable(row: Mapping[str, Any], choice: Choice | None) -> bool:
    """Tell whether a row has an image and captions in the columns chosen for it."""
    try:
        return bool(_examples("", row, choice))
    except ValueError:
        return False


def _examples(where: str, row: Mapping[str, Any], choice: Choice | None) -> list[Example]:
    """Make an example of each image of a row.

    Raises:
        ValueError: Something is wrong with the row; the message says what.
    """
    if choice is None:
        raise ValueError("it lacks an image or a caption")
    names = image_names(row[choice.image])
    if not names:
        raise ValueError(f"its {choice.image} names no image")
    captions = _captions(row, choice)
    value = row[choice.split] if choice.split else None
    split = "" if value is None else str(value).strip().lower()
    if split and split not in SPLIT_NAMES:
        raise ValueError(f"{split!r} in {choice.split} is not the name of a split: train, dev or test")
    return [Example(name, captions, SPLIT_NAMES[split] if split else None, where=where) for name in names]


def _captions(row: Mapping[str, Any], choice: Choice) -> tuple[str, ...]:
    """Return the captions of a row; a label becomes captions.

    Raises:
        ValueError: There is no text in any of its columns of captions.
    """
    if str(row.get("status")) in NOT_WRITTEN:
        return ()
    found = [texts(row[name]) for name in choice.captions]
    if all(each is None for each in found):
        raise ValueError(f"its {', '.join(choice.captions)} {'are no texts' if len(found) > 1 else 'is no text'}")
    captions = tuple(text for each in found for text in each or ())
    if len(found) > 1:  # numbered columns, of which an image with fewer captions leaves some empty
        captions = tuple(filter(str.strip, captions))
    return _captions_of_labels(captions) if choice.are_labels else captions


def _captions_of_labels(labels: Iterable[str]) -> tuple[str, ...]:
    named = filter(words, labels)
    return tuple(template.format(f"{article(label)} {label}") for label in named for template in LABEL_CAPTIONS)
