"""Names of many numbered files in one: ``data-{0000..0999}.tar`` and ``{a,b}``, as a shell writes them."""

import re
from collections.abc import Iterator

_GROUP = re.compile(r"\{(?:([0-9]{1,18})\.\.([0-9]{1,18})|([^{}]*,[^{}]*))\}")


def expanded(text: str) -> Iterator[str]:
    """Write out every range of numbers and every list in braces, the last one the fastest; other braces stay.

    A number has the leading zeros of the end of the range that is written with more digits, if either has any.
    """
    group = _GROUP.search(text)
    if group is None:
        yield text
        return
    for value in _values(group):
        for rest in expanded(text[group.end() :]):
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
