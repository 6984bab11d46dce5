"""What is learnt from few photographs: from the beginning, and going on from the captioner that ships.

python benchmarks/little_data.py SHARED [MEASUREMENT...]

SHARED is the folder with ``data`` and ``cases``. All is trained with the defaults of ``capgen train``, so that the data
decide the settings, and scored by CIDEr-D on images that neither trained nor chose the epoch. The captioner that ships was
trained on the train parts of coco_photographs and named_objects, on rooms and on web_captions, so that it has nothing to
learn there; what going on from it gives is measured on images that it has not seen.

Measurements, all by default:

unseen    the first 100, 300 and 600 of everyday_photographs and the first 100 of named_objects' dev part, with and without
          ``--from``, and others of the same source as test
seen      the first 100, 300 and 1,000 of coco_photographs and the first 100 and 300 of rooms, from the beginning
first300  the first 300 of coco_photographs, which prepare splits at random, with seeds 0 to 2, from the beginning
one-kind  the first 2,000 of web_captions, one caption each, which prepare splits at random, from the beginning
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
TEST_IMAGES = 140
UNSEEN = {"everyday_photographs": ("train", (100, 300, 600)), "named_objects": ("dev", (100,))}
SEEN = {"coco_photographs": ("train", (100, 300, 1000)), "rooms": ("train", (100, 300))}
"""The part and the numbers of images of each source."""


def capgen(*arguments: object) -> None:
    """Run the command; what it prints goes to stderr."""
    subprocess.run([sys.executable, "-m", "capgen", *map(str, arguments)], check=True, stdout=sys.stderr)


def rows_of(folder: Path, part: str = "train") -> list[dict]:
    """Return the rows of a part of a source in an order that is not that of their kinds, each with the path of its image."""
    table = next(file for name in ("captions.jsonl", "labels.jsonl") if (file := folder / name).exists())
    rows = [json.loads(line) for line in table.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row.get("split", "train") == part]
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


def compare(name: str, what: str, seed: int = 0, *, continues: bool = False) -> None:
    """Print a row of the table: the captioner as it ships, one that goes on from it, one from the beginning."""
    columns = [f"{score(SHIPPED, name):.3f}", *measured(name, seed, "--from", SHIPPED)] if continues else ["", "", ""]
    print(f"| {' | '.join([what, *columns, *measured(name, seed)])} |", flush=True)


def measured(name: str, seed: int, *options: object) -> tuple[str, str]:
    """Train a captioner; return its score and the minutes that it took."""
    model, minutes = trained(name, "--seed", seed, *options)
    return f"{score(model, name):.3f}", f"{minutes:.1f}"


def unseen(shared: Path) -> None:
    """Compare on more and more images that the captioner which ships has not seen."""
    sizes(shared, UNSEEN, continues=True)


def seen(shared: Path) -> None:
    """Train from the beginning on more and more images."""
    sizes(shared, SEEN, continues=False)


def sizes(shared: Path, sources: dict[str, tuple[str, tuple[int, ...]]], *, continues: bool) -> None:
    """Compare on more and more images of sources."""
    for source, (part, counts) in sources.items():
        rows = rows_of(shared / "data" / source, part)
        test = [{**row, "split": "test"} for row in rows[-TEST_IMAGES:]]
        for count in counts:
            name = f"{source}-{count}"
            splits = ["dev" if index % 10 == 0 else "train" for index in range(count)]
            prepare(name, [*({**row, "split": split} for row, split in zip(rows, splits, strict=False)), *test])
            compare(name, f"{source}, {count}", continues=continues)


def first300(shared: Path) -> None:
    """Train on the first 300 photographs, with three splits."""
    for seed in range(3):
        prepare(f"first300-{seed}", rows_of(shared / "data/coco_photographs")[:300], seed)
        compare(f"first300-{seed}", f"first 300, seed {seed}", seed)


def one_kind(shared: Path) -> None:
    """Train on 2,000 photographs with one caption each."""
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
    "unseen": unseen, "seen": seen, "first300": first300, "one-kind": one_kind, "twelve": twelve,
}  # fmt: skip


def main(shared: Path, chosen: Iterable[str]) -> None:
    """Measure in folders that are removed afterwards."""
    print("| images | ships | `--from` | minutes | from the beginning | minutes |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["CAPGEN_DATA_DIR"] = temporary
        for name in chosen:
            MEASUREMENTS[name](shared)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or MEASUREMENTS)
