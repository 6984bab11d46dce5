"""How often captions name the thing in the image: python benchmarks/naming.py FOLDER [MODEL] [SPLIT].

FOLDER holds ``labels.jsonl`` (image, label, split). A caption names the thing if it has one of the names that ``naming.tsv``
accepts for the label, a list written before any caption was looked at. Names are read as whole phrases, the longest first,
so that "hot dog" is no dog and "sea lion" no lion.
"""

import csv
import json
import re
import sys
from pathlib import Path

from capgen import Captioner
from capgen.captioner.slots import VisualWords

ACCEPTED = Path(__file__).with_name("naming.tsv")


def accepted_names() -> dict[str, set[str]]:
    """Read the names that are accepted for each label."""
    with ACCEPTED.open(encoding="utf-8", newline="") as file:
        return {row["label"]: set(row["accepted"].split("|")) for row in csv.DictReader(file, delimiter="\t")}


def phrases(accepted: dict[str, set[str]]) -> re.Pattern[str]:
    """Match every name there is, the longest first."""
    known = {form for name in VisualWords.imagenet().names for form in (name.singular, name.plural)}
    every = sorted(known.union(*accepted.values()), key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, every))})(?![\w-])")


def main(folder: Path, model: str | None, split: str) -> None:
    """Print each caption, with a plus if it names the thing, and the share of those."""
    rows = [json.loads(line) for line in (folder / "labels.jsonl").read_text().splitlines()]
    rows = [row for row in rows if row["split"] == split]
    accepted = accepted_names()
    pattern = phrases(accepted)
    captioner = Captioner.load(model)
    named = 0
    for row, result in zip(rows, captioner.caption_many([folder / row["image"] for row in rows]), strict=True):
        text = result.captions[0].text
        hit = bool(accepted[row["label"]].intersection(pattern.findall(text)))
        named += hit
        print(f"{'+' if hit else '-'} {row['label']}: {text}")
    print(f"{named} of {len(rows)} named, {named / len(rows):.1%}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None, sys.argv[3] if len(sys.argv) > 3 else "dev")
