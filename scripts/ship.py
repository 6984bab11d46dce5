"""Put a trained captioner into the package, with its scores on the test split on its card.

A person runs this once a captioner, after having chosen it by its dev scores and looked at the test split once:

    capgen evaluate flickr8k --data flickr8k --split test --json test.json
    python scripts/ship.py PATH/OF/THE/BUNDLE test.json
"""

import dataclasses
import json
import sys
from pathlib import Path

from capgen import bundle
from capgen.bundle import Bundle
from capgen.training.card import model_card

SHIPPED = Path(__file__).resolve().parents[1] / "capgen/models" / bundle.DEFAULT

ABOUT = """Flickr8k (M. Hodosh, P. Young, J. Hockenmaier, "Framing Image Description as a Ranking Task", JAIR 47, 2013):
photographs of people and dogs doing things outdoors, mostly, with five human captions each; the official split. One of
the 6,000 training images is a byte-for-byte copy of another and was left out. The photographs were seen at 224x224
pixels, mirrored at random.
"""


def main(place: Path, test_scores: Path) -> None:
    """Copy the bundle at ``place`` into the package under its own name."""
    opened = Bundle(place)
    opened.verify()
    scores = {**opened.description.scores, "test": json.loads(test_scores.read_text())}
    description = dataclasses.replace(opened.description, scores=scores)
    names = (bundle.VOCABULARY, bundle.ENCODER, bundle.DECODER, bundle.WEIGHTS)
    contents = {name: opened.read(name) for name in names}
    contents[bundle.MODEL_CARD] = model_card(description, ABOUT).encode()
    bundle.write(SHIPPED, dataclasses.replace(description, name=bundle.DEFAULT), contents)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
