"""The shipped captioner says of twenty images, in nine ways, what it said when these captions were written down.

``data/frozen/everyday.json`` holds captions with their confidences and log-probabilities, the cell of the grid that each
word attends to most, and the log-likelihoods of three captions of each image.
"""

import json
from itertools import chain

import pytest
from support.paths import ROOT

from capgen import Captioner, CaptionRequest
from capgen.captioner import bundle
from capgen.captioner.backends.litert_lstm import EncodedImage, LiteRTCaptionModel

FROZEN = ROOT / "tests/data/frozen"
ROWS = json.loads((FROZEN / "everyday.json").read_text())
IMAGES = [
    next(folder / row["image"] for folder in (FROZEN, ROOT / "examples") if (folder / row["image"]).exists()) for row in ROWS
]
WAYS = {
    "default": {},
    "greedy": {"num_beams": 1},
    "three": {"num_captions": 3},
    "prompt": {"prompt": "there is a"},
    "avoid": {"suppressed_words": ["a", "cat", "cup", "white", "table"]},
    "long": {"min_words": 12},
    "short": {"max_words": 6},
    "sampled": {"temperature": 1.0, "num_captions": 3, "seed": 7},
    "nucleus": {"top_p": 0.8, "num_captions": 2, "seed": 3},
}
OTHER_CAPTIONS = ["a dog runs on the grass", "a zebra and a giraffe"]

CONFIDENCE, LOG_PROBABILITY = 2e-4, 0.02
"""Largest differences: processors round in different ways."""


@pytest.fixture(scope="module")
def shipped():
    """The shipped captioner, which encodes each image once for all tests."""
    encode = LiteRTCaptionModel.encode
    encoded: dict[bytes, EncodedImage] = {}

    def encode_once(model, pixels):
        if pixels.tobytes() not in encoded:
            encoded[pixels.tobytes()] = encode(model, pixels)
        return encoded[pixels.tobytes()]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LiteRTCaptionModel, "encode", encode_once)
        yield Captioner.load("everyday", threads=1)


@pytest.mark.parametrize("way", WAYS)
def test_captions_are_as_before(shipped, way):
    results = shipped.caption_many(IMAGES, CaptionRequest(**WAYS[way]))
    found = [result.captions for result in results]
    frozen = [row["captions"][way] for row in ROWS]
    assert [[one.text for one in each] for each in found] == [[text for text, _, _ in each] for each in frozen]
    for one, (_, confidence, log_probability) in zip(chain(*found), chain(*frozen), strict=True):
        assert one.confidence == pytest.approx(confidence, abs=CONFIDENCE), one.text
        assert one.log_probability == pytest.approx(log_probability, abs=LOG_PROBABILITY), one.text


def test_each_word_attends_to_the_same_cell_as_before(shipped):
    for row, result in zip(ROWS, shipped.caption_many(IMAGES, output_attention=True), strict=True):
        attention = result.captions[0].attention
        assert [list(attention.words), [int(weights.argmax()) for weights in attention.maps]] == row["attention"]


def test_captions_are_as_likely_as_before(shipped):
    for row, image in zip(ROWS, IMAGES, strict=True):
        found = shipped.score(image, [row["captions"]["default"][0][0], *OTHER_CAPTIONS])
        assert [one.total for one in found] == pytest.approx(row["score"], abs=LOG_PROBABILITY)


def test_the_description_of_schema_1_beside_the_same_files_says_what_it_said(shipped, tmp_path):
    for file in shipped.bundle.path.iterdir():
        if file.name != bundle.DESCRIPTION:
            (tmp_path / file.name).symlink_to(file)
    (tmp_path / bundle.DESCRIPTION).write_bytes((FROZEN / "bundle.schema1.json").read_bytes())
    earlier = Captioner.load(tmp_path, threads=1)
    found, today = earlier.bundle.description, shipped.bundle.description
    assert (found.name, found.backend) == ("everyday", today.backend)
    assert found.constraints == today.constraints
    assert found.decoding == today.decoding
    assert (found.encoder, found.decoder, found.preprocessing) == (today.encoder, today.decoder, today.preprocessing)
    captions = [result.caption for result in earlier.caption_many(IMAGES[:3])]
    assert captions == [row["captions"]["default"][0][0] for row in ROWS[:3]]
