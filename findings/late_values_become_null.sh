#!/usr/bin/env bash
# What: JSON lines with the same keys in every line, one of them null in all lines but the last, as reports of long runs are ("error": null until
#       something fails), read with DuckDB (read_json and its settings as they are), and with Polars.
# Expected: the value of the last line, or an error. DuckDB gives an error where a number in the first lines is a text later ("failed to cast").
# Real: with more lines than DuckDB takes a sample of (20,480), the column gets the type NULL, and the value is gone: the row is there with
#       null, without an error or a warning, and a query for the lines with an error finds none. DuckDB before 2.0 took JSON as the type. With
#       sample_size = -1, or an empty text instead of null, it is there. Polars, whose sample are 100 lines, ends with an error.
# Versions: duckdb 2.0.1, polars 2.1.0, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1 polars==2.1.0
"$work/venv/bin/python" - "$work" <<'PY'
import json
import sys
from pathlib import Path

import duckdb
import polars


def written(name, nothing):
    """Write a report in which the last line alone has an error, and return its path."""
    path = Path(sys.argv[1]) / name
    rows = [{"path": f"{number}.jpg", "error": nothing} for number in range(20_480)] + [{"path": "z.jpg", "error": "damaged"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def last(path, **settings):
    """Return the type of the column, the number of rows, and the error of the last."""
    table = duckdb.read_json(path, **settings)
    rows = table.fetchall()
    return str(table.types[1]), len(rows), rows[-1][1]


of_null, of_text = written("null.jsonl", None), written("text.jsonl", "")
print("duckdb", duckdb.__version__, "polars", polars.__version__)
print("null before:", silent := last(of_null))
print("all lines as the sample:", sampled := last(of_null, sample_size=-1))
print("empty texts before:", texts := last(of_text))
try:
    raised = polars.read_ndjson(of_null)["error"][-1]
except polars.exceptions.ComputeError as error:
    raised = error
print("polars:", raised)
assert sampled == texts == ("VARCHAR", 20_481, "damaged")
assert silent[1:] == (20_481, None) and "NULL" in silent[0], "this has changed: look at it anew"
assert isinstance(raised, polars.exceptions.ComputeError), "this has changed: look at it anew"
PY
