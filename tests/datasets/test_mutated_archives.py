"""Damaged archives, by the thousand: each is read or refused, and no caption goes to another image.

CAPGEN_MUTATIONS=10000 in the environment tries so many of each kind; the seeds are always the same.
"""

import json
import os
import random
import re
import zipfile

import pyarrow
import pyarrow.parquet
import pytest
from support.archives import structures, tar, zipped
from support.drawing import drawn

from capgen import datasets
from capgen.errors import CapgenError

MUTATIONS = int(os.environ.get("CAPGEN_MUTATIONS", "60"))

WORDS = ("alder", "birch", "cedar", "dogwood", "elm", "fir")
"""The image ``img-WORD.png`` is captioned with ``saw-WORD`` and with nothing else of this kind."""

IMAGES = [(f"img-{word}.png", drawn(index)[:300]) for index, word in enumerate(WORDS)]
TEXTS = [(f"img-{word}.txt", f"saw-{word}\n".encode()) for word in WORDS]
OBJECTS = [(f"img-{word}.json", json.dumps({"caption": f"saw-{word}"}).encode()) for word in WORDS]
LINES = "".join(json.dumps({"image": f"img-{word}.png", "caption": f"saw-{word}"}) + "\n" for word in WORDS).encode()


def members(sidecars):
    return [member for pair in zip(IMAGES, sidecars, strict=True) for member in pair]


def table(path):
    columns = {"image": structures(IMAGES), "caption": [f"saw-{word}" for word in WORDS]}
    # without checksums nothing tells a number of a dictionary's entry from another one
    pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=2, write_page_checksum=True)


SOURCES = {
    "texts": ("a.tar", lambda path: tar(path, members(TEXTS))),
    "objects": ("a.tar", lambda path: tar(path, members(OBJECTS))),
    "texts first": ("a.tar", lambda path: tar(path, [*TEXTS, *IMAGES])),
    "compressed": ("a.tar.gz", lambda path: tar(path, members(TEXTS), "w:gz")),
    "zip": ("a.zip", lambda path: zipped(path, members(TEXTS), zipfile.ZIP_DEFLATED)),
    "zip with a table": ("a.zip", lambda path: zipped(path, [("t.jsonl", LINES), *IMAGES])),
    "table": ("a.parquet", table),
}


def mutated(data, generator):
    """Return the bytes with one to three small changes, sometimes without their end."""
    data = bytearray(data)
    for _ in range(generator.randint(1, 3)):
        offset = generator.randrange(len(data))
        match generator.randrange(4):
            case 0 | 1:
                data[offset] = generator.randrange(256)
            case 2:
                data[offset : offset + generator.randint(1, 600)] = bytes(generator.randint(0, 600))
            case 3:
                data[offset:offset] = data[: generator.randint(1, 2000)]
    return bytes(data[: generator.randrange(len(data)) if generator.randrange(8) == 0 else len(data)])


@pytest.mark.parametrize("kind", SOURCES)
def test_a_damaged_archive_is_read_or_refused_and_gives_no_image_the_caption_of_another(tmp_path, monkeypatch, kind):
    monkeypatch.setenv("CAPGEN_CACHE_DIR", str(tmp_path / "cache"))
    name, write = SOURCES[kind]
    write(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    assert len(datasets.read(tmp_path / name).examples) == len(WORDS)
    for seed in range(MUTATIONS):
        source = tmp_path / f"{seed}-{name}"
        source.write_bytes(mutated(whole, random.Random(seed)))
        try:
            dataset = datasets.read(source)
        except CapgenError as error:
            assert "\n" not in str(error)
            continue
        finally:
            source.unlink()
        for example in dataset.examples:
            shown = set(re.findall("|".join(WORDS), example.id or example.image))
            said = set(re.findall("|".join(WORDS), " ".join(example.captions)))
            assert not shown or not said or said == shown, (seed, example)
