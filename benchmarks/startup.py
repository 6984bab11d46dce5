"""``capgen --help``, ``capgen caption --help`` and ``--version`` beside ``python -c pass``."""

import sys
from pathlib import Path

from timing import in_turn, report

COMMAND = str(Path(sys.executable).with_name("capgen"))

if __name__ == "__main__":
    asked = ("--help", "caption --help", "--version")
    commands = {each: [COMMAND, *each.split()] for each in asked}
    found = in_turn({**commands, "pass": [sys.executable, "-c", "pass"]}, runs=15)
    for each in asked:
        report(f"capgen {each}", found[each], "python -c pass", found["pass"])
