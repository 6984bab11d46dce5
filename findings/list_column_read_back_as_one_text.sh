#!/usr/bin/env bash
# What: a Parquet table with a column of lists of texts (captions of an image), read by pandas, written with to_csv, and the cells read back
#       with ast.literal_eval, as recipes for "lists in CSV cells" say.
# Expected: the list that was stored, or an error; pandas writes a column of Python lists as ['one', 'two'], which comes back whole.
# Real: read_parquet gives NumPy arrays for lists, whose text has no commas: ['one' 'two']. For Python two texts side by side are one text, so
#       that literal_eval returns a list of a single text, "onetwo", without an error.
# Versions: pandas 3.1.1, pyarrow 26.0.1, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pandas==3.1.1 pyarrow==26.0.1
"$work/venv/bin/python" - "$work" <<'PY'
import ast
import sys
from pathlib import Path

import pandas
import pyarrow

folder = Path(sys.argv[1])
stored = ["a dog runs", "a pet on grass"]
frame = pandas.DataFrame({"image": ["1.jpg"], "captions": [stored]})

frame.to_csv(folder / "of_lists.csv", index=False)
direct = ast.literal_eval(pandas.read_csv(folder / "of_lists.csv")["captions"][0])

frame.to_parquet(folder / "t.parquet")
pandas.read_parquet(folder / "t.parquet").to_csv(folder / "of_arrays.csv", index=False)
cell = pandas.read_csv(folder / "of_arrays.csv")["captions"][0]
through_parquet = ast.literal_eval(cell)

print("pandas", pandas.__version__, "pyarrow", pyarrow.__version__)
print("written from lists:", direct)
print("the cell written from Parquet:", cell)
print("read back:", through_parquet)
assert direct == stored
assert through_parquet == ["a dog runsa pet on grass"], "this has changed: look at it anew"
PY
