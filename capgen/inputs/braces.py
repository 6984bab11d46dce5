"""Many numbered files in one argument: ``data-{0000..0999}.tar`` and ``{a,b}``, as a shell writes them."""

import re
from collections.abc import Iterator

_GROUP = re.compile(r"\{(?:([0-9]{1,18})\.\.([0-9]{1,18})|([^{}]*,[^{}]*))\}")
"""A range of numbers (its first and its last) or a list in braces (what stands between them)."""


def expand_braces(text: str) -> Iterator[str]:
    """Yield the texts that the ranges and the lists in braces stand for; of several groups the last one changes fastest.

    If either end of a range begins with a zero, all of its numbers get as many digits as the longer end. Other braces stay.
    """
    group = _GROUP.search(text)
    if group is None:
        yield text
        return
    for value in _values(group):
        for rest in expand_braces(text[group.end() :]):
            yield f"{text[: group.start()]}{value}{rest}"


def _values(group: re.Match[str]) -> Iterator[str]:
    first, last, listed = group.groups()
    if listed is not None:
        yield from listed.split(",")
        return
    padded = any(len(end) > 1 and end.startswith("0") for end in (first, last))
    width = max(len(first), len(last)) if padded else 0
    step = 1 if int(first) <= int(last) else -1
    for number in range(int(first), int(last) + step, step):
        yield f"{number:0{width}}"
