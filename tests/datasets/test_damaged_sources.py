"""Damaged annotation files: whatever is broken in them, no caption goes to another image."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capgen import datasets
from capgen.datasets.image_locator import ImageLocator
from capgen.errors import DataError

IMAGES = [f"{split}/{number}.png" for split in ("train", "val") for number in (1, 2, 3)]


def caption(image):
    return f"The caption of {image}."


def coco(split):
    images = [image for image in IMAGES if image.startswith(split)]
    return {
        "images": [{"id": number, "file_name": image.rpartition("/")[2]} for number, image in enumerate(images, 1)],
        "annotations": [{"id": n, "image_id": n, "caption": caption(image)} for n, image in enumerate(images, 1)],
    }


KARPATHY = [
    {"filename": image[-5:], "filepath": image[:-6], "split": image[:-6], "sentences": [{"raw": caption(image)}]}
    for image in IMAGES
]
SOURCES = {
    "coco": {f"annotations/captions_{split}.json": json.dumps(coco(split)) for split in ("train", "val")},
    "karpathy": {"dataset_x.json": json.dumps({"dataset": "x", "images": KARPATHY})},
    "flickr8k": {"Flickr8k.token.txt": "".join(f"{image}#0\t{caption(image)}\n" for image in IMAGES)},
    "flickr30k": {"results.csv": "image_name|n|comment\n" + "".join(f"{i}| 0| {caption(i)}\n" for i in IMAGES)},
}
MARKS = (b'"', b"{", b"}", b"[", b"],", b"\n", b"\r", b"\t", b"|", b"#", b"null", b"\\", b"../", b"\xe2\x80\xa8")
PIECES = st.one_of(st.binary(max_size=3), st.sampled_from(MARKS))
DAMAGES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 5), PIECES), min_size=1, max_size=4)


@pytest.mark.parametrize("name", SOURCES)
@settings(deadline=None, max_examples=60)
@given(damages=DAMAGES)
def test_no_caption_goes_to_another_image(tmp_path_factory, name, damages):
    folder = tmp_path_factory.getbasetemp() / f"damaged_{name}"
    for image in IMAGES:
        (folder / image).parent.mkdir(parents=True, exist_ok=True)
        (folder / image).write_bytes(image.encode())
    for file, text in SOURCES[name].items():
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_bytes(damaged(text.encode(), damages))
    try:
        dataset = datasets.read(folder, name)
    except DataError:
        return
    locator = ImageLocator(dataset)
    located = [(locator.locate(example), text) for example in dataset.examples for text in example.captions]
    meant = {caption(image): folder / image for image in IMAGES}
    assert all(file.samefile(meant.get(text.strip(), file)) for file, text in located if isinstance(file, Path))


def damaged(content, damages):
    """Put pieces in place of some bytes, but leave numbers as they are: who changes them says something else."""
    for share, length, piece in damages:
        start = int(share * len(content))
        cut = content[start : start + length]
        if not re.search(rb"\d", cut) and not re.search(rb"\d", piece):
            content = content[:start] + piece + content[start + length :]
    return content
