"""``capgen --help`` and ``--version`` beside ``python -c pass``."""

import sys
from pathlib import Path

from timing import in_turn, report

COMMAND = str(Path(sys.executable).with_name("capgen"))

if __name__ == "__main__":
    found = in_turn(
        {"--help": [COMMAND, "--help"], "--version": [COMMAND, "--version"], "pass": [sys.executable, "-c", "pass"]}, runs=15
    )
    for flag in ("--help", "--version"):
        report(f"capgen {flag}", found[flag], "python -c pass", found["pass"])
