"""Write the completion scripts in ``completions/``, as the command itself makes them; a test runs this with --check.

python scripts/write_completions.py [--check]
"""

import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "completions"
FILES = {"bash": "capgen.bash", "zsh": "_capgen", "fish": "capgen.fish"}


def script(shell: str) -> str:
    """Return the completion script for a shell."""
    environment = {**os.environ, "_CAPGEN_COMPLETE": f"source_{shell}"}
    command = [Path(sys.executable).with_name("capgen")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip() + "\n"


def main() -> None:
    """Write the scripts, or with ``--check`` say which no longer match the command."""
    scripts = {FOLDER / name: script(shell) for shell, name in FILES.items()}
    if "--check" not in sys.argv[1:]:
        FOLDER.mkdir(exist_ok=True)
        for path, text in scripts.items():
            path.write_text(text)
        return
    stale = [path.name for path, text in scripts.items() if not path.exists() or path.read_text() != text]
    if stale:
        sys.exit(f"{', '.join(stale)} no longer match the command; run python scripts/write_completions.py")


if __name__ == "__main__":
    main()
