#!/usr/bin/env bash
# What: Typer's own program (`typer PACKAGE utils docs`, `typer PACKAGE run`) on a command whose package makes the app in __init__.py and
#       imports its submodules at the end, each of which registers a subcommand. Importing the package gives the app two commands.
# Expected: the documentation lists both commands, as `python -c "import package"` has them.
# Real: it lists none, with exit code 0. The program executes __init__.py from its spec without entering it in sys.modules, so that the
#       submodules import the package a second time and register with a second app, which nobody asks.
# Versions: typer 0.29.2, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check typer==0.29.2
mkdir "$work/shop"
cat > "$work/shop/__init__.py" <<'PY'
import typer

app = typer.Typer()


@app.callback()
def root() -> None:
    """A shop."""


from shop import buy, sell  # each registers its command
PY
for name in buy sell; do
  cat > "$work/shop/$name.py" <<PY
from shop import app


@app.command("$name")
def command() -> None:
    """Go and $name something."""
PY
done
cd "$work"
imported=$(venv/bin/python -c 'import shop; print(len(shop.app.registered_commands))')
venv/bin/python -m typer shop utils docs > docs.md
documented=$(grep -c -E '^\* `(buy|sell)`' docs.md || true)
echo "commands of the imported app: $imported; commands in its documentation: $documented"
[ "$imported" = 2 ] && [ "$documented" = 0 ]
