"""``capgen caption photo.jpg``, the whole process, beside ``python -c "import tensorflow"``."""

import sys
from pathlib import Path

from timing import in_turn, report

COMMAND = str(Path(sys.executable).with_name("capgen"))
PHOTOGRAPH = str(Path(__file__).resolve().parents[1] / "examples/cat.jpg")

if __name__ == "__main__":
    found = in_turn(
        {"caption": [COMMAND, "caption", PHOTOGRAPH], "tensorflow": [sys.executable, "-c", "import tensorflow"]}, runs=7
    )
    report("capgen caption photo.jpg", found["caption"], "import tensorflow", found["tensorflow"])
