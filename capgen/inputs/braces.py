"""Many numbered files in one argument: ``data-{0000..0999}.tar`` and ``{a,b}``, as a shell and WebDataset write them."""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

_RANGE = re.compile(r"([0-9]{1,18})\.\.([0-9]{1,18})(?:\.\.([0-9]{1,9}))?")
"""The first and the last number of a range, and its step."""

_DEEPEST = 20
"""How deep braces may lie in each other."""


def expand_braces(text: str, depth: int = 0) -> Iterator[str]:
    """Yield the texts that the ranges and the lists in braces stand for; of several groups the last one changes fastest.

    If either end of a range begins with a zero, all of its numbers get as many digits as the longer end; ``{0..9..3}`` takes
    every third. Braces may lie in each other. Others, such as those around a single word, stay.

    Args:
        text: The text.
        depth: How deep in other braces it lies.
    """
    found = _first_group(text) if depth < _DEEPEST else None
    if found is None:
        yield text
        return
    start, end, parts = found
    for part in parts:
        for value in expand_braces(part, depth + 1):
            for rest in expand_braces(text[end:], depth):
                yield f"{text[:start]}{value}{rest}"


def _first_group(text: str) -> "tuple[int, int, Iterable[str]] | None":
    """Return where the first range or list in braces begins and ends, and what it stands for; ``None`` if there is none."""
    for opening in re.finditer(r"\{", text):
        start = opening.start()
        signs = _outer_signs(text, start)
        end = signs[-1]
        if text[end] != "}":  # these braces are not closed
            continue
        if found := _RANGE.fullmatch(text[start + 1 : end]):
            return start, end + 1, _numbers(found)
        if len(signs) > 1:
            return start, end + 1, [text[before + 1 : after] for before, after in pairwise((start, *signs))]
    return None


def _outer_signs(text: str, start: int) -> list[int]:
    """Return where the commas between the braces that open at ``start`` are, and where these close, or ``start`` alone."""
    depth, commas = 0, list[int]()
    for sign in re.finditer(r"[{},]", text[start:]):
        depth += {"{": 1, "}": -1, ",": 0}[sign[0]]
        if not depth:
            return [*commas, start + sign.start()]
        if sign[0] == "," and depth == 1:
            commas.append(start + sign.start())
    return [start]


def _numbers(found: re.Match[str]) -> Iterator[str]:
    first, last, by = found.groups()
    padded = any(len(end) > 1 and end.startswith("0") for end in (first, last))
    width = max(len(first), len(last)) if padded else 0
    direction = 1 if int(first) <= int(last) else -1
    for number in range(int(first), int(last) + direction, direction * (int(by or 1) or 1)):
        yield f"{number:0{width}}"
