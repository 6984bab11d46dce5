"""What few photographs teach: from the beginning, and going on from the captioner that ships.

python benchmarks/little_data.py SHARED [MEASUREMENT...]

SHARED is the folder with ``data`` and ``cases``. All is trained with the defaults of ``capgen train``, so that the data
decide the settings, and scored by CIDEr-D on images that neither trained nor chose the epoch. Measurements, all by default:

sizes     the first 100, 300 and more images of three sources, and 150 others of the same source as test
first300  the first 300 of coco_photographs, whose splits prepare draws, with seeds 0 to 2
one-kind  the first 2,000 of web_captions, one caption each, whose splits prepare draws
twelve    twelve drawn images with a word that no captioner knows: BLEU-4 on the images that it was trained on
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

SHIPPED = "photo-en-v1"
TEST_IMAGES = 150
SIZES = {"coco_photographs": (100, 300, 1000), "rooms": (100, 300), "named_objects": (100, 300, 570)}


def capgen(*arguments: object) -> None:
    """Run the command; what it prints goes to stderr."""
    subprocess.run([sys.executable, "-m", "capgen", *map(str, arguments)], check=True, stdout=sys.stderr)


def rows_of(folder: Path) -> list[dict]:
    """Return the training rows of a source in an order that is not that of their kinds, each with the path of its image."""
    table = next(file for name in ("captions.jsonl", "labels.jsonl") if (file := folder / name).exists())
    rows = [json.loads(line) for line in table.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row.get("split", "train") == "train"]
    if table.name == "labels.jsonl":
        rows = [rows[index] for index in np.random.default_rng(0).permutation(len(rows))]
    kept = ("caption", "captions", "label")
    return [{"image": str(folder / row["image"]), **{key: row[key] for key in kept if key in row}} for row in rows]


def prepare(name: str, rows: Sequence[dict], seed: int = 0) -> None:
    """Prepare rows as a data set; those without a split get one from prepare."""
    table = Path(os.environ["CAPGEN_DATA_DIR"]) / f"{name}.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    capgen("prepare", table, "--name", name, "--seed", seed)


def score(model: object, name: str, split: str = "test", metric: str = "CIDEr-D") -> float:
    """Score a captioner on a split."""
    found = Path(os.environ["CAPGEN_DATA_DIR"]) / "scores.json"
    capgen("evaluate", model, "--data", name, "--split", split, "--json", found)
    return json.loads(found.read_text())[metric]


def trained(name: str, *options: object) -> tuple[Path, float]:
    """Train a captioner; return it and the minutes that it took."""
    out = Path(os.environ["CAPGEN_DATA_DIR"]) / "trained"
    began = time.monotonic()
    capgen("train", name, "--out", out, "--overwrite", *options)
    return out, (time.monotonic() - began) / 60


def compare(name: str, what: str, seed: int = 0) -> None:
    """Print a row of the table: the captioner as it ships, one from the beginning, one that goes on."""
    scores, minutes = [score(SHIPPED, name)], []
    for options in ((), ("--from", SHIPPED)):
        model, took = trained(name, "--seed", seed, *options)
        scores.append(score(model, name))
        minutes.append(took)
    columns = [what, *(f"{value:.3f}" for value in scores), *(f"{value:.1f}" for value in minutes)]
    print(f"| {' | '.join(columns)} |", flush=True)


def sizes(shared: Path) -> None:
    """Compare on more and more images of each source."""
    for source, counts in SIZES.items():
        rows = rows_of(shared / "data" / source)
        test = [{**row, "split": "test"} for row in rows[-TEST_IMAGES:]]
        for count in counts:
            name = f"{source}-{count}"
            splits = ["dev" if index % 10 == 0 else "train" for index in range(count)]
            prepare(name, [*({**row, "split": split} for row, split in zip(rows, splits, strict=False)), *test])
            compare(name, f"{source}, {count}")


def first300(shared: Path) -> None:
    """Compare on the first 300 photographs, with three splits."""
    for seed in range(3):
        prepare(f"first300-{seed}", rows_of(shared / "data/coco_photographs")[:300], seed)
        compare(f"first300-{seed}", f"first 300, seed {seed}", seed)


def one_kind(shared: Path) -> None:
    """Compare on 2,000 photographs with one caption each."""
    prepare("one-kind", rows_of(shared / "data/web_captions")[:2000])
    compare("one-kind", "web_captions, 2,000")


def twelve(shared: Path) -> None:
    """Print how well twelve images are learnt."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "PYTHON": sys.executable}
        subprocess.run(["bash", shared / "cases/twelve_of_mine/make.sh", folder], check=True, env=env)
        capgen("prepare", Path(folder) / "data", "--name", "twelve")
        for options in (("--from", SHIPPED), ()):
            model, minutes = trained("twelve", *options)
            bleu = score(model, "twelve", "train", "BLEU-4")
            print(
                f"twelve {' '.join(options) or 'from the beginning'}: BLEU-4 {bleu:.3f}, {minutes:.1f} minutes", flush=True
            )


MEASUREMENTS: dict[str, Callable[[Path], None]] = {
    "sizes": sizes, "first300": first300, "one-kind": one_kind, "twelve": twelve,
}  # fmt: skip


def main(shared: Path, chosen: Iterable[str]) -> None:
    """Measure in folders that are removed afterwards."""
    print("| training images | ships | from the beginning | `--from` | minutes | minutes of `--from` |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["CAPGEN_DATA_DIR"] = temporary
        for name in chosen:
            MEASUREMENTS[name](shared)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or MEASUREMENTS)
