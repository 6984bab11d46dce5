"""Confidence and rank in what ``capgen caption`` writes, and the header of every part of a job."""

import json

from support.commands import here
from support.paths import ROOT

EXAMPLES = ROOT / "examples"


def test_confidence_has_three_digits_in_every_format(fake):
    line = json.loads(here("caption", EXAMPLES / "cat.jpg", "--num", "2", "-f", "jsonl").stdout)
    assert line["confidence"] == round(line["confidence"], 3) == line["captions"][0]["confidence"]
    row = here("caption", EXAMPLES / "cat.jpg", "-f", "csv").stdout.splitlines()[1]
    assert row.split(",")[2] == f"{line['confidence']:.3f}"


def test_what_is_too_uncertain_says_so_with_three_digits(fake):
    sure = json.loads(here("caption", EXAMPLES / "cat.jpg", "-f", "jsonl").stdout)["confidence"]
    done = here("caption", EXAMPLES / "cat.jpg", "--min-confidence", "1")
    assert f"the caption's confidence is {sure:.3f}, less than 1" in done.stderr


def test_each_part_in_a_csv_has_the_header_and_evaluate_and_merge_read_them_all(fake):
    parts = [fake / f"{number}.csv" for number in (1, 2)]
    for number, part in enumerate(parts, 1):
        assert here("caption", EXAMPLES, "--num", "2", "--shard", f"{number}/2", "-o", part).returncode == 0
        assert part.read_text().startswith("path,caption,confidence,rank\n")
    assert here("merge", *parts, "-o", fake / "merged.csv").returncode == 0
    rows = (fake / "merged.csv").read_text().splitlines()
    assert rows.count("path,caption,confidence,rank") == 1
    names = sorted(path.name for path in EXAMPLES.glob("*.jpg"))
    (fake / "together.csv").write_text("".join(part.read_text() for part in parts))
    references = fake / "references.jsonl"
    references.write_text("".join(json.dumps({"image": name, "captions": ["a cat", "a dog"]}) + "\n" for name in names))
    for said in ("merged.csv", "together.csv"):
        done = here("evaluate", "--predictions", fake / said, "--references", references, "--json", fake / "s.json")
        assert done.returncode == 0, done.stderr
        assert f"{len(names)} images" in done.stdout + done.stderr
