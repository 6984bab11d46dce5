"""The pages of documentation: README and ``docs/``, and the commands in them."""

import re
from dataclasses import dataclass
from pathlib import Path

from support.paths import ROOT

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"))
    if path.name not in {"commands.md", "settings.md"}  # made from the code
)

_BLOCK = re.compile(r"(?:<!-- not run: (?P<reason>[^>]+) -->\n)?```(?P<language>\w+)\n(?P<body>.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of code of a page.

    Attributes:
        language: ``sh`` or ``python``, say.
        body: Its text.
        reason: Why no test runs it; empty if one does.
    """

    language: str
    body: str
    reason: str

    @property
    def commands(self) -> list[str]:
        """The commands of a shell block, one a line."""
        return [line for line in self.body.replace("\\\n", " ").splitlines() if line.strip()]


def text(page: str) -> str:
    """Return the text of a page."""
    return Path(ROOT, page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[Block]:
    """Return the blocks of a page in a language, in order."""
    found = (Block(match["language"], match["body"], match["reason"] or "") for match in _BLOCK.finditer(text(page)))
    return [block for block in found if block.language == language]


def commands(page: str, heading: str) -> list[str]:
    """Return the commands of a page's first block below a heading, without their comments."""
    below = text(page).partition(heading)[2]
    block = _BLOCK.search(below)
    assert block is not None, heading
    return [line.split("  #")[0].strip() for line in block["body"].splitlines() if line.strip()]
