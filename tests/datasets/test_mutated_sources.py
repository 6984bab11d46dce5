"""Damaged annotation files, by the thousand: each is read or refused, and no caption goes to another image.

CAPGEN_MUTATIONS=10000 in the environment tries so many of each kind; the seeds are always the same.
"""

import csv
import io
import json
import os
import random
import re

import pytest

from capgen import datasets
from capgen.errors import CapgenError

MUTATIONS = int(os.environ.get("CAPGEN_MUTATIONS", "25"))

WORDS = ("alder", "birch", "cedar", "dogwood", "elm", "fir", "ginkgo", "hazel")
"""The image ``img-WORD.jpg`` is captioned with ``saw-WORD`` and with nothing else of this kind."""

IMAGES = [f"img-{word}.jpg" for word in WORDS]
IDS = {word: random.Random(word).randrange(10**12, 10**13) for word in WORDS}


def captions(word):
    return [f"saw-{word} on a hill, alone", f'a man said "saw-{word}" twice; maybe']


def table(delimiter, **more):
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n", **more)
    writer.writerows([("image", "caption"), *((f"img-{word}.jpg", text) for word in WORDS for text in captions(word))])
    return out.getvalue()


def two_lines():
    return table(",").replace(" on a hill", "\non a hill")


def array(rows):
    return "[" + ",\n".join(map(json.dumps, rows)) + "]"


ROWS = [{"image": f"img-{word}.jpg", "captions": captions(word)} for word in WORDS]
COCO_IMAGES = [{"id": IDS[word], "file_name": f"img-{word}.jpg"} for word in WORDS]
COCO_CAPTIONS = [
    {"id": i, "image_id": IDS[word], "caption": text} for i, word in enumerate(WORDS) for text in captions(word)
]
KARPATHY = [
    {"filename": f"img-{word}.jpg", "split": "train", "sentences": [{"raw": text} for text in captions(word)]}
    for word in WORDS
]

SOURCES = {
    "comma": ("t.csv", table(",")),
    "semicolon": ("t.csv", table(";")),
    "two lines": ("t.csv", two_lines()),
    "all quoted": ("t.csv", table(",", quoting=csv.QUOTE_ALL)),
    "tabs": (
        "t.tsv",
        "image\tcaption\n" + "".join(f"img-{word}.jpg\t{text}\n" for word in WORDS for text in captions(word)),
    ),
    "quoted tabs": ("t.tsv", table("\t")),
    "python lists": ("t.csv", "image|captions\n" + "".join(f"img-{word}.jpg|{captions(word)}\n" for word in WORDS)),
    "json lines": ("t.jsonl", "".join(json.dumps(row) + "\n" for row in ROWS)),
    "json array": ("t.json", array(ROWS)),
    "json object": ("t.json", f'{{"data": {array(ROWS)}, "info": [{{"by": "me"}}]}}'),
    "json by name": ("t.json", json.dumps({row["image"]: row["captions"] for row in ROWS})),
    "coco": ("captions_x.json", f'{{"images": {array(COCO_IMAGES)},\n"annotations": {array(COCO_CAPTIONS)}}}'),
    "karpathy": ("dataset_x.json", f'{{"dataset": "x", "images": {array(KARPATHY)}}}'),
    "flickr8k": (
        "Flickr8k.token.txt",
        "".join(f"img-{word}.jpg#{n}\t{text}\n" for word in WORDS for n, text in enumerate(captions(word))),
    ),
    "flickr30k": (
        "results.csv",
        "image_name| comment_number| comment\n"
        + "".join(f"img-{word}.jpg| {n}| {text}\n" for word in WORDS for n, text in enumerate(captions(word))),
    ),
}

MARKS = (
    '"',
    '""',
    "'",
    ",",
    ";",
    "\t",
    "|",
    "\n",
    "\r",
    "\r\n",
    "\0",
    "\\",
    "#0\t",
    "\ufeff",
    "\u2028",
    "[",
    "]",
    "{",
    "}",
    "},{",
    "}, {",
)
TOKENS = ("null", "NaN", "1e999", "-", "[" * 5000, "9" * 5000, " " * 5000)
PIECES = [*(piece.encode() for piece in (*MARKS, *TOKENS)), b"\xff", b"\xed\xa0\x80", b"\xff\xfe"]


def mutated(data, generator):
    """Return the bytes with one to three small changes, sometimes in another encoding."""
    for _ in range(generator.randint(1, 3)):
        offset = generator.randrange(len(data) + 1)
        match generator.randrange(6):
            case 0 | 1:
                data = data[:offset] + generator.choice(PIECES) + data[offset:]
            case 2:
                data = data[:offset] + bytes([generator.randrange(256)]) + data[offset + 1 :]
            case 3:
                data = data[:offset] + data[offset + 1 :]
            case 4:
                lines = data.splitlines(keepends=True) or [b""]
                number = generator.randrange(len(lines))
                lines[number : number + 1] = [lines[number]] * generator.choice((0, 2))
                data = b"".join(lines)
            case 5 if generator.random() < 0.3:
                data = data[:offset]
    return data.decode("utf-8", "replace").encode("utf-16") if generator.random() < 0.05 else data


@pytest.mark.parametrize("kind", SOURCES)
def test_a_damaged_file_is_read_or_refused_and_no_caption_goes_to_another_image(tmp_path, kind):
    name, text = SOURCES[kind]
    for seed in range(MUTATIONS):
        data = mutated(text.encode(), random.Random(f"{kind} {seed}"))
        (tmp_path / name).write_bytes(data)
        try:
            found = datasets.read(tmp_path).examples
        except CapgenError as error:
            assert "\n" not in str(error), seed
            continue
        for example in found:
            if example.image in IMAGES:  # else the change was in the name, which is that of no image any more
                said = set(re.findall(r"saw-([a-z]+)", " ".join(example.captions))) & set(WORDS)
                assert {f"img-{word}.jpg" for word in said} <= {example.image}, (seed, example)


@pytest.mark.parametrize("kind", SOURCES)
def test_the_file_itself_is_read_whole(tmp_path, kind):
    name, text = SOURCES[kind]
    (tmp_path / name).write_text(text, encoding="utf-8")
    dataset = datasets.read(tmp_path)
    found = {image: [] for image in IMAGES}
    for example in dataset.examples:
        found[example.image] += [caption.replace("\n", " ") for caption in example.captions]
    assert found == {f"img-{word}.jpg": captions(word) for word in WORDS} or kind == "two lines"
    assert not dataset.problems
