"""Put a trained captioner into the package, with its scores on some splits on its card.

A person runs this once a captioner, after having chosen it by its dev scores and looked at the test split once:

    capgen evaluate PATH/OF/THE/BUNDLE --references ../shared/data/flickr8k --json test.json
    python scripts/ship.py PATH/OF/THE/BUNDLE "Flickr8k test=test.json" "Flickr8k dev=dev.json"
"""

import dataclasses
import json
import sys
from pathlib import Path

from capgen import bundle
from capgen.bundle import Bundle
from capgen.training.card import model_card

SHIPPED = Path(__file__).resolve().parents[1] / "capgen/models" / bundle.DEFAULT

ABOUT = """- Flickr8k (M. Hodosh, P. Young, J. Hockenmaier, "Framing Image Description as a Ranking Task", JAIR 47, 2013):
  photographs of people and dogs doing things outdoors, mostly, with five human captions each; the official split. One of
  the 6,000 training images is a byte-for-byte copy of another and was left out.
- 1,283 photographs of MS-COCO (T.-Y. Lin et al., 2014; captions CC BY 4.0): everyday scenes.
- 723 photographs of 150 everyday things (ImageNet), of which only the name is known: "a close up of a lemon".
- Rooms of ADE20K (B. Zhou et al., 2017) with sentences of the Image Description Sequences corpus, and 5,400 photographs
  from the web with one machine-written caption each; both in styles of their own, which the captioner does not write in.

The photographs were seen at 288x288 pixels, mirrored at random. What is common in them is what it expects: people at
leisure, dogs, sports and streets, mostly of North America and Europe; other places and customs it describes worse.
"""

RECIPE = """
## How it was made

With the data sets in `$D`, on two processors in about an hour and a half (10 and 83 minutes):

```sh
capgen prepare $D/flickr8k $D/coco_photographs $D/named_objects $D/rooms $D/web_captions --name everyday --views flip \\
  --use all --use all --use train --use train --use train --style '' --style '' --style label --style room --style web \\
  --weight 1 --weight 1 --weight 1 --weight 0.5 --weight 0.5 --leave-out benchmarks/reading.txt
capgen train everyday --config everyday
```

All but Flickr8k are selections, in whose place any captioned photographs can be taken.

It was trained before guidance was part of that recipe: eight epochs with the encoder and three self-critical rounds, the
third of which was best. Guidance came by going on from there with two rounds more,

```sh
capgen train everyday --from everyday --config everyday \\
  --set encoder.epochs=0 --set scst.epochs=2 --set scst.learning_rate=1e-5
```

neither of which was better than where it began, so that the weights stayed those of the third round. The "3 epochs" above
(two rounds and a look at where they began) and the settings below are those of going on; those of the training itself are
in the recipe. That, how much a search is guided and how much it favours names was chosen on dev: Flickr8k's dev split and
130 images of that of coco_photographs, so that their rows below are a little flattering, too.
"""

EXAMPLES = """What it says of photographs that it was not trained on, read before and after each change
(`benchmarks/reading.txt`):

- good: "two skiers are skiing down a ski slope", "a bedroom with a bed and pillows", "a white dog is running on the grass",
  each of just that;
- mediocre: "a cat sitting sink in a bathroom", "a living room with a couch and a sofa", "a house with a large windows in
  front of the building", "two boats are sailing on a boat in the water";
- wrong: "a group of plates of food are eating a cake in front of a table", "a group of people are parked on a field in the
  middle of a palace", "a red number of a document" (a printed page); and of NASA's portrait of an astronaut in `examples/`:
  "a man in a blue shirt is standing in front of a red fire".

It prefers the general to the particular ("a group of people are ..."; on Flickr8k's test split 28.5 % of the images share
their caption with another), says what a photograph of a room must have more than what it has, and names a thing that it is
sure of even where the photograph is not about it.

## How it judges captions

How well the likelihood that it gives to a caption (`capgen score`, without any human caption of the photograph) agrees with
people, beside scores that compare with five human captions: Kendall's tau, in hundredths, on Flickr8k's 16,992 expert
judgements and 46,575 of CrowdFlower, by `python benchmarks/agreement.py FLICKR8K`:

| score | expert, tau-c | CrowdFlower, tau-b |
|---|---|---|
| BLEU-4 | 30.8 | 14.6 |
| ROUGE-L | 32.3 | 17.3 |
| CIDEr-D | 43.7 | 22.2 |
| this captioner's likelihood | 39.7 | 20.9 |

All photographs judged are of Flickr8k's test split, which it was not trained on.
"""


def main(place: Path, named: list[str]) -> None:
    """Copy the bundle at ``place`` into the package, with scores, each given as ``SPLIT=FILE``."""
    opened = Bundle(place)
    opened.verify()
    pairs = (pair.split("=", 1) for pair in named)
    found = {split: json.loads(Path(file).read_text()) for split, file in pairs}
    computed = {split: {name: value for name, value in each.items() if value is not None} for split, each in found.items()}
    scores = {**opened.description.scores, **computed}
    description = dataclasses.replace(opened.description, name=bundle.DEFAULT, scores=scores)
    contents = opened.contents()
    del contents[bundle.DESCRIPTION]
    contents[bundle.MODEL_CARD] = model_card(description, ABOUT + RECIPE, EXAMPLES).encode()
    bundle.write(SHIPPED, description, contents)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
