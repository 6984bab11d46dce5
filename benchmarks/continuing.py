"""What a captioner learns from 200 images of a new kind: python benchmarks/continuing.py FOLDER [MODEL].

FOLDER holds ``labels.jsonl`` and the photographs of named_objects. The captioner that ships has seen none of its dev split,
246 photographs of 50 things, each with its name, as a shop or a museum has them. 200 of them train and choose the epoch; on
the other 46 the captioner as it was and the one that went on are scored side by side. Prints minutes and both tables.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SPLITS = ("train",) * 170 + ("dev",) * 30 + ("test",) * 46


def capgen(*arguments: object) -> None:
    """Run the command; what it prints is printed."""
    subprocess.run([sys.executable, "-m", "capgen", *map(str, arguments)], check=True)


def main(folder: Path, model: str) -> None:
    """Prepare, train and evaluate in folders that are removed afterwards."""
    rows = [json.loads(line) for line in (folder / "labels.jsonl").read_text().splitlines()]
    rows = [row for row in rows if row["split"] == "dev"]
    order = np.random.default_rng(0).permutation(len(rows))
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["CAPGEN_DATA_DIR"] = temporary
        table = Path(temporary) / "things.jsonl"
        lines = (
            json.dumps(
                {"image": str((folder / rows[index]["image"]).resolve()), "label": rows[index]["label"], "split": split}
            )
            for index, split in zip(order, SPLITS, strict=True)
        )
        table.write_text("\n".join(lines))
        began = time.monotonic()
        capgen("prepare", table, "--name", "things")
        capgen("train", "things", "--from", model)
        print(f"prepared and trained in {(time.monotonic() - began) / 60:.1f} minutes", flush=True)
        capgen("evaluate", model, "things", "--data", "things")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "photo-en-v1")
