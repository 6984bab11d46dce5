"""How well scores agree with people: python benchmarks/agreement.py FLICKR8K [MODEL].

FLICKR8K holds the captions, the images and the two files of judgements that come with the data set. A judged caption is
that of some image, shown with the same or another one. Expert: three people's marks from 1 to 4, each a pair with the score
(Kendall's tau-c, as in Hessel et al. 2021, "CLIPScore"); captions of the image itself are left out. CrowdFlower: the share
of people who said that the caption fits (tau-b). BLEU-4, ROUGE-L and CIDEr-D compare with the image's five captions; the
captioner's score is the mean log-likelihood of a word, without any reference. In hundredths.
"""

import re
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from scipy.stats import kendalltau

from capgen import Captioner
from capgen.evaluation import metrics
from capgen.evaluation.metrics.bleu import bleu_counts, bleu_of

Pair = tuple[str, str]
"""An image and the id of a caption, ``NAME#K``."""


_CROWD = re.compile(r"^(\S+\.jpg)\t(\S+\.jpg#\d)\t([01](?:\.\d+)?)\t\d+\t\d+$", re.MULTILINE)


def judgements(folder: Path) -> dict[str, tuple[list[tuple[Pair, float]], str]]:
    """Read both files: pairs with the judgements of people, and the kind of tau that is usual for them."""
    expert, crowd = [], []
    for line in (folder / "ExpertAnnotations.txt").read_text().splitlines():
        image, caption, *marks = line.split("\t")
        if caption.partition("#")[0] != image:
            expert += [((image, caption), float(mark)) for mark in marks]
    # some copies of the file are damaged further down: what is no judgement is passed over, and the pairs are counted
    text = (folder / "CrowdFlowerAnnotations.txt").read_text(encoding="latin-1")
    for image, caption, share in _CROWD.findall(text):
        if caption.partition("#")[0] != image:
            crowd.append(((image, caption), float(share)))
    return {"Expert": (expert, "c"), "CrowdFlower": (crowd, "b")}


def main(folder: Path, model: str | None) -> None:
    """Print a table in Markdown."""
    captions, human = {}, defaultdict(list)
    for line in (folder / "Flickr8k.token.txt").read_text().splitlines():
        key, _, text = line.partition("\t")
        captions[key] = text
        human[key.partition("#")[0]].append(text)
    judged = judgements(folder)
    pairs = sorted({pair for rows, _ in judged.values() for pair, _ in rows})
    tokens = [metrics.tokenize(captions[caption]) for _, caption in pairs]
    truths = [[metrics.tokenize(text) for text in human[image]] for image, _ in pairs]
    by_image = defaultdict(list)
    for image, caption in pairs:
        by_image[image].append(caption)
    captioner = Captioner.load(model)
    likely = {
        (image, key): found.per_word
        for image, keys in by_image.items()
        for key, found in zip(keys, captioner.score(folder / "images" / image, [captions[key] for key in keys]), strict=True)
    }
    known = metrics.References(truths)
    scores: dict[str, Callable[[], list[float]]] = {
        "BLEU-4": lambda: [float(score) for score in bleu_of(bleu_counts(known, known.matches(tokens)))[:, 3]],
        "ROUGE-L": lambda: metrics.rouge_l(tokens, truths)[1],
        "CIDEr-D": lambda: metrics.cider_d(tokens, truths)[1],
        "the captioner's likelihood": lambda: [likely[pair] for pair in pairs],
    }
    print("; ".join(f"{name}: {len(rows):,} judgements" for name, (rows, _) in judged.items()))
    print("| score | " + " | ".join(f"{name}, tau-{kind}" for name, (_, kind) in judged.items()) + " |")
    for name, compute in scores.items():
        by_pair = dict(zip(pairs, compute(), strict=True))
        taus = [
            kendalltau([by_pair[pair] for pair, _ in rows], [mark for _, mark in rows], variant=kind).statistic
            for rows, kind in judged.values()
        ]
        print(f"| {name} | " + " | ".join(f"{100 * tau:.1f}" for tau in taus) + " |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
